#include "profile/kept.h"

#include <errno.h>
#include <string.h>

/* ---- trees ---- */

static bool overlaps(const struct stacks *s, const struct stacks_range *ranges, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (s->from_us < ranges[i].to_us && ranges[i].from_us < s->to_us)
			return true;
	return false;
}

int kept_fold_add(void *kept_fold, const struct stacks *s)
{
	const struct kept_fold *f = kept_fold;
	const struct fold_request *q = f->request;
	int r = 0;

	if (q->filter.kind != STACKS_OFF && !overlaps(s, q->ranges, q->n_ranges) &&
	    !overlaps(s, q->base, q->n_base))
		return 0;
	if (f->fold)
		r = fold_add(f->fold, s);
	return r == 0 && f->tasks ? tasks_add(f->tasks, s) : r;
}

static bool sum_fits(void *kept_fold, int64_t from_us, int64_t to_us)
{
	const struct kept_fold *f = kept_fold;

	return fold_takes_sum(f->request, from_us, to_us);
}

static int make_sum(void *kept_fold, const struct stacks *s, void **ret, size_t *bytes)
{
	struct stacks *sum = stacks_sum(s);

	(void)kept_fold;
	if (!sum)
		return -ENOMEM;
	*ret = sum;
	*bytes = stacks_bytes(sum);
	return 0;
}

static int use_sum(void *kept_fold, void *sum)
{
	return kept_fold_add(kept_fold, sum);
}

static void free_sum(void *sum)
{
	stacks_free(sum);
}

const struct profiles_memo kept_sums = {.key = "sum",
					.key_len = 3,
					.fits = sum_fits,
					.make = make_sum,
					.use = use_sum,
					.release = free_sum};

/* ---- heat maps ---- */

int kept_heat_add(void *heater, const struct stacks *s)
{
	return heat_add(heater, s);
}

static bool part_fits(void *heater, int64_t from_us, int64_t to_us)
{
	return heat_part_fits(heater, from_us, to_us);
}

static int make_part(void *heater, const struct stacks *s, void **ret, size_t *bytes)
{
	struct heat_part *part;
	int r = heat_part_make(heater, s, &part);

	if (r < 0)
		return r;
	*ret = part;
	*bytes = heat_part_bytes(part);
	return 0;
}

static int use_part(void *heater, void *part)
{
	heat_part_add(heater, part);
	return 0;
}

static void free_part(void *part)
{
	heat_part_free(part);
}

struct profiles_memo kept_heat_parts(const char *key)
{
	return (struct profiles_memo){.key = key,
				      .key_len = strlen(key),
				      .fits = part_fits,
				      .make = make_part,
				      .use = use_part,
				      .release = free_part};
}
