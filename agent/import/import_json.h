/*
 * What the readers of JSON share.
 */
#ifndef STROBE_IMPORT_IMPORT_JSON_H
#define STROBE_IMPORT_IMPORT_JSON_H

#include "import/import_internal.h"

#include <jansson.h>

static inline const char *json_text(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

static inline double json_number(const json_t *o, const char *key)
{
	return json_number_value(json_object_get(o, key));
}

static inline int64_t json_us(double us)
{
	return us > 4e18 ? (int64_t)4e18 : us < -4e18 ? (int64_t)-4e18 : (int64_t)us;
}

static inline uint64_t json_key_of(const json_t *o, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(o, key));
}

/* Into an order by time. */
void import_sort_samples(struct stacks *);
/* All of the file. 0 and NULL: it could not be read, which import_file() says. */
int import_json(struct import *, json_t **ret);
/* Of a trace without profiles in it: slices (phases B, E and X) are calls. */
int import_trace_events(struct import *, const json_t *events);

#endif
