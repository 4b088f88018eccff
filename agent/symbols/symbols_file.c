#include "symbols/symbols_file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* libelf loads all headers and the sections' names at once, whatever a file says their size is, and a file may be
 * terabytes of nothing. */
enum { SECTIONS_MAX = 64 << 10, NAMES_MAX = 4 << 20, NOTES_MAX = 64 << 10 };

size_t pages_round(size_t len)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return (len + page - 1) / page * page;
}

void *pages_new(size_t len)
{
	void *p = mmap(NULL, len ? len : 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		       0);

	return p == MAP_FAILED ? NULL : p;
}

void pages_free(void *p, size_t len)
{
	if (p)
		munmap(p, len ? len : 1);
}

void *pages_resize(void *p, size_t old_len, size_t len)
{
	void *q = mremap(p, old_len ? old_len : 1, len ? len : 1, MREMAP_MAYMOVE);

	return q == MAP_FAILED ? NULL : q;
}

static bool is_native(Elf *elf)
{
	const char *ident = elf_getident(elf, NULL);
	int native = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB : ELFDATA2MSB;

	return ident && elf_kind(elf) == ELF_K_ELF && ident[EI_DATA] == native;
}

static bool is_sane(Elf *elf)
{
	size_t n, names;
	GElf_Shdr sh;

	if (elf_getshdrnum(elf, &n) < 0 || n > SECTIONS_MAX)
		return false;
	if (!n)
		return true;
	return elf_getshdrstrndx(elf, &names) == 0 &&
	       (!names || (gelf_getshdr(elf_getscn(elf, names), &sh) && sh.sh_size <= NAMES_MAX));
}

/* More than 64 Ki sections or program headers are counted elsewhere than in the header; no program has those. */
static bool counts_fit(const struct symfile *f)
{
	union {
		unsigned char ident[EI_NIDENT];
		Elf32_Ehdr small;
		Elf64_Ehdr large;
	} h;

	if (!symfile_read(f, 0, &h, sizeof(h.small)))
		return false;
	if (h.ident[EI_CLASS] != ELFCLASS64)
		return h.small.e_phnum != PN_XNUM && (h.small.e_shnum || !h.small.e_shoff);
	return symfile_read(f, 0, &h, sizeof(h.large)) && h.large.e_phnum != PN_XNUM &&
	       (h.large.e_shnum || !h.large.e_shoff);
}

static int begin(struct symfile *f)
{
	if (elf_version(EV_CURRENT) == EV_NONE || !counts_fit(f))
		return -ENOEXEC;
	f->elf = f->image ? elf_memory((char *)f->image, f->size)
			  : elf_begin(f->fd, ELF_C_READ, NULL);
	if (f->elf && is_native(f->elf) && is_sane(f->elf))
		return 0;
	elf_end(f->elf);
	return -ENOEXEC;
}

int symfile_open(struct symfile *ret, int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	struct symfile f = {.fd = fd, .size = (uint64_t)st.st_size};
	int r = S_ISREG(st.st_mode) ? begin(&f) : -ENOEXEC;

	if (r == 0)
		*ret = f;
	return r;
}

int symfile_open_image(struct symfile *ret, uint8_t *image, uint64_t size)
{
	struct symfile f = {.fd = -1, .image = image, .size = size};
	int r = begin(&f);

	if (r == 0)
		*ret = f;
	return r;
}

void symfile_close(struct symfile *f)
{
	elf_end(f->elf);
	pages_free(f->image, f->size);
	*f = (struct symfile){.fd = -1};
}

bool symfile_read(const struct symfile *f, uint64_t off, void *buf, size_t len)
{
	if (off > f->size || len > f->size - off)
		return false;
	if (f->image) {
		memcpy(buf, f->image + off, len);
		return true;
	}
	for (size_t done = 0; done < len;) {
		ssize_t n = pread(f->fd, (char *)buf + done, len - done, (off_t)(off + done));

		if (n <= 0 && !(n < 0 && errno == EINTR))
			return false;
		done += n > 0 ? (size_t)n : 0;
	}
	return true;
}

static bool inside(const struct symfile *f, const GElf_Shdr *sh)
{
	return sh->sh_type == SHT_NOBITS ||
	       (sh->sh_offset <= f->size && sh->sh_size <= f->size - sh->sh_offset);
}

bool symfile_section_at(const struct symfile *f, uint32_t index, GElf_Shdr *ret)
{
	GElf_Shdr sh;

	if (!gelf_getshdr(elf_getscn(f->elf, index), &sh) || !inside(f, &sh))
		return false;
	*ret = sh;
	return true;
}

bool symfile_section(const struct symfile *f, uint32_t type, const char *name, GElf_Shdr *ret)
{
	size_t names;

	if (elf_getshdrstrndx(f->elf, &names) < 0)
		return false;
	for (Elf_Scn *scn = NULL; (scn = elf_nextscn(f->elf, scn));) {
		GElf_Shdr sh;

		if (!gelf_getshdr(scn, &sh) || (type && sh.sh_type != type) || !inside(f, &sh))
			continue;
		const char *is = name ? elf_strptr(f->elf, names, sh.sh_name) : NULL;

		if (name && (!is || strcmp(is, name) != 0))
			continue;
		*ret = sh;
		return true;
	}
	return false;
}

char *symfile_load(const struct symfile *f, const GElf_Shdr *sh, uint64_t max, size_t *ret_len)
{
	if (sh->sh_type == SHT_NOBITS || sh->sh_size > max)
		return NULL;
	size_t len = sh->sh_size + 1;
	char *p = pages_new(len);

	if (p && !symfile_read(f, sh->sh_offset, p, sh->sh_size)) {
		pages_free(p, len);
		p = NULL;
	}
	if (p)
		*ret_len = len;
	return p;
}

bool symfile_debuglink(const struct symfile *f, char name[SYMFILE_LINK_SIZE], uint32_t *crc)
{
	GElf_Shdr sh;
	char buf[SYMFILE_LINK_SIZE + 8];

	if (!symfile_section(f, SHT_PROGBITS, ".gnu_debuglink", &sh) || sh.sh_size > sizeof(buf) ||
	    !symfile_read(f, sh.sh_offset, buf, sh.sh_size))
		return false;
	size_t len = strnlen(buf, sh.sh_size), at = (len + 4) / 4 * 4;

	if (!len || len >= SYMFILE_LINK_SIZE || at + 4 > sh.sh_size || memchr(buf, '/', len))
		return false;
	memcpy(name, buf, len + 1);
	memcpy(crc, buf + at, 4);
	return true;
}

/* The build-id among len bytes of notes. */
static bool find_id(const uint8_t *p, size_t len, char id[SYMFILE_ID_SIZE])
{
	while (len >= sizeof(Elf64_Nhdr)) {
		Elf64_Nhdr n;
		size_t room = len - sizeof(n);

		memcpy(&n, p, sizeof(n));
		p += sizeof(n);
		size_t name = ((size_t)n.n_namesz + 3) & ~(size_t)3;
		size_t desc = ((size_t)n.n_descsz + 3) & ~(size_t)3;

		if (name > room || desc > room - name)
			return false;
		if (n.n_type == NT_GNU_BUILD_ID && n.n_namesz == 4 && memcmp(p, "GNU", 4) == 0) {
			size_t max = (SYMFILE_ID_SIZE - 1) / 2;

			for (size_t i = 0; i < n.n_descsz && i < max; i++)
				snprintf(id + 2 * i, 3, "%02x", p[name + i]);
			return n.n_descsz != 0;
		}
		p += name + desc;
		len = room - name - desc;
	}
	return false;
}

void symfile_build_id(const struct symfile *f, char id[SYMFILE_ID_SIZE])
{
	bool found = false;

	id[0] = 0;
	for (Elf_Scn *scn = NULL; !found && (scn = elf_nextscn(f->elf, scn));) {
		GElf_Shdr sh;
		size_t len = 0;
		uint8_t *notes = NULL;

		if (gelf_getshdr(scn, &sh) && sh.sh_type == SHT_NOTE)
			notes = (uint8_t *)symfile_load(f, &sh, NOTES_MAX, &len);
		found = notes && find_id(notes, sh.sh_size, id);
		pages_free(notes, len);
	}
}
