/* The messages about what is held and what changed. */
#include "serve/message.h"

enum { SPANS_MAX = 4096, CLOCKS_MAX = 4096, TOTALS_MESSAGE = 256 << 10 };

static void put_span(struct buf *b, const struct history_span *s)
{
	size_t at = pb_open(b, 2);

	pb_int(b, 1, s->from_us);
	pb_int(b, 2, s->to_us);
	pb_string(b, 3, s->boot_id);
	pb_bytes(b, 4, s->log_id, LOG_ID_LEN);
	pb_uint(b, 5, s->rollup);
	pb_close(b, at);
}

void message_held(struct buf *b, uint32_t req, const struct held_result *held)
{
	const struct history_stats *s = &held->stats;
	size_t at = pb_open(b, MESSAGE_HELD);

	pb_uint(b, 1, req);
	for (size_t i = held->n_spans > SPANS_MAX ? held->n_spans - SPANS_MAX : 0;
	     i < held->n_spans; i++)
		put_span(b, &held->spans[i]);
	pb_int(b, 3, s->oldest_us == INT64_MAX ? 0 : s->oldest_us);
	pb_int(b, 4, s->oldest_full_us == INT64_MAX ? 0 : s->oldest_full_us);
	pb_uint(b, 5, s->bytes_memory + s->bytes_disk);
	pb_uint(b, 6, s->disk_size_bytes);
	pb_uint(b, 7, s->disk_used_bytes);
	for (size_t i = held->n_clocks > CLOCKS_MAX ? held->n_clocks - CLOCKS_MAX : 0;
	     i < held->n_clocks; i++)
		put_clock(b, 8, held->clocks[i].from_us, held->clocks[i].real_off_us, 0, 0);
	if (s->samples)
		pb_double(b, 9, (double)s->sample_bytes / (double)s->samples);
	pb_close(b, at);
}

static void put_rank_row(struct buf *b, const struct rank_row *r)
{
	size_t at = pb_open(b, 6);

	pb_string(b, 1, r->metric);
	pb_string(b, 2, r->instance);
	pb_uint(b, 3, r->group);
	pb_uint(b, 4, r->metric_index);
	pb_uint(b, 5, r->others);
	pb_double(b, 6, r->score);
	pb_sint(b, 7, r->before);
	pb_sint(b, 8, r->now);
	pb_sint(b, 9, r->min);
	pb_sint(b, 10, r->max);
	pb_uint(b, 11, r->n);
	pb_uint(b, 12, r->n_before);
	pb_uint(b, 13, r->brief);
	pb_close(b, at);
}

void message_rank(struct buf *b, uint32_t req, const struct rank_result *rank)
{
	size_t at = pb_open(b, MESSAGE_RANK);

	pb_uint(b, 1, req);
	pb_int(b, 2, rank->base_from_us);
	pb_int(b, 3, rank->base_to_us);
	pb_uint(b, 4, rank->n_series);
	pb_uint(b, 5, rank->n_scored);
	for (size_t i = 0; i < rank->n_rows; i++)
		put_rank_row(b, &rank->rows[i]);
	pb_uint(b, 7, rank->resolution_us);
	pb_close(b, at);
}

static void put_totals_row(struct buf *b, const struct totals_row *r, size_t n_metrics,
			   uint32_t n_attrs)
{
	size_t at = pb_open(b, 2), list;

	pb_string(b, 1, r->instance);
	for (uint32_t k = 0; k < n_attrs && k < ATTRS_MAX; k++) {
		if (!r->attrs[k])
			continue;
		list = pb_open(b, 2);
		pb_uint(b, 1, k);
		pb_string(b, 2, r->attrs[k]);
		pb_close(b, list);
	}
	list = pb_open(b, 3);
	for (size_t i = 0; i < n_metrics; i++)
		buf_varint(b, zigzag_encode(r->deltas[i]));
	pb_close(b, list);
	list = pb_open(b, 4);
	buf_put(b, r->before, n_metrics * sizeof(*r->before));
	pb_close(b, list);
	pb_uint(b, 5, r->started);
	pb_uint(b, 6, r->ended);
	pb_close(b, at);
}

void message_totals(struct buf *b, uint32_t req, const struct totals_request *rq,
		    const struct totals_result *res, size_t *next)
{
	size_t at = pb_open(b, MESSAGE_TOTALS), begin = b->len;

	pb_uint(b, 1, req);
	while (*next < res->n_rows && b->len - begin < TOTALS_MESSAGE)
		put_totals_row(b, &res->rows[(*next)++], rq->n_metrics, res->n_attrs);
	pb_uint(b, 3, res->n_instances);
	pb_uint(b, 4, *next == res->n_rows);
	pb_uint(b, 5, res->resolution_us);
	pb_close(b, at);
}

void message_past_events(struct buf *b, uint32_t req, const struct buf *events, bool left_out)
{
	size_t at = pb_open(b, MESSAGE_EVENTS);

	buf_put(b, events->p, events->len);
	pb_uint(b, 2, req);
	pb_uint(b, 3, left_out);
	pb_close(b, at);
}
