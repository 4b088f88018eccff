/* Which address of a function stands for all that were sampled: a majority vote (Boyer and Moore), one candidate at a time. */
#include "stacks/stacks_internal.h"

/* Where a loop runs its samples spread over all of it: they are for one another when they are no further apart. */
enum { NEAR = 48, SAME = 1 };

static uint16_t sum_of(uint32_t a, uint32_t b)
{
	return (uint16_t)(a + b < UINT16_MAX ? a + b : UINT16_MAX);
}

/* Of what is about there: a vote of its own for which address it is. */
static void agree(struct stacks_place *p, const struct stacks_place *from)
{
	p->votes = sum_of(p->votes, from->votes);
	if (p->off == from->off) {
		p->here = sum_of(p->here, from->here);
	} else if (p->here >= from->here) {
		p->here -= from->here;
	} else {
		p->off = from->off;
		p->here = from->here - p->here;
	}
}

static void add(struct stacks_place *p, const struct stacks_place *from, uint32_t near)
{
	uint32_t apart = p->off > from->off ? p->off - from->off : from->off - p->off;

	if (!from->votes)
		return;
	if (p->votes && apart < near) {
		agree(p, from);
		return;
	}
	if (p->votes > from->votes) {
		p->votes -= from->votes;
	} else {
		/* One more than are left, so that there is always a candidate, and each vote moves it as far. */
		uint32_t left = p->votes ? from->votes - p->votes + 1u : from->votes;

		*p = *from;
		p->votes = sum_of(left, 0);
	}
	p->here = p->here < p->votes ? p->here : p->votes;
}

void stacks_place_add_self(struct stacks_place *p, const struct stacks_place *from)
{
	add(p, from, NEAR);
}

void stacks_place_add_call(struct stacks_place *p, const struct stacks_place *from)
{
	add(p, from, SAME);
}

static void vote(struct stacks_place *p, uint64_t start, uint64_t addr, uint16_t weight,
		 uint32_t near)
{
	struct stacks_place one = {.votes = weight, .here = weight};

	if (!start || addr < start || addr - start > UINT32_MAX - 1)
		return;
	one.off = (uint32_t)(addr - start);
	add(p, &one, near);
}

void stacks_vote_self(struct stacks *s, uint32_t frame, uint64_t addr, uint16_t weight)
{
	struct stacks_frame *f = &s->frames[frame];

	vote(&f->self, f->addr, addr, weight, NEAR);
}

void stacks_vote_call(struct stacks *s, uint32_t frame, uint64_t addr, uint16_t weight)
{
	struct stacks_frame *f = &s->frames[frame];

	vote(&f->call, f->addr, addr, weight, SAME);
}
