/* Samples of sealed blocks. */
#include "base/crc32c.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "export/samples_internal.h"

int samples_catalog(struct samples *s, const uint8_t *payload, size_t len)
{
	struct block_catalog *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	c->crc = crc32c(0, payload, len);
	mirror_init(&c->mirror);
	r = mirror_apply(&c->mirror, &(struct frame){.data = payload, .len = len});
	if (r == 0) {
		c->before = samples_want(s, &c->mirror);
		r = c->before ? 0 : -ENOMEM;
	}
	if (r < 0) {
		mirror_done(&c->mirror);
		free(c);
		return r;
	}
	c->next = s->catalogs;
	s->catalogs = c;
	return 0;
}

void samples_forget_blocks(struct samples *s)
{
	for (struct block_catalog *c = s->catalogs, *next; c; c = next) {
		next = c->next;
		samples_forget_want(c->before, c->mirror.n_groups);
		mirror_done(&c->mirror);
		free(c);
	}
}

/* One group of a block: its reads while they are put together. */
struct part {
	struct samples *s;
	struct block *block;
	const struct block_group *g;
	const struct mirror_group *catalog;
	const bool *wanted;
	struct read **reads; /* n_reads; NULL: out of the range */
	int64_t *values;     /* n_reads */
};

static int add_metric(struct part *p, uint32_t i, uint32_t metric)
{
	const struct block_instance *inst = &p->g->instances[i];
	bool rates = p->s->c.rates && p->catalog->metrics[metric].sem == SEM_COUNTER;
	int64_t base;
	int r = block_values(p->block, p->g, i, metric, &base, p->values);

	if (r < 0)
		return r;
	for (uint32_t k = 0; k < inst->n; k++) {
		struct read *read = p->reads[inst->first + k];
		struct item item = {.metric = metric, .value = p->values[k]};
		int64_t before = base;

		base = p->values[k];
		if (!read || base == VALUE_ABSENT ||
		    (rates && !samples_rate(before, p->g->dt_us[inst->first + k], &item)))
			continue;
		item.name = i * INSTANCE_NAME_MAX;
		read->items[read->n++] = item;
	}
	return 0;
}

static int add_instance(struct part *p, uint32_t i)
{
	const struct block_instance *inst = &p->g->instances[i];
	int r = 0;

	if (inst->first > p->g->n_reads || inst->n > p->g->n_reads - inst->first)
		return -EBADMSG;
	for (uint32_t k = 0; k < inst->n; k++)
		if (p->reads[inst->first + k])
			snprintf(p->reads[inst->first + k]->names + i * INSTANCE_NAME_MAX,
				 INSTANCE_NAME_MAX, "%s", inst->name);
	for (uint32_t m = 0; r == 0 && m < p->g->n_metrics; m++)
		if (p->wanted[m])
			r = add_metric(p, i, m);
	return r;
}

/* How many of the instances were there in each read, for room. */
static int count_there(const struct block_group *g, uint32_t *n_there)
{
	for (uint32_t i = 0; i < g->n_instances; i++) {
		const struct block_instance *inst = &g->instances[i];

		if (inst->first > g->n_reads || inst->n > g->n_reads - inst->first)
			return -EBADMSG;
		for (uint32_t k = 0; k < inst->n; k++)
			n_there[inst->first + k]++;
	}
	return 0;
}

static int make_reads(struct part *p, int64_t shift_us)
{
	const struct block_head *head = block_head(p->block);
	uint32_t *n_there = calloc(p->g->n_reads + 1, sizeof(*n_there));
	int r = n_there ? count_there(p->g, n_there) : -ENOMEM;

	for (uint32_t k = 0; r == 0 && k < p->g->n_reads; k++) {
		int64_t at_us = samples_plus((int64_t)p->g->at_us[k], shift_us);

		if (at_us < p->s->c.from_us || at_us >= p->s->c.to_us)
			continue;
		p->reads[k] =
			samples_read_new(p->catalog, at_us, (size_t)n_there[k] * p->g->n_metrics,
					 (size_t)p->g->n_instances * INSTANCE_NAME_MAX);
		if (!p->reads[k]) {
			r = -ENOMEM;
			break;
		}
		p->reads[k]->of_block = true;
		p->reads[k]->real_off_us =
			(int64_t)((uint64_t)head->real_off_us - (uint64_t)shift_us);
	}
	free(n_there);
	return r;
}

/* Also what was put together before an error goes into the row. */
static int take_group(struct samples *s, struct block *b, const struct block_catalog *c,
		      uint32_t group, int64_t shift_us)
{
	struct part p = {.s = s, .block = b, .catalog = &c->mirror.groups[group]};
	int r = block_group(b, group, &p.g);

	if (r < 0 || !p.g)
		return r;
	if (p.g->n_metrics != p.catalog->n_metrics)
		return -EBADMSG;
	p.wanted = c->before[group].wanted;
	p.reads = calloc(p.g->n_reads + 1, sizeof(struct read *));
	p.values = calloc(p.g->n_reads + 1, sizeof(*p.values));
	r = p.reads && p.values ? make_reads(&p, shift_us) : -ENOMEM;
	for (uint32_t i = 0; r == 0 && i < p.g->n_instances; i++)
		r = add_instance(&p, i);
	for (uint32_t k = 0; p.reads && k < p.g->n_reads; k++) {
		if (p.reads[k] && p.reads[k]->n)
			samples_insert(s, p.reads[k]);
		else
			free(p.reads[k]);
	}
	free(p.reads);
	free(p.values);
	return r;
}

int samples_block(struct samples *s, const uint8_t *data, size_t len, int64_t shift_us)
{
	const struct block_catalog *c = s->catalogs;
	const struct block_head *head;
	struct block *b;
	int r = block_open(&b, data, len), bad = 0;

	if (r < 0)
		return r == -ENOMEM ? r : -EBADMSG;
	head = block_head(b);
	while (c && c->crc != head->catalog_crc)
		c = c->next;
	if (strncmp(s->boot_id, head->boot_id, sizeof(s->boot_id)) != 0)
		r = samples_flush(s);
	snprintf(s->boot_id, sizeof(s->boot_id), "%s", head->boot_id);
	if (r == 0)
		r = samples_give_until(
			s, samples_settled_us(samples_plus((int64_t)head->from_us, shift_us)));
	bad = c ? 0 : -EBADMSG;
	for (uint32_t g = 0; r == 0 && c && g < c->mirror.n_groups; g++) {
		if (c->before[g].any)
			r = take_group(s, b, c, g, shift_us);
		bad = r == -EBADMSG ? r : bad;
		r = r == -EBADMSG ? 0 : r;
	}
	block_close(b);
	return r ? r : bad;
}
