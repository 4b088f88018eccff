#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/capture_log.h"

enum { SECTION_BYTES = 64 << 10, SEQ_SIZE = 8 };

static uint64_t follows(uint64_t seq)
{
	return !seq || seq & CAPTURE_STATE ? seq : seq + 1;
}

int capture_pack_flush(struct capture_pack *k)
{
	int r = k->len ? capture_section(k->w, CAPTURE_FRAMES, k->p, k->len) : 0;

	if (r == 0)
		k->len = 0;
	return r;
}

void capture_pack_done(struct capture_pack *k)
{
	free(k->p);
	*k = (struct capture_pack){0};
}

static int reserve(struct capture_pack *k, size_t n)
{
	size_t cap = k->cap ? k->cap : SECTION_BYTES;
	uint8_t *p;

	while (cap - k->len < n)
		cap *= 2;
	if (cap == k->cap)
		return 0;
	p = realloc(k->p, cap);
	if (!p)
		return -ENOMEM;
	k->p = p;
	k->cap = cap;
	return 0;
}

int capture_pack_add(struct capture_pack *k, const struct frame *f)
{
	int r = 0;

	if (k->len && (f->seq != k->next_seq || k->len + f->len > SECTION_BYTES))
		r = capture_pack_flush(k);
	if (r == 0)
		r = reserve(k, SEQ_SIZE + VARINT_MAX + f->len);
	if (r < 0)
		return r;
	if (!k->len) {
		uint64_t seq = htole64(f->seq);

		memcpy(k->p, &seq, SEQ_SIZE);
		k->len = SEQ_SIZE;
	}
	k->len = (size_t)(varint_put(k->p + k->len, f->len) - k->p);
	memcpy(k->p + k->len, f->data, f->len);
	k->len += f->len;
	k->next_seq = follows(f->seq);
	return 0;
}

int capture_unpack_begin(struct capture_unpack *u, const uint8_t *data, size_t len)
{
	*u = (struct capture_unpack){.p = data, .end = data + len};
	return frame_get_u64(&u->p, u->end, &u->seq) ? 0 : -EBADMSG;
}

int capture_unpack_next(struct capture_unpack *u, struct frame *ret)
{
	uint64_t len;

	if (u->p == u->end)
		return 0;
	if (!varint_get(&u->p, u->end, &len) || !len || len > LOG_FRAME_MAX ||
	    len > (uint64_t)(u->end - u->p)) {
		u->p = u->end;
		return -EBADMSG;
	}
	*ret = (struct frame){.seq = u->seq, .data = u->p, .len = (size_t)len};
	u->p += len;
	u->seq = follows(u->seq);
	return 1;
}
