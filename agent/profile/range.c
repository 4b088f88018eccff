#include "profile/range.h"

#include <errno.h>

struct merging {
	struct stacks *all;
	int64_t from_us, to_us;
};

static int add(void *arg, const struct stacks *s)
{
	struct merging *m = arg;
	struct stacks *cut = stacks_cut(s, m->from_us, m->to_us);
	int r = 0;

	if (!cut)
		return -ENOMEM;
	if (!m->all) {
		m->all = cut;
		return 0;
	}
	r = stacks_merge(m->all, cut);
	m->all->real_off_us = cut->real_off_us; /* what the clock showed last */
	stacks_free(cut);
	return r;
}

int range_stacks(struct profiles *p, int64_t from_us, int64_t to_us, struct stacks **ret)
{
	struct merging m = {.from_us = from_us, .to_us = to_us};
	int r = profiles_each(p, from_us, to_us, add, &m);

	if (r == 0 && !m.all)
		r = -ENODATA;
	if (r < 0)
		stacks_free(m.all);
	else
		*ret = m.all;
	return r;
}

static int encode_range(struct profiles *p, int64_t from_us, int64_t to_us, bool goes_on,
			uint8_t **ret, size_t *len)
{
	struct stacks *s;
	int r = range_stacks(p, from_us, to_us, &s);

	if (r < 0)
		return r;
	if (goes_on)
		stacks_leave_to_next(s, to_us);
	r = epoch_encode(s, ret, len);
	stacks_free(s);
	return r;
}

int range_epoch(struct profiles *p, int64_t from_us, int64_t *to_us, bool goes_on, uint8_t **ret,
		size_t *len)
{
	const int64_t least_us = 1000000;
	int64_t end_us = *to_us;
	int r;

	while ((r = encode_range(p, from_us, end_us, goes_on || end_us < *to_us, ret, len)) ==
		       -EMSGSIZE &&
	       end_us - from_us > least_us)
		end_us = from_us + (end_us - from_us) / 2;
	if (r == 0)
		*to_us = end_us;
	return r;
}
