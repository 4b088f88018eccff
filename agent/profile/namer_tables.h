/*
 * Private to the namer: symbol tables and perf maps by the module they are of, held within a bound. What is missing of
 * a module is remembered longer than its table. The namer's lock covers all of it.
 */
#ifndef STROBE_PROFILE_NAMER_TABLES_H
#define STROBE_PROFILE_NAMER_TABLES_H

#include "profile/namer.h"

struct namer_table {
	char *path, build_id[BUILD_ID_HEX];
	struct symtab *symtab; /* one of these two, or none */
	struct perf_map *map;
	bool wanted;	    /* for namer_step() to open */
	uint64_t ns_pid_us; /* when there was no perf map and this was made out: */
	uint32_t ns_pid;    /* see perf_map_look() */
	uint64_t
		failed_us; /* when there was nothing in it to find; 0: there is, or it is not known */
	uint8_t n_failed; /* in a row */
	uint64_t used;	  /* the larger the later */
	size_t bytes;
	char *missing; /* "" or words; NULL: not known */
	bool packaged; /* its package was looked for to say so */
};

struct namer_tables {
	struct namer_config c;
	struct namer_table **v;
	size_t n, cap;
	uint64_t clock, bytes;
	bool evicted; /* one had to go for another, since somebody set this to false */
};

void tables_close(struct namer_tables *);
/* The entry of a module, made if it is new; nothing is opened. NULL: no memory. */
struct namer_table *tables_get(struct namer_tables *, const char *path, const char *build_id);
/* Sees to it that its symbol table is there, if it can be, and makes room by closing others. */
bool table_failed(const struct namer_table *);	    /* a little while ago */
bool table_is_hopeless(const struct namer_table *); /* tried often enough */
void tables_open_symtab(struct namer_tables *, struct namer_table *);
/* Its perf map, with what was added since. */
void tables_open_map(struct namer_tables *, struct namer_table *, uint32_t pid);
/* An fd of the module's file, or of a debug file of that build-id; the caller's. Or -errno. */
int tables_file(const struct namer_tables *, const char *path, const char *build_id);

/* Names the package that would supply what is missing, if the host has that file of a package: slow, once. */
void tables_find_package(struct namer_table *);

enum module_kind { MODULE_NONE, MODULE_FILE, MODULE_VDSO, MODULE_KERNEL, MODULE_JIT };
/* By its name; *pid of MODULE_JIT. */
enum module_kind module_kind_of(const char *path, uint32_t *pid);

#endif
