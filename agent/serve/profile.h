/*
 * Requests for profiles: what a client asks for, run on the query thread over profile/profiles.h, and the
 * messages that answer it. A call is the `arg` of a JOB_CALL; the job's text gets whole ServerMessages,
 * each after its length (u32), or the body of an HTTP answer.
 */
#ifndef STROBE_SERVE_PROFILE_H
#define STROBE_SERVE_PROFILE_H

#include "export/profile.h"
#include "profile/namer.h"
#include "profile/profiler.h"
#include "serve/jobs.h"
#include "serve/server.h"

#include "strobe.pb-c.h"

enum { PROFILE_TEXT_MAX = 256, PROFILE_TASKS_MAX = 500, PROFILE_MISSING_MAX = 640 };

enum profile_what {
	PROFILE_OF_HEAT,
	PROFILE_OF_FLAME,
	PROFILE_OF_CHART,
	PROFILE_OF_LINES,
	PROFILE_OF_STATE,
	PROFILE_OF_EXPORT
};

struct profile_call {
	enum profile_what what;
	struct profiles *profiles;
	struct profiler *profiler; /* NULL: none runs (a capture) */
	const char *why_not;	   /* why none runs */
	int64_t now_us;
	uint32_t n_cpus;
	bool untimed;		     /* of all stacks that are held */
	const char *unit;	     /* of their weights; "": us */
	struct stacks_filter filter; /* its strings point into the next two */
	char cgroup[PROFILE_TEXT_MAX], process[PROFILE_TEXT_MAX];
	char pattern[PROFILE_TEXT_MAX], module[PROFILE_TEXT_MAX], build_id[BUILD_ID_HEX];
	uint64_t addr;
	uint32_t self_at, call_at; /* as of a fold_node */
	struct heat_request heat;
	struct fold_request fold;
	struct chart_request chart;
	uint32_t n_tasks;
	bool threads;
	/* PROFILE_OF_EXPORT */
	enum profile_format format;
	bool goes_on; /* the caller asks for what follows next: see range_epoch */
	struct profile_about about;
	char host[65], title[128];
	char error[128]; /* a sentence for a job->r of -EINVAL */
};

/* A call of this server, with its profiles; NULL: no memory. */
struct profile_call *profile_call_new(const struct server_config *, int64_t now_us,
				      enum profile_what);
/* The job that runs it, which takes it over also where that fails (NULL: no memory). */
struct job *profile_job(struct profile_call *, const void *owner, uint32_t req);
/* The sentence for a job that failed; NULL: none of its own. */
const char *profile_job_error(const struct job *);

/* ---- profile_asked.c: the requests of a ClientMessage ---- */

/* A time of the wire as one that can be calculated with. */
int64_t profile_bound_us(int64_t us);
/* Fills the call from the message. NULL, or a sentence that says what is wrong. */
const char *profile_ask_heat(struct profile_call *, const Strobe__V1__HeatRequest *);
const char *profile_ask_flame(struct profile_call *, const Strobe__V1__FlameRequest *);
const char *profile_ask_chart(struct profile_call *, const Strobe__V1__FlameChartRequest *);
const char *profile_ask_lines(struct profile_call *, const Strobe__V1__LinesRequest *);

/* ---- profile_missing.c ---- */

/* The modules that most of the nameless time was spent in, most first, and what would name it. How many. */
size_t profile_find_missing(const struct profile_call *, const struct fold_tree *,
			    char (*ret)[PROFILE_MISSING_MAX]);

/* ---- profile_lines.c ---- */

/* A PROFILE_OF_LINES: puts its answer. 0 or -ENOMEM. */
int profile_run_lines(struct job *);

/* ---- profile_message.c: appends messages, each after its length ---- */

void profile_put_heat(struct buf *, uint32_t req, const struct heat_request *, const struct heat *);
struct profile_beside { /* what goes with a tree */
	const struct tasks_row *tasks;
	size_t n_tasks;
	char (*missing)[PROFILE_MISSING_MAX];
	size_t n_missing;
	uint32_t n_cpus;
};
void profile_put_flame(struct buf *, uint32_t req, const struct fold_tree *, bool with_base,
		       const struct profile_beside *);
void profile_put_chart(struct buf *, uint32_t req, const struct chart *);
/* .of of a line: enum LineOf. */
void profile_put_lines(struct buf *, uint32_t req, const struct symbol_line *, size_t n,
		       const char *missing);
void profile_put_state(struct buf *, uint32_t req, const struct profile_call *);

/* ---- api_profile.c: GET /api/v1/profile ---- */

/* The member "profiler" of /api/v1/status. */
void profile_status_json(struct buf *, const struct server_config *);

/* Reads the arguments, which are changed. 0, or an HTTP status with a sentence in err. */
struct api_times;
unsigned profile_args_parse(struct profile_call *, char **args, size_t n_args,
			    const struct api_times *, char *err, size_t err_len);
/* "hz=999&seconds=10". As profile_args_parse(). */
unsigned profile_burst_parse(char **args, size_t n_args, uint32_t *ret_hz, uint32_t *ret_seconds,
			     char *err, size_t err_len);

#endif
