/*
 * Private to the symbol readers: a table of functions while it is collected from the symbol tables of an ELF file,
 * and as it is kept: 12 bytes a function, names in the file they come from.
 */
#ifndef STROBE_SYMBOLS_SYMTAB_H
#define STROBE_SYMBOLS_SYMTAB_H

#include "symbols/symbols_file.h"

/* Which string table a name is in. */
enum symtab_source { FROM_SYMTAB, FROM_DYNSYM, FROM_GO, FROM_PLT /* .dynsym's, and "@plt" */ };
enum { SOURCE_SHIFT = 30, SOURCES = FROM_PLT };
#define SYMBOL_NESTED (1u << 31)

struct symbol {
	uint32_t start; /* from the table's base */
	uint32_t size;	/* | SYMBOL_NESTED: starts within another one, which began before */
	uint32_t name;	/* offset in the string table | source << SOURCE_SHIFT */
};

/* What was found, to be put in order; the same function several times, by several names. */
struct found {
	uint32_t start, size, name;
	uint32_t rank; /* the lower the better name */
};

enum { SYMTAB_CODE_MAX = 256 };
struct symtab_builder {
	struct found *found; /* pages */
	size_t n, pages_len;
	uint64_t base; /* the lowest address that holds code */
	struct {
		uint32_t start, end;
	} code[SYMTAB_CODE_MAX]; /* sections */
	size_t n_code;
	struct {
		char *text; /* NULL: too large to hold meanwhile */
		size_t text_len, pages_len;
		uint64_t file_off;
	} strings[SOURCES];
	bool only_dynamic;
	bool failed; /* no memory */
};

/* f is the file that is mapped. 0; -ENODATA: it has no code. */
int builder_open(struct symtab_builder *, const struct symfile *f);
void builder_close(struct symtab_builder *);
/* Adds the functions of the SHT_SYMTAB or SHT_DYNSYM section sh of f. How many. */
size_t builder_add_table(struct symtab_builder *, const struct symfile *f, const GElf_Shdr *sh,
			 enum symtab_source);
/* Adds what Go's runtime knows of a program's functions, stripped or not. How many. */
size_t builder_add_go(struct symtab_builder *, const struct symfile *f);
/* Adds the entries of its PLTs, if FROM_DYNSYM's strings are there or can be found. */
void builder_add_plt(struct symtab_builder *, const struct symfile *f);
/* addr: of ELF. False when it is no code. */
bool builder_add(struct symtab_builder *, uint64_t addr, uint64_t size, uint32_t name,
		 uint32_t rank);
/* Sorted, one name each, in pages that the caller owns. NULL: none, or no memory. */
struct symbol *builder_finish(struct symtab_builder *, size_t *ret_n, size_t *ret_pages_len);

#endif
