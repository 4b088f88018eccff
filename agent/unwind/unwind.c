#include "unwind/unwind.h"

#include "unwind/module_private.h"
#include "unwind/space_private.h"

#include <string.h>

/* ---- what a sample carries ---- */

#ifdef __aarch64__
static const enum cfi_arch this_arch = CFI_AARCH64;
enum { N_REGS = 33, REG_IP = 32 };
#else
static const enum cfi_arch this_arch = CFI_X86_64;
enum { N_REGS = 17, REG_IP = 16 };
#endif

uint64_t unwind_regs_mask(void)
{
#ifdef __aarch64__
	return (1ull << 33) - 1;
#else
	return 0xff01ff; /* ax bx cx dx si di bp sp ip, r8 to r15 */
#endif
}

/* DWARF's number of perf's i-th register. */
static unsigned dwarf_reg(size_t i)
{
#ifdef __aarch64__
	return (unsigned)i;
#else
	static const uint8_t numbers[N_REGS] = {0, 3, 2,  1,  4,  5,  6,  7, REG_IP,
						8, 9, 10, 11, 12, 13, 14, 15};

	return numbers[i];
#endif
}

/* Without the signature that pointer authentication puts into return addresses. */
static uint64_t plain(uint64_t ip)
{
#ifdef __aarch64__
	return ip & ((1ull << 48) - 1);
#else
	return ip;
#endif
}

/* ---- walking ---- */

struct walk {
	struct space *space;
	const struct cfi_names *names;
	uint64_t regs[CFI_REGS]; /* of the frame at hand, by DWARF number */
	uint64_t known;		 /* which of them, a bit each */
	const uint8_t *stack;
	uint64_t stack_at, stack_len;
	bool returns;  /* ip is where a call returns to */
	bool by_frame; /* the last step went by the frame pointer */
	bool again;    /* mappings were read again for this stack */
	enum unwind_end end;
};

static bool has(const struct walk *w, unsigned reg)
{
	return w->known >> reg & 1;
}

static void forget_all(struct walk *w)
{
	w->known = 0;
}

static void put(struct walk *w, unsigned reg, uint64_t value)
{
	w->regs[reg] = value;
	w->known |= 1ull << reg;
}

/* False: beyond the copy, which ends the walk. */
static bool load(struct walk *w, uint64_t addr, uint64_t *ret)
{
	if (addr < w->stack_at) {
		w->end = UNWIND_NO_RULE;
		return false;
	}
	if (w->stack_len < 8 || addr - w->stack_at > w->stack_len - 8) {
		w->end = UNWIND_SHORT;
		return false;
	}
	memcpy(ret, w->stack + (addr - w->stack_at), sizeof(*ret));
	return true;
}

static bool no_rule(struct walk *w)
{
	w->end = UNWIND_NO_RULE;
	return false;
}

static bool find_cfa(struct walk *w, const struct cfi_rule *r, uint64_t *ret)
{
	uint64_t at;

	if (r->cfa == CFI_NONE || !has(w, r->cfa_reg))
		return no_rule(w);
	at = w->regs[r->cfa_reg] + (uint64_t)r->cfa_off;
	switch ((enum cfi_cfa)r->cfa) {
	case CFI_REG:
		break;
	case CFI_DEREF:
		if (!load(w, at, &at))
			return false;
		at += (uint64_t)r->cfa_add;
		break;
	case CFI_PLT:
		at += (w->regs[REG_IP] & 15) >= (uint64_t)r->cfa_add ? 8 : 0;
		break;
	case CFI_NONE:
		return no_rule(w);
	}
	*ret = at;
	return true;
}

/* What a register was in the caller. *ret_known false: nobody can tell. False: the walk ends. */
static bool find_saved(struct walk *w, const struct cfi_saved *s, unsigned reg, uint64_t cfa,
		       uint64_t *ret, bool *ret_known)
{
	unsigned from = s->how == CFI_SAME ? reg : s->reg;

	*ret_known = true;
	switch ((enum cfi_how)s->how) {
	case CFI_AT_CFA:
		/* In an epilogue it has been taken from there already. */
		if (reg != w->names->ra && cfa + (uint64_t)s->off < w->regs[w->names->sp]) {
			*ret_known = has(w, reg);
			*ret = w->regs[reg];
			return true;
		}
		return load(w, cfa + (uint64_t)s->off, ret);
	case CFI_IS_CFA:
		*ret = cfa + (uint64_t)s->off;
		return true;
	case CFI_SAME:
	case CFI_IN_REG:
		*ret_known = has(w, from);
		*ret = w->regs[from];
		return true;
	case CFI_AT_REG:
		*ret_known = has(w, from);
		return !*ret_known || load(w, w->regs[from] + (uint64_t)s->off, ret);
	case CFI_UNDEFINED:
	case CFI_LOST:
		break;
	}
	*ret_known = false;
	return true;
}

/* All that a signal handler's frame has saved, besides what the rule says. */
static void restore_interrupted(struct walk *w, uint64_t sp)
{
	const struct unwind_signal_layout *l = unwind_signal_layout(this_arch);
	enum unwind_end end = w->end;

	forget_all(w);
	for (unsigned i = 0; i < N_REGS; i++) {
		uint64_t v;

		if (load(w, sp + (uint64_t)l->at[i], &v))
			put(w, i, v);
	}
	w->end = end;
}

/* The register that is good to know but no reason to give up. */
static bool has_base(struct walk *w, const struct cfi_rule *r, uint64_t cfa, uint64_t *ret)
{
	enum unwind_end end = w->end;
	bool known, ok = find_saved(w, &r->base, w->names->base, cfa, ret, &known);

	w->end = end;
	return ok && known;
}

/* To the caller by a rule of a table. False: the walk ends. */
static bool step_rule(struct walk *w, const struct cfi_rule *r)
{
	unsigned sp = w->names->sp, fp = w->names->fp, base = w->names->base;
	uint64_t cfa, ra, fp_value, base_value;
	bool ra_known, fp_known, base_known;

	if (r->ra.how == CFI_UNDEFINED) {
		w->end = UNWIND_WHOLE;
		return false;
	}
	if (!find_cfa(w, r, &cfa) || !find_saved(w, &r->ra, w->names->ra, cfa, &ra, &ra_known) ||
	    !find_saved(w, &r->fp, fp, cfa, &fp_value, &fp_known))
		return false;
	base_known = has_base(w, r, cfa, &base_value);
	/* Upwards, but for a function that has put nothing on the stack: its caller is in a register, once. */
	if (!ra_known || (this_arch == CFI_X86_64 && r->ra.how == CFI_SAME))
		return no_rule(w);
	if (!r->signal && (cfa < w->regs[sp] || (cfa == w->regs[sp] && r->ra.how != CFI_SAME)))
		return no_rule(w);
	if (unwind_is_signal_frame(this_arch, r))
		restore_interrupted(w, w->regs[sp]);
	else
		forget_all(w);
	put(w, sp, cfa);
	if (fp_known)
		put(w, fp, fp_value);
	if (base_known)
		put(w, base, base_value);
	put(w, REG_IP, plain(ra));
	w->returns = !r->signal;
	w->by_frame = false;
	return true;
}

/* The mapping of an address; of one that is not known the mappings are read again, once a stack. */
static const struct mapping *find(struct walk *w, uint64_t addr)
{
	const struct mapping *m = space_find(w->space, addr);

	if (m || w->again)
		return m;
	w->again = true;
	return space_again(w->space) ? space_find(w->space, addr) : NULL;
}

/* To the caller by the frame pointer: {its frame pointer, return address} are where it points to. False: it does not
 * look like one; `end` is left alone unless that is clear. */
static bool step_frame(struct walk *w)
{
	unsigned sp = w->names->sp, fp = w->names->fp;
	uint64_t at = w->regs[fp], up, ra;
	const struct mapping *m;
	enum unwind_end end = w->end;

	if (!has(w, fp))
		return false;
	if (at == 0 && w->by_frame) {
		w->end = UNWIND_WHOLE;
		return false;
	}
	if (at % 8 || at < w->regs[sp] || at + 16 < at)
		return false;
	if (!load(w, at + 8, &ra) || !load(w, at, &up)) {
		/* A frame pointer far away is more likely a register of other use. */
		if (at - w->stack_at > 8 << 20)
			w->end = end;
		return false;
	}
	ra = plain(ra);
	if (ra == 0) {
		w->end = UNWIND_WHOLE;
		return false;
	}
	/* What the caller has there is a frame pointer only if it goes without a table, too. */
	m = find(w, ra - 1);
	if (!m || (up && up <= at && !(m->module && module_table(m->module))))
		return false;
	forget_all(w);
	put(w, sp, at + 16);
	put(w, fp, up);
	put(w, REG_IP, ra);
	w->returns = true;
	w->by_frame = true;
	return true;
}

static bool step(struct walk *w)
{
	uint64_t ip = w->regs[REG_IP], vaddr = 0;
	const struct mapping *m = find(w, ip - w->returns);
	const struct unwind_table *t = m && m->module ? module_table(m->module) : NULL;
	const struct space_rule *known;
	const struct cfi_rule *r = NULL;

	if (t && t->arch == this_arch) {
		vaddr = module_vaddr(m->module, ip - m->start + m->file_off);
		known = space_rule_at(w->space, t, vaddr, w->returns);
		r = known->row & SPACE_HAS_RULE ? &known->rule : NULL;
	}
	if (r)
		return step_rule(w, r);
	if (vaddr && module_is_entry(m->module, vaddr)) {
		w->end = UNWIND_WHOLE;
		return false;
	}
	w->end = t ? UNWIND_NO_RULE : UNWIND_NO_TABLE;
	return step_frame(w);
}

size_t unwind_user(struct space *space, const struct unwind_state *s, uint64_t *ips, size_t max,
		   enum unwind_end *end)
{
	struct walk w = {.space = space,
			 .names = cfi_names(this_arch),
			 .stack = s->stack,
			 .stack_len = s->stack_len,
			 .end = UNWIND_FULL};
	uint64_t seq;
	size_t n = 0;

	if (s->n_regs != N_REGS || !max) {
		*end = max ? UNWIND_NO_TABLE : UNWIND_FULL;
		return 0;
	}
	for (size_t i = 0; i < N_REGS; i++)
		put(&w, dwarf_reg(i), s->regs[i]);
	w.stack_at = w.regs[w.names->sp];
	if (w.stack_len > UINT64_MAX - w.stack_at)
		w.stack_len = UINT64_MAX - w.stack_at;
	seq = modules_enter(space_modules(space));
	for (;;) {
		ips[n++] = w.regs[REG_IP];
		if (n == max) {
			w.end = UNWIND_FULL;
			break;
		}
		if (!step(&w))
			break;
		if (w.regs[REG_IP] == 0) {
			w.end = UNWIND_WHOLE;
			break;
		}
	}
	modules_leave(space_modules(space), seq);
	*end = w.end;
	return n;
}
