/*
 * The call frame information of one module, compact: 4 bytes a row and a directory of 64 KiB pages, rules shared
 * (a module of 400,000 rows has some hundred different ones). Immutable once it is built; one allocation.
 */
#ifndef STROBE_UNWIND_UNWIND_TABLE_H
#define STROBE_UNWIND_UNWIND_TABLE_H

#include "unwind/cfi.h"

enum {
	UNWIND_PAGE_SHIFT = 16,
	UNWIND_ROW_START = 0x8000, /* flag of a row's rule: a function starts here */
	UNWIND_RULES_MAX = 0x7fff,
	UNWIND_ROWS_MAX = 8 << 20,
	UNWIND_SECTION_MAX = 64 << 20, /* of call frame information that is read, bytes */
	UNWIND_STUBS_MAX = 4
};

/* A procedure linkage table: one FDE, or none, for all of it, and each entry is a function. */
struct unwind_stubs {
	uint64_t start, end; /* ELF addresses */
	uint64_t each;	     /* bytes an entry takes */
};

struct unwind_row {
	uint16_t low;  /* of its address, relative to base */
	uint16_t rule; /* index, and UNWIND_ROW_START; rule 0 is none */
};

struct unwind_table {
	uint64_t id;   /* no other table had it before */
	uint64_t base; /* ELF address */
	uint32_t n_rows, n_pages, n_rules;
	enum cfi_arch arch;
	size_t bytes; /* of all of it */
	struct unwind_stubs stubs[UNWIND_STUBS_MAX];
	uint32_t n_stubs;
	const struct unwind_row *rows;
	const uint32_t *pages; /* n_pages + 1: the first row of each page */
	const struct cfi_rule *rules;
};

/* What to build from. */
struct unwind_symbol {
	uint64_t start, size;
	bool signal; /* signal handlers return there, and it has no rules of its own */
};
struct unwind_source {
	enum cfi_arch arch;
	uint64_t base, end; /* range of its executable segments; at most 4 GiB */
	struct {
		const uint8_t *data; /* NULL: none */
		size_t len;
		uint64_t addr;
	} eh, debug; /* debug: for what eh does not cover */
	struct unwind_stubs stubs[UNWIND_STUBS_MAX];
	size_t n_stubs;
	const struct unwind_symbol
		*symbols; /* functions, which give starts where neither has any */
	size_t n_symbols;
};
/* 0; -ENODATA: there is nothing in it; -E2BIG: more than is reasonable; -ENOMEM. */
int unwind_table_build(struct unwind_table **ret, const struct unwind_source *);

/* The row at an ELF address, or NULL. */
const struct unwind_row *unwind_table_row(const struct unwind_table *, uint64_t vaddr);
/* The rule at an ELF address, or of the call that returns there; NULL: none. */
const struct cfi_rule *unwind_table_find(const struct unwind_table *, uint64_t vaddr, bool returns);
/* The same, and the row of the address (returns: of the byte before it), NULL: none. */
const struct cfi_rule *unwind_table_look(const struct unwind_table *, uint64_t vaddr, bool returns,
					 const struct unwind_row **ret_row);
/* Start of the function that a row is of; 0: it is of none. Of what a signal handler returns to the row begins an
 * instruction before. */
uint64_t unwind_table_start(const struct unwind_table *, const struct unwind_row *);
/* Start of the entry of a procedure linkage table around vaddr; 0: it is in none. */
uint64_t unwind_table_stub(const struct unwind_table *, uint64_t vaddr);
/* Start of the function around it; vaddr itself: unknown. */
uint64_t unwind_table_function(const struct unwind_table *, uint64_t vaddr);

/* Of the frame that the kernel puts on the stack for a signal handler: where the interrupted registers are, from the
 * stack pointer at the handler's return. */
struct unwind_signal_layout {
	int16_t at[CFI_REGS]; /* by DWARF number */
};
const struct unwind_signal_layout *unwind_signal_layout(enum cfi_arch);
bool unwind_is_signal_frame(enum cfi_arch, const struct cfi_rule *);

/* Starts of functions in a Go program's own table (.gopclntab, of Go 1.18 and later), which stripping leaves: up to max of
 * them. text: where the code starts, for programs whose table does not tell. How many; 0: not such a table. */
size_t unwind_go_functions(const uint8_t *data, size_t len, uint64_t text, struct unwind_symbol *,
			   size_t max);

/* From an ELF file: its sections read through libelf. fd stays the caller's. 0; -ENOEXEC: no ELF file for a machine
 * that is known; -ENODATA, -E2BIG, -ENOMEM as above; -EIO. */
int unwind_table_read(struct unwind_table **ret, int fd);
/* The same of an image in memory. */
int unwind_table_image(struct unwind_table **ret, const uint8_t *data, size_t len);

#endif
