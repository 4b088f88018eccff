/*
 * The bodies of the HTTP API, and the arguments of a query. No HTTP here.
 */
#ifndef STROBE_SERVE_API_H
#define STROBE_SERVE_API_H

#include "serve/buf.h"
#include "serve/private.h"

enum { API_METRICS_MAX = 256, API_POINTS_DEFAULT = 100, API_RENDER_MAX = 100000 };

/* One argument after the other ("metric=kernel.all.load"), decoded; NULL ends. */
struct api_query {
	const char *metrics[API_METRICS_MAX];
	size_t n_metrics;
	const char *instance; /* NULL: all */
	int64_t from_us, to_us;
	uint32_t points;
	bool rate, csv;
	bool approx; /* the chart of query.h */
};

/* By which wall-clock times are found on the timeline. */
struct api_times {
	int64_t now_us;
	const struct mirror *mirror; /* of the running log */
	const struct history_clock *clocks;
	size_t n_clocks;
};

int api_times_open(struct api_times *ret, const struct server *); /* now; 0 or -ENOMEM */
void api_times_done(struct api_times *);

/* Reads the arguments of /api/v1/query, which are changed and must outlive *ret. 0; 400 or 413 with
 * a sentence in err. */
unsigned api_query_parse(struct api_query *ret, char **args, size_t n_args,
			 const struct api_times *, char *err, size_t err_len);
/* A time of a query: "now", "-30s" (ms, s, m, h, d), seconds since 1970 with a fraction, or ISO
 * 8601 (UTC unless it says otherwise). False: none of these. */
bool api_time_parse(const char *, const struct api_times *, int64_t *ret);

/* Two times, the first before the second. 0, or 400 with a sentence in err. */
unsigned api_range_parse(const char *const values[2], const char *const names[2],
			 const struct api_times *, int64_t ret[2], char *err, size_t err_len);
/* A wall-clock time as seconds since 1970. */
void api_time_json(struct buf *, const char *key, int64_t wall_us);

/* Reads the arguments of /api/v1/rank. As api_query_parse(). */
unsigned api_rank_parse(struct rank_request *ret, char **args, size_t n_args,
			const struct api_times *, char *err, size_t err_len);
/* For job->render of a JOB_RANK and a JOB_HELD: make job->text. */
void api_render_rank(struct job *);
void api_render_held(struct job *);

void api_query_json(struct buf *, const struct api_query *, const struct query_request *,
		    const struct query_result *);
void api_query_csv(struct buf *, const struct api_query *, const struct query_request *,
		   const struct query_result *);
/* For job->render: makes job->text and frees the result, or sets job->r to -E2BIG (more than
 * API_RENDER_MAX points) or to -ENOENT (job->unknown is no metric, now or before). */
void api_render_json(struct job *);
void api_render_csv(struct job *);
/* The metric reference and the live instances of each group. */
void api_metrics_json(struct buf *, const struct mirror *);

/* What /api/v1/status asks of the query thread: rates of the last ten seconds. NULL: no memory. */
struct job *api_status_job(const struct server *, const void *owner);
void api_status_json(struct buf *, struct server *, const struct query_result *);
void api_error_json(struct buf *, const char *error, const char *hint);

#endif
