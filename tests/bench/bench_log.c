/*
 * Replays a recorded host (argv[1], zstd; its layout is described beside it) through batch, encoder
 * and log: bytes a sample, cost of a tick, and a query over an hour of it.
 */
#include "../feeder.h"

#include "base/clock.h"
#include "store/query.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { TICKS_PER_HOUR = 36000, FIELDS_MAX = 256, LAPS_MAX = 8, QUERY_SERIES = 10, QUERY_RUNS = 15 };
enum { GROUP_PROCESS = 13 };

struct known {	      /* a recorded instance */
	int8_t group; /* -1: of no layout */
	uint64_t id;
	char name[INSTANCE_NAME_MAX], comm[INSTANCE_NAME_MAX];
};

struct bench {
	FILE *in;
	struct group groups[FEEDER_GROUPS_MAX]; /* one a recorded group and number of fields */
	unsigned from_group[FEEDER_GROUPS_MAX];
	struct metric *metrics;
	size_t n_groups;
	struct known *known;
	uint32_t n_known;
	struct feeder f;
	uint64_t n_ticks, n_samples, at_us[32], shift_us, n_skipped;
	uint32_t *cost_ns;
	bool seen[FEEDER_GROUPS_MAX];
};

static void get(struct bench *b, void *to, size_t len)
{
	FEEDER_CHECK(fread_unlocked(to, 1, len, b->in) == len);
}

static void open_input(struct bench *b, const char *path)
{
	char cmd[4096], magic[4];

	snprintf(cmd, sizeof(cmd), "zstd -dcq '%s'", path);
	b->in = popen(cmd, "r");
	FEEDER_CHECK(b->in);
	setvbuf(b->in, NULL, _IOFBF, 1 << 20);
	get(b, magic, 4);
	FEEDER_CHECK(memcmp(magic, "ARD1", 4) == 0);
}

static int8_t find_layout(const struct bench *b, unsigned group, unsigned n_fields)
{
	for (size_t i = 0; i < b->n_groups; i++)
		if (b->from_group[i] == group && b->groups[i].n_metrics == n_fields)
			return (int8_t)i;
	return -1;
}

static void add_layout(struct bench *b, unsigned group, unsigned n_fields, char names[][260],
		       const uint8_t *class)
{
	struct metric *m = b->metrics + b->n_groups * FIELDS_MAX;
	struct group *g = &b->groups[b->n_groups];
	static const char *const attrs[] = {"comm", NULL};
	char text[300];

	FEEDER_CHECK(b->n_groups < FEEDER_GROUPS_MAX);
	for (unsigned i = 0; i < n_fields; i++) {
		snprintf(text, sizeof(text), "g%u.%u.%.250s", group, n_fields, names[i]);
		m[i] = (struct metric){.name = strdup(text),
				       .unit = "count",
				       .mul = 1,
				       .div = 1,
				       .source = "recorded",
				       .help = "One field of a recorded host.",
				       .sem = class[i] ? SEM_INSTANT : SEM_COUNTER};
	}
	snprintf(text, sizeof(text), "g%u.%u", group, n_fields);
	*g = (struct group){.name = strdup(text),
			    .indom = "recorded",
			    .metrics = m,
			    .n_metrics = n_fields,
			    .max_instances = group == GROUP_PROCESS ? 1024 : 64,
			    .managed = group == GROUP_PROCESS,
			    .attrs = group == GROUP_PROCESS ? attrs : NULL};
	b->from_group[b->n_groups++] = group;
}

/* 'D': an instance is introduced. */
static void define(struct bench *b, bool learn)
{
	static char names[FIELDS_MAX][260];
	uint8_t class[FIELDS_MAX], len;
	struct {
		uint32_t id;
		uint16_t group, n;
	} __attribute__((packed)) h;
	char name[256];
	struct known *k;

	get(b, &h, sizeof(h));
	get(b, &len, 1);
	get(b, name, len);
	name[len] = 0;
	FEEDER_CHECK(h.n <= FIELDS_MAX && h.group < 32);
	for (unsigned i = 0; i < h.n; i++) {
		get(b, &class[i], 1);
		get(b, &len, 1);
		get(b, names[i], len);
		names[i][len] = 0;
	}
	if (learn && find_layout(b, h.group, h.n) < 0)
		add_layout(b, h.group, h.n, names, class);
	if (h.id >= b->n_known) {
		b->known = realloc(b->known, (h.id + 1024) * sizeof(*b->known));
		FEEDER_CHECK(b->known);
		b->n_known = h.id + 1024;
	}
	k = &b->known[h.id];
	*k = (struct known){.group = find_layout(b, h.group, h.n)};
	if (h.group == GROUP_PROCESS) { /* pid.starttime.pCOMMAND */
		char *dot = strrchr(name, '.');

		FEEDER_CHECK(dot);
		snprintf(k->comm, sizeof(k->comm), "%.60s", dot + 1);
		*dot = 0;
		dot = strchr(name, '.');
		FEEDER_CHECK(dot);
		k->id = strtoull(dot + 1, NULL, 10) << 22 | strtoull(name, NULL, 10);
	}
	snprintf(k->name, sizeof(k->name), "%.63s", name);
}

/* 'V': the values of an instance in this tick. */
static void values(struct bench *b)
{
	struct {
		uint32_t id;
		uint16_t n;
	} __attribute__((packed)) h;
	int64_t row[FIELDS_MAX], *to = NULL;
	struct known *k;
	struct batch *batch;

	get(b, &h, sizeof(h));
	FEEDER_CHECK(h.n <= FIELDS_MAX && h.id < b->n_known);
	get(b, row, h.n * sizeof(*row));
	k = &b->known[h.id];
	if (k->group < 0) {
		b->n_skipped += h.n;
		return;
	}
	batch = &b->f.batch[k->group];
	if (!b->seen[k->group])
		feeder_batch(&b->f, (size_t)k->group);
	b->seen[k->group] = true;
	if (b->groups[k->group].managed) {
		int32_t slot = batch_find_id(batch, k->id);

		if (slot < 0)
			slot = batch_start(batch, k->id, k->name, strlen(k->name));
		if (slot >= 0) {
			batch_attr(batch, (uint32_t)slot, 0, k->comm, strlen(k->comm));
			to = batch_row_slot(batch, (uint32_t)slot);
		}
	} else {
		to = batch_row_named(batch, k->name, strlen(k->name));
	}
	FEEDER_CHECK(to);
	memcpy(to, row, h.n * sizeof(*row));
	b->n_samples += h.n;
}

/* Everything of the tick is in the batches: the part that is measured. */
static void end_tick(struct bench *b)
{
	uint64_t t;

	for (size_t g = 0; g < b->n_groups; g++) {
		struct batch *batch = &b->f.batch[g];

		for (uint32_t s = 0; b->seen[g] && batch->group->managed && s < batch->n_slots; s++)
			if (batch->inst[s].live && batch->inst[s].seen != batch->pass)
				batch_end(batch, s);
	}
	t = clock_ns(CLOCK_MONOTONIC);
	for (size_t g = 0; g < b->n_groups; g++)
		if (b->seen[g])
			feeder_group(&b->f, g, (int64_t)(b->at_us[b->from_group[g]] - b->f.mono_us),
				     -1);
	feeder_end(&b->f);
	b->cost_ns[b->n_ticks++] = (uint32_t)(clock_ns(CLOCK_MONOTONIC) - t);
	memset(b->seen, 0, sizeof(b->seen));
}

/* Reads one lap of the recording; with `learn` only the first tick, for its layouts. */
static void lap(struct bench *b, const char *path, bool learn)
{
	int letter;
	bool open = false;
	uint64_t t[3], first_us = 0, last_us = 0;

	open_input(b, path);
	while (b->n_ticks < TICKS_PER_HOUR && (letter = getc_unlocked(b->in)) != EOF) {
		if (letter == 'T') {
			if (open && learn)
				break;
			if (open)
				end_tick(b);
			get(b, t, sizeof(t));
			last_us = t[1] / 1000 + b->shift_us;
			first_us = first_us ? first_us : last_us;
			if (!learn)
				feeder_tick(&b->f, last_us);
			open = true;
		} else if (letter == 'G') {
			struct {
				uint16_t group;
				int64_t ns;
			} __attribute__((packed)) g;

			get(b, &g, sizeof(g));
			FEEDER_CHECK(g.group < 32);
			b->at_us[g.group] = (uint64_t)g.ns / 1000 + b->shift_us;
		} else if (letter == 'D') {
			define(b, learn);
		} else if (letter == 'V' && learn) {
			struct {
				uint32_t id;
				uint16_t n;
			} __attribute__((packed)) h;
			int64_t row[FIELDS_MAX];

			get(b, &h, sizeof(h));
			get(b, row, h.n * sizeof(*row));
		} else if (letter == 'V') {
			values(b);
		} else {
			FEEDER_CHECK(letter == EOF); /* unknown: not a recording */
		}
	}
	if (open && !learn && b->n_ticks < TICKS_PER_HOUR)
		end_tick(b);
	if (!learn) /* the next lap begins where this one ended */
		b->shift_us += last_us - first_us + 100000;
	pclose(b->in);
}

static int by_value(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static void print(const char *name, double value, const char *unit, double budget)
{
	printf("bench %s %.4g %s budget %.4g %s\n", name, value, unit, budget,
	       value <= budget ? "pass" : "fail");
}

static double query_ms(struct bench *b, struct log *l)
{
	struct query_selector sel[QUERY_SERIES];
	struct query_request rq = {.selectors = sel,
				   .n_selectors = QUERY_SERIES,
				   .points = 2000,
				   .from_us = log_oldest_us(l)};
	uint32_t cost[QUERY_RUNS];
	uint64_t n = 0;

	for (size_t i = 0, g = 0; i < QUERY_SERIES; i++, g = (g + 1) % b->n_groups) {
		const struct batch *batch = &b->f.batch[g];
		uint32_t s = 0;

		while (s + 1 < batch->n_slots && !batch->inst[s].live)
			s++;
		sel[i] = (struct query_selector){b->groups[g].metrics[i % batch->n_metrics].name,
						 batch->inst[s].name};
	}
	sel[QUERY_SERIES - 1].metric =
		b->groups[b->n_groups - 1].metrics[3].name; /* the busiest group too */
	sel[QUERY_SERIES - 1].instance = b->f.batch[b->n_groups - 1].inst[0].name;
	rq.to_us = b->f.mono_us + 1;
	for (unsigned i = 0; i < QUERY_RUNS; i++) {
		struct query_result *res;
		uint64_t t = clock_ns(CLOCK_THREAD_CPUTIME_ID);

		FEEDER_CHECK(query_run(l, &rq, &res, NULL) == 0);
		cost[i] = (uint32_t)((clock_ns(CLOCK_THREAD_CPUTIME_ID) - t) / 1000);
		FEEDER_CHECK(res->n_series >= QUERY_SERIES);
		for (size_t k = 0; k < res->n_series && i == 0; k++)
			for (uint32_t p = 0; p < rq.points; p++)
				n += res->series[k].points[p].n;
		query_free(res);
	}
	fprintf(stderr, "query: %.0f s, %llu samples\n", (double)(rq.to_us - rq.from_us) / 1e6,
		(unsigned long long)n);
	qsort(cost, QUERY_RUNS, sizeof(*cost), by_value);
	return cost[QUERY_RUNS / 2] / 1000.0;
}

static void report(struct bench *b, struct log *l)
{
	uint64_t sum = 0;

	for (uint64_t i = 0; i < b->n_ticks; i++)
		sum += b->cost_ns[i];
	qsort(b->cost_ns, b->n_ticks, sizeof(*b->cost_ns), by_value);
	fprintf(stderr,
		"%llu ticks, %.0f series a tick, %llu samples left out, %.1f MB of log, encode "
		"mean %.2f us, p99 %.2f us\n",
		(unsigned long long)b->n_ticks, (double)b->n_samples / (double)b->n_ticks,
		(unsigned long long)b->n_skipped, (double)log_bytes_total(l) / 1e6,
		(double)sum / (double)b->n_ticks / 1e3, b->cost_ns[b->n_ticks * 99 / 100] / 1e3);
	print("log_bytes_per_sample", (double)log_bytes_total(l) / (double)b->n_samples, "By",
	      0.13);
	print("log_encode_us_per_tick", b->cost_ns[b->n_ticks / 2] / 1e3, "us", 15);
	print("query_1h_10_series_ms", query_ms(b, l), "ms", 50);
}

int main(int argc, char **argv)
{
	static struct bench b;
	struct log_config c = {.size_bytes = 64u << 20, .boot_id = ""};
	enum log_state state;
	struct log *l;
	char err[200];

	if (argc < 2 || access(argv[1], R_OK) != 0) {
		printf("bench log_bytes_per_sample skip\n");
		return 0;
	}
	b.metrics = calloc(FEEDER_GROUPS_MAX * FIELDS_MAX, sizeof(*b.metrics));
	b.cost_ns = calloc(TICKS_PER_HOUR + 1, sizeof(*b.cost_ns));
	FEEDER_CHECK(b.metrics && b.cost_ns && log_open(&l, &c, &state, err, sizeof(err)) == 0);
	lap(&b, argv[1], true);
	feeder_open(&b.f, l, b.groups, b.n_groups);
	for (unsigned i = 0; i < LAPS_MAX && b.n_ticks < TICKS_PER_HOUR; i++)
		lap(&b, argv[1], false);
	report(&b, l);
	log_close(l);
	return 0;
}
