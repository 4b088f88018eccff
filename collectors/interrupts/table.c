#include "collectors/interrupts/table.h"

#include "base/parse.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMN = 11 }; /* a blank and ten digits, in every kernel */

static bool is_end(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || !c;
}

/* Past a header's next "CPU12"; NULL: there is none. */
static const char *read_cpu(const char *p, uint32_t *ret)
{
	int64_t cpu;

	p = parse_blank(p);
	if (!PARSE_STARTS(p, "CPU") || !parse_is_digit(p[3]))
		return NULL;
	p += 3;
	if (!parse_i64(&p, &cpu) || cpu < 0 || cpu > UINT16_MAX || !is_end(*p))
		return NULL;
	*ret = (uint32_t)cpu;
	return p;
}

/* A count with blanks before it; past it, or NULL where there is none. */
static const char *read_count(const char *p, uint32_t *ret)
{
	uint64_t v = 0;

	p = parse_blank(p);
	if (!parse_is_digit(*p))
		return NULL;
	while (parse_is_digit(*p))
		v = v * 10 + (uint64_t)(*p++ - '0');
	*ret = (uint32_t)v;
	return is_end(*p) ? p : NULL;
}

/* Reads a count right-aligned in COLUMN bytes; false: it is not such a one. */
static inline bool read_fixed(const char *p, uint32_t *ret)
{
	uint32_t v = (uint32_t)(unsigned char)p[COLUMN - 1] - '0', unit = 10;
	int i = COLUMN - 2;

	if (v > 9 || !is_end(p[COLUMN]))
		return false;
	for (; i > 0 && parse_is_digit(p[i]); i--, unit *= 10)
		v += unit * (uint32_t)(p[i] - '0');
	*ret = v;
	while (i > 0 && p[i] == ' ')
		i--;
	return i == 0 && p[0] == ' ';
}

bool irq_row_is(const struct irq_table *t, const struct irq_row *row, const char *label)
{
	return strlen(label) == row->label_len &&
	       memcmp(t->layout + row->label, label, row->label_len) == 0;
}

static bool is_label(const char *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (p[i] <= ' ' || p[i] > '~')
			return false;
	return len > 0 && len < IRQ_LABEL_MAX;
}

/* The row at p, whose lead begins at `lead`. Past it; NULL: it is cut off. */
static const char *find_row(const struct irq_table *t, const char *lead, const char *p,
			    struct irq_row *row)
{
	const char *end = strchr(p, '\n'), *label = parse_blank(p), *colon, *q;
	uint32_t v;

	*row = (struct irq_row){0};
	if (!end)
		return NULL;
	colon = memchr(label, ':', (size_t)(end - label));
	if (!colon || !is_label(label, (size_t)(colon - label)))
		return end + 1;
	p = colon + 1;
	row->label = (uint32_t)(label - t->layout);
	row->label_len = (uint32_t)(colon - label);
	row->lead = (uint32_t)(lead - t->layout);
	row->lead_len = (uint32_t)(p - lead);
	while (row->n_cols < t->n_cpus && (q = read_count(p, &v))) {
		p = q;
		row->n_cols++;
	}
	row->tail = (uint32_t)(p - t->layout);
	row->tail_len = (uint32_t)(end + 1 - p);
	row->global =
		irq_row_is(t, row, "ERR") || irq_row_is(t, row, "MIS") || irq_row_is(t, row, "Err");
	return end + 1;
}

static int find_layout(struct irq_table *t)
{
	const char *p = t->layout, *q, *lead;

	memcpy(t->layout, t->file.data, t->file.len + 1);
	t->layout_len = t->file.len;
	t->n_rows = t->n_cpus = 0;
	for (uint32_t cpu; (q = read_cpu(p, &cpu)); p = q) {
		if (t->n_cpus == t->cap_cpus)
			return -ENOSPC;
		t->cpus[t->n_cpus++] = cpu;
	}
	p = parse_blank(p);
	if (!t->n_cpus || *p != '\n')
		return -EBADMSG;
	lead = ++p;
	t->head_len = (uint32_t)(p - t->layout);
	while (*p) {
		struct irq_row row;

		p = find_row(t, lead, p, &row);
		if (!p)
			break;
		if (!row.n_cols)
			continue;
		if (t->n_rows == t->cap_rows)
			return -ENOSPC;
		t->rows[t->n_rows++] = row;
		lead = p;
	}
	return t->n_rows ? 0 : -EBADMSG;
}

/* The counts of row i into its sum, the CPUs' sums and cells; past them, or NULL. */
static const char *read_row(struct irq_table *t, uint32_t i, const char *p, const char *end)
{
	const struct irq_row *row = &t->rows[i];
	uint32_t *cells = t->cells ? t->cells + (size_t)i * t->cap_cpus : NULL, v;
	int64_t sum = 0;

	for (uint32_t c = 0; c < row->n_cols; c++) {
		if (end - p > COLUMN && read_fixed(p, &v))
			p += COLUMN;
		else if (!(p = read_count(p, &v)))
			return NULL;
		if (cells)
			cells[c] = v;
		if (!v)
			continue;
		sum += v;
		if (!row->global)
			t->cpu_sums[c] += v;
	}
	t->row_sums[i] = sum;
	return p;
}

static bool same(const struct irq_table *t, const char *p, const char *end, uint32_t at, size_t len)
{
	return (size_t)(end - p) >= len && memcmp(p, t->layout + at, len) == 0;
}

/* False: the text does not have this layout. */
static bool read_rows(struct irq_table *t)
{
	const char *p = t->file.data, *end = p + t->file.len;
	size_t rest = t->head_len;

	memset(t->cpu_sums, 0, t->n_cpus * sizeof(*t->cpu_sums));
	if (!same(t, p, end, 0, t->head_len))
		return false;
	p += t->head_len;
	for (uint32_t i = 0; i < t->n_rows; i++) {
		const struct irq_row *row = &t->rows[i];

		if (!same(t, p, end, row->lead, row->lead_len))
			return false;
		p = read_row(t, i, p + row->lead_len, end);
		if (!p || !same(t, p, end, row->tail, row->tail_len))
			return false;
		p += row->tail_len;
		rest = row->tail + row->tail_len;
	}
	return (size_t)(end - p) == t->layout_len - rest &&
	       same(t, p, end, (uint32_t)rest, t->layout_len - rest);
}

int irq_table_read(struct irq_table *t, uint64_t tick)
{
	int r = kept_read(&t->file, tick);

	t->changed = false;
	if (r)
		return r;
	if (t->found && read_rows(t))
		return 0;
	t->changed = true;
	t->found = false;
	r = find_layout(t);
	if (!r)
		t->found = true;
	return r || read_rows(t) ? r : -EBADMSG;
}

static uint32_t count_rows(const char *p)
{
	uint32_t n = 0;

	for (; *p; p = parse_line(p))
		n++;
	return n;
}

static uint32_t count_cpus(const char *p)
{
	uint32_t n = 0, cpu;

	for (; (p = read_cpu(p, &cpu)); n++)
		;
	return n;
}

int irq_table_open(struct irq_table *t, const struct host *h, const char *path, bool keep_cells)
{
	int r = kept_open(&t->file, h, ROOT_PROC, path);

	if (r)
		return r;
	t->cap_rows = 2 * count_rows(t->file.data) + 16;
	t->cap_cpus = 2 * count_cpus(t->file.data) + 8;
	t->layout = malloc(t->file.cap + 1);
	t->rows = calloc(t->cap_rows, sizeof(*t->rows));
	t->row_sums = calloc(t->cap_rows, sizeof(*t->row_sums));
	t->cpus = calloc(t->cap_cpus, sizeof(*t->cpus));
	t->cpu_sums = calloc(t->cap_cpus, sizeof(*t->cpu_sums));
	if (keep_cells)
		t->cells = calloc((size_t)t->cap_rows * t->cap_cpus, sizeof(*t->cells));
	if (!t->layout || !t->rows || !t->row_sums || !t->cpus || !t->cpu_sums ||
	    (keep_cells && !t->cells))
		return -ENOMEM;
	return 0;
}

void irq_table_close(struct irq_table *t)
{
	kept_close(&t->file);
	free(t->layout);
	free(t->rows);
	free(t->row_sums);
	free(t->cpus);
	free(t->cpu_sums);
	free(t->cells);
	*t = (struct irq_table){.file.fd = -1};
}
