#include "serve/message.h"

#include "base/clock.h"

#include <sys/utsname.h>

enum { CATALOG_INSTANCES_MAX = 512 << 10, RANGE_MESSAGE = 256 << 10 };

void put_clock(struct buf *b, uint32_t field, int64_t mono_us, int64_t real_off_us,
	       int64_t boot_off_us, uint32_t reason)
{
	size_t at = pb_open(b, field);

	pb_int(b, 1, mono_us);
	pb_sint(b, 2, real_off_us);
	pb_sint(b, 3, boot_off_us);
	pb_uint(b, 4, reason);
	pb_close(b, at);
}

void message_hello(struct buf *b, const struct server_config *config, const struct mirror *m)
{
	size_t at = pb_open(b, MESSAGE_HELLO);
	int64_t oldest_us = history_oldest_us(config->history);
	struct utsname uts;

	pb_uint(b, 1, 1);
	pb_string(b, 2, STROBE_VERSION);
	pb_bytes(b, 3, log_id(config->log), LOG_ID_LEN);
	pb_string(b, 4, config->host->boot_id);
	pb_string(b, 5, config->host->name);
	pb_string(b, 6, config->host->machine_id);
	pb_uint(b, 7, log_oldest(config->log));
	pb_uint(b, 8, log_newest(config->log));
	pb_uint(b, 9, log_oldest_us(config->log));
	pb_uint(b, 10, config->now_us ? config->now_us : clock_mono_us());
	for (uint32_t i = 0; i < m->n_clocks; i++) {
		const struct mirror_clock *c = &m->clocks[i];

		put_clock(b, 11, (int64_t)c->mono_us, c->real_off_us, c->boot_off_us, c->reason);
	}
	pb_uint(b, 12, config->rate_hz);
	pb_uint(b, 13, config->host->n_cpus);
	pb_uint(b, 14, config->host->mem_total_bytes);
	pb_uint(b, 15, config->started_us);
	if (config->kernel)
		pb_string(b, 16, config->kernel);
	else if (uname(&uts) == 0)
		pb_string(b, 16, uts.release);
	pb_uint(b, 17, config->recoverable);
	if (oldest_us != INT64_MAX)
		pb_int(b, 18, oldest_us);
	pb_uint(b, 19, config->capture_name != NULL);
	pb_string(b, 20, config->capture_name);
	pb_close(b, at);
}

static void put_metric(struct buf *b, const struct mirror_metric *m)
{
	size_t at = pb_open(b, 6);

	pb_string(b, 1, m->name);
	pb_string(b, 2, m->unit);
	pb_uint(b, 3, m->mul);
	pb_uint(b, 4, m->div);
	pb_uint(b, 5, m->sem); /* enum semantics and Semantics have one order */
	pb_sint(b, 6, m->quantum);
	for (uint32_t i = 0; i < m->n_names; i++) {
		size_t name = pb_open(b, 9); /* an empty word counts, too */

		buf_text(b, m->names[i]);
		pb_close(b, name);
	}
	pb_close(b, at);
}

static void put_group(struct buf *b, uint32_t id, const struct mirror_group *g)
{
	size_t at = pb_open(b, 2);

	pb_uint(b, 1, id);
	pb_string(b, 2, g->name);
	pb_string(b, 3, g->indom);
	pb_uint(b, 4, g->period_ms);
	for (uint32_t i = 0; i < g->n_metrics; i++)
		put_metric(b, &g->metrics[i]);
	for (uint32_t i = 0; i < g->n_attrs; i++)
		pb_string(b, 7, g->attr_keys[i]);
	for (uint32_t slot = 0; slot < g->n_slots && b->len < CATALOG_INSTANCES_MAX; slot++) {
		const struct mirror_instance *inst = &g->inst[slot];

		if (inst->live)
			wire_put_instance(b, 8, slot, inst->gen, inst->name, strlen(inst->name),
					  inst->attrs, g->n_attrs);
	}
	/* A group's name begins with its collector's: "cpu.percpu". */
	pb_bytes(b, 9, g->name, strcspn(g->name, "."));
	pb_close(b, at);
}

void message_catalog(struct buf *b, const struct mirror *m)
{
	size_t at = pb_open(b, MESSAGE_CATALOG);

	pb_uint(b, 1, m->version);
	for (uint32_t i = 0; i < m->n_groups; i++)
		put_group(b, i, &m->groups[i]);
	pb_close(b, at);
}

void message_texts(struct buf *b, const struct mirror *m)
{
	size_t at = pb_open(b, MESSAGE_TEXTS);

	pb_uint(b, 1, m->version);
	for (uint32_t i = 0; i < m->n_groups; i++) {
		const struct mirror_group *g = &m->groups[i];
		size_t group = pb_open(b, 2);

		pb_uint(b, 1, i);
		for (uint32_t k = 0; k < g->n_metrics; k++) {
			size_t metric = pb_open(b, 2); /* an empty one counts, too */

			pb_string(b, 1, g->metrics[k].source);
			pb_string(b, 2, g->metrics[k].help);
			pb_close(b, metric);
		}
		pb_close(b, group);
	}
	pb_close(b, at);
}

void message_gap(struct buf *b, uint64_t from_seq, uint64_t to_seq, uint64_t from_us,
		 uint64_t to_us, enum gap_reason reason)
{
	size_t at = pb_open(b, MESSAGE_GAP);

	pb_uint(b, 1, from_seq);
	pb_uint(b, 2, to_seq);
	pb_uint(b, 3, from_us);
	pb_uint(b, 4, to_us);
	pb_uint(b, 5, reason);
	pb_close(b, at);
}

void message_error(struct buf *b, uint32_t req, uint32_t code, const char *text)
{
	size_t at = pb_open(b, MESSAGE_ERROR);

	pb_uint(b, 1, req);
	pb_string(b, 2, text);
	pb_uint(b, 3, code);
	pb_close(b, at);
}

void message_level(struct buf *b, uint32_t ticks, enum level_reason reason)
{
	size_t at = pb_open(b, MESSAGE_LEVEL);

	pb_uint(b, 1, ticks);
	pb_uint(b, 2, reason);
	pb_close(b, at);
}

void message_pong(struct buf *b, uint64_t id, uint64_t now_us)
{
	size_t at = pb_open(b, MESSAGE_PONG);

	pb_uint(b, 1, id);
	pb_uint(b, 2, now_us);
	pb_close(b, at);
}

void put_attr_change(struct buf *b, uint32_t field, const struct attr_frame *a)
{
	size_t at = pb_open(b, field);

	pb_uint(b, 1, a->group);
	pb_uint(b, 2, a->slot);
	pb_uint(b, 3, a->gen);
	pb_uint(b, 4, a->key);
	pb_bytes(b, 5, a->value.s, a->value.len);
	pb_close(b, at);
}

void put_event(struct buf *b, uint32_t field, uint64_t seq, int64_t at_us,
	       const struct event_frame *e)
{
	size_t at = pb_open(b, field);

	pb_uint(b, 1, seq);
	pb_int(b, 2, at_us);
	pb_uint(b, 3, e->kind);
	pb_uint(b, 4, e->severity);
	pb_bytes(b, 5, e->source.s, e->source.len);
	pb_bytes(b, 6, e->text.s, e->text.len);
	pb_close(b, at);
}

enum point_field {
	POINT_GAP = 7,
	POINT_COUNT,
	POINT_FIRST,
	POINT_MIN,
	POINT_MAX,
	POINT_LAST,
	POINT_MEAN
};

static void put_points(struct buf *b, enum point_field field, const struct query_point *points,
		       uint32_t n)
{
	size_t at = pb_open(b, field), begin = b->len;
	uint32_t last = UINT32_MAX;

	for (uint32_t i = 0; i < n; i++) {
		const struct query_point *p = &points[i];
		double mean;

		if (!p->n)
			continue;
		switch (field) {
		case POINT_GAP:
			buf_varint(b, i - last - 1);
			break;
		case POINT_COUNT:
			buf_varint(b, p->n);
			break;
		case POINT_FIRST:
			buf_varint(b, zigzag_encode(p->first));
			break;
		case POINT_MIN:
			buf_varint(b, zigzag_encode(p->min));
			break;
		case POINT_MAX:
			buf_varint(b, zigzag_encode(p->max));
			break;
		case POINT_LAST:
			buf_varint(b, zigzag_encode(p->last));
			break;
		case POINT_MEAN:
		default:
			mean = p->sum / p->n;
			buf_put(b, &mean,
				sizeof(mean)); /* little endian, as both our targets are */
			break;
		}
		last = i;
	}
	if (b->len == begin && !b->failed)
		b->len = begin - 1;
	else
		pb_close(b, at);
}

static void put_series(struct buf *b, const struct query_request *req,
		       const struct query_result *result, const struct query_series *s)
{
	const struct mirror *m = result->catalog;
	size_t at = pb_open(b, 5);

	if (s->group < m->n_groups && s->metric < m->groups[s->group].n_metrics)
		pb_string(b, 1, m->groups[s->group].metrics[s->metric].name);
	pb_string(b, 2, s->instance);
	pb_uint(b, 3, s->group);
	pb_uint(b, 4, s->metric);
	pb_uint(b, 5, s->slot);
	pb_uint(b, 6, s->gen);
	for (enum point_field f = POINT_GAP; f <= POINT_MEAN; f++)
		put_points(b, f, s->points, req->points);
	pb_close(b, at);
}

void message_range(struct buf *b, uint32_t req, const struct query_request *request,
		   const struct query_result *result, size_t *next)
{
	size_t at = pb_open(b, MESSAGE_RANGE);

	pb_uint(b, 1, req);
	pb_int(b, 2, request->from_us);
	pb_uint(b, 3, result->step_us);
	pb_uint(b, 4, request->points);
	while (*next < result->n_series && b->len < RANGE_MESSAGE)
		put_series(b, request, result, &result->series[(*next)++]);
	pb_uint(b, 6, *next == result->n_series);
	pb_int(b, 7, result->oldest_us);
	pb_close(b, at);
}
