/*
 * A recorded host (zstd; its layout is described beside it), replayed through batches and the
 * encoder into a log, for the benchmarks of the store. Aborts when something fails.
 */
#ifndef STROBE_BENCH_RECORDING_H
#define STROBE_BENCH_RECORDING_H

#include "../feeder.h"

#include "base/clock.h"

#include <stdio.h>
#include <string.h>

enum { TICKS_PER_HOUR = 36000, FIELDS_MAX = 256 };
enum { GROUP_PROCESS = 13 };

struct known {	      /* a recorded instance */
	int8_t group; /* -1: of no layout */
	uint64_t id;
	char name[INSTANCE_NAME_MAX], comm[INSTANCE_NAME_MAX];
};

struct recording {
	FILE *in;
	struct group groups[FEEDER_GROUPS_MAX]; /* one a recorded group and number of fields */
	unsigned from_group[FEEDER_GROUPS_MAX];
	struct metric *metrics;
	size_t n_groups;
	struct known *known;
	uint32_t n_known;
	struct feeder f;
	uint64_t n_ticks, n_samples, at_us[32], shift_us, n_skipped;
	uint64_t first_us; /* of the recording, as it was recorded */
	uint32_t *cost_ns; /* of each tick, to encode and append it */
	bool seen[FEEDER_GROUPS_MAX];
	void (*after_tick)(void *arg); /* or NULL */
	void *arg;
};

static inline void recording_get(struct recording *b, void *to, size_t len)
{
	FEEDER_CHECK(fread_unlocked(to, 1, len, b->in) == len);
}

static inline void recording_input(struct recording *b, const char *path)
{
	char cmd[4096], magic[4];

	snprintf(cmd, sizeof(cmd), "zstd -dcq '%s'", path);
	b->in = popen(cmd, "r");
	FEEDER_CHECK(b->in);
	setvbuf(b->in, NULL, _IOFBF, 1 << 20);
	recording_get(b, magic, 4);
	FEEDER_CHECK(memcmp(magic, "ARD1", 4) == 0);
}

static inline int8_t recording_layout(const struct recording *b, unsigned group, unsigned n_fields)
{
	for (size_t i = 0; i < b->n_groups; i++)
		if (b->from_group[i] == group && b->groups[i].n_metrics == n_fields)
			return (int8_t)i;
	return -1;
}

static inline void recording_add_layout(struct recording *b, unsigned group, unsigned n_fields,
					char names[][260], const uint8_t *class)
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
static inline void recording_define(struct recording *b, bool learn)
{
	static char names[FIELDS_MAX][260];
	uint8_t class[FIELDS_MAX], len;
	struct {
		uint32_t id;
		uint16_t group, n;
	} __attribute__((packed)) h;
	char name[256];
	struct known *k;

	recording_get(b, &h, sizeof(h));
	recording_get(b, &len, 1);
	recording_get(b, name, len);
	name[len] = 0;
	FEEDER_CHECK(h.n <= FIELDS_MAX && h.group < 32);
	for (unsigned i = 0; i < h.n; i++) {
		recording_get(b, &class[i], 1);
		recording_get(b, &len, 1);
		recording_get(b, names[i], len);
		names[i][len] = 0;
	}
	if (learn && recording_layout(b, h.group, h.n) < 0)
		recording_add_layout(b, h.group, h.n, names, class);
	if (h.id >= b->n_known) {
		b->known = realloc(b->known, (h.id + 1024) * sizeof(*b->known));
		FEEDER_CHECK(b->known);
		b->n_known = h.id + 1024;
	}
	k = &b->known[h.id];
	*k = (struct known){.group = recording_layout(b, h.group, h.n)};
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
static inline void recording_values(struct recording *b)
{
	struct {
		uint32_t id;
		uint16_t n;
	} __attribute__((packed)) h;
	int64_t row[FIELDS_MAX], *to = NULL;
	struct known *k;
	struct batch *batch;

	recording_get(b, &h, sizeof(h));
	FEEDER_CHECK(h.n <= FIELDS_MAX && h.id < b->n_known);
	recording_get(b, row, h.n * sizeof(*row));
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
static inline void recording_end_tick(struct recording *b)
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
	if (b->after_tick)
		b->after_tick(b->arg);
}

/* Reads one lap of the recording; with `learn` only the first tick, for its layouts. */
static inline void recording_lap(struct recording *b, const char *path, bool learn)
{
	int letter;
	bool open = false;
	uint64_t t[3], first_us = 0, last_us = 0;

	recording_input(b, path);
	while (b->n_ticks < TICKS_PER_HOUR && (letter = getc_unlocked(b->in)) != EOF) {
		if (letter == 'T') {
			if (open && learn)
				break;
			if (open)
				recording_end_tick(b);
			recording_get(b, t, sizeof(t));
			b->first_us = b->first_us ? b->first_us : t[1] / 1000;
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

			recording_get(b, &g, sizeof(g));
			FEEDER_CHECK(g.group < 32);
			b->at_us[g.group] = (uint64_t)g.ns / 1000 + b->shift_us;
		} else if (letter == 'D') {
			recording_define(b, learn);
		} else if (letter == 'V' && learn) {
			struct {
				uint32_t id;
				uint16_t n;
			} __attribute__((packed)) h;
			int64_t row[FIELDS_MAX];

			recording_get(b, &h, sizeof(h));
			recording_get(b, row, h.n * sizeof(*row));
		} else if (letter == 'V') {
			recording_values(b);
		} else {
			FEEDER_CHECK(letter == EOF); /* unknown: not a recording */
		}
	}
	if (open && !learn && b->n_ticks < TICKS_PER_HOUR)
		recording_end_tick(b);
	if (!learn) /* the next lap begins where this one ended */
		b->shift_us += last_us - first_us + 100000;
	pclose(b->in);
}

/* Learns the layouts and opens the writer of `l`. */
static inline void recording_open(struct recording *b, const char *path, struct log *l)
{
	b->metrics = calloc(FEEDER_GROUPS_MAX * FIELDS_MAX, sizeof(*b->metrics));
	b->cost_ns = calloc(TICKS_PER_HOUR + 1, sizeof(*b->cost_ns));
	FEEDER_CHECK(b->metrics && b->cost_ns);
	recording_lap(b, path, true);
	feeder_open(&b->f, l, b->groups, b->n_groups);
}

#endif
