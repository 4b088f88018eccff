/* From call frame information to the rows of a table. */
#include "unwind/unwind_table.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { PADDING_MAX = 16, HASH_MIN = 1 << 11 };

/* A function, before rows are made: of which section, or a symbol. */
struct item {
	uint32_t start, end; /* relative to base */
	uint32_t at;	     /* in the section */
	uint8_t from;	     /* enum from; the smaller one is preferred */
};
enum from { FROM_EH, FROM_DEBUG, FROM_SIGNAL, FROM_SYMBOL };

struct builder {
	const struct unwind_source *src;
	struct cfi cfi[2]; /* by enum from */
	struct item *items;
	size_t n_items, cap_items;
	struct unwind_row *rows;
	uint32_t n_rows, cap_rows;
	struct cfi_rule *rules;
	uint32_t n_rules, cap_rules;
	uint16_t *hash; /* rule index, 0: free; less than half full */
	uint32_t hash_size;
	uint32_t *pages;
	uint32_t n_pages, last_page; /* pages below last_page are filled */
	uint16_t last_rule;	     /* of the last row */
	bool start;		     /* the next row starts a function */
	uint32_t end;		     /* of what has rows */
};

static bool grow(void *array, size_t n, size_t *cap, size_t size)
{
	void **p = array;
	size_t want = *cap ? *cap + *cap / 2 : 1024;

	if (n < *cap)
		return true;
	void *q = reallocarray(*p, want, size);

	if (!q)
		return false;
	*p = q;
	*cap = want;
	return true;
}

static int add_item(struct builder *b, uint64_t start, uint64_t end, uint64_t at, enum from from)
{
	const struct unwind_source *s = b->src;

	if (start < s->base || start >= s->end || at > UINT32_MAX)
		return 0;
	if (end > s->end)
		end = s->end;
	if (!grow(&b->items, b->n_items, &b->cap_items, sizeof(*b->items)))
		return -ENOMEM;
	b->items[b->n_items++] = (struct item){.start = (uint32_t)(start - s->base),
					       .end = (uint32_t)(end - s->base),
					       .at = (uint32_t)at,
					       .from = (uint8_t)from};
	return 0;
}

static int list_section(struct builder *b, enum from from)
{
	struct cfi *c = &b->cfi[from];
	struct cfi_fde fde;
	size_t at = 0;
	int r;

	if (!c->data)
		return 0;
	while ((r = cfi_next(c, &at, &fde)) >= 0)
		if (r == 1 && (r = add_item(b, fde.start, fde.end, fde.at, from)) < 0)
			return r;
	return r == -ENODATA ? 0 : r;
}

/* By start; those with the same one stay as listed: of .eh_frame first. Most are in order but for the cold parts of
 * functions. */
static int sort_items(struct builder *b)
{
	enum { BITS = 11, BUCKETS = 1 << BITS };
	struct item *to, *from = b->items;
	size_t n = b->n_items, i = 1;

	while (i < n && from[i - 1].start <= from[i].start)
		i++;
	if (i >= n)
		return 0;
	to = malloc(n * sizeof(*to));
	if (!to)
		return -ENOMEM;
	for (unsigned shift = 0; shift < 32; shift += BITS) {
		uint32_t at[BUCKETS] = {0}, sum = 0;
		struct item *was = from;

		for (i = 0; i < n; i++)
			at[from[i].start >> shift & (BUCKETS - 1)]++;
		for (unsigned k = 0; k < BUCKETS; k++) {
			uint32_t count = at[k];

			at[k] = sum;
			sum += count;
		}
		for (i = 0; i < n; i++)
			to[at[from[i].start >> shift & (BUCKETS - 1)]++] = from[i];
		from = to;
		to = was;
	}
	b->items = from;
	b->cap_items = n;
	free(to);
	return 0;
}

/* Of the first n items, which are sorted: first[k] starts at k << STRIDE or behind it. NULL: no memory. */
enum { STRIDE = 10 };
static uint32_t *index_items(const struct builder *b, size_t n)
{
	size_t strides = ((b->src->end - b->src->base) >> STRIDE) + 2;
	uint32_t *first = malloc(strides * sizeof(*first)), i = 0;

	for (size_t k = 0; first && k < strides; k++) {
		while (i < n && b->items[i].start >> STRIDE < k)
			i++;
		first[k] = i;
	}
	return first;
}

/* Has one of the first n items the address? */
static bool is_covered(const struct builder *b, const uint32_t *first, uint64_t rel)
{
	uint32_t low = first[rel >> STRIDE], high = first[(rel >> STRIDE) + 1];

	while (low < high) { /* the first that starts behind it */
		uint32_t mid = low + (high - low) / 2;

		if (b->items[mid].start > rel)
			high = mid;
		else
			low = mid + 1;
	}
	return low && b->items[low - 1].end > rel;
}

static int add_symbols(struct builder *b, const uint32_t *first, bool signal)
{
	const struct unwind_source *s = b->src;
	int r = 0;

	for (size_t i = 0; r == 0 && i < s->n_symbols; i++) {
		uint64_t start = s->symbols[i].start, end;

		if (s->symbols[i].signal != signal || start < s->base || start >= s->end ||
		    is_covered(b, first, start - s->base))
			continue;
		if (__builtin_add_overflow(start, s->symbols[i].size, &end) || end > s->end)
			end = s->end;
		r = add_item(b, start, end, 0, signal ? FROM_SIGNAL : FROM_SYMBOL);
	}
	return r;
}

/* The functions that have a symbol and nothing else. Items are sorted. */
static int list_symbols(struct builder *b)
{
	size_t n = b->n_items;
	uint32_t *first = index_items(b, n);
	int r = first ? add_symbols(b, first, true) : -ENOMEM;

	if (r == 0)
		r = add_symbols(b, first, false);
	free(first);
	return r == 0 && b->n_items > n ? sort_items(b) : r;
}

static inline uint64_t saved_bits(const struct cfi_saved *s)
{
	return (uint64_t)(uint32_t)s->off << 16 | (uint64_t)s->reg << 8 | s->how;
}

/* Field by field, here and below: a rule was written that way a moment ago, and reading larger words of it waits. */
static inline uint32_t hash_rule(const struct cfi_rule *r)
{
	uint64_t h = ((uint64_t)(uint32_t)r->cfa_off << 24 | (uint64_t)r->signal << 16 |
		      (uint64_t)r->cfa_reg << 8 | r->cfa) *
		     0x9e3779b97f4a7c15u;

	h ^= saved_bits(&r->fp) * 0xc2b2ae3d27d4eb4fu;
	h ^= saved_bits(&r->ra) * 0x165667b19e3779f9u;
	h ^= (saved_bits(&r->base) ^ (uint64_t)(uint32_t)r->cfa_add << 32) * 0x27d4eb2f165667c5u;
	return (uint32_t)(h >> 32 ^ h >> 51);
}

static inline bool same_rule(const struct cfi_rule *a, const struct cfi_rule *b)
{
	return a->cfa_off == b->cfa_off && a->cfa_reg == b->cfa_reg && a->cfa == b->cfa &&
	       saved_bits(&a->fp) == saved_bits(&b->fp) &&
	       saved_bits(&a->ra) == saved_bits(&b->ra) &&
	       saved_bits(&a->base) == saved_bits(&b->base) && a->signal == b->signal &&
	       a->cfa_add == b->cfa_add;
}

static uint16_t *hash_slot(const struct builder *b, const struct cfi_rule *rule)
{
	uint32_t mask = b->hash_size - 1, at = hash_rule(rule) & mask;

	while (b->hash[at] && !same_rule(&b->rules[b->hash[at]], rule))
		at = (at + 1) & mask;
	return &b->hash[at];
}

/* Few files have many different rules: the table stays in the cache. */
static int hash_resize(struct builder *b, uint32_t size)
{
	uint16_t *hash = calloc(size, sizeof(*hash));

	if (!hash)
		return -ENOMEM;
	free(b->hash);
	b->hash = hash;
	b->hash_size = size;
	for (uint32_t i = 1; i < b->n_rules; i++)
		*hash_slot(b, &b->rules[i]) = (uint16_t)i;
	return 0;
}

/* Its index; 0 also where there is no room for another rule. -ENOMEM. */
static int intern_rule(struct builder *b, const struct cfi_rule *rule)
{
	uint16_t *slot;

	if (rule->cfa == CFI_NONE && rule->ra.how != CFI_UNDEFINED)
		return 0;
	slot = hash_slot(b, rule);
	if (*slot)
		return *slot;
	if (b->n_rules >= UNWIND_RULES_MAX)
		return 0;
	size_t cap = b->cap_rules;

	if (!grow(&b->rules, b->n_rules, &cap, sizeof(*b->rules)))
		return -ENOMEM;
	b->cap_rules = (uint32_t)cap;
	b->rules[b->n_rules] = *rule;
	*slot = (uint16_t)b->n_rules++;
	if (b->n_rules * 2 > b->hash_size && hash_resize(b, b->hash_size * 2) < 0)
		return -ENOMEM;
	return (int)b->n_rules - 1;
}

/* Addresses come in rising order. */
static int add_row(struct builder *b, uint32_t rel, uint16_t rule)
{
	size_t cap = b->cap_rows;

	if (b->n_rows >= UNWIND_ROWS_MAX)
		return -E2BIG;
	if (!grow(&b->rows, b->n_rows, &cap, sizeof(*b->rows)))
		return -ENOMEM;
	b->cap_rows = (uint32_t)cap;
	for (; b->last_page <= rel >> UNWIND_PAGE_SHIFT; b->last_page++)
		b->pages[b->last_page] = b->n_rows;
	b->rows[b->n_rows++] = (struct unwind_row){.low = (uint16_t)rel, .rule = rule};
	b->last_rule = rule & (uint16_t)~UNWIND_ROW_START;
	return 0;
}

static int on_row(void *arg, uint64_t addr, const struct cfi_rule *rule)
{
	struct builder *b = arg;
	uint64_t rel = addr - b->src->base;
	int index = intern_rule(b, rule);

	if (index < 0)
		return index;
	if (rel >= b->src->end - b->src->base || (!b->start && index == b->last_rule))
		return 0;
	int r = add_row(b, (uint32_t)rel, (uint16_t)(index | (b->start ? UNWIND_ROW_START : 0)));

	b->start = false;
	return r;
}

static int add_signal_row(struct builder *b, uint32_t rel)
{
	const struct cfi_names *n = cfi_names(b->src->arch);
	const struct unwind_signal_layout *l = unwind_signal_layout(b->src->arch);
	unsigned ip = b->src->arch == CFI_X86_64 ? 16 : 32;
	struct cfi_rule rule = {.cfa = CFI_DEREF,
				.cfa_reg = n->sp,
				.signal = 1,
				.cfa_off = l->at[n->sp],
				.fp = {.how = CFI_AT_REG, .reg = n->sp, .off = l->at[n->fp]},
				.ra = {.how = CFI_AT_REG, .reg = n->sp, .off = l->at[ip]},
				.base = {.how = CFI_AT_REG, .reg = n->sp, .off = l->at[n->base]}};
	int index = intern_rule(b, &rule);

	return index < 0 ? index : add_row(b, rel, (uint16_t)(index | UNWIND_ROW_START));
}

/* The last row says something of what lies behind it: a rule, or a function that is only named. */
static bool function_is_open(const struct builder *b)
{
	return b->n_rows && b->rows[b->n_rows - 1].rule;
}

static int make_rows(struct builder *b)
{
	for (size_t i = 0; i < b->n_items; i++) {
		const struct item *it = &b->items[i];
		int r;

		if (it->start < b->end || (i && it->start == b->items[i - 1].start && b->n_rows))
			continue; /* they overlap: the first one has it */
		if (function_is_open(b) && it->start - b->end >= PADDING_MAX) {
			r = add_row(b, b->end, 0);
			if (r < 0)
				return r;
		}
		if (it->from == FROM_SYMBOL) {
			r = add_row(b, it->start, UNWIND_ROW_START);
		} else if (it->from == FROM_SIGNAL) {
			r = add_signal_row(b, it->start);
		} else {
			b->start = true;
			r = cfi_rows(&b->cfi[it->from], it->at, on_row, b);
		}
		if (r < 0 && r != -ENODATA)
			return r;
		b->end = it->end;
		if (it->end == it->start) /* a symbol of assembly, without a size: to the next */
			b->end = i + 1 < b->n_items ? b->items[i + 1].start
						    : (uint32_t)(b->src->end - b->src->base);
	}
	return function_is_open(b) ? add_row(b, b->end, 0) : 0;
}

static struct unwind_table *assemble(struct builder *b)
{
	static atomic_uint_least64_t last_id;
	struct unwind_table *t;
	size_t rules = b->n_rules * sizeof(struct cfi_rule),
	       pages = (b->n_pages + 1) * sizeof(uint32_t),
	       rows = b->n_rows * sizeof(struct unwind_row);
	char *p = malloc(sizeof(*t) + rules + pages + rows);

	if (!p)
		return NULL;
	for (; b->last_page <= b->n_pages; b->last_page++)
		b->pages[b->last_page] = b->n_rows;
	t = (struct unwind_table *)p;
	p += sizeof(*t);
	*t = (struct unwind_table){.id = atomic_fetch_add(&last_id, 1) + 1,
				   .base = b->src->base,
				   .n_rows = b->n_rows,
				   .n_pages = b->n_pages,
				   .n_rules = b->n_rules,
				   .arch = b->src->arch,
				   .bytes = sizeof(*t) + rules + pages + rows};
	t->n_stubs = (uint32_t)b->src->n_stubs;
	memcpy(t->stubs, b->src->stubs, sizeof(t->stubs));
	t->rules = memcpy(p, b->rules, rules);
	p += rules;
	t->pages = memcpy(p, b->pages, pages);
	p += pages;
	t->rows = memcpy(p, b->rows, rows);
	return t;
}

static int build(struct builder *b)
{
	const struct unwind_source *s = b->src;
	uint64_t span = s->end - s->base;
	int r;

	b->n_pages = (uint32_t)((span + (1 << UNWIND_PAGE_SHIFT) - 1) >> UNWIND_PAGE_SHIFT);
	/* A last row may stand at the very end. */
	b->pages = calloc((size_t)b->n_pages + 2, sizeof(*b->pages));
	b->rules = calloc(64, sizeof(*b->rules));
	b->cap_rules = 64;
	b->n_rules = 1; /* none */
	if (!b->pages || !b->rules || hash_resize(b, HASH_MIN) < 0)
		return -ENOMEM;
	if (s->eh.data)
		cfi_init(&b->cfi[FROM_EH], s->arch, true, s->eh.addr, s->eh.data, s->eh.len);
	if (s->debug.data)
		cfi_init(&b->cfi[FROM_DEBUG], s->arch, false, s->debug.addr, s->debug.data,
			 s->debug.len);
	r = list_section(b, FROM_EH);
	if (r == 0)
		r = list_section(b, FROM_DEBUG);
	if (r == 0)
		r = sort_items(b);
	if (r == 0)
		r = list_symbols(b);
	return r == 0 ? make_rows(b) : r;
}

int unwind_table_build(struct unwind_table **ret, const struct unwind_source *s)
{
	struct builder b = {.src = s};
	struct unwind_table *t = NULL;
	int r;

	if (s->end <= s->base)
		return -ENODATA;
	if (s->end - s->base > UINT32_MAX)
		return -E2BIG;
	r = build(&b);
	if (r == 0 && !b.n_rows)
		r = -ENODATA;
	if (r == 0) {
		t = assemble(&b);
		r = t ? 0 : -ENOMEM;
	}
	if (r == 0)
		*ret = t;
	free(b.items);
	free(b.rows);
	free(b.rules);
	free(b.hash);
	free(b.pages);
	return r;
}
