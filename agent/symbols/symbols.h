/*
 * What the functions of a module, of the kernel and of a JIT are called. Tables are sorted by address; names are
 * demangled (C++, Rust) as they are handed out. Background thread; nothing here is for the profiler's thread but
 * kernel_function().
 *
 * Sources of a module, in this order: .symtab; Go's .gopclntab; .gnu_debugdata (xz); the debug file of its build-id below
 * /usr/lib/debug/.build-id, or of .gnu_debuglink; .dynsym. What is missing is said in words (symtab_missing).
 */
#ifndef STROBE_SYMBOLS_SYMBOLS_H
#define STROBE_SYMBOLS_SYMBOLS_H

#include "base/host.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct symtab;
/* Of an ELF file; the fd stays the caller's. debug_root: "" or a root below which /usr/lib/debug is looked for (of a process in
 * another mount namespace), beside the host's own. 0; -ENOEXEC: no ELF file; -ENODATA: no symbols at all (*ret still
 * tells what is missing); -errno. */
int symtab_open(struct symtab **ret, int fd, const char *debug_root);
/* The agent's own vDSO, which is every process's of its word size. 0, -ENOENT, -errno. */
int symtab_open_vdso(struct symtab **ret);
void symtab_close(struct symtab *); /* NULL is fine */
size_t symtab_bytes(const struct symtab *);
size_t symtab_count(const struct symtab *); /* functions */
/* The function around an ELF address: its demangled name into buf, cut to size, and its start. 0 or -ENOENT. */
int symtab_find(const struct symtab *, uint64_t vaddr, char *buf, size_t size, uint64_t *ret_start);
/* From a position in the file to its ELF address. 0: it is no code. */
uint64_t symtab_vaddr(const struct symtab *, uint64_t file_off);
/* "" , or what would supply more: "stripped: install libfoo-dbgsym, or put the debug file of build-id ab12... below
 * /usr/lib/debug". Valid as long as the table. */
const char *symtab_missing(const struct symtab *);
/* Stands in that where a name of a package would be better: namer_missing() puts it there. */
#define SYMTAB_PACKAGE "the -dbgsym (or -dbg) package of its package"
bool symtab_is_full(const struct symtab *); /* not only dynamic symbols */

/* The kernel's, from /proc/kallsyms. 0; -EACCES: addresses are hidden (what to set is in err). */
struct kernel_symbols;
int kernel_symbols_open(struct kernel_symbols **ret, const struct host *, char *err,
			size_t err_len);
void kernel_symbols_close(struct kernel_symbols *);
size_t kernel_symbols_bytes(const struct kernel_symbols *);
uint64_t kernel_function(const struct kernel_symbols *,
			 uint64_t addr); /* its start; addr itself: unknown */
/* *module: "nf_tables", "bpf", or "" of the kernel proper; valid as long as the table. NULL: unknown. */
const char *kernel_name(const struct kernel_symbols *, uint64_t addr, const char **ret_module);

/* A JIT's perf map: /proc/PID/root/tmp/perf-NSPID.map of the process's own mount and pid namespaces. Anyone can write
 * to /tmp, so that it must belong to the process's user or to root. */
struct perf_map;
int perf_map_open(struct perf_map **ret, const struct host *,
		  uint32_t pid); /* 0, -ENOENT, -EPERM: another's, -errno */
/* Is there such a file? Much cheaper than to open it. *ns_pid: the process's own number, kept by the caller from one
 * look to the next; 0 before the first. 0, -ENOENT, -errno. */
int perf_map_look(const struct host *, uint32_t pid, uint32_t *ns_pid);
void perf_map_close(struct perf_map *);
/* Reads what was added; 1: something was, 0: nothing, -ENOENT: gone, -ESRCH: by that number there is another process
 * now, or -errno (what was read stays). */
int perf_map_refresh(struct perf_map *);
size_t perf_map_bytes(const struct perf_map *);	    /* at most about 64 MiB */
uint64_t perf_map_dropped(const struct perf_map *); /* lines for which there was no room */
/* The name given last to code around addr, and its start. Valid until the next refresh. NULL: none. */
const char *perf_map_find(const struct perf_map *, uint64_t addr, uint64_t *ret_start);

/* Names come from files that anybody wrote. What is no printable UTF-8 in this one becomes '?'; all that is handed out
 * here went through it. */
void symbol_clean(char *name);
/* Demangles C++ and Rust; a name that is neither is copied. Into buf, cut to size. */
void symbol_demangle(const char *name, char *buf, size_t size);

/* For one frame that was clicked: where up to SYMBOL_LINES_MAX ELF addresses are in the source, of each in turn inlined
 * calls included, innermost first, through DWARF. Slow: a process of its own reads it, since files may be made to break
 * libdw; query thread. *n lines to symbol_lines_free(), none of an address without lines. 0; -ENODATA: no line
 * information for any; -EBADMSG: damaged; -ETIMEDOUT; -EFBIG. */
enum { SYMBOL_LINES_MAX = 2 };
struct symbol_line {
	char *function, *file;
	int line;
	int begins;  /* the line of the same file in which the function is declared; 0: unknown */
	unsigned of; /* index of the address */
	bool inlined;
};
int symbol_lines(int fd, const char *debug_root, const uint64_t *vaddrs, size_t n_vaddrs,
		 struct symbol_line **ret, size_t *n);
void symbol_lines_free(struct symbol_line *, size_t n);

#endif
