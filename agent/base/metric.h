/*
 * What a series is: the static tables from which the catalog, the metric reference, the query
 * units and the dashboard's labels are all made.
 *
 * Invariants
 *  - A group is one collector x one instance domain (or the singular metrics), read together.
 *  - Stored values are int64 in the source's own unit; value * mul / div is in `unit`.
 *  - VALUE_ABSENT is "not readable now" (no permission, field missing); it is never zero.
 *  - Tables are static const: a group's metrics never change while a build runs.
 */
#ifndef STROBE_BASE_METRIC_H
#define STROBE_BASE_METRIC_H

#include <stdbool.h>
#include <stdint.h>

#define VALUE_ABSENT INT64_MIN

enum {
	INSTANCE_NAME_MAX =
		64,	      /* bytes of an instance's name, with the NUL; longer names are cut */
	ATTR_VALUE_MAX = 256, /* bytes of an attribute's value, with the NUL; longer ones are cut */
	ATTRS_MAX = 8,	      /* attributes a group may declare */
	GROUP_METRICS_MAX = 256 /* metrics a group may declare */
};

enum semantics {
	SEM_COUNTER, /* only rises; a rate is delta / measured time; a fall is a reset, never a
			spike */
	SEM_INSTANT, /* a level */
	SEM_DISCRETE /* a state or a setting; changes seldom, never averaged */
};

struct metric {
	const char *name;   /* PCP's name where PCP has one */
	const char *unit;   /* PCP's unit, else UCUM: "byte" "count" "millisec" "us" "1" "%" */
	uint32_t mul, div;  /* stored value * mul / div is in unit; never 0 */
	const char *source; /* file and field, for the reference page */
	const char *help;   /* one sentence */
	enum semantics sem;
	int64_t quantum;	  /* smallest step the source can show, stored units; 0 = exact */
	const char *const *names; /* the word for each value of a state, NULL-ended; or NULL */
};

struct group {
	const char *name;  /* unique in the agent: "cpu.percpu", "disk.dev"; no metric's name */
	const char *indom; /* "cpu" "disk" "interface" "process" ...; NULL: singular, one row */
	const struct metric *metrics;
	uint32_t n_metrics;
	uint32_t period_ms;	/* 0: every tick; else read at this period */
	uint32_t max_instances; /* slots reserved at open; 1 when singular */
	bool managed; /* instances live until batch_end(); else until a pass does not read them */
	const char *const *attrs; /* attribute keys of an instance, NULL-ended; or NULL */
};

#endif
