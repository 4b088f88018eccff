/*
 * What was written into a log, kept beside it: what every block of it must say. Fed by the writer's
 * batches, not by the log.
 */
#ifndef STROBE_TESTS_SEAL_TRUTH_H
#define STROBE_TESTS_SEAL_TRUTH_H

#include "block_slow.h"
#include "mirror_groups.h"
#include "store/block.h"
#include "store/rate.h"

#include <math.h>

enum { TRUTH_READS = 40000, TRUTH_GROUPS = 8 };

struct truth_attr {
	uint64_t tick;
	char value[ATTR_VALUE_MAX];
};
struct truth_instance {
	uint32_t slot, gen, first, n;
	uint64_t id;
	char name[INSTANCE_NAME_MAX];
	bool ended;
	int64_t *values; /* n rows */
	uint32_t cap;
	struct truth_attr *attrs[ATTRS_MAX];
	uint32_t n_attrs[ATTRS_MAX];
};
struct truth_group {
	uint32_t n_metrics, n_attrs, n_reads, n_inst, cap_inst;
	uint64_t at[TRUTH_READS], dt[TRUTH_READS], tick[TRUTH_READS];
	uint32_t period[TRUTH_READS];
	bool resting;
	struct truth_instance *inst;
	uint32_t newest[400]; /* by slot, + 1 */
	bool of_rates[GROUP_METRICS_MAX];
	uint32_t next;	    /* the read the next block begins with */
	uint32_t n_checked; /* reads found in blocks */
};
struct truth {
	struct truth_group group[TRUTH_GROUPS];
	size_t n;
	bool may_skip;	/* the next block may begin later: frames were lost */
	bool after_gap; /* this one did */
	uint64_t next_seq, n_blocks, n_values;
};

static inline struct truth *truth_new(const struct feeder *f)
{
	struct truth *t = calloc(1, sizeof(*t));

	MUST(t);
	t->n = f->n;
	for (size_t g = 0; g < f->n; g++) {
		t->group[g].n_metrics = f->batch[g].n_metrics;
		t->group[g].n_attrs = f->batch[g].n_attrs;
		for (uint32_t m = 0; m < f->batch[g].n_metrics; m++)
			t->group[g].of_rates[m] = f->groups[g]->metrics[m].sem == SEM_COUNTER;
	}
	return t;
}

static inline void truth_free(struct truth *t)
{
	for (size_t g = 0; g < t->n; g++) {
		for (uint32_t i = 0; i < t->group[g].n_inst; i++) {
			free(t->group[g].inst[i].values);
			for (unsigned k = 0; k < ATTRS_MAX; k++)
				free(t->group[g].inst[i].attrs[k]);
		}
		free(t->group[g].inst);
	}
	free(t);
}

static inline struct truth_instance *truth_instance(struct truth_group *t, const struct batch *b,
						    uint32_t slot)
{
	struct truth_instance *in = t->newest[slot] ? &t->inst[t->newest[slot] - 1] : NULL;

	if (in && in->gen == b->inst[slot].gen && !in->ended)
		return in;
	if (t->n_inst == t->cap_inst) {
		t->cap_inst = t->cap_inst * 2 + 64;
		t->inst = realloc(t->inst, t->cap_inst * sizeof(*t->inst));
		MUST(t->inst);
	}
	in = &t->inst[t->n_inst++];
	t->newest[slot] = t->n_inst;
	*in = (struct truth_instance){.slot = slot,
				      .gen = b->inst[slot].gen,
				      .id = b->inst[slot].id,
				      .first = t->n_reads};
	memcpy(in->name, b->inst[slot].name, sizeof(in->name));
	return in;
}

static inline void truth_attrs(struct truth_instance *in, const struct batch *b, uint64_t tick)
{
	for (uint32_t k = 0; k < b->n_attrs; k++) {
		const char *v = b->attrs[in->slot * b->n_attrs + k];
		uint32_t n = in->n_attrs[k];

		if ((n ? strcmp(in->attrs[k][n - 1].value, v) == 0 : !*v))
			continue;
		in->attrs[k] = realloc(in->attrs[k], (n + 1) * sizeof(*in->attrs[k]));
		MUST(in->attrs[k]);
		in->attrs[k][n].tick = tick;
		strcpy(in->attrs[k][n].value, v);
		in->n_attrs[k]++;
	}
}

/* After feeder_end(): what the tick said of the groups that were read in it. */
static inline void truth_tick(struct truth *t, const struct feeder *f)
{
	for (size_t g = 0; g < f->n; g++) {
		struct truth_group *tg = &t->group[g];
		const struct batch *b = &f->batch[g];
		uint32_t r = tg->n_reads, period = f->source[g].period_ms;

		if (!period)
			tg->resting = true;
		if (!f->read[g])
			continue;
		MUST(r < TRUTH_READS);
		tg->at[r] = f->mono_us + (uint64_t)f->off_us[g];
		tg->tick[r] = f->tick;
		tg->period[r] = period;
		if (r && tg->period[r - 1] > period)
			period = tg->period[r - 1];
		if (r && !tg->resting && tg->at[r] - tg->at[r - 1] <= period * 2500ull)
			tg->dt[r] = tg->at[r] - tg->at[r - 1];
		tg->resting = false;
		for (uint32_t s = 0; s < b->n_slots; s++) {
			struct truth_instance *in;

			if (tg->newest[s] &&
			    (!b->inst[s].live || b->inst[s].gen != tg->inst[tg->newest[s] - 1].gen))
				tg->inst[tg->newest[s] - 1].ended = true;
			if (!b->inst[s].live)
				continue;
			in = truth_instance(tg, b, s);
			truth_attrs(in, b, f->tick);
			if (in->n == in->cap) {
				in->cap = in->cap * 2 + 16;
				in->values = realloc(in->values, in->cap * b->n_metrics * 8ull);
				MUST(in->values);
			}
			memcpy(in->values + (size_t)in->n++ * b->n_metrics,
			       b->prev + (size_t)s * b->n_metrics, b->n_metrics * 8ull);
		}
		tg->n_reads++;
	}
}

/* ---- against a block ---- */

/* After lost frames the attributes of what ends with the first tick may be unknown. */
static inline void truth_check_attr(const struct truth_instance *in, uint32_t k, uint64_t tick,
				    bool may_miss, const char *slow, const char *fast)
{
	const char *want = NULL, *next = NULL;

	MUST(!slow == !fast && (!slow || strcmp(slow, fast) == 0));
	for (uint32_t i = 0; i < in->n_attrs[k]; i++) {
		if (in->attrs[k][i].tick <= tick)
			want = in->attrs[k][i].value;
		if (in->attrs[k][i].tick <= tick + 1) /* its ATTR may stand before the end */
			next = in->attrs[k][i].value;
	}
	MUST((slow && want && strcmp(slow, want) == 0) ||
	     (slow && next && strcmp(slow, next) == 0) || (!slow && (!want || may_miss)));
}

static inline bool truth_near(double a, double b)
{
	return fabs(a - b) <= 1e-9 * fmax(fabs(a), fabs(b)) + 1e-6;
}

/* Summaries against what the values say. */
static inline void truth_check_minis(struct block *b, const struct block_group *g, uint32_t i,
				     uint32_t m, bool of_rates, int64_t base, const int64_t *values)
{
	struct block_mini have[BLOCK_MINIS_MAX], want[BLOCK_MINIS_MAX] = {0};
	const struct block_instance *in = &g->instances[i];
	double size[BLOCK_MINIS_MAX] = {0};

	MUST(block_minis(b, g, i, m, of_rates, have) == 0);
	for (uint32_t k = 0; k < in->n; k++) {
		struct block_mini *w = &want[(in->first + k) / 128];
		int64_t v = values[k], before = k ? values[k - 1] : base;
		uint64_t dt = g->dt_us[in->first + k];

		if (v == VALUE_ABSENT ||
		    (of_rates && (before == VALUE_ABSENT || v < before || !dt)))
			continue;
		if (of_rates)
			v = rate_of((uint64_t)v - (uint64_t)before, dt);
		if (!w->n++) {
			w->first = w->min = w->max = v;
		}
		w->min = v < w->min ? v : w->min;
		w->max = v > w->max ? v : w->max;
		w->last = v;
		w->sum += (double)v;
		size[(in->first + k) / 128] += fabs((double)v);
	}
	for (unsigned k = 0; k < BLOCK_MINIS_MAX; k++) {
		MUST(have[k].n == want[k].n);
		MUST(!want[k].n || (have[k].first == want[k].first && have[k].min == want[k].min &&
				    have[k].max == want[k].max && have[k].last == want[k].last));
		MUST(fabs(have[k].sum - want[k].sum) <= 1e-12 * size[k]);
	}
}

static inline void truth_check_values(struct truth *t, struct truth_group *tg,
				      const struct truth_instance *in, uint32_t r0, struct block *b,
				      const struct block_group *g, uint32_t i,
				      const struct slow_instance *s)
{
	const struct block_instance *fi = &g->instances[i];
	uint32_t skip = r0 + fi->first - in->first; /* reads of it before the block */

	for (uint32_t m = 0; m < tg->n_metrics; m++) {
		int64_t values[BLOCK_READS], base, want_base = VALUE_ABSENT;

		MUST(block_values(b, g, i, m, &base, values) == 0);
		if (fi->n && !fi->started && skip)
			want_base = in->values[(size_t)(skip - 1) * tg->n_metrics + m];
		MUST(base == want_base && s->base[m] == want_base);
		for (uint32_t k = 0; k < fi->n; k++) {
			int64_t v = in->values[(size_t)(skip + k) * tg->n_metrics + m];

			MUST(values[k] == v);
			MUST(s->values[m][k] == v);
		}
		t->n_values += fi->n;
		truth_check_minis(b, g, i, m, tg->of_rates[m], base, values);
		if (m % 3 == 0)
			truth_check_minis(b, g, i, m, !tg->of_rates[m], base, values);
	}
}

static inline void truth_check_instance(struct truth *t, struct truth_group *tg, uint32_t r0,
					struct block *b, const struct block_group *g, uint32_t i,
					const struct slow_instance *s)
{
	const struct block_instance *fi = &g->instances[i];
	const struct truth_instance *in = NULL;
	uint32_t last = r0 + g->n_reads, end;

	for (uint32_t k = tg->n_inst; k-- > 0 && !in;)
		if (tg->inst[k].slot == fi->slot && tg->inst[k].gen == fi->gen)
			in = &tg->inst[k];
	MUST(in && fi->slot == s->slot && fi->gen == s->gen);
	MUST(strcmp(fi->name, in->name) == 0 && strcmp(s->name, in->name) == 0);
	MUST(fi->id == in->id && s->id == in->id);
	MUST(fi->started == (in->first >= r0) && s->started == fi->started);
	MUST(fi->first == (in->first >= r0 ? in->first - r0 : 0) && s->first == fi->first);
	end = in->first + in->n;
	MUST(fi->ended == (end < last) && s->ended == fi->ended);
	MUST(fi->first + fi->n == (end < last ? end : last) - r0 && s->n == fi->n);
	for (uint32_t k = 0; k < tg->n_attrs; k++)
		truth_check_attr(in, k, fi->ended ? tg->tick[end - 1] : tg->tick[last - 1],
				 t->after_gap && fi->ended && !fi->started && !fi->n, s->attrs[k],
				 fi->attrs ? fi->attrs[k] : NULL);
	truth_check_values(t, tg, in, r0, b, g, i, s);
}

static inline uint32_t truth_find_read(const struct truth_group *tg, uint64_t at_us)
{
	for (uint32_t r = tg->next; r < tg->n_reads; r++)
		if (tg->at[r] == at_us)
			return r;
	ck_abort_msg("a read that never was, at %llu", (unsigned long long)at_us);
}

static inline void truth_check_group(struct truth *t, struct truth_group *tg, struct block *b,
				     const struct block_group *g, const struct slow_group *s)
{
	uint32_t r0 = truth_find_read(tg, g->at_us[0]), n = 0;

	MUST(r0 == tg->next || t->may_skip);
	MUST(g->n_metrics == tg->n_metrics && g->n_attrs == tg->n_attrs);
	MUST(g->period_ms == s->period_ms && g->n_reads == s->n_reads);
	for (uint32_t i = 0; i < g->n_reads; i++) {
		MUST(g->at_us[i] == tg->at[r0 + i] && s->at[i] == tg->at[r0 + i]);
		MUST(g->dt_us[i] == tg->dt[r0 + i] && s->dt[i] == tg->dt[r0 + i]);
	}
	for (uint32_t i = 0; i < tg->n_inst; i++)
		n += tg->inst[i].first < r0 + g->n_reads &&
		     tg->inst[i].first + tg->inst[i].n >= r0 &&
		     (tg->inst[i].first + tg->inst[i].n > r0 || tg->inst[i].first < r0);
	MUST(n == g->n_instances && n == s->n_instances);
	MUST(block_attrs(b, g) == 0);
	for (uint32_t i = 0; i < g->n_instances; i++)
		truth_check_instance(t, tg, r0, b, g, i, &s->inst[i]);
}

/* Everything a block says is what was written, and all of it. `again`: a copy of the block before. */
static inline void truth_check(struct truth *t, const uint8_t *data, size_t len, bool again)
{
	struct slow_block *s = slow_read(data, len);
	uint64_t n_values = t->n_values, n_groups = 0;
	struct block_head h;
	struct block *b;

	MUST(!s->bad);
	MUST(block_open(&b, data, len) == 0 && block_head_read(data, len, &h) == 0);
	MUST(memcmp(&h, block_head(b), sizeof(h)) == 0);
	MUST(h.first_seq == s->first_seq && h.last_seq == s->last_seq && h.from_us == s->from_us);
	MUST(h.last_seq >= h.first_seq && h.from_us <= h.to_us);
	MUST(again || h.first_seq == t->next_seq || (t->may_skip && h.first_seq > t->next_seq));
	t->after_gap = again ? t->after_gap : h.first_seq != t->next_seq;
	for (uint32_t g = 0; g < t->n; g++) {
		const struct block_group *bg;
		uint32_t next = t->group[g].next;

		MUST(block_group(b, g, &bg) == 0);
		if (!bg)
			continue;
		MUST(n_groups < s->n_groups && s->groups[n_groups].group == g);
		t->group[g].next = again ? next - bg->n_reads : next;
		truth_check_group(t, &t->group[g], b, bg, &s->groups[n_groups++]);
		t->group[g].n_checked += again ? 0 : bg->n_reads;
		t->group[g].next =
			again ? next : truth_find_read(&t->group[g], bg->at_us[0]) + bg->n_reads;
	}
	MUST(n_groups == s->n_groups && n_groups == h.n_groups);
	MUST(h.n_samples == t->n_values - n_values && h.n_samples == s->n_samples);
	if (!again && t->after_gap)
		t->may_skip = false;
	t->next_seq = h.last_seq + 1;
	t->n_blocks++;
	block_close(b);
	slow_free(s);
}

#endif
