/* Runs the instructions of call frame information. */
#include "unwind/cfi.h"

#include <dwarf.h>
#include <errno.h>
#include <string.h>

enum { REMEMBER_MAX = 16 };
enum { OP_MIPS_ADVANCE8 = 0x1d, OP_AARCH64_NEGATE_PC = 0x2c };

struct run {
	struct cfi *c;
	const struct cfi_cie *cie;
	struct cfi_in in;
	const struct cfi_names *names;
	struct cfi_rule now;
	struct cfi_rule remembered[REMEMBER_MAX];
	unsigned depth;
	uint64_t loc, end;
	cfi_row_fn *row; /* NULL: of a CIE, which has no rows */
	void *arg;
};

/* Where the rule of a register stands; NULL: one that is not kept. */
static struct cfi_saved *saved(struct run *x, struct cfi_rule *rule, uint64_t reg)
{
	const struct cfi_names *n = x->names;

	if (reg == n->fp)
		return &rule->fp;
	if (reg == n->base)
		return &rule->base;
	return reg == x->cie->ra_reg ? &rule->ra : NULL;
}

static void set(struct run *x, uint64_t reg, enum cfi_how how, uint64_t other, int64_t off)
{
	struct cfi_saved *s = saved(x, &x->now, reg);

	if (!s)
		return;
	if (off != (int32_t)off || other >= CFI_REGS)
		how = CFI_LOST;
	*s = (struct cfi_saved){.how = (uint8_t)how};
	if (how == CFI_AT_CFA || how == CFI_IS_CFA || how == CFI_AT_REG)
		s->off = (int32_t)off;
	if (how == CFI_IN_REG || how == CFI_AT_REG)
		s->reg = (uint8_t)other;
}

static void restore(struct run *x, uint64_t reg)
{
	struct cfi_rule initial = x->cie->initial;
	struct cfi_saved *to = saved(x, &x->now, reg), *from = saved(x, &initial, reg);

	if (to)
		*to = *from;
}

static void set_cfa(struct run *x, uint64_t reg, int64_t off)
{
	bool fits = reg < CFI_REGS && off == (int32_t)off;

	x->now.cfa = fits ? CFI_REG : CFI_NONE;
	x->now.cfa_reg = fits ? (uint8_t)reg : 0;
	x->now.cfa_off = fits ? (int32_t)off : 0;
	x->now.cfa_add = 0;
}

/* Signed and unsigned factored offsets; products that overflow fit nowhere and come out as lost. */
static int64_t factored(const struct run *x, int64_t n)
{
	int64_t v;

	return __builtin_mul_overflow(n, x->cie->data_align, &v) ? INT64_MAX : v;
}

static int64_t factored_u(struct run *x)
{
	uint64_t n = cfi_uleb(&x->in);

	return n > INT32_MAX ? INT64_MAX : factored(x, (int64_t)n);
}

static int64_t factored_s(struct run *x)
{
	return factored(x, cfi_sleb(&x->in));
}

/* 0; 1: beyond the function's end, done; or what row() returned. */
static int advance(struct run *x, uint64_t delta)
{
	uint64_t by, to;

	if (!x->row) /* nothing to advance in */
		return 1;
	if (__builtin_mul_overflow(delta, x->cie->code_align, &by) ||
	    __builtin_add_overflow(x->loc, by, &to))
		return 1;
	if (to > x->loc) {
		int r = x->row(x->arg, x->loc, &x->now);

		if (r)
			return r;
		x->loc = to;
	}
	return x->loc >= x->end;
}

static int advance_to(struct run *x)
{
	uint64_t to;

	if (!cfi_pointer(x->c, &x->in, x->cie->fde_enc, 8, &to) || to < x->loc || !x->row)
		return 1;
	if (to > x->loc) {
		int r = x->row(x->arg, x->loc, &x->now);

		if (r)
			return r;
		x->loc = to;
	}
	return x->loc >= x->end;
}

static struct cfi_expr expression(struct run *x)
{
	struct cfi_expr e = {.form = CFI_NONE};
	uint64_t len = cfi_uleb(&x->in);

	if (x->in.bad || len > x->in.n - x->in.at) {
		x->in.bad = true;
		return e;
	}
	cfi_expr(x->in.p + x->in.at, (size_t)len, &e);
	x->in.at += (size_t)len;
	return e;
}

static void set_cfa_expression(struct run *x)
{
	struct cfi_expr e = expression(x);

	x->now.cfa = (uint8_t)e.form;
	x->now.cfa_reg = e.reg;
	x->now.cfa_off = e.off;
	x->now.cfa_add = e.add;
}

static void set_expression(struct run *x)
{
	uint64_t reg = cfi_uleb(&x->in);
	struct cfi_expr e = expression(x);

	set(x, reg, e.form == CFI_REG ? CFI_AT_REG : CFI_LOST, e.reg, e.off);
}

/* Those that concern the CFA. 1: not one of those. */
static int run_cfa(struct run *x, uint8_t op)
{
	uint64_t reg = x->now.cfa_reg;
	int64_t off = x->now.cfa_off;
	bool was_reg = x->now.cfa == CFI_REG;

	switch (op) {
	case DW_CFA_def_cfa:
		reg = cfi_uleb(&x->in);
		off = (int64_t)cfi_uleb(&x->in);
		break;
	case DW_CFA_def_cfa_sf:
		reg = cfi_uleb(&x->in);
		off = factored_s(x);
		break;
	case DW_CFA_def_cfa_register:
		reg = cfi_uleb(&x->in);
		reg = was_reg ? reg : UINT64_MAX;
		break;
	case DW_CFA_def_cfa_offset:
		off = (int64_t)cfi_uleb(&x->in);
		reg = was_reg ? reg : UINT64_MAX;
		break;
	case DW_CFA_def_cfa_offset_sf:
		off = factored_s(x);
		reg = was_reg ? reg : UINT64_MAX;
		break;
	case DW_CFA_def_cfa_expression:
		set_cfa_expression(x);
		return 0;
	default:
		return 1;
	}
	set_cfa(x, reg, off);
	return 0;
}

/* Those that concern a register. 1: not one of those. */
static int run_register(struct run *x, uint8_t op)
{
	uint64_t reg;

	switch (op) {
	case DW_CFA_offset_extended:
		reg = cfi_uleb(&x->in);
		set(x, reg, CFI_AT_CFA, 0, factored_u(x));
		return 0;
	case DW_CFA_offset_extended_sf:
		reg = cfi_uleb(&x->in);
		set(x, reg, CFI_AT_CFA, 0, factored_s(x));
		return 0;
	case DW_CFA_GNU_negative_offset_extended:
		reg = cfi_uleb(&x->in);
		set(x, reg, CFI_AT_CFA, 0, -factored_u(x));
		return 0;
	case DW_CFA_val_offset:
		reg = cfi_uleb(&x->in);
		set(x, reg, CFI_IS_CFA, 0, factored_u(x));
		return 0;
	case DW_CFA_val_offset_sf:
		reg = cfi_uleb(&x->in);
		set(x, reg, CFI_IS_CFA, 0, factored_s(x));
		return 0;
	case DW_CFA_restore_extended:
		restore(x, cfi_uleb(&x->in));
		return 0;
	case DW_CFA_undefined:
		set(x, cfi_uleb(&x->in), CFI_UNDEFINED, 0, 0);
		return 0;
	case DW_CFA_same_value:
		set(x, cfi_uleb(&x->in), CFI_SAME, 0, 0);
		return 0;
	case DW_CFA_register:
		reg = cfi_uleb(&x->in);
		set(x, reg, CFI_IN_REG, cfi_uleb(&x->in), 0);
		return 0;
	case DW_CFA_expression:
		set_expression(x);
		return 0;
	case DW_CFA_val_expression:
		reg = cfi_uleb(&x->in);
		expression(x);
		set(x, reg, CFI_LOST, 0, 0);
		return 0;
	default:
		return 1;
	}
}

/* 0, 1: done, or what row() returned. */
static int run_other(struct run *x, uint8_t op)
{
	switch (op) {
	case DW_CFA_nop:
	case DW_CFA_GNU_window_save: /* of aarch64: the return address is signed from here on */
	case OP_AARCH64_NEGATE_PC:
		return 0;
	case DW_CFA_set_loc:
		return advance_to(x);
	case DW_CFA_advance_loc1:
		return advance(x, cfi_get(&x->in, 1));
	case DW_CFA_advance_loc2:
		return advance(x, cfi_get(&x->in, 2));
	case DW_CFA_advance_loc4:
		return advance(x, cfi_get(&x->in, 4));
	case OP_MIPS_ADVANCE8:
		return advance(x, cfi_get(&x->in, 8));
	case DW_CFA_remember_state:
		if (x->depth < REMEMBER_MAX)
			x->remembered[x->depth] = x->now;
		x->in.bad |= ++x->depth > REMEMBER_MAX;
		return 0;
	case DW_CFA_restore_state:
		if (x->depth)
			x->now = x->remembered[--x->depth];
		else
			x->in.bad = true;
		return 0;
	case DW_CFA_GNU_args_size:
		cfi_uleb(&x->in);
		return 0;
	default:
		x->in.bad = true;
		return 0;
	}
}

static int run_one(struct run *x)
{
	uint8_t op = cfi_byte(&x->in), low = op & 0x3f;

	switch (op & 0xc0) {
	case DW_CFA_advance_loc:
		return advance(x, low);
	case DW_CFA_offset:
		set(x, low, CFI_AT_CFA, 0, factored_u(x));
		return 0;
	case DW_CFA_restore:
		restore(x, low);
		return 0;
	}
	if (run_cfa(x, op) == 0 || run_register(x, op) == 0)
		return 0;
	return run_other(x, op);
}

static int run(struct run *x)
{
	while (x->in.at < x->in.n && !x->in.bad) {
		if (!x->c->budget)
			return -E2BIG;
		x->c->budget--;
		int r = run_one(x);

		if (r)
			return r > 0 ? 0 : r;
	}
	return 0;
}

int cfi_run_initial(struct cfi *c, struct cfi_cie *cie)
{
	struct run x = {.c = c,
			.cie = cie,
			.in = {.p = c->data, .at = cie->insn, .n = cie->end},
			.names = cfi_names(c->arch)};
	int r;

	x.now.signal = cie->signal;
	r = run(&x);
	if (r == 0 && x.in.bad)
		r = -EBADMSG;
	if (r == 0)
		cie->initial = x.now;
	return r;
}

int cfi_rows(struct cfi *c, size_t at, cfi_row_fn *row, void *arg)
{
	static const struct cfi_rule none;
	struct cfi_fde fde;
	int r = cfi_next(c, &at, &fde); /* brings its CIE back */

	if (r != 1)
		return r < 0 && r != -ENODATA ? r : 0;
	struct run x = {.c = c,
			.cie = &c->cies[c->cie],
			.in = {.p = c->data, .at = fde.insn, .n = fde.insn_end},
			.names = cfi_names(c->arch),
			.now = c->cies[c->cie].initial,
			.loc = fde.start,
			.end = fde.end,
			.row = row,
			.arg = arg};

	r = run(&x);
	if (r < 0)
		return r;
	if (x.loc >= x.end)
		return 0;
	return row(arg, x.loc, x.in.bad ? &none : &x.now);
}
