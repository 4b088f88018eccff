#include "profile/symbols_file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <elfutils/libdwelf.h>

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

int symfile_open(struct symfile *f, int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || elf_version(EV_CURRENT) == EV_NONE)
		return -ENOEXEC;
	Elf *elf = elf_begin(fd, ELF_C_READ, NULL);

	if (!elf || !is_native(elf)) {
		elf_end(elf);
		return -ENOEXEC;
	}
	*f = (struct symfile){.elf = elf, .fd = fd, .size = (uint64_t)st.st_size};
	return 0;
}

int symfile_open_image(struct symfile *f, uint8_t *image, uint64_t size)
{
	if (elf_version(EV_CURRENT) == EV_NONE)
		return -ENOEXEC;
	Elf *elf = elf_memory((char *)image, size);

	if (!elf || !is_native(elf)) {
		elf_end(elf);
		return -ENOEXEC;
	}
	*f = (struct symfile){.elf = elf, .fd = -1, .image = image, .size = size};
	return 0;
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

void symfile_build_id(const struct symfile *f, char id[SYMFILE_ID_SIZE])
{
	const void *bytes = NULL;
	ssize_t n = dwelf_elf_gnu_build_id(f->elf, &bytes);

	id[0] = 0;
	for (ssize_t i = 0; i < n && i < (SYMFILE_ID_SIZE - 1) / 2; i++)
		snprintf(id + 2 * i, 3, "%02x", ((const uint8_t *)bytes)[i]);
}
