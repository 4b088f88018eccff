#include "collectors/interrupts/sources.h"

#include "base/parse.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int irq_sources_init(struct irq_sources *s, uint32_t cap_rows)
{
	s->now = calloc(cap_rows, sizeof(*s->now));
	s->before = calloc(cap_rows, sizeof(*s->before));
	return s->now && s->before ? 0 : -ENOMEM;
}

void irq_sources_done(struct irq_sources *s)
{
	free(s->now);
	free(s->before);
	*s = (struct irq_sources){0};
}

static size_t put(char *out, size_t at, size_t size, const char *text, size_t len)
{
	for (size_t i = 0; i < len && at < size; i++)
		out[at++] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
	return at;
}

size_t irq_row_describe(const struct irq_table *t, const struct irq_row *row, char *out,
			size_t size)
{
	const char *p = t->layout + row->tail, *end = p + row->tail_len;
	size_t n = 0;

	while (p < end) {
		const char *word = p = parse_blank(p);

		while (p < end && *p != ' ' && *p != '\t' && *p != '\n')
			p++;
		if (p > word && n)
			n = put(out, n, size, " ", 1);
		n = put(out, n, size, word, (size_t)(p - word));
		if (p < end && *p == '\n')
			break;
	}
	return n;
}

/* The drivers' names: the kernel puts two blanks before them and none behind; NULL: no driver. */
static const char *find_action(const struct irq_table *t, const struct irq_row *row,
			       size_t *ret_len)
{
	const char *start = t->layout + row->tail, *end = start + row->tail_len - 1, *p = end;

	if (end <= start || end[-1] == ' ')
		return NULL;
	while (p - 2 >= start && !(p[-1] == ' ' && p[-2] == ' '))
		p--;
	if (p - 2 < start)
		return NULL;
	*ret_len = (size_t)(end - p);
	return p;
}

/* "36:virtio1-req.0" for a numbered interrupt, the label for others. */
static void set_name(struct irq_source *s, const struct irq_table *t, const struct irq_row *row)
{
	const size_t size = sizeof(s->name) - 1;
	const char *label = t->layout + row->label, *action;
	size_t n = put(s->name, 0, size, label, row->label_len), len;

	if (n && parse_is_digit(label[0]) && (action = find_action(t, row, &len))) {
		n = put(s->name, n, size, ":", 1);
		n = put(s->name, n, size, action, len);
	}
	s->name[n] = 0;
	s->name_len = (uint8_t)n;
}

/* The source of that name before the layout changed. Rows mostly keep their order: `hint` is where
 * to look first. */
static struct irq_source *find_before(struct irq_sources *s, const char *name, uint32_t *hint)
{
	for (uint32_t k = 0; k < s->n_before; k++) {
		uint32_t i = (*hint + k) % s->n_before;

		if (strcmp(s->before[i].name, name) == 0) {
			*hint = i + 1;
			return &s->before[i];
		}
	}
	return NULL;
}

/* Makes the list anew from the rows, carrying over what was known of each source. */
static void rename_sources(struct irq_sources *s, const struct irq_table *t)
{
	struct irq_source *swap = s->before;
	uint32_t hint = 0;

	s->before = s->now;
	s->n_before = s->n;
	s->now = swap;
	s->n = t->n_rows;
	for (uint32_t i = 0; i < s->n; i++) {
		struct irq_source *src = &s->now[i], *old;

		*src = (struct irq_source){0};
		if (t->rows[i].global)
			continue;
		set_name(src, t, &t->rows[i]);
		old = find_before(s, src->name, &hint);
		if (old) {
			src->count = old->count;
			src->ranked_at = old->ranked_at;
			src->shown = old->shown;
		}
	}
}

static int64_t rise(const struct irq_source *s)
{
	return s->count.total - s->ranked_at;
}

/* Fills free places with the hidden sources that rose most, then gives the places of the idlest to
 * hidden ones that rose at least twice as much. */
static void choose(struct irq_sources *s)
{
	for (;;) {
		struct irq_source *in = NULL, *out = NULL;
		uint32_t shown = 0;

		s->n_hidden = 0;
		for (uint32_t i = 0; i < s->n; i++) {
			struct irq_source *src = &s->now[i];

			if (!src->name_len)
				continue;
			if (src->shown) {
				shown++;
				if (!out || rise(src) < rise(out))
					out = src;
			} else {
				s->n_hidden++;
				if (!in || rise(src) > rise(in))
					in = src;
			}
		}
		if (!in || (shown >= SOURCES_SHOWN && rise(in) <= 2 * rise(out)))
			return;
		s->moved = in->shown = true;
		if (shown >= SOURCES_SHOWN)
			out->shown = false;
	}
}

static void rank(struct irq_sources *s)
{
	choose(s);
	for (uint32_t i = 0; i < s->n; i++)
		s->now[i].ranked_at = s->now[i].count.total;
	s->passes = 0;
}

void irq_sources_update(struct irq_sources *s, const struct irq_table *t)
{
	s->moved = t->changed;
	if (t->changed)
		rename_sources(s, t);
	for (uint32_t i = 0; i < s->n; i++) {
		struct irq_source *src = &s->now[i];
		bool known = src->count.known;
		int64_t d;

		if (!src->name_len)
			continue;
		d = running_add(&src->count, t->row_sums[i], t->changed);
		if (!src->shown)
			s->others += d;
		if (!known && s->warm) /* its past is not what it did since the last ranking */
			src->ranked_at = src->count.total;
	}
	if (!s->warm || s->passes >= SOURCES_RANK_PASSES)
		rank(s);
	else if (t->changed)
		choose(s);
	if (!s->warm)
		for (uint32_t i = 0; i < s->n; i++)
			s->others += s->now[i].shown ? 0 : s->now[i].count.total;
	s->warm = true;
	s->passes++;
}
