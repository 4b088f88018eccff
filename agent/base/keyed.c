#include "base/keyed.h"

#include "base/metric.h"
#include "base/parse.h"

#include <assert.h>
#include <string.h>

void keyed_init(struct keyed *k, const struct keyed_field *fields, uint32_t n_fields,
		uint32_t n_metrics)
{
	assert(n_fields <= KEYED_FIELDS_MAX);
	memset(k, 0, sizeof *k);
	k->fields = fields;
	k->n_fields = n_fields;
	k->n_metrics = n_metrics;
	for (uint32_t i = 0; i < n_fields; i++) {
		assert(fields[i].metric < n_metrics);
		k->key_len[i] = (uint8_t)strlen(fields[i].key);
	}
}

/* The start of the line after p; NULL when p's line has no end. */
static const char *next_line(const char *p, const char *end)
{
	const char *nl = memchr(p, '\n', (size_t)(end - p));

	return nl ? nl + 1 : NULL;
}

/* The number at p, or VALUE_ABSENT when there is none or the text ends with it. */
static int64_t number_at(const char *p)
{
	int64_t v;

	return parse_i64(&p, &v) && *p ? v : VALUE_ABSENT;
}

static void store(int64_t *cell, int64_t v, bool add)
{
	if (add && *cell != VALUE_ABSENT && v != VALUE_ABSENT)
		*cell = (int64_t)((uint64_t)*cell + (uint64_t)v);
	else if (!add)
		*cell = v;
}

static bool key_matches(const struct keyed *k, uint32_t field, const char *p, const char *end)
{
	size_t len = k->key_len[field];

	return (size_t)(end - p) > len && !memcmp(p, k->fields[field].key, len);
}

static uint32_t find_field(const struct keyed *k, const char *p, const char *end)
{
	uint32_t f = 0;

	while (f < k->n_fields && !key_matches(k, f, p, end))
		f++;
	return f;
}

/* Looks every line up and remembers where the wanted ones are, unless the text is cut off: then the
 * next pass learns again. The number of wanted lines. */
static uint32_t learn(struct keyed *k, const char *p, const char *end, int64_t *row)
{
	uint32_t n = 0;
	uint16_t skip = 0;

	for (uint32_t i = 0; i < k->n_metrics; i++)
		row[i] = VALUE_ABSENT;
	for (; p && *p && n < KEYED_FIELDS_MAX && skip < UINT16_MAX; p = next_line(p, end)) {
		uint32_t f = find_field(k, p, end);

		if (f == k->n_fields) {
			skip++;
			continue;
		}
		bool add = row[k->fields[f].metric] != VALUE_ABSENT;

		k->wanted[n++] = (struct keyed_wanted){skip, (uint8_t)f, add};
		store(&row[k->fields[f].metric], number_at(p + k->key_len[f]), add);
		skip = 0;
	}
	k->n_wanted = p ? n : 0;
	return n;
}

uint32_t keyed_parse(struct keyed *k, const char *text, size_t len, int64_t *row)
{
	const char *end = text + len, *p = text;

	for (uint32_t i = 0; i < k->n_wanted; i++) {
		const struct keyed_wanted *w = &k->wanted[i];

		for (uint32_t n = w->skip; n && p; n--)
			p = next_line(p, end);
		if (!p || !key_matches(k, w->field, p, end))
			return learn(k, text, end, row);
		store(&row[k->fields[w->field].metric], number_at(p + k->key_len[w->field]),
		      w->add);
		p = next_line(p, end);
	}
	return p && k->n_wanted ? k->n_wanted : learn(k, text, end, row);
}
