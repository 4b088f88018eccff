#include "base/fields.h"

#include "base/parse.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static bool is_end(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || !c;
}

/* The length of the number at p (its sign included), which stands at the start of a word; or 0. */
static size_t number_len(const char *p)
{
	size_t n = *p == '-';

	if (!parse_is_digit(p[n]))
		return 0;
	while (parse_is_digit(p[n]))
		n++;
	return is_end(p[n]) ? n : 0;
}

static uint32_t count_numbers(const char *p)
{
	uint32_t n = 0;

	while (*p) {
		size_t len = number_len(p);

		n += len > 0;
		p = parse_word(p + len);
		while (*p == ' ' || *p == '\t' || *p == '\n')
			p++;
	}
	return n;
}

int fields_init(struct fields *s, const char *text, size_t cap)
{
	*s = (struct fields){.text_cap = cap, .cap_marks = 2 * count_numbers(text) + 64};
	s->text = malloc(cap + 1);
	s->marks = malloc(s->cap_marks * sizeof(*s->marks));
	if (!s->text || !s->marks) {
		fields_done(s);
		return -ENOMEM;
	}
	return 0;
}

void fields_done(struct fields *s)
{
	free(s->text);
	free(s->marks);
	*s = (struct fields){0};
}

static void add_mark(struct fields *s, const char *words, const char *number, int column)
{
	const char *end = number;

	while (end > words && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	size_t gap = (size_t)(number - end);

	s->marks[s->n_marks++] = (struct fields_mark){
		.off = (uint32_t)(words - s->text),
		.len = (uint32_t)(end - words),
		.column = (int16_t)column,
		.gap = gap > UINT16_MAX ? 0 : (uint16_t)gap,
	};
}

/* Keeps the text and finds the numbers in it. */
static void bind(struct fields *s, fields_column_fn column_of, const void *ctx)
{
	const char *words = s->text, *p = s->text;
	struct fields_at at = {.line = p, .word = ""};

	s->n_marks = 0;
	s->n_bound++;
	while (*p && s->n_marks < s->cap_marks) {
		if (*p == '\n') {
			at = (struct fields_at){.prev = at.line, .line = ++p, .word = ""};
			continue;
		}
		if (*p == ' ' || *p == '\t') {
			p++;
			continue;
		}
		size_t len = number_len(p);

		if (len) {
			add_mark(s, words, p, column_of(ctx, &at));
			at.nth++;
			words = p += len;
		} else {
			at.word = p;
			p = parse_word(p);
			at.word_len = (size_t)(p - at.word);
		}
	}
	s->tail_off = (size_t)(words - s->text);
	s->tail_len = s->text_len - s->tail_off;
}

static inline bool same(const char *a, const char *b, size_t n)
{
	/* Between the columns of a table stands mostly nothing, and a call costs more than that. */
	if (n < 2)
		return !n || *a == *b;
	return memcmp(a, b, n) == 0;
}

static inline const char *skip_gap(const char *p, const char *end, size_t gap)
{
	if (gap && (size_t)(end - p) > gap && (p[gap - 1] == ' ' || p[gap - 1] == '\t') &&
	    (parse_is_digit(p[gap]) || p[gap] == '-'))
		return p + gap;
	return parse_blank(p);
}

/* False: the words differ from those bound. */
static bool convert(const struct fields *s, const char *p, const char *end, int64_t *row,
		    uint32_t n_row, uint32_t *ret_set)
{
	uint32_t set = 0;

	for (uint32_t i = 0; i < s->n_marks; i++) {
		const struct fields_mark *m = &s->marks[i];
		uint64_t v = 0;

		if ((size_t)(end - p) < m->len || !same(p, s->text + m->off, m->len))
			return false;
		p = skip_gap(p + m->len, end, m->gap);
		bool neg = *p == '-';

		p += neg;
		if (!parse_is_digit(*p))
			return false;
		do
			v = v * 10 + (uint64_t)(*p++ - '0');
		while (parse_is_digit(*p));
		if (!is_end(*p))
			return false;
		if ((uint32_t)m->column < n_row && row[m->column] == VALUE_ABSENT) {
			row[m->column] = (int64_t)(neg ? 0 - v : v);
			set++;
		}
	}
	*ret_set = set;
	size_t tail = (size_t)(end - p);

	return tail == s->tail_len && same(p, s->text + s->tail_off, tail);
}

static void clear(int64_t *row, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		row[i] = VALUE_ABSENT;
}

uint32_t fields_read(struct fields *s, const char *text, size_t len, fields_column_fn column_of,
		     const void *ctx, int64_t *row, uint32_t n)
{
	uint32_t set = 0;

	clear(row, n);
	if (s->n_bound && convert(s, text, text + len, row, n, &set))
		return set;
	if (len > s->text_cap)
		len = s->text_cap;
	memcpy(s->text, text, len);
	s->text[len] = 0;
	s->text_len = strlen(s->text);
	bind(s, column_of, ctx);
	clear(row, n);
	convert(s, s->text, s->text + s->text_len, row, n, &set);
	return set;
}

int fields_find_source(const struct metric *metrics, uint32_t n, const char *prefix,
		       const char *key, size_t len)
{
	size_t skip = strlen(prefix);

	for (uint32_t i = 0; i < n; i++) {
		const char *source = metrics[i].source;

		if (strncmp(source, prefix, skip) == 0 && strncmp(source + skip, key, len) == 0 &&
		    !source[skip + len])
			return (int)i;
	}
	return -1;
}
