/*
 * DWARF expressions as far as they occur in call frame information: a register and an offset, what is at
 * that place and a further offset, and the one that linkers write for the stubs of the linkage table.
 */
#include "unwind/cfi.h"

#include <dwarf.h>
#include <string.h>

/* reg + off + ((ip & 15) >= n) * 8 */
static bool is_plt(const uint8_t *p, size_t len, struct cfi_expr *ret)
{
	static const uint8_t want[] = {DW_OP_breg7, 0, DW_OP_breg16, 0,		 DW_OP_lit15,
				       DW_OP_and,   0, DW_OP_ge,     DW_OP_lit3, DW_OP_shl,
				       DW_OP_plus};

	if (len != sizeof(want) || p[1] >= 0x40 || p[6] < DW_OP_lit0 || p[6] > DW_OP_lit15)
		return false;
	for (size_t i = 0; i < len; i++)
		if (i != 1 && i != 6 && p[i] != want[i])
			return false;
	*ret = (struct cfi_expr){.form = CFI_PLT, .reg = 7, .off = p[1], .add = p[6] - DW_OP_lit0};
	return true;
}

/* A constant that is pushed. */
static bool constant(struct cfi_in *in, uint8_t op, int64_t *ret)
{
	if (op >= DW_OP_lit0 && op <= DW_OP_lit31) {
		*ret = op - DW_OP_lit0;
		return true;
	}
	switch (op) {
	case DW_OP_const1u:
		*ret = (int64_t)cfi_get(in, 1);
		return true;
	case DW_OP_const1s:
		*ret = (int8_t)cfi_get(in, 1);
		return true;
	case DW_OP_const2u:
		*ret = (int64_t)cfi_get(in, 2);
		return true;
	case DW_OP_const2s:
		*ret = (int16_t)cfi_get(in, 2);
		return true;
	case DW_OP_const4u:
		*ret = (int64_t)cfi_get(in, 4);
		return true;
	case DW_OP_const4s:
		*ret = (int32_t)cfi_get(in, 4);
		return true;
	case DW_OP_constu:
		*ret = (int64_t)cfi_uleb(in);
		return true;
	case DW_OP_consts:
		*ret = cfi_sleb(in);
		return true;
	default:
		return false;
	}
}

/* The next summand: "plus_uconst n", or a constant and plus or minus. */
static bool summand(struct cfi_in *in, int64_t *ret)
{
	uint8_t op = (uint8_t)cfi_get(in, 1);

	if (op == DW_OP_plus_uconst) {
		*ret = (int64_t)cfi_uleb(in);
		return true;
	}
	if (!constant(in, op, ret))
		return false;
	op = (uint8_t)cfi_get(in, 1);
	if (op == DW_OP_minus)
		*ret = (int64_t)(0 - (uint64_t)*ret);
	return op == DW_OP_plus || op == DW_OP_minus;
}

static bool add_small(int32_t *to, int64_t n)
{
	if (n < -(1 << 30) || n > 1 << 30)
		return false;
	return !__builtin_add_overflow(*to, (int32_t)n, to);
}

static bool base(struct cfi_in *in, struct cfi_expr *e)
{
	uint8_t op = (uint8_t)cfi_get(in, 1);
	uint64_t reg = op == DW_OP_bregx ? cfi_uleb(in) : (uint64_t)op - DW_OP_breg0;

	if (reg >= CFI_REGS || (op != DW_OP_bregx && op < DW_OP_breg0))
		return false;
	e->reg = (uint8_t)reg;
	e->form = CFI_REG;
	return add_small(&e->off, cfi_sleb(in));
}

void cfi_expr(const uint8_t *p, size_t len, struct cfi_expr *ret)
{
	struct cfi_in in = {.p = p, .n = len};
	struct cfi_expr e = {.form = CFI_NONE};
	int64_t n;

	*ret = (struct cfi_expr){.form = CFI_NONE};
	if (is_plt(p, len, ret) || !base(&in, &e))
		return;
	while (!in.bad && in.at < in.n) {
		if (p[in.at] == DW_OP_deref && e.form == CFI_REG) {
			in.at++;
			e.form = CFI_DEREF;
		} else if (!summand(&in, &n) ||
			   !add_small(e.form == CFI_DEREF ? &e.add : &e.off, n)) {
			return;
		}
	}
	if (!in.bad)
		*ret = e;
}
