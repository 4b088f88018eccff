/*
 * Call frame information as compilers write it (.eh_frame, .debug_frame): parsed and run into rows, one for each
 * stretch of addresses with one rule. Reads files of other users: every read is bounded, no input makes it loop or
 * recurse, and work is limited by the section's size.
 *
 * Registers have their DWARF numbers. Kept are the rules of the canonical frame address (CFA: the stack pointer
 * as it was before the call), of the frame pointer, of the return address and of one more register that hand-written code (the
 * loader's) remembers the stack pointer in. Others are known in the innermost frame and in those that a signal interrupted,
 * which suffices for the code that gcc, clang, rustc and go make.
 */
#ifndef STROBE_UNWIND_CFI_H
#define STROBE_UNWIND_CFI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum cfi_arch { CFI_X86_64, CFI_AARCH64 };
enum { CFI_REGS = 33, CFI_CIES = 8 };

/* Numbers of the registers that matter. */
struct cfi_names {
	uint8_t sp, fp, ra, base; /* ra: the return address column; base: the "one more" */
};
const struct cfi_names *cfi_names(enum cfi_arch);

enum cfi_cfa {
	CFI_NONE,  /* no rule */
	CFI_REG,   /* reg + off */
	CFI_DEREF, /* what is at reg + off, + add */
	CFI_PLT	   /* a stub of the linkage table: reg + off, + 8 where (ip & 15) >= add */
};

enum cfi_how {
	CFI_SAME,      /* as in the callee */
	CFI_UNDEFINED, /* there is none: of the return address, the thread began here */
	CFI_AT_CFA,    /* at CFA + off */
	CFI_AT_REG,    /* at reg + off */
	CFI_IN_REG,    /* in another register */
	CFI_IS_CFA,    /* CFA + off itself */
	CFI_LOST       /* a rule that is not kept */
};

struct cfi_saved {
	uint8_t how, reg; /* enum cfi_how */
	uint16_t zero;
	int32_t off;
};

/* Compared as bytes: no padding. */
struct cfi_rule {
	uint8_t cfa, cfa_reg; /* enum cfi_cfa */
	uint8_t signal; /* the frame of a signal handler: the caller was interrupted, it did not call */
	uint8_t zero;
	int32_t cfa_off, cfa_add;
	struct cfi_saved fp, ra, base;
};

struct cfi_cie {
	size_t at; /* in the section; SIZE_MAX: none yet */
	size_t insn, end;
	uint64_t code_align;
	int64_t data_align;
	uint8_t fde_enc, address_size;
	bool signal, sized; /* sized: augmentation data has a length ('z') */
	uint64_t ra_reg;
	struct cfi_rule initial;
};

struct cfi {
	const uint8_t *data; /* of the section */
	size_t len;
	uint64_t addr; /* where it is in memory (ELF address) */
	bool eh;       /* .eh_frame; else .debug_frame */
	enum cfi_arch arch;
	uint64_t budget; /* instructions that may still be run */
	unsigned cie;	 /* the one in use, of those read last: entries of several are mixed */
	struct cfi_cie cies[CFI_CIES];
};
void cfi_init(struct cfi *, enum cfi_arch, bool eh, uint64_t addr, const uint8_t *data, size_t len);

struct cfi_fde {
	uint64_t start, end; /* of the function */
	size_t at;	     /* of the entry in the section */
	size_t insn, insn_end;
};
/* The entry at *at, moved to the next one. 1: an FDE; 0: something else, or a broken entry; -ENODATA: the end;
 * -E2BIG: the budget is spent. */
int cfi_next(struct cfi *, size_t *at, struct cfi_fde *ret);
/* Rows of the FDE at `at`, rising from its start; the last one holds to its end. What row() returns but 0 ends it. 0;
 * -E2BIG; or what row() returned. */
typedef int cfi_row_fn(void *arg, uint64_t addr, const struct cfi_rule *);
int cfi_rows(struct cfi *, size_t at, cfi_row_fn *row, void *arg);

/* ---- between the files of this module ---- */

struct cfi_in {
	const uint8_t *p;
	size_t at, n; /* n: where reading ends */
	bool bad;     /* something went beyond it: all that was read is 0 */
};
uint64_t cfi_get(struct cfi_in *, unsigned bytes); /* little endian */
static inline uint8_t cfi_byte(struct cfi_in *in)
{
	if (in->bad || in->at >= in->n) {
		in->bad = true;
		return 0;
	}
	return in->p[in->at++];
}
uint64_t cfi_uleb_long(struct cfi_in *, uint8_t first);
static inline uint64_t cfi_uleb(struct cfi_in *in)
{
	uint8_t b = cfi_byte(in);

	return b & 0x80 ? cfi_uleb_long(in, b) : b;
}
int64_t cfi_sleb(struct cfi_in *);
/* A pointer in an encoding of DW_EH_PE_*; false: one that is not known. *ret as it is to be used. */
bool cfi_pointer(const struct cfi *, struct cfi_in *, uint8_t enc, uint8_t address_size,
		 uint64_t *ret);
/* Runs the initial instructions of a CIE. */
int cfi_run_initial(struct cfi *, struct cfi_cie *);

/* Expressions that have a closed form. */
struct cfi_expr {
	enum cfi_cfa form; /* CFI_NONE: none of those */
	uint8_t reg;
	int32_t off, add;
};
void cfi_expr(const uint8_t *p, size_t len, struct cfi_expr *ret);

#endif
