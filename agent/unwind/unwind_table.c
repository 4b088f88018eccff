#include "unwind/unwind_table.h"

/* ---- signal frames ---- */

const struct unwind_signal_layout *unwind_signal_layout(enum cfi_arch arch)
{
	/* Linux's struct rt_sigframe, without the return address on x86-64. */
	/* clang-format off */
	static const struct unwind_signal_layout layouts[] = {
		[CFI_X86_64] = {{144, 136, 152, 128, 112, 104, 120, 160,
				 40, 48, 56, 64, 72, 80, 88, 96, 168}},
		[CFI_AARCH64] = {{312, 320, 328, 336, 344, 352, 360, 368, 376, 384, 392,
				  400, 408, 416, 424, 432, 440, 448, 456, 464, 472, 480,
				  488, 496, 504, 512, 520, 528, 536, 544, 552, 560, 568}},
	};
	/* clang-format on */

	return &layouts[arch];
}

bool unwind_is_signal_frame(enum cfi_arch arch, const struct cfi_rule *r)
{
	uint8_t sp = cfi_names(arch)->sp;

	return r->signal && r->cfa == CFI_DEREF && r->cfa_reg == sp &&
	       r->cfa_off == unwind_signal_layout(arch)->at[sp] && !r->cfa_add;
}

/* ---- reading ---- */

const struct unwind_row *unwind_table_row(const struct unwind_table *t, uint64_t vaddr)
{
	uint64_t rel = vaddr - t->base, page = rel >> UNWIND_PAGE_SHIFT;
	uint16_t low = (uint16_t)rel;
	uint32_t from, to;

	if (vaddr < t->base || page >= t->n_pages)
		return NULL;
	from = t->pages[page];
	to = t->pages[page + 1];
	while (from < to) { /* the first that is behind it */
		uint32_t mid = from + (to - from) / 2;

		if (t->rows[mid].low > low)
			to = mid;
		else
			from = mid + 1;
	}
	/* Or the last one of an earlier page: there rows are in order, too. */
	return from ? &t->rows[from - 1] : NULL;
}

static const struct cfi_rule *row_rule(const struct unwind_table *t, const struct unwind_row *row)
{
	uint16_t rule = row ? row->rule & (uint16_t)~UNWIND_ROW_START : 0;

	return rule ? &t->rules[rule] : NULL;
}

const struct cfi_rule *unwind_table_look(const struct unwind_table *t, uint64_t vaddr, bool returns,
					 const struct unwind_row **ret_row)
{
	const struct unwind_row *row = unwind_table_row(t, vaddr);
	const struct unwind_row *before = row && row > t->rows ? row - 1 : NULL;
	const struct cfi_rule *rule = row_rule(t, row);
	uint64_t rel = vaddr - t->base;
	/* Not where the row is of an earlier page. */
	bool starts = row && row->low == (uint16_t)rel &&
		      (uint32_t)(row - t->rows) >= t->pages[rel >> UNWIND_PAGE_SHIFT];

	*ret_row = returns && starts ? before : row;
	/* The call is before the address that it returns to; but a handler's caller did not call. */
	if (!returns || !starts || (rule && rule->signal))
		return rule;
	return row_rule(t, before);
}

const struct cfi_rule *unwind_table_find(const struct unwind_table *t, uint64_t vaddr, bool returns)
{
	const struct unwind_row *row;

	return unwind_table_look(t, vaddr, returns, &row);
}

/* Which page a row is on: the last one whose first row is not behind it. */
static uint64_t page_of(const struct unwind_table *t, uint32_t row)
{
	uint32_t low = 0, high = t->n_pages;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (t->pages[mid + 1] > row)
			high = mid;
		else
			low = mid + 1;
	}
	return low;
}

uint64_t unwind_table_start(const struct unwind_table *t, const struct unwind_row *row)
{
	if (!row || row->rule == 0)
		return 0;

	const struct cfi_rule *rule = row_rule(t, row);
	uint64_t early = 0;

	while (row > t->rows && !(row->rule & UNWIND_ROW_START))
		row--;
	/* Where a signal handler returns to begins an instruction early, so that the address before it lies in it, too:
	 * that one has no name. */
	if (rule && rule->signal)
		early = t->arch == CFI_AARCH64 ? 4 : 1;
	return early + t->base + (page_of(t, (uint32_t)(row - t->rows)) << UNWIND_PAGE_SHIFT) +
	       row->low;
}

uint64_t unwind_table_stub(const struct unwind_table *t, uint64_t vaddr)
{
	for (uint32_t i = 0; i < t->n_stubs; i++) {
		const struct unwind_stubs *s = &t->stubs[i];

		if (vaddr >= s->start && vaddr < s->end)
			return vaddr - (vaddr - s->start) % s->each;
	}
	return 0;
}

uint64_t unwind_table_function(const struct unwind_table *t, uint64_t vaddr)
{
	uint64_t stub = unwind_table_stub(t, vaddr);
	const struct unwind_row *row = unwind_table_row(t, vaddr);

	if (stub)
		return stub;
	return row && row->rule ? unwind_table_start(t, row) : vaddr;
}
