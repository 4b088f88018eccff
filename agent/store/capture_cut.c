#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/capture_log.h"
#include "store/restate.h"

enum { FRAMES_A_STEP = 256, BYTES_A_STEP = 64 << 10 };

struct capture_cut {
	struct capture_cut_config c;
	struct cursor cursor;
	struct mirror mirror; /* until it has begun */
	uint8_t *catalog;
	size_t catalog_len;
	uint64_t key_seq; /* what stands before this KEY need not be applied */
	uint64_t to_seq;  /* the newest frame when it was opened */
	bool begun, over;
	struct capture_pack pack;
};

/* The frame of the last KEY of the cursor's segment that is before at_us; 0: none. */
static uint64_t find_key(struct cursor c, uint64_t at_us)
{
	uint8_t head[CURSOR_HEAD];
	uint64_t seq = 0, mono_us;

	for (; cursor_peek(&c, head) == 1; cursor_skip(&c)) {
		const uint8_t *p = head + 1;

		if (head[0] != FRAME_TICK && head[0] != FRAME_KEY)
			continue;
		frame_get_u64(&p, head + sizeof(head), &mono_us);
		if (mono_us >= at_us)
			break;
		if (head[0] == FRAME_KEY)
			seq = c.next_seq;
	}
	return seq;
}

static int place(struct capture_cut *cut)
{
	uint64_t seq = cut->c.from_seq;
	int r;

	if (!seq && cut->c.after_seq)
		return cursor_open_seq(&cut->cursor, cut->c.log, cut->c.after_seq + 1);
	if (!seq) {
		r = cursor_open_time(&cut->cursor, cut->c.log, cut->c.from_us);
		if (r == 0)
			cut->key_seq = find_key(cut->cursor, cut->c.from_us);
		return r;
	}
	cut->begun = true;
	r = cursor_open_exact(&cut->cursor, cut->c.log, seq);
	/* Gone: what is held begins with the state. */
	return r == -ESTALE ? cursor_open_seq(&cut->cursor, cut->c.log, seq) : r;
}

int capture_cut_open(struct capture_cut **ret, const struct capture_cut_config *c)
{
	struct capture_cut *cut = calloc(1, sizeof(*cut));
	int r;

	if (!cut)
		return -ENOMEM;
	cut->c = *c;
	cut->to_seq = c->follow ? UINT64_MAX : log_newest(c->log);
	mirror_init(&cut->mirror);
	r = place(cut);
	if (r < 0) {
		capture_cut_close(cut);
		return r;
	}
	*ret = cut;
	return 0;
}

void capture_cut_close(struct capture_cut *cut)
{
	if (!cut)
		return;
	cursor_close(&cut->cursor);
	mirror_done(&cut->mirror);
	free(cut->catalog);
	capture_pack_done(&cut->pack);
	free(cut);
}

void capture_cut_end(struct capture_cut *cut, uint64_t to_us)
{
	cut->c.to_us = to_us;
}

bool capture_cut_over(const struct capture_cut *cut)
{
	return cut->over;
}

/* ---- before the range: its state is gathered ---- */

static int hold_catalog(struct capture_cut *cut, const struct frame *f)
{
	uint8_t *copy = malloc(f->len);

	if (!copy)
		return -ENOMEM;
	memcpy(copy, f->data, f->len);
	free(cut->catalog);
	cut->catalog = copy;
	cut->catalog_len = f->len;
	return 0;
}

static int put_state(void *arg, const void *data, size_t len)
{
	struct capture_cut *cut = arg;
	const struct frame f = {
		.seq = (cut->cursor.next_seq - 1) | CAPTURE_STATE, .data = data, .len = len};

	return capture_pack_add(&cut->pack, &f);
}

static uint64_t tick_us(const struct frame *f)
{
	const uint8_t *p = f->data + 1;
	uint64_t us = 0;

	frame_get_u64(&p, f->data + f->len, &us);
	return us;
}

static void forget(struct capture_cut *cut)
{
	mirror_done(&cut->mirror);
	mirror_init(&cut->mirror);
	cut->key_seq = 0;
}

static int gather(struct capture_cut *cut, const struct frame *f)
{
	enum frame_type type = frame_type(f);
	int r = 0;

	if ((type == FRAME_TICK || type == FRAME_KEY) && f->seq < cut->key_seq)
		return 0;
	if (type == FRAME_CATALOG)
		r = hold_catalog(cut, f);
	if (r == 0 && type != FRAME_EVENT)
		r = mirror_apply(&cut->mirror, f);
	if (r == -EBADMSG)
		forget(cut);
	return r == -EBADMSG ? 0 : r;
}

static int begin(struct capture_cut *cut)
{
	int r = restate(&cut->mirror, cut->catalog, cut->catalog_len, put_state, cut);

	cut->begun = r == 0;
	return r;
}

/* ---- the range ---- */

static int take(struct capture_cut *cut, const struct frame *f)
{
	bool tick = frame_type(f) == FRAME_TICK;
	int r = 0;

	if (f->seq > cut->to_seq || (tick && tick_us(f) > cut->c.to_us)) {
		cut->over = true;
		return 0;
	}
	if (!cut->begun && tick && cut->mirror.keyed && tick_us(f) >= cut->c.from_us &&
	    f->seq > cut->c.after_seq)
		r = begin(cut);
	if (r < 0)
		return r;
	return cut->begun ? capture_pack_add(&cut->pack, f) : gather(cut, f);
}

int capture_cut_step(struct capture_cut *cut, struct capture_writer *w)
{
	uint64_t from, to, before = w->bytes;
	struct frame f;
	int r = 1;

	cut->pack.w = w;
	for (int n = 0; n < FRAMES_A_STEP && !cut->over && w->bytes - before < BYTES_A_STEP; n++) {
		if (cut->cursor.next_seq > cut->to_seq) {
			cut->over = true;
			break;
		}
		r = cursor_next(&cut->cursor, &f, &from, &to);
		if (r == -ESTALE && !cut->begun)
			forget(cut);
		if (r == -ESTALE)
			continue;
		if (r == 1) {
			int taken = take(cut, &f);

			r = taken < 0 ? taken : 1;
		}
		if (r != 1)
			break;
	}
	if (r < 0 && r != -ESTALE)
		return r;
	if (r != 0 && !cut->over)
		return 1;
	return capture_pack_flush(&cut->pack);
}
