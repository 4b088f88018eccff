#include "store/rollup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/gather.h"
#include "store/rollup_internal.h"

int rollup_open(struct rollup **ret, const struct rollup_config *c)
{
	struct rollup *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	r->config = *c;
	*ret = r;
	return 0;
}

static void free_groups(struct rollup *r)
{
	for (uint32_t i = 0; i < r->n_groups; i++)
		rollup_group_done(&r->groups[i]);
	free(r->groups);
	r->groups = NULL;
	r->n_groups = 0;
}

void rollup_close(struct rollup *r)
{
	if (!r)
		return;
	free_groups(r);
	gather_scratch_done(&r->scratch);
	block_writer_done(&r->writer);
	free(r->pending.data);
	free(r);
}

/* ---- the end of one ---- */

static int write_group(struct rollup *r, uint32_t number)
{
	struct rollup_group *rg = &r->groups[number];
	struct gather_group *g = &rg->g;
	const struct block_write_group out = {.group = number,
					      .n_metrics =
						      ROLLUP_LEAD + ROLLUP_FIELDS * rg->n_metrics,
					      .n_attrs = rg->n_attrs,
					      .period_ms = rg->period_ms,
					      .n_reads = g->n_reads,
					      .tick = g->tick,
					      .at_us = g->at_us,
					      .counts = rg->counts};
	int e = rollup_group_finish(r, rg);

	if (e < 0)
		return e;
	return gather_write_group(&r->scratch, g, &out, out.n_metrics, false, &r->writer);
}

static void begin(struct rollup *r)
{
	for (uint32_t i = 0; i < r->n_groups; i++)
		rollup_group_reset(&r->groups[i]);
	r->n_buckets = 0;
	r->n_events = 0;
	r->n_blocks = 0;
}

static int seal(struct rollup *r)
{
	struct sealed *p = &r->pending;
	int e = 0;

	block_writer_begin(&r->writer, r->head.first_seq);
	block_writer_ticks(&r->writer, r->bucket_us, r->n_buckets);
	for (uint32_t i = 0; e == 0 && i < r->n_groups; i++)
		if (r->groups[i].g.n_reads)
			e = write_group(r, i);
	p->head = r->head;
	p->head.bucket_us = ROLLUP_BUCKET_US;
	if (e == 0)
		e = block_writer_end(&r->writer, &p->head, &p->data, &p->len);
	return e;
}

static int deliver(struct rollup *r)
{
	struct sealed p = r->pending;
	int e = r->config.sink(r->config.arg, &p);

	if (e == 0)
		r->pending = (struct sealed){0};
	return e;
}

int rollup_flush(struct rollup *r)
{
	int e;

	if (!r->pending.data) {
		if (!r->n_blocks)
			return 0;
		e = seal(r);
		if (e < 0) { /* what is lost is told by nobody: memory was short */
			begin(r);
			return e;
		}
		begin(r);
	}
	return deliver(r);
}

uint64_t rollup_since_us(const struct rollup *r)
{
	if (r->pending.data)
		return r->pending.head.from_us;
	return r->n_blocks ? r->head.from_us : UINT64_MAX;
}

/* ---- blocks ---- */

static bool is_other(const struct rollup *r, const struct block_head *h)
{
	return h->catalog_crc != r->head.catalog_crc ||
	       memcmp(h->log_id, r->head.log_id, sizeof(h->log_id)) != 0 ||
	       strcmp(h->boot_id, r->head.boot_id) != 0;
}

static bool is_full(struct rollup *r)
{
	for (uint32_t i = 0; r->n_events >= ROLLUP_EVENTS_MAX && i < r->n_groups; i++)
		rollup_group_compact(r, &r->groups[i]);
	return r->n_buckets >= ROLLUP_BUCKETS || r->n_events >= ROLLUP_EVENTS_MAX / 4 * 3;
}

static int need_groups(struct rollup *r, const struct mirror *catalog)
{
	if (r->n_blocks)
		return 0;
	free_groups(r);
	r->groups = calloc(catalog->n_groups + 1, sizeof(*r->groups));
	if (!r->groups)
		return -ENOMEM;
	r->n_groups = catalog->n_groups;
	return 0;
}

static void take_head(struct rollup *r, const struct block_head *h)
{
	if (!r->n_blocks++)
		r->head = *h;
	r->head.last_seq = h->last_seq;
	r->head.to_us = h->to_us;
	r->head.real_off_us = h->real_off_us;
}

static int add_groups(struct rollup *r, struct block *b, const struct mirror *catalog)
{
	for (uint32_t i = 0; i < r->n_groups; i++) {
		const struct block_group *g;
		int e = block_group(b, i, &g);

		if (e < 0)
			return e;
		if (!g)
			continue;
		if (g->n_metrics != catalog->groups[i].n_metrics)
			return -EBADMSG;
		e = rollup_group_add(r, &r->groups[i], b, g, &catalog->groups[i]);
		if (e < 0)
			return e;
	}
	return 0;
}

int rollup_add(struct rollup *r, struct block *b, const struct mirror *catalog)
{
	const struct block_head *h = block_head(b);
	int e;

	if (r->pending.data && deliver(r) < 0)
		return -EAGAIN;
	if (r->n_blocks && (is_other(r, h) || is_full(r)) && rollup_flush(r) < 0 && r->pending.data)
		return -EAGAIN;
	e = need_groups(r, catalog);
	if (e < 0)
		return e;
	take_head(r, h);
	return add_groups(r, b, catalog);
}

/* ---- reading ---- */

/* What the six cells say of one bucket that has values. */
static void read_bucket(const int64_t *f, bool of_rates, struct block_mini *m)
{
	uint64_t first = (uint64_t)f[FIELD_FIRST], mean;

	if (of_rates) {
		m->first = (int64_t)rollup_decode(first, RATE_BITS);
		m->min = (int64_t)rollup_decode((uint64_t)f[FIELD_MIN], RATE_BITS);
		m->max = (int64_t)rollup_decode((uint64_t)f[FIELD_MAX], RATE_BITS);
		m->last = (int64_t)rollup_decode((uint64_t)f[FIELD_LAST], RATE_BITS);
		mean = rollup_mean_of((uint64_t)f[FIELD_MAX], m->n) + (uint64_t)f[FIELD_SUM];
		m->sum = (double)rollup_decode(mean, MEAN_BITS) * m->n;
		return;
	}
	m->first = (int64_t)first;
	m->min = (int64_t)(first - (uint64_t)f[FIELD_MIN]);
	m->max = (int64_t)(first + (uint64_t)f[FIELD_MAX]);
	m->last = (int64_t)(first + (uint64_t)f[FIELD_LAST]);
	m->sum = (double)(int64_t)(m->n * first + (uint64_t)f[FIELD_SUM]);
}

int rollup_buckets(struct block *b, const struct block_group *g, uint32_t i, uint32_t metric,
		   bool of_rates, struct block_mini *buckets)
{
	const struct block_instance *in = &g->instances[i];
	uint32_t n_metrics = rollup_n_metrics(g);
	int64_t base, lead[BLOCK_READS], v[ROLLUP_FIELDS][BLOCK_READS], f[ROLLUP_FIELDS];
	int r = block_values(b, g, i, of_rates ? ROLLUP_NO_RATE : ROLLUP_NO_VALUE, &base, lead);

	for (uint32_t k = 0; r == 0 && k < ROLLUP_FIELDS; k++)
		r = block_values(b, g, i, ROLLUP_LEAD + k * n_metrics + metric, &base, v[k]);
	for (uint32_t k = 0; r == 0 && k < in->n; k++) {
		uint64_t n = g->dt_us[in->first + k] - (uint64_t)lead[k];

		for (uint32_t j = 0; j < ROLLUP_FIELDS; j++)
			f[j] = v[j][k];
		n -= (uint64_t)f[FIELD_MISSING];
		if (n > UINT32_MAX)
			return -EBADMSG;
		buckets[k] = (struct block_mini){.n = (uint32_t)n};
		if (n)
			read_bucket(f, of_rates, &buckets[k]);
	}
	return r;
}
