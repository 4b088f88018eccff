#include "symbols/symbols.h"

#include "symbols/symtab.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <lzma.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
	NAME_MAX_LEN = 8 << 10,
	NAME_MOST = 240,
	IMAGE_MAX = 64 << 20,
	UNPACK_MEMORY = 64 << 20,
	VDSO_MAX = 64 << 10,
	SEGMENTS_MAX = 8, /* of code */
};

struct symtab {
	struct symbol *symbols; /* pages */
	size_t n, pages_len;
	uint64_t base;
	struct {
		int fd;	    /* owned; -1: text, or none */
		char *text; /* pages */
		size_t text_pages;
		uint64_t off, len;
	} names[SOURCES];
	struct {
		uint64_t off, len, vaddr;
	} segments[SEGMENTS_MAX];
	size_t n_segments;
	bool full;
	char missing[PATH_MAX + 512];
};

/* ---- opening ---- */

/* An xz file in memory, unpacked into pages. NULL: damaged, or too large. */
static uint8_t *unpack(uint8_t *in, size_t in_len, size_t *ret_len)
{
	lzma_stream s = LZMA_STREAM_INIT;
	size_t len = 1 << 20;
	uint8_t *out = pages_new(len);
	lzma_ret r = LZMA_MEM_ERROR;

	if (out && lzma_stream_decoder(&s, UNPACK_MEMORY, 0) == LZMA_OK) {
		s.next_in = in;
		s.avail_in = in_len;
		do {
			if (s.total_out == len) {
				uint8_t *more =
					len < IMAGE_MAX ? pages_resize(out, len, 2 * len) : NULL;

				if (!more)
					break;
				out = more;
				len *= 2;
			}
			s.next_out = out + s.total_out;
			s.avail_out = len - s.total_out;
			r = lzma_code(&s, LZMA_FINISH);
		} while (r == LZMA_OK);
	}
	lzma_end(&s);
	if (r == LZMA_STREAM_END && s.total_out) {
		size_t used = s.total_out;
		uint8_t *cut = pages_resize(out, len, used);

		if (cut) {
			*ret_len = used;
			return cut;
		}
	}
	pages_free(out, len);
	return NULL;
}

/* .gnu_debugdata: an ELF file in xz, with the functions that .dynsym does not have. */
static bool open_mini(struct symfile *ret, const struct symfile *f)
{
	GElf_Shdr sh;
	size_t packed_len, len;

	if (!symfile_section(f, SHT_PROGBITS, ".gnu_debugdata", &sh))
		return false;
	uint8_t *packed = (uint8_t *)symfile_load(f, &sh, IMAGE_MAX, &packed_len);
	uint8_t *image = packed ? unpack(packed, packed_len - 1, &len) : NULL;

	pages_free(packed, packed ? packed_len : 0);
	if (!image)
		return false;
	if (symfile_open_image(ret, image, len) < 0) {
		pages_free(image, len);
		return false;
	}
	return true;
}

static void own_names(struct symtab *t, enum symtab_source source, const struct symtab_builder *b,
		      int fd)
{
	t->names[source].off = b->strings[source].file_off;
	t->names[source].len = b->strings[source].text_len;
	t->names[source].fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

/* 0 functions: f has no such table. */
static size_t add_symtab(struct symtab *t, struct symtab_builder *b, const struct symfile *f)
{
	GElf_Shdr sh;
	size_t n = symfile_section(f, SHT_SYMTAB, NULL, &sh)
			   ? builder_add_table(b, f, &sh, FROM_SYMTAB)
			   : 0;

	if (n && f->fd >= 0)
		own_names(t, FROM_SYMTAB, b, f->fd);
	return n;
}

static size_t add_go(struct symtab *t, struct symtab_builder *b, const struct symfile *f)
{
	size_t n = builder_add_go(b, f);

	if (n)
		own_names(t, FROM_GO, b, f->fd);
	return n;
}

static size_t add_mini(struct symtab *t, struct symtab_builder *b, const struct symfile *f)
{
	struct symfile mini;

	if (!open_mini(&mini, f))
		return 0;
	size_t n = add_symtab(t, b, &mini);

	symfile_close(&mini);
	return n;
}

static size_t add_debug_file(struct symtab *t, struct symtab_builder *b, const struct symfile *f,
			     const char *path, const char *debug_root)
{
	struct symfile debug;
	int fd = debug_file_open(&debug, f, path, debug_root, ".symtab");

	if (fd < 0)
		return 0;
	size_t n = add_symtab(t, b, &debug);

	symfile_close(&debug);
	close(fd);
	return n;
}

static void say_missing(struct symtab *t, const struct symfile *f, const char *path, bool dynamic)
{
	char id[SYMFILE_ID_SIZE];
	const char *what = dynamic ? "stripped, only exported functions have names"
				   : "stripped, no function has a name";

	symfile_build_id(f, id);
	if (id[0])
		snprintf(t->missing, sizeof(t->missing),
			 "%s: install " SYMTAB_PACKAGE ", or put the debug file of build-id %s at "
			 "/usr/lib/debug/.build-id/%.2s/%s.debug (debuginfod-find debuginfo ID)",
			 what, id, id, id + 2);
	else
		snprintf(t->missing, sizeof(t->missing),
			 "%s, and %s has no build-id by which to find its debug file: build it "
			 "without -s, or do not strip it",
			 what, path[0] ? path : "it");
}

static void add_sources(struct symtab *t, struct symtab_builder *b, const struct symfile *f,
			const char *debug_root)
{
	char path[PATH_MAX];
	GElf_Shdr sh;

	fd_path(f->fd, path, sizeof(path));
	bool whole = add_symtab(t, b, f) || add_go(t, b, f);
	bool mini = !whole && add_mini(t, b, f);

	whole = whole || (!mini && add_debug_file(t, b, f, path, debug_root));
	b->only_dynamic = !whole && !mini;
	bool dynamic = !whole && symfile_section(f, SHT_DYNSYM, NULL, &sh) &&
		       builder_add_table(b, f, &sh, FROM_DYNSYM);

	builder_add_plt(b, f);
	if (b->strings[FROM_DYNSYM].text_len)
		own_names(t, FROM_DYNSYM, b, f->fd);
	t->full = whole || mini;
	if (!t->full)
		say_missing(t, f, path, dynamic);
}

static void add_segments(struct symtab *t, const struct symfile *f)
{
	size_t n;

	if (elf_getphdrnum(f->elf, &n) != 0)
		return;
	for (size_t i = 0; i < n && t->n_segments < SEGMENTS_MAX; i++) {
		GElf_Phdr p;

		if (!gelf_getphdr(f->elf, (int)i, &p) || p.p_type != PT_LOAD || !(p.p_flags & PF_X))
			continue;
		t->segments[t->n_segments].off = p.p_offset;
		t->segments[t->n_segments].len = p.p_filesz;
		t->segments[t->n_segments++].vaddr = p.p_vaddr;
	}
}

int symtab_open(struct symtab **ret, int fd, const char *debug_root)
{
	struct symfile f;
	struct symtab_builder b;
	int r = symfile_open(&f, fd);

	if (r < 0)
		return r;
	struct symtab *t = pages_new(sizeof(*t));

	if (!t) {
		symfile_close(&f);
		return -ENOMEM;
	}
	for (int i = 0; i < SOURCES; i++)
		t->names[i].fd = -1;
	add_segments(t, &f);
	r = builder_open(&b, &f);
	if (r == 0) {
		t->base = b.base;
		add_sources(t, &b, &f, debug_root);
		t->symbols = builder_finish(&b, &t->n, &t->pages_len);
		if (b.strings[FROM_SYMTAB].text && t->names[FROM_SYMTAB].fd < 0 && t->n) {
			t->names[FROM_SYMTAB].text = b.strings[FROM_SYMTAB].text;
			t->names[FROM_SYMTAB].text_pages = b.strings[FROM_SYMTAB].pages_len;
			t->names[FROM_SYMTAB].len = b.strings[FROM_SYMTAB].text_len;
			b.strings[FROM_SYMTAB].text = NULL;
		}
		r = b.failed ? -ENOMEM : t->n ? 0 : -ENODATA;
	} else {
		snprintf(t->missing, sizeof(t->missing), "no code in it");
	}
	builder_close(&b);
	symfile_close(&f);
	if (r == -ENOMEM) {
		symtab_close(t);
		return r;
	}
	*ret = t;
	return r;
}

int symtab_open_vdso(struct symtab **ret)
{
	const uint8_t *vdso = (const uint8_t *)(uintptr_t)getauxval(AT_SYSINFO_EHDR);
	Elf64_Ehdr eh;

	if (!vdso)
		return -ENOENT;
	memcpy(&eh, vdso, sizeof(eh));
	size_t len = eh.e_shoff + (size_t)eh.e_shnum * eh.e_shentsize;

	if (len > VDSO_MAX)
		return -ENOEXEC;
	int fd = memfd_create("vdso", MFD_CLOEXEC);

	if (fd < 0)
		return -errno;
	int r = write(fd, vdso, len) == (ssize_t)len ? symtab_open(ret, fd, "") : -EIO;

	close(fd);
	return r;
}

void symtab_close(struct symtab *t)
{
	if (!t)
		return;
	pages_free(t->symbols, t->pages_len);
	for (int i = 0; i < SOURCES; i++) {
		if (t->names[i].fd >= 0)
			close(t->names[i].fd);
		pages_free(t->names[i].text, t->names[i].text_pages);
	}
	pages_free(t, sizeof(*t));
}

size_t symtab_bytes(const struct symtab *t)
{
	return pages_round(sizeof(*t)) + t->pages_len + t->names[FROM_SYMTAB].text_pages;
}

size_t symtab_count(const struct symtab *t)
{
	return t->n;
}

const char *symtab_missing(const struct symtab *t)
{
	return t->missing;
}

bool symtab_is_full(const struct symtab *t)
{
	return t->full;
}

/* ---- finding ---- */

static const struct symbol *find(const struct symtab *t, uint64_t vaddr)
{
	uint64_t at = vaddr - t->base;
	size_t low = 0, high = t->n;

	if (vaddr < t->base || at > UINT32_MAX)
		return NULL;
	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (t->symbols[mid].start <= at)
			low = mid + 1;
		else
			high = mid;
	}
	while (low-- > 0) {
		const struct symbol *s = &t->symbols[low];

		if (at - s->start < (s->size & ~SYMBOL_NESTED))
			return s;
		if (!(s->size & SYMBOL_NESTED))
			break;
	}
	return NULL;
}

uint64_t symtab_vaddr(const struct symtab *t, uint64_t file_off)
{
	for (size_t i = 0; i < t->n_segments; i++)
		if (file_off >= t->segments[i].off &&
		    file_off - t->segments[i].off < t->segments[i].len)
			return file_off - t->segments[i].off + t->segments[i].vaddr;
	return 0;
}

/* The name at `off` into buf, NUL-ended and cut; false: it is not there any more. */
static bool read_name(const struct symtab *t, enum symtab_source source, uint32_t off, char *buf,
		      size_t size)
{
	uint64_t left = off < t->names[source].len ? t->names[source].len - off : 0;
	size_t n = left < size - 1 ? left : size - 1;

	if (t->names[source].text) {
		memcpy(buf, t->names[source].text + off, n);
	} else {
		/* Nearly all names are short: the rest is read when one is not. */
		size_t first = n < NAME_MOST ? n : NAME_MOST;
		ssize_t got =
			pread(t->names[source].fd, buf, first, (off_t)(t->names[source].off + off));

		if (got == NAME_MOST && n > first && !memchr(buf, 0, first)) {
			ssize_t more = pread(t->names[source].fd, buf + first, n - first,
					     (off_t)(t->names[source].off + off + first));

			got += more > 0 ? more : 0;
		}
		n = got > 0 ? (size_t)got : 0;
	}
	buf[n] = 0;
	return buf[0];
}

int symtab_find(const struct symtab *t, uint64_t vaddr, char *buf, size_t size, uint64_t *ret_start)
{
	const struct symbol *s = find(t, vaddr);
	char name[NAME_MAX_LEN];

	if (!s)
		return -ENOENT;
	uint32_t source = s->name >> SOURCE_SHIFT, off = s->name & ((1u << SOURCE_SHIFT) - 1);

	if (!read_name(t, source == FROM_PLT ? FROM_DYNSYM : source, off, name,
		       sizeof(name) - sizeof("@plt")))
		return -ENOENT;
	char *version = source == FROM_GO ? NULL : strchr(name + 1, '@'); /* memcpy@@GLIBC_2.14 */

	if (version)
		*version = 0;
	symbol_demangle(name, buf, size);
	if (source == FROM_PLT && size)
		strncat(buf, "@plt", size - 1 - strlen(buf));
	if (ret_start)
		*ret_start = t->base + s->start;
	return 0;
}
