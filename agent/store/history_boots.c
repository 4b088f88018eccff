/* Boots and logs: their order, and where they lie on the timeline. */
#include "base/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/history_internal.h"

/* Offset of the wall clock by the running log; false: it does not say. */
static bool log_offset(struct log *l, int64_t *ret)
{
	uint8_t head[CURSOR_HEAD];
	uint64_t from, to;
	struct clock_frame clock;
	struct frame f;
	struct cursor c;
	bool found = false;

	if (!l || cursor_open_seq(&c, l, log_newest(l)) < 0)
		return false;
	while (cursor_peek(&c, head) == 1) {
		if (head[0] != FRAME_CLOCK) {
			cursor_skip(&c);
			continue;
		}
		if (cursor_next(&c, &f, &from, &to) != 1)
			break;
		if (frame_read_clock(&f, &clock) == 0) {
			*ret = clock.real_off_us;
			found = true;
		}
	}
	cursor_close(&c);
	return found;
}

static struct held_boot *find_boot(struct history *h, const char *id)
{
	for (size_t i = h->n_boots; i > 0; i--)
		if (strcmp(h->boots[i - 1].id, id) == 0)
			return &h->boots[i - 1];
	return NULL;
}

void history_shift(const struct history *h, struct held *b)
{
	b->shift_us = h->boots[b->boot_number].shift_us;
	b->from_us = (int64_t)b->head.from_us + b->shift_us;
	b->to_us = (int64_t)b->head.to_us + b->shift_us;
}

bool history_boot_shift(struct history *h, const char *boot_id, int64_t *ret)
{
	const struct held_boot *b;

	pthread_mutex_lock(&h->lock);
	b = find_boot(h, boot_id);
	if (b)
		*ret = b->shift_us;
	pthread_mutex_unlock(&h->lock);
	return b != NULL;
}

/* Where this boot begins, as far as anything of it was recorded; 0: nothing was. Not where its clock
 * begins: a container that starts again has another boot id and goes on with the clock of its host. */
static int64_t begin_us(const struct history *h, const struct held_boot *now)
{
	uint64_t us = h->config.log ? log_oldest_us(h->config.log) : 0;

	if (now && (!us || now->first_us < us))
		us = now->first_us;
	return (int64_t)us;
}

void history_place_boots(struct history *h)
{
	struct held_boot *now = find_boot(h, h->boot_id);
	size_t i = now ? (size_t)(now - h->boots) : h->n_boots;
	int64_t off_us, next_us = begin_us(h, now);

	if (!log_offset(h->config.log, &off_us))
		off_us = now ? now->real_off_us : clock_real_off_us();
	if (now)
		now->shift_us = 0;
	for (; i > 0; i--) {
		struct held_boot *b = &h->boots[i - 1];

		b->shift_us = b->real_off_us - off_us;
		if (b->shift_us + (int64_t)b->last_us >= next_us)
			b->shift_us = next_us - (int64_t)b->last_us - 1;
		next_us = b->shift_us + (int64_t)b->first_us;
	}
	for (i = 0; i < h->full.n; i++)
		history_shift(h, h->full.v[i]);
	for (i = 0; i < h->rollups.n; i++)
		history_shift(h, h->rollups.v[i]);
	history_reach(&h->full);
	history_reach(&h->rollups);
}

int history_number_boot(struct history *h, const struct block_head *head, uint32_t *ret)
{
	struct held_boot *b = find_boot(h, head->boot_id);

	if (!b) {
		b = realloc(h->boots, (h->n_boots + 1) * sizeof(*b));
		if (!b)
			return -ENOMEM;
		h->boots = b;
		b = &h->boots[h->n_boots++];
		*b = (struct held_boot){.first_us = head->from_us};
		memcpy(b->id, head->boot_id, sizeof(b->id) - 1);
	}
	if (head->from_us < b->first_us)
		b->first_us = head->from_us;
	if (head->to_us >= b->last_us) {
		b->last_us = head->to_us;
		b->real_off_us = head->real_off_us;
	}
	*ret = (uint32_t)(b - h->boots);
	return 0;
}

int history_number_log(struct history *h, const uint8_t *id, uint32_t *ret)
{
	uint8_t(*logs)[LOG_ID_LEN];
	size_t i = h->n_logs;

	while (i > 0 && memcmp(h->logs[i - 1], id, LOG_ID_LEN) != 0)
		i--;
	if (i == 0) {
		logs = realloc(h->logs, (h->n_logs + 1) * sizeof(*logs));
		if (!logs)
			return -ENOMEM;
		h->logs = logs;
		memcpy(h->logs[h->n_logs++], id, LOG_ID_LEN);
		i = h->n_logs;
	}
	*ret = (uint32_t)(i - 1);
	return 0;
}
