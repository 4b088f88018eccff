/*
 * Call frame information: what our interpreter makes of real files is what libdw makes of them, row by row; and
 * sections put together by hand, for what compilers seldom write, and for what nobody should.
 */
#include "support.h"

#include "unwind/unwind_table.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <gelf.h>

/* ---- against libdw ---- */

struct against {
	Dwarf_CFI *cfi;
	const struct cfi_names *names;
	unsigned n_rows, n_lost;
	const char *path;
};

static void same_cfa(struct against *a, Dwarf_Frame *f, const struct cfi_rule *r, uint64_t at)
{
	Dwarf_Op *ops;
	size_t n;

	ck_assert_int_eq(dwarf_frame_cfa(f, &ops, &n), 0);
	if (r->cfa == CFI_REG) {
		ck_assert_msg(n == 1 && ops[0].atom == DW_OP_bregx && ops[0].number == r->cfa_reg &&
				      (int64_t)ops[0].number2 == r->cfa_off,
			      "%s %llx: CFA is not r%u%+d", a->path, (unsigned long long)at,
			      r->cfa_reg, r->cfa_off);
	} else if (r->cfa == CFI_PLT) {
		ck_assert_msg(n == 9 && ops[8].atom == DW_OP_plus && ops[0].atom == DW_OP_breg7 &&
				      (int64_t)ops[0].number == r->cfa_off &&
				      ops[4].atom - DW_OP_lit0 == r->cfa_add,
			      "%s %llx: CFA is no linkage stub's", a->path, (unsigned long long)at);
	} else if (r->cfa == CFI_DEREF) {
		ck_assert_msg(n >= 2 && ops[1].atom == DW_OP_deref &&
				      (int64_t)ops[0].number == r->cfa_off &&
				      ops[0].atom - DW_OP_breg0 == r->cfa_reg,
			      "%s %llx: CFA is not *(r%u%+d)", a->path, (unsigned long long)at,
			      r->cfa_reg, r->cfa_off);
	} else {
		a->n_lost++;
	}
}

static void same_register(struct against *a, Dwarf_Frame *f, unsigned reg,
			  const struct cfi_saved *s, uint64_t at)
{
	Dwarf_Op mem[3], *ops;
	size_t n;
	bool ok = false;

	ck_assert_int_eq(dwarf_frame_register(f, (int)reg, mem, &ops, &n), 0);
	switch ((enum cfi_how)s->how) {
	case CFI_SAME: /* libdw calls what nothing is said about undefined, or the same by the ABI */
		ok = n == 0;
		break;
	case CFI_UNDEFINED:
		ok = n == 0 && ops == mem;
		break;
	case CFI_AT_CFA:
		ok = n >= 1 && ops[0].atom == DW_OP_call_frame_cfa &&
		     (n == 1 ? 0 : (int64_t)ops[1].number) == s->off &&
		     (n < 2 || ops[1].atom == DW_OP_plus_uconst);
		break;
	case CFI_AT_REG: /* libdw pushes the CFA first */
		ok = n >= 1 && ops[n - 1].atom == DW_OP_breg0 + s->reg &&
		     (int64_t)ops[n - 1].number == s->off;
		break;
	case CFI_IN_REG:
		ok = n == 1 &&
		     (ops[0].atom == DW_OP_regx ? ops[0].number
						: (Dwarf_Word)ops[0].atom - DW_OP_reg0) == s->reg;
		break;
	case CFI_IS_CFA:
	case CFI_LOST:
		a->n_lost++;
		ok = true;
		break;
	}
	ck_assert_msg(ok, "%s %llx: r%u is not saved by %u%+d (libdw: %zu ops)", a->path,
		      (unsigned long long)at, reg, s->how, s->off, n);
}

static int compare_row(void *arg, uint64_t at, const struct cfi_rule *r)
{
	struct against *a = arg;
	Dwarf_Frame *f = NULL;

	if (dwarf_cfi_addrframe(a->cfi, at, &f) != 0)
		return 0;
	a->n_rows++;
	same_cfa(a, f, r, at);
	same_register(a, f, a->names->ra, &r->ra, at);
	same_register(a, f, a->names->fp, &r->fp, at);
	same_register(a, f, a->names->base, &r->base, at);
	ck_assert_int_eq(dwarf_frame_info(f, NULL, NULL, &(bool){0}) >= 0, 1);
	free(f);
	return 0;
}

static Elf_Scn *section_named(Elf *elf, const char *want)
{
	Elf_Scn *scn = NULL;
	size_t names;

	elf_getshdrstrndx(elf, &names);
	while ((scn = elf_nextscn(elf, scn))) {
		GElf_Shdr h;

		gelf_getshdr(scn, &h);
		if (strcmp(elf_strptr(elf, names, h.sh_name), want) == 0)
			return scn;
	}
	return NULL;
}

/* Every row of a file; 0: there is no such file here. */
static unsigned compare_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct against a = {.path = path};
	struct cfi_fde fde;
	struct cfi c;
	GElf_Ehdr eh;
	GElf_Shdr h;
	size_t at = 0;
	int r;

	if (fd < 0)
		return 0;
	elf_version(EV_CURRENT);
	Elf *elf = elf_begin(fd, ELF_C_READ, NULL);
	Elf_Scn *scn = elf_kind(elf) == ELF_K_ELF ? section_named(elf, ".eh_frame") : NULL;

	if (scn) {
		Elf_Data *d = elf_rawdata(scn, NULL);

		gelf_getehdr(elf, &eh);
		gelf_getshdr(scn, &h);
		a.cfi = dwarf_getcfi_elf(elf);
		ck_assert_ptr_nonnull(a.cfi);
		cfi_init(&c, eh.e_machine == EM_X86_64 ? CFI_X86_64 : CFI_AARCH64, true, h.sh_addr,
			 d->d_buf, d->d_size);
		a.names = cfi_names(c.arch);
		while ((r = cfi_next(&c, &at, &fde)) >= 0)
			if (r == 1)
				ck_assert_int_eq(cfi_rows(&c, fde.at, compare_row, &a), 0);
		ck_assert_int_eq(r, -ENODATA);
		dwarf_cfi_end(a.cfi);
	}
	elf_end(elf);
	close(fd);
	ck_assert_msg(a.n_lost * 50 <= a.n_rows, "%s: %u of %u rows are not kept", path, a.n_lost,
		      a.n_rows);
	return a.n_rows;
}

START_TEST(as_libdw_reads_real_files)
{
	static const char *const paths[] = {
		"/proc/self/exe",
		"/lib/x86_64-linux-gnu/libc.so.6",
		"/lib/x86_64-linux-gnu/libcrypto.so.3",
		"/lib64/ld-linux-x86-64.so.2",
		"/lib/aarch64-linux-gnu/libc.so.6",
		"/usr/aarch64-linux-gnu/lib/libc.so.6",
		"/bin/bash",
	};
	unsigned n = 0;

	ck_assert_uint_gt(compare_file(paths[0]), 200);
	for (size_t i = 1; i < sizeof(paths) / sizeof(paths[0]); i++)
		n += compare_file(paths[i]);
	ck_assert_uint_gt(n, 1000);
}
END_TEST

/* ---- by hand ---- */

struct section {
	uint8_t data[4096];
	size_t n, cie;
};

static void put(struct section *s, uint64_t v, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		s->data[s->n++] = (uint8_t)(v >> 8 * i);
}

static void put_all(struct section *s, const void *p, size_t n)
{
	memcpy(s->data + s->n, p, n);
	s->n += n;
}

static void end_entry(struct section *s, size_t at)
{
	uint32_t len;

	while ((s->n - at) % 8 != 4)
		put(s, DW_CFA_nop, 1);
	len = (uint32_t)(s->n - at - 4);
	memcpy(s->data + at, &len, 4);
}

/* "zR" with absolute addresses of 8 bytes; CFA = rsp + 8, the return address at CFA - 8. */
static void put_cie(struct section *s, const char *letters, const void *data, size_t len)
{
	static const uint8_t insn[] = {DW_CFA_def_cfa, 7, 8, DW_CFA_offset | 16, 1};

	s->cie = s->n;
	put(s, 0, 8); /* length, id */
	put(s, 1, 1);
	put_all(s, letters, strlen(letters) + 1);
	put(s, 1, 1);	 /* code alignment */
	put(s, 0x78, 1); /* data alignment: -8 */
	put(s, 16, 1);
	if (letters[0] == 'z') {
		put(s, len, 1);
		put_all(s, data, len);
	}
	put_all(s, insn, sizeof(insn));
	end_entry(s, s->cie);
}

static void put_fde(struct section *s, uint64_t start, uint64_t len, bool sized, const void *insn,
		    size_t n)
{
	size_t at = s->n;

	put(s, 0, 4);
	put(s, s->n - s->cie, 4);
	put(s, start, 8);
	put(s, len, 8);
	if (sized)
		put(s, 0, 1);
	put_all(s, insn, n);
	end_entry(s, at);
}

struct rows {
	struct {
		uint64_t at;
		struct cfi_rule rule;
	} row[64];
	unsigned n;
};

static int keep(void *arg, uint64_t at, const struct cfi_rule *rule)
{
	struct rows *r = arg;

	ck_assert_uint_lt(r->n, 64);
	r->row[r->n].at = at;
	r->row[r->n++].rule = *rule;
	return 0;
}

/* Rows of the one FDE with these instructions, of a function at 0x1000 of 0x100 bytes. */
static struct rows run(const void *insn, size_t n)
{
	struct section s = {0};
	struct rows rows = {0};
	struct cfi_fde fde;
	struct cfi c;
	size_t at = 0;

	put_cie(&s, "zR", "\0", 1);
	put_fde(&s, 0x1000, 0x100, true, insn, n);
	cfi_init(&c, CFI_X86_64, true, 0x500000, s.data, s.n);
	ck_assert_int_eq(cfi_next(&c, &at, &fde), 0);
	ck_assert_int_eq(cfi_next(&c, &at, &fde), 1);
	ck_assert_uint_eq(fde.start, 0x1000);
	ck_assert_uint_eq(fde.end, 0x1100);
	ck_assert_int_eq(cfi_rows(&c, fde.at, keep, &rows), 0);
	ck_assert_int_eq(cfi_next(&c, &at, &fde), -ENODATA);
	return rows;
}
#define RUN(...) run((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

static void cfa_is(const struct rows *r, unsigned i, uint64_t at, unsigned reg, int off)
{
	ck_assert_uint_lt(i, r->n);
	ck_assert_uint_eq(r->row[i].at, at);
	ck_assert_int_eq(r->row[i].rule.cfa, CFI_REG);
	ck_assert_int_eq(r->row[i].rule.cfa_reg, reg);
	ck_assert_int_eq(r->row[i].rule.cfa_off, off);
}

static void saved_is(struct cfi_saved s, enum cfi_how how, unsigned reg, int off)
{
	ck_assert_int_eq(s.how, how);
	ck_assert_int_eq(s.reg, reg);
	ck_assert_int_eq(s.off, off);
}

START_TEST(a_function_with_frame_pointer)
{
	struct rows r = RUN(DW_CFA_advance_loc | 1, DW_CFA_def_cfa_offset, 16, DW_CFA_offset | 6, 2,
			    DW_CFA_advance_loc | 3, DW_CFA_def_cfa_register, 6, DW_CFA_advance_loc1,
			    0x80, DW_CFA_def_cfa, 7, 8, DW_CFA_restore | 6);

	ck_assert_uint_eq(r.n, 4);
	cfa_is(&r, 0, 0x1000, 7, 8);
	saved_is(r.row[0].rule.ra, CFI_AT_CFA, 0, -8);
	saved_is(r.row[0].rule.fp, CFI_SAME, 0, 0);
	cfa_is(&r, 1, 0x1001, 7, 16);
	saved_is(r.row[1].rule.fp, CFI_AT_CFA, 0, -16);
	cfa_is(&r, 2, 0x1004, 6, 16);
	cfa_is(&r, 3, 0x1084, 7, 8);
	saved_is(r.row[3].rule.fp, CFI_SAME, 0, 0);
}
END_TEST

START_TEST(remembered_states_come_back)
{
	struct rows r =
		RUN(DW_CFA_def_cfa_offset, 32, DW_CFA_remember_state, DW_CFA_advance_loc2, 0x10, 0,
		    DW_CFA_def_cfa_offset, 8, DW_CFA_remember_state, DW_CFA_advance_loc4, 0x10, 0,
		    0, 0, DW_CFA_def_cfa_offset, 48, DW_CFA_advance_loc | 4, DW_CFA_restore_state,
		    DW_CFA_advance_loc | 4, DW_CFA_restore_state);

	cfa_is(&r, 0, 0x1000, 7, 32);
	cfa_is(&r, 1, 0x1010, 7, 8);
	cfa_is(&r, 2, 0x1020, 7, 48);
	cfa_is(&r, 3, 0x1024, 7, 8);
	cfa_is(&r, 4, 0x1028, 7, 32);
}
END_TEST

START_TEST(signed_offsets_and_rare_rules)
{
	struct rows r = RUN(
		DW_CFA_def_cfa_sf, 3, 0x7e /* -2 * -8 */, DW_CFA_offset_extended_sf, 6, 0x7d,
		DW_CFA_GNU_args_size, 0x80, 1, DW_CFA_advance_loc | 1, DW_CFA_def_cfa_offset_sf,
		0x7c, DW_CFA_val_offset, 6, 2, DW_CFA_advance_loc | 1, DW_CFA_register, 16, 5,
		DW_CFA_GNU_negative_offset_extended, 6, 3, DW_CFA_advance_loc | 1, DW_CFA_undefined,
		16, DW_CFA_same_value, 6, DW_CFA_offset_extended, 3, 9, DW_CFA_advance_loc | 1,
		DW_CFA_restore_extended, 16, DW_CFA_val_expression, 6, 2, DW_OP_breg7, 0);

	ck_assert_uint_eq(r.n, 5);
	cfa_is(&r, 0, 0x1000, 3, 16);
	saved_is(r.row[0].rule.fp, CFI_AT_CFA, 0, 24);
	cfa_is(&r, 1, 0x1001, 3, 32);
	saved_is(r.row[1].rule.fp, CFI_IS_CFA, 0, -16);
	saved_is(r.row[2].rule.ra, CFI_IN_REG, 5, 0);
	saved_is(r.row[2].rule.fp, CFI_AT_CFA, 0, 24);
	saved_is(r.row[3].rule.ra, CFI_UNDEFINED, 0, 0);
	saved_is(r.row[3].rule.fp, CFI_SAME, 0, 0);
	saved_is(r.row[3].rule.base, CFI_AT_CFA, 0, -72);
	saved_is(r.row[4].rule.ra, CFI_AT_CFA, 0, -8);
	saved_is(r.row[4].rule.fp, CFI_LOST, 0, 0);
}
END_TEST

START_TEST(expressions_in_closed_form)
{
	/* A linkage stub; gcc's realigned stack; a stack switched by hand; one that has no closed form. */
	struct rows r =
		RUN(DW_CFA_def_cfa_expression, 11, DW_OP_breg7, 8, DW_OP_breg16, 0, DW_OP_lit15,
		    DW_OP_and, DW_OP_lit11, DW_OP_ge, DW_OP_lit3, DW_OP_shl, DW_OP_plus,
		    DW_CFA_advance_loc | 1, DW_CFA_def_cfa_expression, 3, DW_OP_breg6, 0x78,
		    DW_OP_deref, DW_CFA_expression, 6, 2, DW_OP_breg6, 0, DW_CFA_advance_loc | 1,
		    DW_CFA_def_cfa_expression, 6, DW_OP_breg7, 0x98, 0x01, DW_OP_deref,
		    DW_OP_plus_uconst, 8, DW_CFA_advance_loc | 1, DW_CFA_def_cfa_expression, 4,
		    DW_OP_breg7, 0, DW_OP_dup, DW_OP_plus, DW_CFA_advance_loc | 1,
		    DW_CFA_def_cfa_offset, 16, DW_CFA_advance_loc | 1, DW_CFA_def_cfa, 7, 16);

	ck_assert_uint_eq(r.n, 6);
	ck_assert_int_eq(r.row[0].rule.cfa, CFI_PLT);
	ck_assert_int_eq(r.row[0].rule.cfa_off, 8);
	ck_assert_int_eq(r.row[0].rule.cfa_add, 11);
	ck_assert_int_eq(r.row[1].rule.cfa, CFI_DEREF);
	ck_assert_int_eq(r.row[1].rule.cfa_reg, 6);
	ck_assert_int_eq(r.row[1].rule.cfa_off, -8);
	saved_is(r.row[1].rule.fp, CFI_AT_REG, 6, 0);
	ck_assert_int_eq(r.row[2].rule.cfa, CFI_DEREF);
	ck_assert_int_eq(r.row[2].rule.cfa_off, 152);
	ck_assert_int_eq(r.row[2].rule.cfa_add, 8);
	ck_assert_int_eq(r.row[3].rule.cfa, CFI_NONE);
	ck_assert_int_eq(r.row[4].rule.cfa, CFI_NONE); /* an offset of nothing */
	cfa_is(&r, 5, 0x1005, 7, 16);
}
END_TEST

START_TEST(nonsense_gives_no_rule)
{
	/* An unknown instruction, a state that was not remembered, one that is cut: from there on there is no rule. */
	struct rows a = RUN(DW_CFA_advance_loc | 8, 0x3f),
		    b = RUN(DW_CFA_advance_loc | 8, DW_CFA_restore_state),
		    c = RUN(DW_CFA_advance_loc | 8, DW_CFA_def_cfa_expression, 0x70, 0);
	const struct rows *all[] = {&a, &b, &c};

	for (unsigned i = 0; i < 3; i++) {
		ck_assert_uint_eq(all[i]->n, 2);
		cfa_is(all[i], 0, 0x1000, 7, 8);
		ck_assert_uint_eq(all[i]->row[1].at, 0x1008);
		ck_assert_int_eq(all[i]->row[1].rule.cfa, CFI_NONE);
	}
	/* Offsets beyond what is kept; rows beyond the function's end. */
	a = RUN(DW_CFA_def_cfa_offset, 0xff, 0xff, 0xff, 0xff, 0x7f);
	ck_assert_uint_eq(a.n, 1);
	ck_assert_int_eq(a.row[0].rule.cfa, CFI_NONE);
	a = RUN(DW_CFA_advance_loc4, 0, 1, 0, 0, DW_CFA_def_cfa_offset, 99);
	ck_assert_uint_eq(a.n, 1);
	cfa_is(&a, 0, 0x1000, 7, 8);
}
END_TEST

START_TEST(augmentations)
{
	static const uint8_t pl[] = {
		DW_EH_PE_pcrel | DW_EH_PE_sdata4, 1, 2, 3, 4, DW_EH_PE_udata4, DW_EH_PE_absptr};
	struct section s = {0};
	struct cfi_fde fde;
	struct cfi c;
	size_t at = 0;

	put_cie(&s, "zPLRS", pl, sizeof(pl));
	put_fde(&s, 0x1000, 16, true, "", 0);
	put_cie(&s, "zRQ", "\0", 1); /* not known: its functions are left out */
	put_fde(&s, 0x2000, 16, true, "", 0);
	put_cie(&s, "", "", 0);
	put_fde(&s, 0x3000, 16, false, "", 0);
	cfi_init(&c, CFI_X86_64, true, 0, s.data, s.n);
	ck_assert_int_eq(cfi_next(&c, &at, &fde), 0);
	ck_assert_int_eq(cfi_next(&c, &at, &fde), 1);
	ck_assert_uint_eq(fde.start, 0x1000);
	ck_assert(c.cies[c.cie].signal && c.cies[c.cie].initial.signal);
	ck_assert_int_eq(cfi_next(&c, &at, &fde), 0);
	ck_assert_int_eq(cfi_next(&c, &at, &fde), 0);
	ck_assert_int_eq(cfi_next(&c, &at, &fde), 0);
	ck_assert_int_eq(cfi_next(&c, &at, &fde), 1);
	ck_assert_uint_eq(fde.start, 0x3000);
	ck_assert(!c.cies[c.cie].signal);
	ck_assert_int_eq(cfi_next(&c, &at, &fde), -ENODATA);
}
END_TEST

/* .debug_frame: other ids, absolute addresses, versions 3 and 4, and the 64-bit format. */
START_TEST(debug_frame)
{
	for (unsigned version = 3; version <= 4; version++)
		for (unsigned wide = 0; wide < 2; wide++) {
			struct section s = {0};
			struct rows rows = {0};
			struct cfi_fde fde;
			struct cfi c;
			size_t at = 0, from, cie;

			for (unsigned k = 0; k < 2; k++) { /* the second one is used */
				cie = s.n;
				if (wide)
					put(&s, 0xffffffff, 4);
				from = s.n;
				put(&s, 0, wide ? 8 : 4);
				put(&s, UINT64_MAX, wide ? 8 : 4);
				put(&s, version, 1);
				put(&s, 0, 1);
				if (version == 4)
					put(&s, 8, 2);
				put(&s, 4, 1);
				put(&s, 0x7c, 1); /* -4 */
				put(&s, 16, 1);
				put_all(&s, "\x0c\x07\x10\x90\x02", 5);
				s.data[from] = (uint8_t)(s.n - from - (wide ? 8 : 4));
			}
			if (wide)
				put(&s, 0xffffffff, 4);
			from = s.n;
			put(&s, 0, wide ? 8 : 4);
			put(&s, cie, wide ? 8 : 4);
			put(&s, 0x401000, 8);
			put(&s, 0x40, 8);
			put_all(&s, "\x43\x0e\x20", 3);
			s.data[from] = (uint8_t)(s.n - from - (wide ? 8 : 4));
			cfi_init(&c, CFI_X86_64, false, 0, s.data, s.n);
			ck_assert_int_eq(cfi_next(&c, &at, &fde), 0);
			ck_assert_int_eq(cfi_next(&c, &at, &fde), 0);
			ck_assert_int_eq(cfi_next(&c, &at, &fde), 1);
			ck_assert_int_eq(cfi_rows(&c, fde.at, keep, &rows), 0);
			ck_assert_uint_eq(rows.n, 2);
			cfa_is(&rows, 0, 0x401000, 7, 16);
			saved_is(rows.row[0].rule.ra, CFI_AT_CFA, 0, -8);
			cfa_is(&rows, 1, 0x40100c, 7, 32);
		}
}
END_TEST

/* Every cut and many changes of a section: it ends, and rows stay within their function. */
static int within(void *arg, uint64_t at, const struct cfi_rule *rule)
{
	const struct cfi_fde *fde = arg;

	(void)rule;
	ck_assert(at >= fde->start && at < fde->end);
	return 0;
}

static void read_whole(const uint8_t *p, size_t n, bool eh)
{
	struct cfi_fde fde;
	struct cfi c;
	size_t at = 0;

	cfi_init(&c, CFI_X86_64, eh, 0x1000, p, n);
	for (int r; (r = cfi_next(&c, &at, &fde)) >= 0;)
		if (r == 1)
			cfi_rows(&c, fde.at, within, &fde);
}

START_TEST(damage_does_no_harm)
{
	static const uint8_t insn[] = {DW_CFA_advance_loc | 1,
				       DW_CFA_def_cfa_offset,
				       16,
				       DW_CFA_offset | 6,
				       2,
				       DW_CFA_def_cfa_expression,
				       3,
				       DW_OP_breg6,
				       0x78,
				       DW_OP_deref,
				       DW_CFA_remember_state,
				       DW_CFA_advance_loc1,
				       9,
				       DW_CFA_restore_state};
	struct section s = {0};
	unsigned seed = 7;

	put_cie(&s, "zR", "\0", 1);
	for (unsigned i = 0; i < 8; i++)
		put_fde(&s, 0x1000 + 0x100 * i, 0x100, true, insn, sizeof(insn));
	for (size_t n = 0; n <= s.n; n++) {
		uint8_t *copy = malloc(n ? n : 1);

		memcpy(copy, s.data, n);
		read_whole(copy, n, true);
		read_whole(copy, n, false);
		free(copy);
	}
	for (unsigned i = 0; i < 6000; i++) {
		uint8_t *copy = malloc(s.n);

		memcpy(copy, s.data, s.n);
		for (unsigned k = 0; k < 1 + i % 6; k++)
			copy[(unsigned)rand_r(&seed) % s.n] = (uint8_t)rand_r(&seed);
		read_whole(copy, s.n, i % 2);
		free(copy);
	}
}
END_TEST

/* Long CIEs, run for each of many FDEs that take turns between more of them than are remembered: cut
 * off. */
START_TEST(work_is_limited)
{
	enum { BIG = 1 << 18, N_CIES = 3 * CFI_CIES, N = 20000 };
	uint8_t *p = calloc(1, N_CIES * BIG + 32 * N);
	struct cfi_fde fde;
	struct cfi c;
	size_t n = 0, at = 0;
	uint32_t v;
	int r;

	for (unsigned k = 0; k < N_CIES; k++) {
		v = BIG - 4;
		memcpy(p + n, &v, 4);
		memcpy(p + n + 8, "\1\0\1\x78\x10", 5);
		n += BIG;
	}
	for (unsigned i = 0; i < N; i++, n += 32) {
		v = 28;
		memcpy(p + n, &v, 4);
		v = (uint32_t)(n + 4 - (i % N_CIES) * BIG);
		memcpy(p + n + 4, &v, 4);
		uint64_t start = 0x1000 + 16 * i, len = 16;

		memcpy(p + n + 8, &start, 8);
		memcpy(p + n + 16, &len, 8);
	}
	cfi_init(&c, CFI_X86_64, true, 0, p, n);
	while ((r = cfi_next(&c, &at, &fde)) >= 0)
		;
	ck_assert_int_eq(r, -E2BIG);
	free(p);
}
END_TEST

/* ---- tables ---- */

START_TEST(tables_hold_what_the_section_says)
{
	static const uint8_t insn[] = {DW_CFA_advance_loc | 4, DW_CFA_def_cfa_offset, 16};
	struct section s = {0};
	struct unwind_table *t;
	const struct unwind_symbol symbols[] = {{0x40000, 0x10, false},
						{0x42000, 0, false},
						{0x1008, 8, false},
						{0x50000, 16, true}};

	put_cie(&s, "zR", "\0", 1);
	put_fde(&s, 0x31000, 0x100, true, insn, sizeof(insn)); /* not in order */
	put_fde(&s, 0x1000, 0x100, true, insn, sizeof(insn));
	put_fde(&s, 0x1080, 0x10, true, "", 0); /* within another one */
	put_fde(&s, 0x1100, 0x80, true, "", 0);
	struct unwind_source src = {
		.base = 0x1000, .end = 0x60000, .symbols = symbols, .n_symbols = 4};

	src.stubs[0] = (struct unwind_stubs){0x31010, 0x31040, 16};
	src.n_stubs = 1;
	src.eh.data = s.data;
	src.eh.len = s.n;
	ck_assert_int_eq(unwind_table_build(&t, &src), 0);
	ck_assert_uint_eq(unwind_table_function(t, 0x3100f), 0x31000);
	ck_assert_uint_eq(unwind_table_function(t, 0x31010), 0x31010);
	ck_assert_uint_eq(unwind_table_function(t, 0x3103f), 0x31030);
	ck_assert_uint_eq(unwind_table_function(t, 0x31040), 0x31000);
	ck_assert_ptr_null(unwind_table_find(t, 0xfff, false));
	ck_assert_int_eq(unwind_table_find(t, 0x1000, false)->cfa_off, 8);
	ck_assert_int_eq(unwind_table_find(t, 0x1003, false)->cfa_off, 8);
	ck_assert_int_eq(unwind_table_find(t, 0x1004, false)->cfa_off, 16);
	ck_assert_int_eq(unwind_table_find(t, 0x1004, true)->cfa_off, 8);
	ck_assert_int_eq(unwind_table_find(t, 0x10ff, false)->cfa_off, 16);
	ck_assert_int_eq(unwind_table_find(t, 0x1100, false)->cfa_off, 8);
	ck_assert_int_eq(unwind_table_find(t, 0x1100, true)->cfa_off, 16);
	ck_assert_int_eq(unwind_table_find(t, 0x117f, false)->cfa_off, 8);
	ck_assert_ptr_null(unwind_table_find(t, 0x1180, false));
	ck_assert_int_eq(unwind_table_find(t, 0x1180, true)->cfa_off, 8);
	ck_assert_ptr_null(unwind_table_find(t, 0x20000, false));
	ck_assert_int_eq(unwind_table_find(t, 0x31004, false)->cfa_off, 16);
	ck_assert_ptr_null(unwind_table_find(t, 0x40004, false));
	ck_assert(unwind_is_signal_frame(CFI_X86_64, unwind_table_find(t, 0x50000, true)));
	ck_assert_ptr_null(unwind_table_find(t, 0x60000, false));
	ck_assert_ptr_null(unwind_table_find(t, UINT64_MAX, false));
	ck_assert_uint_eq(unwind_table_function(t, 0x10ff), 0x1000);
	ck_assert_uint_eq(unwind_table_function(t, 0x1101), 0x1100);
	ck_assert_uint_eq(unwind_table_function(t, 0x31050), 0x31000);
	ck_assert_uint_eq(unwind_table_function(t, 0x4000c), 0x40000);
	ck_assert_uint_eq(unwind_table_function(t, 0x41234), 0x41234); /* behind a symbol's end */
	ck_assert_uint_eq(unwind_table_function(t, 0x43210), 0x42000); /* a symbol of no size */
	ck_assert_uint_eq(unwind_table_function(t, 0x2fff0), 0x2fff0);
	ck_assert_uint_eq(unwind_table_function(t, 0x50004), 0x50001);
	ck_assert_uint_eq(unwind_table_function(t, 0x10), 0x10);
	free(t);
}
END_TEST

START_TEST(functions_of_a_stripped_go_program)
{
	struct section s = {0};
	struct unwind_symbol f[4];

	put(&s, 0xfffffff1, 4);
	put_all(&s, "\0\0\1\10", 4);
	put(&s, 3, 8);	      /* functions */
	put(&s, 1, 8);	      /* files */
	put(&s, 0x401000, 8); /* where code starts */
	for (unsigned i = 0; i < 4; i++)
		put(&s, 0, 8);
	put(&s, 80, 8); /* where the table of functions starts */
	put(&s, 0, 8);
	for (unsigned i = 0; i < 4; i++) {
		put(&s, i * 0x20 * i, 4);
		put(&s, 0, 4);
	}
	ck_assert_uint_eq(unwind_go_functions(s.data, s.n, 0, f, 4), 3);
	ck_assert_uint_eq(f[0].start, 0x401000);
	ck_assert_uint_eq(f[1].start, 0x401020);
	ck_assert_uint_eq(f[1].size, 0x60);
	ck_assert_uint_eq(f[2].start, 0x401080);
	ck_assert_uint_eq(unwind_go_functions(s.data, s.n, 0, f, 2), 2);
	memset(s.data + 24, 0, 8); /* position-independent */
	ck_assert_uint_eq(unwind_go_functions(s.data, s.n, 0x9000, f, 4), 3);
	ck_assert_uint_eq(f[1].start, 0x9020);
	ck_assert_uint_eq(unwind_go_functions(s.data, 90, 0, f, 4), 0);
	ck_assert_uint_eq(unwind_go_functions(s.data, 71, 0, f, 4), 0);
	s.data[0] = 0xfb; /* of old */
	ck_assert_uint_eq(unwind_go_functions(s.data, s.n, 0, f, 4), 0);
}
END_TEST

/* Each FDE's start is the function of the addresses within it (but of stubs, which have one for all), and a lookup is what the interpreter says. */
struct all {
	struct unwind_table *t;
	uint64_t function;
	unsigned n;
};

static int check_lookup(void *arg, uint64_t at, const struct cfi_rule *rule)
{
	struct all *a = arg;
	const struct cfi_rule *have = unwind_table_find(a->t, at, false);

	if (rule->cfa == CFI_NONE && rule->ra.how != CFI_UNDEFINED)
		ck_assert_ptr_null(have);
	else
		ck_assert(have && memcmp(have, rule, sizeof(*rule)) == 0);
	bool stub = false;

	for (uint32_t i = 0; i < a->t->n_stubs; i++)
		stub = stub || (at >= a->t->stubs[i].start && at < a->t->stubs[i].end);
	if (!stub)
		ck_assert_uint_eq(unwind_table_function(a->t, at), a->function);
	a->n++;
	return 0;
}

START_TEST(tables_of_real_files)
{
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	struct all a = {0};
	struct cfi_fde fde;
	struct cfi c;
	GElf_Shdr h;
	size_t at = 0;
	int r;

	ck_assert_int_eq(unwind_table_read(&a.t, fd), 0);
	Elf *elf = elf_begin(fd, ELF_C_READ, NULL);
	Elf_Scn *scn = section_named(elf, ".eh_frame");
	Elf_Data *d = elf_rawdata(scn, NULL);

	gelf_getshdr(scn, &h);
	cfi_init(&c, a.t->arch, true, h.sh_addr, d->d_buf, d->d_size);
	while ((r = cfi_next(&c, &at, &fde)) >= 0)
		if (r == 1) {
			a.function = fde.start;
			cfi_rows(&c, fde.at, check_lookup, &a);
		}
	ck_assert_uint_gt(a.n, 1000);
	ck_assert_uint_lt(a.t->bytes, 8 * a.n + 40000);
	elf_end(elf);
	close(fd);
	free(a.t);
	fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(unwind_table_read(&a.t, fd), -ENOEXEC);
	close(fd);
	ck_assert_int_eq(unwind_table_image(&a.t, (const uint8_t *)"\177ELF", 4), -ENOEXEC);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {as_libdw_reads_real_files,
				      a_function_with_frame_pointer,
				      remembered_states_come_back,
				      signed_offsets_and_rare_rules,
				      expressions_in_closed_form,
				      nonsense_gives_no_rule,
				      augmentations,
				      debug_frame,
				      damage_does_no_harm,
				      work_is_limited,
				      tables_hold_what_the_section_says,
				      functions_of_a_stripped_go_program,
				      tables_of_real_files};

	return support_run("cfi", tests, sizeof(tests) / sizeof(tests[0]));
}
