#include "collectors/process/select.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

enum {
	TOP_MAX = 32, /* places that change hands in one pass, where not all fit */
	STAY_MS = 3000,
	SLOTS_MAX = PROCS_MAX
};
static const double busy_ns = 1e6; /* what a challenger must have at least, decayed */

struct ranked {
	double score;
	uint32_t i;
};

int select_open(struct select *s)
{
	s->adopted = false;
	s->of_slot = mmap(NULL, SLOTS_MAX * sizeof(*s->of_slot), PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (s->of_slot != MAP_FAILED)
		return 0;
	s->of_slot = NULL;
	return -ENOMEM;
}

void select_close(struct select *s)
{
	if (s->of_slot)
		munmap(s->of_slot, SLOTS_MAX * sizeof(*s->of_slot));
	s->of_slot = NULL;
}

static void write_row(struct select *s, struct procs *t, struct attrs *a, struct batch *b,
		      uint32_t i)
{
	struct proc *p = &t->proc[i];

	memcpy(batch_row_slot(b, (uint32_t)p->slot), p->v, sizeof(p->v));
	s->of_slot[p->slot] = i;
	if (p->comm_changed) {
		attrs_set_own(t, b, i);
		p->comm_changed = false;
		p->attr_ms = 0;
	}
	if (!(p->flags & PROC_KTHREAD) &&
	    (!p->attr_ms || (p->ran && t->now_ms - p->attr_ms > ATTRS_AGAIN_MS)))
		attrs_want(a, t, i);
}

static void join(struct select *s, struct procs *t, struct attrs *a, struct batch *b, uint32_t i,
		 int32_t slot)
{
	procs_set_slot(t, i, slot);
	t->proc[i].comm_changed = true;
	write_row(s, t, a, b, i);
}

static bool start(struct select *s, struct procs *t, struct attrs *a, struct batch *b, uint32_t i)
{
	char name[16];
	int len = snprintf(name, sizeof(name), "%d", t->hot[i].pid);
	int32_t slot = batch_start(b, proc_id(t->hot[i].pid, t->proc[i].start), name, (size_t)len);

	if (slot >= 0)
		join(s, t, a, b, i, slot);
	return slot >= 0;
}

/* The first time: every process stands for choice, not only those that were read in this pass;
 * instances of an earlier run that still live keep their slots, the others end. */
static void adopt(struct select *s, struct procs *t, struct attrs *a, struct batch *b)
{
	for (uint32_t slot = 0; slot < b->n_slots; slot++) {
		uint64_t id = b->inst[slot].id;

		if (!b->inst[slot].live)
			continue;
		uint32_t i = procs_find(t, (int32_t)(id & 0x3fffff));

		if (i != NO_ENTRY && t->proc[i].start == id >> 22)
			join(s, t, a, b, i, (int32_t)slot);
		else
			batch_end(b, slot);
	}
	for (uint32_t i = 0; i < t->high; i++)
		if (t->hot[i].pid && t->proc[i].read_tick != t->tick) {
			t->proc[i].read_tick = t->tick;
			t->read[t->n_read++] = i;
		}
	s->adopted = true;
}

/* Keeps the TOP_MAX best (sign 1) or worst (-1) in falling or rising order. */
static void rank(struct ranked *top, uint32_t *n, double score, uint32_t i, int sign)
{
	uint32_t at = *n;

	if (at == TOP_MAX && (score - top[at - 1].score) * sign <= 0)
		return;
	if (at == TOP_MAX)
		at--;
	else
		++*n;
	for (; at && (score - top[at - 1].score) * sign > 0; at--)
		top[at] = top[at - 1];
	top[at] = (struct ranked){score, i};
}

/* The busiest of those that were read in this pass and are no instances. */
static uint32_t challengers(const struct procs *t, struct ranked *top)
{
	uint32_t n = 0;

	for (uint32_t k = 0; k < t->n_read; k++) {
		uint32_t i = t->read[k];

		if (t->hot[i].pid && t->proc[i].slot < 0)
			rank(top, &n, t->proc[i].score, i, 1);
	}
	return n;
}

/* Ends the instances that are idlest next to these challengers: their places are free in the next
 * pass. */
static void make_room(struct select *s, struct procs *t, struct batch *b, const struct ranked *best,
		      uint32_t n)
{
	struct ranked weak[TOP_MAX];
	uint32_t n_weak = 0;

	if (!n || best[0].score < busy_ns)
		return;
	for (uint32_t slot = 0; slot < b->n_slots; slot++) {
		const struct proc *p = &t->proc[s->of_slot[slot]];

		if (b->inst[slot].live && t->now_ms - p->member_ms >= STAY_MS)
			rank(weak, &n_weak, procs_score(t, p), s->of_slot[slot], -1);
	}
	for (uint32_t k = 0; k < n && k < n_weak; k++) {
		if (best[k].score < busy_ns + 2 * weak[k].score)
			return;
		batch_end(b, (uint32_t)t->proc[weak[k].i].slot);
		procs_set_slot(t, weak[k].i, -1);
	}
}

void select_pass(struct select *s, struct procs *t, struct attrs *a, struct batch *b)
{
	struct ranked top[TOP_MAX];

	for (uint32_t k = 0; k < t->n_ended; k++)
		batch_end(b, t->ended[k]);
	if (!s->adopted)
		adopt(s, t, a, b);
	uint32_t free_slots = b->cap - b->n_live - b->n_ended;
	bool all_fit = t->others.count <= (int64_t)free_slots;

	for (uint32_t k = 0; k < t->n_read; k++) {
		uint32_t i = t->read[k];

		if (!t->hot[i].pid || t->proc[i].read_tick != t->tick)
			continue;
		if (t->proc[i].slot >= 0)
			write_row(s, t, a, b, i);
		else if (all_fit)
			start(s, t, a, b, i);
	}
	if (all_fit || !b->cap)
		return;
	uint32_t n = challengers(t, top), k = 0;

	for (; k < n && free_slots; k++, free_slots--)
		start(s, t, a, b, top[k].i);
	for (uint32_t r = 0; r < t->n_read && free_slots;
	     r++) { /* places enough for the idle too */
		uint32_t i = t->read[r];

		if (t->hot[i].pid && t->proc[i].slot < 0) {
			start(s, t, a, b, i);
			free_slots--;
		}
	}
	make_room(s, t, b, top + k, n - k);
}
