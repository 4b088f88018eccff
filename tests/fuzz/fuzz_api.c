/* The arguments of /api/v1/query, one a line: what is accepted is run and must come out as JSON or
 * CSV. */
#include "store.h"

#include "base/clock.h"
#include "serve/api.h"

#include <jansson.h>

enum { ARGS_MAX = 300, SMALL_POINTS = 500 };

static struct log *the_log;
static struct mirror mirror;
static struct history *history;

static void fuzz_seeds(void)
{
	static const char *const seeds[] = {
		"metric=t.count\nfrom=-30s\nto=now\npoints=30",
		"metric=t.count\nmetric=t.level\ninstance=sda\nfrom=-5m\nto=-1ms\nrate=0\nformat="
		"csv",
		"metric=t.state\nfrom=2023-11-14T22:13:20Z\nto=2023-11-14 "
		"22:13:21.5+01:30\nformat=json",
		"metric=t.level\nfrom=1700000000.25\nto=1700000100\nrate=1\npoints=1",
		"metric=t.count\nfrom=-1.5h\nto=-0.5min",
		"metric=t.count\nfrom=2023-11-14T22:13:20.1e999Z",
	};

	for (size_t i = 0; i < sizeof(seeds) / sizeof(*seeds); i++) {
		char name[8];

		snprintf(name, sizeof(name), "%zu", i);
		fuzz_seed(name, seeds[i], strlen(seeds[i]));
	}
}

static void prepare(void)
{
	static struct feeder f;
	uint64_t from, to;
	struct cursor c;
	struct frame fr;

	the_log = fuzz_log(&f);
	for (unsigned i = 0; i < 100; i++)
		fuzz_tick(&f, i);
	mirror_init(&mirror);
	FUZZ_CHECK(cursor_open_seq(&c, the_log, log_oldest(the_log)) == 0);
	while (cursor_next(&c, &fr, &from, &to) == 1)
		FUZZ_CHECK(mirror_apply(&mirror, &fr) == 0);
	cursor_close(&c);
	FUZZ_CHECK(history_open(&history, &(struct history_config){.log = the_log}) == 0);
}

static void check_body(const struct api_query *q, const struct query_request *request,
		       const struct query_result *result)
{
	struct buf b = {0};

	if (q->csv) {
		api_query_csv(&b, q, request, result);
		FUZZ_CHECK(b.failed || (b.len && b.p[b.len - 1] == '\n'));
	} else {
		json_error_t error;

		api_query_json(&b, q, request, result);
		json_t *json = b.failed ? NULL : json_loadb((const char *)b.p, b.len, 0, &error);

		FUZZ_CHECK(b.failed || json);
		json_decref(json);
	}
	buf_done(&b);
}

static void run(const struct api_query *q)
{
	struct query_selector selectors[API_METRICS_MAX];
	struct query_request request = {.selectors = selectors,
					.n_selectors = q->n_metrics,
					.from_us = q->from_us,
					.to_us = q->to_us,
					.points = q->points % SMALL_POINTS + 1,
					.raw = !q->rate};
	struct query_result *result = NULL;

	for (size_t i = 0; i < q->n_metrics; i++)
		selectors[i] = (struct query_selector){q->metrics[i], q->instance};
	if (query_run(history, &request, &result, NULL) == 0)
		check_body(q, &request, result);
	query_free(result);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), *args[ARGS_MAX], *save, err[256] = "";
	struct api_query q;
	size_t n = 0;
	int64_t us;

	if (!the_log)
		prepare();
	memcpy(text, data, size);
	text[size] = 0;
	const struct api_times times = {.now_us = (int64_t)clock_mono_us(), .mirror = &mirror};

	api_time_parse(text, &times, &us);
	for (char *arg = strtok_r(text, "\n", &save); arg && n < ARGS_MAX;
	     arg = strtok_r(NULL, "\n", &save))
		args[n++] = arg;
	unsigned status = api_query_parse(&q, args, n, &times, err, sizeof(err));

	FUZZ_CHECK(!status ||
		   ((status == 400 || status == 413) && err[0] && memchr(err, 0, sizeof(err))));
	if (!status) {
		FUZZ_CHECK(q.n_metrics && q.n_metrics <= API_METRICS_MAX && q.from_us < q.to_us &&
			   q.points && q.points <= QUERY_POINTS_MAX);
		run(&q);
	}
	free(text);
	return 0;
}
