/* Runs calls for profiles on the query thread. */
#include "serve/profile.h"

#include "profile/kept.h"
#include "profile/range.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { ANSWER_BYTES = 32 << 20 };

static const char not_held[] = "no stacks are held of that range";

struct profile_call *profile_call_new(const struct server_config *config, int64_t now_us,
				      enum profile_what what)
{
	struct profile_call *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->what = what;
	c->profiles = config->profiles;
	c->profiler = config->profiler;
	c->why_not = config->no_profiler ? config->no_profiler : "";
	c->now_us = now_us;
	c->untimed = config->untimed_profiles;
	c->unit = config->profile_unit ? config->profile_unit : "";
	c->about.unit = c->unit;
	c->n_cpus = config->host->n_cpus;
	c->filter.cpu = -1;
	return c;
}

/* ---- walking over the epochs ---- */

struct walk {
	const struct job *job;
	int (*add)(void *arg, const struct stacks *);
	const struct profiles_memo *memo; /* its functions get `arg`; NULL: none */
	void *arg;
};

static int walk_one(void *arg, const struct stacks *s)
{
	const struct walk *w = arg;

	return atomic_load(&w->job->cancel) ? -ECANCELED : w->add(w->arg, s);
}

static bool memo_fits(void *arg, int64_t from_us, int64_t to_us)
{
	const struct walk *w = arg;

	return w->memo->fits(w->arg, from_us, to_us);
}

static int memo_make(void *arg, const struct stacks *s, void **ret, size_t *bytes)
{
	const struct walk *w = arg;

	return atomic_load(&w->job->cancel) ? -ECANCELED : w->memo->make(w->arg, s, ret, bytes);
}

static int memo_use(void *arg, void *made)
{
	const struct walk *w = arg;

	return atomic_load(&w->job->cancel) ? -ECANCELED : w->memo->use(w->arg, made);
}

static int each(const struct job *job, int64_t from_us, int64_t to_us,
		int (*add)(void *arg, const struct stacks *), const struct profiles_memo *memo,
		void *arg)
{
	const struct profile_call *c = job->arg;
	struct walk w = {job, add, memo, arg};

	if (!c->profiles)
		return 0;
	if (memo) {
		const struct profiles_memo own = {.key = memo->key,
						  .key_len = memo->key_len,
						  .fits = memo_fits,
						  .make = memo_make,
						  .use = memo_use,
						  .release = memo->release};

		return profiles_each_memo(c->profiles, from_us, to_us, &own, walk_one, &w);
	}
	return c->filter.kind == STACKS_OFF
		       ? profiles_each_off(c->profiles, from_us, to_us, walk_one, &w)
		       : profiles_each(c->profiles, from_us, to_us, walk_one, &w);
}

/* ---- heat map ---- */

static int walk_heat(struct job *job, struct heater *h)
{
	const struct profile_call *c = job->arg;
	const struct heat_request *rq = &c->heat;
	char *key = heat_part_key(rq);
	const struct profiles_memo memo = kept_heat_parts(key ? key : "");
	int r = each(job, rq->from_us, rq->from_us + (int64_t)(rq->column_us * rq->n_columns),
		     kept_heat_add, key ? &memo : NULL, h);

	free(key);
	return r;
}

static int run_heat(struct job *job)
{
	struct profile_call *c = job->arg;
	struct heat_request *rq = &c->heat;
	struct heater *h;
	struct heat *heat;
	int r;

	rq->filter = c->filter;
	r = heat_begin(&h, rq, c->error, sizeof(c->error));
	if (r < 0)
		return r == -EBADMSG ? -EINVAL : r;
	r = walk_heat(job, h);
	if (r == -ETIME) {
		snprintf(c->error, sizeof(c->error),
			 "HeatRequest: the pattern takes too long on the names that are held: make "
			 "it simpler");
		r = -EINVAL;
	}
	if (r < 0) {
		heat_abort(h);
		return r;
	}
	r = heat_finish(h, &heat);
	if (r < 0)
		return r;
	profile_put_heat(&job->text, job->req, rq, heat);
	heat_free(heat);
	return 0;
}

/* ---- trees ---- */

static struct stacks_range hull(const struct fold_request *rq)
{
	struct stacks_range ret = rq->ranges[0];

	for (size_t i = 0; i < rq->n_ranges + rq->n_base; i++) {
		const struct stacks_range *one =
			i < rq->n_ranges ? &rq->ranges[i] : &rq->base[i - rq->n_ranges];

		ret.from_us = one->from_us < ret.from_us ? one->from_us : ret.from_us;
		ret.to_us = one->to_us > ret.to_us ? one->to_us : ret.to_us;
	}
	return ret;
}

/* *ret_tasks NULL: no rows are wanted. */
static int fold_all(struct job *job, struct fold_tree **ret_tree, struct tasks_row **ret_rows,
		    size_t *ret_n)
{
	struct profile_call *c = job->arg;
	struct kept_fold f = {.request = &c->fold};
	struct stacks_range span = hull(&c->fold);
	int r;

	c->fold.filter = c->filter;
	r = fold_begin(&f.fold, &c->fold);
	if (r == 0 && c->n_tasks)
		r = tasks_begin(&f.tasks, &c->fold, c->threads);
	if (r == 0)
		r = each(job, span.from_us, span.to_us, kept_fold_add,
			 c->filter.kind == STACKS_CPU ? &kept_sums : NULL, &f);
	if (r < 0) {
		fold_abort(f.fold);
		tasks_abort(f.tasks);
		return r;
	}
	r = fold_finish(f.fold, ret_tree);
	if (r < 0)
		tasks_abort(f.tasks);
	else if (f.tasks)
		r = tasks_finish(f.tasks, c->n_tasks, ret_rows, ret_n);
	return r;
}

static int run_flame(struct job *job)
{
	struct profile_call *c = job->arg;
	char missing[PROFILE_MISSING][PROFILE_MISSING_MAX];
	struct tasks_row *rows = NULL;
	struct fold_tree *tree = NULL;
	size_t n = 0;
	int r = fold_all(job, &tree, &rows, &n);

	if (r == 0) {
		const struct profile_beside beside = {
			.tasks = rows,
			.n_tasks = n,
			.missing = missing,
			.n_missing = profile_find_missing(c, tree, missing),
			.n_cpus = c->n_cpus};

		profile_put_flame(&job->text, job->req, tree, c->fold.n_base != 0, &beside);
	}
	fold_tree_free(tree);
	tasks_free(rows, n);
	return r;
}

/* ---- flame chart ---- */

static int add_chart(void *arg, const struct stacks *s)
{
	return chart_add(arg, s);
}

static int run_chart(struct job *job)
{
	struct profile_call *c = job->arg;
	struct charter *charter;
	struct chart *chart;
	int r;

	c->chart.filter = c->filter;
	r = chart_begin(&charter, &c->chart);
	if (r < 0)
		return r;
	r = each(job, c->chart.from_us, c->chart.to_us, add_chart, NULL, charter);
	if (r < 0) {
		chart_abort(charter);
		return r;
	}
	r = chart_finish(charter, &chart);
	if (r < 0)
		return r;
	profile_put_chart(&job->text, job->req, chart);
	chart_free(chart);
	return 0;
}

/* ---- other tools' formats ---- */

static int write_text(void *arg, const void *data, size_t len)
{
	struct buf *b = arg;

	buf_put(b, data, len);
	return b->failed ? -E2BIG : 0;
}

static int export_stacks(struct job *job, const struct profile_out *out)
{
	struct profile_call *c = job->arg;
	struct stacks_range range = hull(&c->fold);
	struct stacks *s = NULL;
	int r = c->profiles ? range_stacks(c->profiles, range.from_us, range.to_us, &s) : -ENODATA;

	if (r == 0 && c->goes_on)
		stacks_leave_to_next(s, range.to_us);
	/* That a profiler ran and saw nothing is worth something in a capture only. */
	if (r == 0 && c->format != PROFILE_STROBE &&
	    !export_has_samples(s, &c->filter, range.from_us, range.to_us))
		r = -ENODATA;
	if (r == 0)
		r = export_samples(c->format, s, &c->filter, range.from_us, range.to_us, &c->about,
				   out);
	stacks_free(s);
	return r;
}

static int run_export(struct job *job)
{
	struct profile_call *c = job->arg;
	const struct profile_out out = {.write = write_text, .arg = &job->text};
	char missing[PROFILE_MISSING][PROFILE_MISSING_MAX];
	struct fold_tree *tree = NULL;
	int r;

	c->about.kind = c->filter.kind;
	c->about.n_cpus = (uint16_t)c->n_cpus;
	if (!profile_format_is_tree(c->format))
		return export_stacks(job, &out);
	r = fold_all(job, &tree, NULL, NULL);
	if (r == 0 && !tree->sum.n && !tree->base.n)
		r = -ENODATA;
	else if (r == 0 && c->fold.n_base && !tree->base.covered_us)
		r = -ENOENT;
	if (r == 0)
		c->about.n_missing = profile_find_missing(c, tree, missing);
	for (size_t i = 0; i < c->about.n_missing; i++)
		c->about.missing[i] = missing[i];
	if (r == 0)
		r = export_tree(c->format, tree, &c->about, &out);
	fold_tree_free(tree);
	return r;
}

/* ---- the job ---- */

static int run_call(struct job *job)
{
	static int (*const runs[])(struct job *) = {
		[PROFILE_OF_HEAT] = run_heat,	  [PROFILE_OF_FLAME] = run_flame,
		[PROFILE_OF_CHART] = run_chart,	  [PROFILE_OF_LINES] = profile_run_lines,
		[PROFILE_OF_EXPORT] = run_export,
	};
	struct profile_call *c = job->arg;
	size_t held = atomic_load(&job->budget->held), half = job->budget->budget / 2;
	size_t most = half < ANSWER_BYTES ? half : ANSWER_BYTES;
	int r = 0;

	/* As much as may be held of results, see jobs.h. */
	if (held + most > job->budget->budget)
		return -EBUSY;
	job->text.max = most;
	if (c->what == PROFILE_OF_STATE)
		profile_put_state(&job->text, job->req, c);
	else
		r = runs[c->what](job);
	return r == 0 && job->text.failed ? -E2BIG : r;
}

struct job *profile_job(struct profile_call *c, const void *owner, uint32_t req)
{
	struct job *job = c ? job_new(JOB_CALL, owner) : NULL;

	if (!job) {
		free(c);
		return NULL;
	}
	job->req = req;
	job->call = run_call;
	job->arg = c;
	job->free_arg = free;
	return job;
}

const char *profile_job_error(const struct job *job)
{
	const struct profile_call *c =
		job->kind == JOB_CALL && job->call == run_call ? job->arg : NULL;

	if (!c)
		return NULL;
	if (job->r == -EINVAL && c->error[0])
		return c->error;
	return job->r == -ENODATA ? not_held : NULL;
}
