/* Epochs: the head around the packed columns. */
#include "stacks/epoch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "base/crc32c.h"
#include "stacks/epoch_internal.h"

enum { LEVEL = 3 };

static uint32_t whole_crc(const uint8_t *data, size_t len)
{
	static const uint8_t none[4];
	uint32_t crc = crc32c(0, data, EPOCH_CRC_AT);

	crc = crc32c(crc, none, sizeof(none));
	return crc32c(crc, data + EPOCH_CRC_AT + 4, len - EPOCH_CRC_AT - 4);
}

static int64_t reach_us(const struct stacks *s)
{
	int64_t min_us = s->from_us;

	for (uint32_t i = 0; i < s->n_samples; i++) {
		const struct stacks_sample *x = &s->samples[i];

		if (x->kind == STACKS_OFF && x->at_us - x->weight_us < min_us)
			min_us = x->at_us - x->weight_us;
	}
	return min_us > -EPOCH_TIME_MAX ? min_us : -EPOCH_TIME_MAX;
}

static void put_head(struct out *to, const struct stacks *s, size_t plain_len)
{
	char boot_id[sizeof(s->boot_id)] = {0};

	memcpy(boot_id, s->boot_id, strnlen(s->boot_id, sizeof(boot_id) - 1));
	out_u64(to, (uint64_t)s->from_us);
	out_u64(to, (uint64_t)s->to_us);
	out_u32(to, EPOCH_MAGIC);
	out_u32(to, EPOCH_VERSION);
	out_u32(to, 0);
	out_u32(to, (uint32_t)plain_len);
	out_u64(to, (uint64_t)s->real_off_us);
	out_u64(to, (uint64_t)reach_us(s));
	out_bytes(to, boot_id, sizeof(boot_id));
	out_u32(to, s->n_samples);
	out_u32(to, s->hz);
	out_u64(to, 0);
}

static bool times_right(int64_t from_us, int64_t to_us)
{
	return from_us <= to_us && from_us >= -EPOCH_TIME_MAX && to_us <= EPOCH_TIME_MAX;
}

int epoch_encode(const struct stacks *s, uint8_t **ret, size_t *ret_len)
{
	struct out plain = {0}, to = {0};
	uint8_t *room;
	uint32_t crc;
	size_t n;
	int r;

	if (!times_right(s->from_us, s->to_us))
		return -EINVAL;
	r = epoch_pack(s, &plain);
	if (r >= 0)
		put_head(&to, s, plain.len);
	room = r >= 0 ? out_room(&to, ZSTD_compressBound(plain.len)) : NULL;
	if (!room) {
		out_done(&plain);
		out_done(&to);
		return r < 0 ? r : -ENOMEM;
	}
	n = ZSTD_compress(room, to.cap - to.len, plain.p, plain.len, LEVEL);
	out_done(&plain);
	to.len += ZSTD_isError(n) ? 0 : n;
	if (ZSTD_isError(n) || to.len > EPOCH_BYTES_MAX) {
		out_done(&to);
		return ZSTD_isError(n) ? -ENOMEM : -EMSGSIZE;
	}
	crc = htole32(whole_crc(to.p, to.len));
	memcpy(to.p + EPOCH_CRC_AT, &crc, sizeof(crc));
	room = realloc(to.p, to.len);
	*ret = room ? room : to.p;
	*ret_len = to.len;
	return 0;
}

static uint32_t get_u32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return le32toh(v);
}

static uint64_t get_u64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return le64toh(v);
}

int epoch_head_start(const uint8_t *data, struct epoch_head *ret)
{
	struct epoch_head h = {0};

	if (get_u32(data + EPOCH_MAGIC_AT) != EPOCH_MAGIC)
		return -EBADMSG;
	if (!get_u32(data + EPOCH_VERSION_AT) || get_u32(data + EPOCH_VERSION_AT) > EPOCH_VERSION)
		return -EPROTONOSUPPORT;
	h.from_us = (int64_t)get_u64(data);
	h.to_us = (int64_t)get_u64(data + 8);
	h.real_off_us = (int64_t)get_u64(data + 32);
	h.reach_us = (int64_t)get_u64(data + 40);
	memcpy(h.boot_id, data + 48, sizeof(h.boot_id));
	h.boot_id[sizeof(h.boot_id) - 1] = 0;
	h.n_samples = get_u32(data + 88);
	h.hz = get_u32(data + 92);
	if (!times_right(h.from_us, h.to_us) || !times_right(h.reach_us, h.from_us) ||
	    h.real_off_us < -EPOCH_TIME_MAX || h.real_off_us > EPOCH_TIME_MAX)
		return -EBADMSG;
	*ret = h;
	return 0;
}

int epoch_head(const uint8_t *data, size_t len, struct epoch_head *ret)
{
	if (len < EPOCH_HEAD_SIZE || len > EPOCH_BYTES_MAX ||
	    get_u32(data + EPOCH_MAGIC_AT) != EPOCH_MAGIC ||
	    get_u32(data + EPOCH_CRC_AT) != whole_crc(data, len))
		return -EBADMSG;
	return epoch_head_start(data, ret);
}

/* 0, -EBADMSG or -ENOMEM; *ret to free(). */
static int unzip(const uint8_t *data, size_t len, uint8_t **ret, size_t *ret_len)
{
	size_t plain_len = get_u32(data + EPOCH_CRC_AT + 4), n;
	uint8_t *plain;

	if (plain_len > EPOCH_PLAIN_MAX ||
	    ZSTD_getFrameContentSize(data + EPOCH_HEAD_SIZE, len - EPOCH_HEAD_SIZE) != plain_len)
		return -EBADMSG;
	plain = malloc(plain_len + 1);
	if (!plain)
		return -ENOMEM;
	n = ZSTD_decompress(plain, plain_len, data + EPOCH_HEAD_SIZE, len - EPOCH_HEAD_SIZE);
	if (ZSTD_isError(n) || n != plain_len) {
		free(plain);
		return -EBADMSG;
	}
	*ret = plain;
	*ret_len = plain_len;
	return 0;
}

int epoch_decode(const uint8_t *data, size_t len, struct stacks **ret)
{
	struct epoch_head h;
	struct stacks *s;
	uint8_t *plain;
	size_t plain_len;
	int r = epoch_head(data, len, &h);

	if (r >= 0)
		r = unzip(data, len, &plain, &plain_len);
	if (r < 0)
		return r;
	s = stacks_new();
	if (s) {
		memcpy(s->boot_id, h.boot_id, sizeof(s->boot_id));
		s->real_off_us = h.real_off_us;
		s->from_us = h.from_us;
		s->to_us = h.to_us;
		s->hz = h.hz;
	}
	r = s ? epoch_unpack(plain, plain_len, get_u32(data + EPOCH_VERSION_AT), s) : -ENOMEM;
	free(plain);
	if (r >= 0 && s->n_samples != h.n_samples)
		r = -EBADMSG;
	if (r < 0)
		stacks_free(s);
	else
		*ret = s;
	return r;
}
