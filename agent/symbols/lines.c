#include "symbols/lines.h"

#include "symbols/root_file.h"
#include "symbols/symbols_file.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwelf.h>

/* Larger ones would have to be read as a whole for one line. */
enum { DEBUG_MAX = 512 << 20, FRAMES_MAX = 32, NAME_SIZE = 512 };

struct lines {
	struct symbol_line *v;
	size_t n;
	unsigned of; /* address in hand */
};

/* Bytes of a section once unpacked: .zdebug_* begins with "ZLIB" and its size, big-endian. */
static uint64_t unpacked_size(const struct symfile *f, Elf_Scn *scn, const GElf_Shdr *sh,
			      const char *name)
{
	GElf_Chdr packed;
	uint8_t head[12];
	uint64_t size = 0;

	if (sh->sh_size > DEBUG_MAX)
		return sh->sh_size;
	if (sh->sh_flags & SHF_COMPRESSED)
		return gelf_getchdr(scn, &packed) ? packed.ch_size : UINT32_MAX;
	if (name[1] != 'z' || !symfile_read(f, sh->sh_offset, head, sizeof(head)))
		return sh->sh_size;
	for (size_t i = 4; i < sizeof(head); i++)
		size = size << 8 | head[i];
	return size;
}

/* What libdw would load; no more than a little above DEBUG_MAX. */
static uint64_t debug_size(const struct symfile *f)
{
	uint64_t sum = 0;
	size_t names;

	if (elf_getshdrstrndx(f->elf, &names) < 0)
		return 0;
	for (Elf_Scn *scn = NULL; sum <= DEBUG_MAX && (scn = elf_nextscn(f->elf, scn));) {
		GElf_Shdr sh;
		const char *name = gelf_getshdr(scn, &sh) && sh.sh_type != SHT_NOBITS
					   ? elf_strptr(f->elf, names, sh.sh_name)
					   : NULL;
		uint64_t size;

		if (!name || (strncmp(name, ".debug", 6) != 0 && strncmp(name, ".zdebug", 7) != 0))
			continue;
		size = unpacked_size(f, scn, &sh, name);
		sum += size < UINT32_MAX ? size : UINT32_MAX;
	}
	return sum;
}

/* ---- what several debug files have in common, which dwz puts into a file of its own ---- */

struct shared_part {
	struct symfile f;
	int fd;
	Dwarf *dbg;
};

static void shared_close(struct shared_part *s)
{
	if (s->dbg) {
		dwarf_end(s->dbg);
		symfile_close(&s->f);
		close(s->fd);
	}
}

static int shared_fd(const struct symfile *f, const char *name, const char *id,
		     const char *debug_root)
{
	char path[PATH_MAX], own[PATH_MAX];
	int fd = debug_file_open_id(id, debug_root);

	if (fd >= 0 || f->fd < 0)
		return fd;
	fd_path(f->fd, own, sizeof(own));
	char *slash = strrchr(own, '/');
	int n = snprintf(path, sizeof(path), "%.*s%s", slash ? (int)(slash + 1 - own) : 0, own,
			 name);

	return root_file("", name[0] == '/' || n < 0 || (size_t)n >= sizeof(path) ? name : path);
}

/* libdw would open whatever path the file names, so it is given the part, or the file is not used. */
static bool shared_open(struct shared_part *s, Dwarf *dbg, const struct symfile *f,
			const char *debug_root)
{
	const char *name = NULL;
	const void *bytes = NULL;
	char id[SYMFILE_ID_SIZE] = "", is[SYMFILE_ID_SIZE];
	ssize_t n = dwelf_dwarf_gnu_debugaltlink(dbg, &name, &bytes);

	if (n == 0)
		return true;
	for (ssize_t i = 0; i < n && i < (SYMFILE_ID_SIZE - 1) / 2; i++)
		snprintf(id + 2 * i, 3, "%02x", ((const uint8_t *)bytes)[i]);
	s->fd = n > 0 ? shared_fd(f, name, id, debug_root) : -1;
	if (s->fd < 0)
		return false;
	if (symfile_open(&s->f, s->fd) == 0) {
		symfile_build_id(&s->f, is);
		if (strcmp(id, is) == 0 && debug_size(&s->f) <= DEBUG_MAX)
			s->dbg = dwarf_begin_elf(s->f.elf, DWARF_C_READ, NULL);
		if (s->dbg) {
			dwarf_setalt(dbg, s->dbg);
			return true;
		}
		symfile_close(&s->f);
	}
	close(s->fd);
	return false;
}

/* ---- the unit ---- */

/* The unit around addr; without .debug_aranges (clang) all are looked through. */
static bool find_unit(Dwarf *dbg, uint64_t addr, Dwarf_Die *ret)
{
	Dwarf_Off off = 0, next;
	size_t header;

	if (dwarf_addrdie(dbg, addr, ret) && dwarf_haspc(ret, addr) == 1)
		return true;
	while (dwarf_nextcu(dbg, off, &next, &header, NULL, NULL, NULL) == 0) {
		if (dwarf_offdie(dbg, off + header, ret) && dwarf_haspc(ret, addr) == 1)
			return true;
		off = next;
	}
	return false;
}

/* Of the function that a DIE is an instance of: the linkage name demangled, else the plain one. */
static const char *function_name(Dwarf_Die *die, char buf[NAME_SIZE])
{
	Dwarf_Attribute attr;
	const char *name = NULL;

	if (dwarf_attr_integrate(die, DW_AT_linkage_name, &attr) ||
	    dwarf_attr_integrate(die, DW_AT_MIPS_linkage_name, &attr))
		name = dwarf_formstring(&attr);
	if (!name && dwarf_attr_integrate(die, DW_AT_name, &attr))
		name = dwarf_formstring(&attr);
	symbol_demangle(name ? name : "", buf, NAME_SIZE);
	return buf;
}

/* ---- the answer ---- */

static char *absolute(const char *file, Dwarf_Die *unit)
{
	Dwarf_Attribute attr;
	const char *dir = dwarf_attr(unit, DW_AT_comp_dir, &attr) ? dwarf_formstring(&attr) : NULL;
	char *path = NULL;

	if (!file || file[0] == '/' || !dir || dir[0] != '/')
		return strdup(file ? file : "");
	return asprintf(&path, "%s/%s", dir, file) < 0 ? NULL : path;
}

static int add(struct lines *l, const char *function, char *file, int line, int begins)
{
	char *name = strdup(function);
	void *v = name && file ? realloc(l->v, (l->n + 1) * sizeof(*l->v)) : NULL;

	if (!v) {
		free(name);
		free(file);
		return -ENOMEM;
	}
	symbol_clean(file);
	l->v = v;
	l->v[l->n++] = (struct symbol_line){
		.function = name, .file = file, .line = line, .begins = begins, .of = l->of};
	return 0;
}

/* -1: it has none. */
static int number(Dwarf_Die *die, unsigned what)
{
	Dwarf_Attribute attr;
	Dwarf_Word v;

	return dwarf_attr(die, what, &attr) && dwarf_formudata(&attr, &v) == 0 && v <= INT_MAX
		       ? (int)v
		       : -1;
}

/* Where the call that was inlined as `die` stands. File 0 is one in DWARF 5, and "???" before. */
static const char *call_file(Dwarf_Die *die, Dwarf_Die *unit)
{
	Dwarf_Files *files;
	size_t n;
	int i = number(die, DW_AT_call_file);

	if (dwarf_getsrcfiles(unit, &files, &n) < 0 || i < 0 || (size_t)i >= n)
		return NULL;
	const char *file = dwarf_filesrc(files, (size_t)i, NULL, NULL);

	return file && strcmp(file, "???") == 0 ? NULL : file;
}

/* 0: unknown, or in another file. */
static int declared(Dwarf_Die *die, const char *file)
{
	const char *there = dwarf_decl_file(die);
	int line;

	return there && file && strcmp(there, file) == 0 && dwarf_decl_line(die, &line) == 0 &&
			       line > 0
		       ? line
		       : 0;
}

/* scopes: from the innermost outwards, as they lie in each other. */
static int add_scopes(struct lines *l, Dwarf_Die *scopes, int n, Dwarf_Die *unit, uint64_t addr)
{
	Dwarf_Line *src = dwarf_getsrc_die(unit, addr);
	const char *file = src ? dwarf_linesrc(src, NULL, NULL) : NULL;
	char name[NAME_SIZE];
	size_t before = l->n;
	int line = 0, r = 0;

	if (src && dwarf_lineno(src, &line) < 0)
		line = 0;
	for (int i = 0; i < n && r == 0 && l->n - before < FRAMES_MAX; i++) {
		int tag = dwarf_tag(&scopes[i]);

		if (tag != DW_TAG_inlined_subroutine && tag != DW_TAG_subprogram)
			continue;
		r = add(l, function_name(&scopes[i], name), absolute(file, unit), line,
			declared(&scopes[i], file));
		if (r < 0 || tag == DW_TAG_subprogram)
			break;
		l->v[l->n - 1].inlined = true;
		file = call_file(&scopes[i], unit);
		line = number(&scopes[i], DW_AT_call_line);
		line = line < 0 ? 0 : line;
	}
	if (r == 0 && l->n == before && src)
		r = add(l, "", absolute(file, unit), line, 0);
	return r < 0 ? r : l->n > before ? 0 : -ENODATA;
}

static int lines_of(struct lines *l, Dwarf *dbg, uint64_t addr)
{
	Dwarf_Die unit, inner, *scopes = NULL;

	if (!find_unit(dbg, addr, &unit))
		return -ENODATA;
	int n = dwarf_getscopes(&unit, addr, &scopes);

	/* The scopes around an inlined one that this gives are those of its source: not of where it was put. */
	if (n > 0) {
		inner = scopes[0];
		free(scopes);
		scopes = NULL;
		n = dwarf_getscopes_die(&inner, &scopes);
	}
	int r = add_scopes(l, scopes, n, &unit, addr);

	free(scopes);
	return r;
}

static int lines_of_all(struct lines *l, Dwarf *dbg, const uint64_t *addrs, size_t n)
{
	int r = 0;

	for (l->of = 0; l->of < n && (r == 0 || r == -ENODATA); l->of++)
		r = lines_of(l, dbg, addrs[l->of]);
	return r == -ENODATA && l->n ? 0 : r;
}

static int lines_in(struct lines *l, const struct symfile *f, const char *debug_root,
		    const uint64_t *addrs, size_t n)
{
	struct shared_part shared = {0};
	uint64_t size = debug_size(f);
	int r = -ENODATA;

	if (!size)
		return -ENODATA;
	if (size > DEBUG_MAX)
		return -EFBIG;
	Dwarf *dbg = dwarf_begin_elf(f->elf, DWARF_C_READ, NULL);

	if (!dbg)
		return -ENODATA;
	if (shared_open(&shared, dbg, f, debug_root))
		r = lines_of_all(l, dbg, addrs, n);
	dwarf_end(dbg);
	shared_close(&shared);
	return r;
}

int lines_read(int fd, const char *debug_root, const uint64_t *vaddrs, size_t n_vaddrs,
	       struct symbol_line **ret, size_t *n)
{
	struct symfile f, debug;
	struct lines l = {0};
	char path[PATH_MAX];
	int r = symfile_open(&f, fd);

	if (r < 0)
		return r;
	fd_path(fd, path, sizeof(path));
	r = lines_in(&l, &f, debug_root, vaddrs, n_vaddrs);
	if (r == -ENODATA && !l.n) {
		int other = debug_file_open(&debug, &f, path, debug_root, ".debug_info");

		if (other >= 0) {
			r = lines_in(&l, &debug, debug_root, vaddrs, n_vaddrs);
			symfile_close(&debug);
			close(other);
		}
	}
	symfile_close(&f);
	if (r < 0) {
		symbol_lines_free(l.v, l.n);
		return r;
	}
	*ret = l.v;
	*n = l.n;
	return 0;
}
