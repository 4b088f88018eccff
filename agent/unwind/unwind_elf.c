/* What a table is built from, out of an ELF file. */
#include "unwind/unwind_table.h"

#include <elf.h>
#include <errno.h>
#include <gelf.h>
#include <stdlib.h>
#include <string.h>

enum { SYMBOLS_MAX = 1 << 20, SECTIONS_MAX = 4096 };

struct file {
	Elf *elf;
	struct unwind_source src;
	Elf_Scn *eh, *debug, *symtab, *dynsym, *go;
	uint64_t text;
	struct unwind_symbol *symbols;
};

static int check_machine(struct file *f)
{
	GElf_Ehdr h;

	if (elf_kind(f->elf) != ELF_K_ELF || !gelf_getehdr(f->elf, &h))
		return -ENOEXEC;
	if (h.e_ident[EI_CLASS] != ELFCLASS64 || h.e_ident[EI_DATA] != ELFDATA2LSB)
		return -ENOEXEC;
	if (h.e_machine != EM_X86_64 && h.e_machine != EM_AARCH64)
		return -ENOEXEC;
	f->src.arch = h.e_machine == EM_X86_64 ? CFI_X86_64 : CFI_AARCH64;
	return 0;
}

/* From the first to the last byte that can be executed. */
static int find_range(struct file *f)
{
	uint64_t base = UINT64_MAX, end = 0;
	size_t n;

	if (elf_getphdrnum(f->elf, &n) != 0)
		return -ENOEXEC;
	for (size_t i = 0; i < n && i < SECTIONS_MAX; i++) {
		GElf_Phdr p;
		uint64_t to;

		if (!gelf_getphdr(f->elf, (int)i, &p))
			return -ENOEXEC;
		if (p.p_type != PT_LOAD || !(p.p_flags & PF_X))
			continue;
		if (__builtin_add_overflow(p.p_vaddr, p.p_memsz, &to))
			return -ENOEXEC;
		base = p.p_vaddr < base ? p.p_vaddr : base;
		end = to > end ? to : end;
	}
	f->src.base = base;
	f->src.end = end;
	return base < end ? 0 : -ENODATA;
}

/* As symtab_plt.c has them. On aarch64 there is no FDE, and nothing to tell apart. */
static void add_stubs(struct file *f, const GElf_Shdr *h, const char *name)
{
	struct unwind_source *s = &f->src;
	bool small = strcmp(name, ".plt.got") == 0 && h->sh_entsize == 8;

	if (s->arch != CFI_X86_64 || s->n_stubs == UNWIND_STUBS_MAX ||
	    !(h->sh_flags & SHF_EXECINSTR) || h->sh_size > UINT64_MAX - h->sh_addr)
		return;
	s->stubs[s->n_stubs++] = (struct unwind_stubs){
		.start = h->sh_addr, .end = h->sh_addr + h->sh_size, .each = small ? 8 : 16};
}

static void find_sections(struct file *f)
{
	Elf_Scn *scn = NULL;
	size_t names;

	if (elf_getshdrstrndx(f->elf, &names) != 0)
		return;
	for (unsigned i = 0; i < SECTIONS_MAX && (scn = elf_nextscn(f->elf, scn)); i++) {
		GElf_Shdr h;
		const char *name;

		if (!gelf_getshdr(scn, &h) || h.sh_type == SHT_NOBITS)
			continue;
		name = elf_strptr(f->elf, names, h.sh_name);
		if (h.sh_type == SHT_SYMTAB)
			f->symtab = scn;
		else if (h.sh_type == SHT_DYNSYM)
			f->dynsym = scn;
		else if (name && strcmp(name, ".eh_frame") == 0)
			f->eh = scn;
		else if (name && strcmp(name, ".debug_frame") == 0)
			f->debug = scn;
		else if (name && (strcmp(name, ".gopclntab") == 0 ||
				  strcmp(name, ".data.rel.ro.gopclntab") == 0))
			f->go = scn;
		else if (name && strcmp(name, ".text") == 0)
			f->text = h.sh_addr;
		else if (name && strncmp(name, ".plt", 4) == 0)
			add_stubs(f, &h, name);
	}
}

/* The bytes of a section, which stay libelf's; *ret_data NULL: there is nothing. */
static int section(Elf_Scn *scn, const uint8_t **ret_data, size_t *ret_len, uint64_t *ret_addr)
{
	GElf_Shdr h;
	GElf_Chdr c;
	Elf_Data *d;

	if (!scn || !gelf_getshdr(scn, &h))
		return 0;
	if (h.sh_size > UNWIND_SECTION_MAX)
		return -E2BIG;
	if (h.sh_flags & SHF_COMPRESSED) {
		if (!gelf_getchdr(scn, &c) || c.ch_size > UNWIND_SECTION_MAX)
			return -E2BIG;
		if (elf_compress(scn, 0, 0) < 0)
			return 0;
	}
	d = elf_rawdata(scn, NULL);
	if (!d || !d->d_buf || d->d_size > UNWIND_SECTION_MAX)
		return 0;
	*ret_data = d->d_buf;
	*ret_len = d->d_size;
	*ret_addr = h.sh_addr;
	return 0;
}

/* musl's, and the kernel's on aarch64: two or three instructions. */
static bool is_signal_return(struct file *f, const GElf_Shdr *h, const Elf64_Sym *sym)
{
	const char *s = sym->st_size > 16 ? NULL : elf_strptr(f->elf, h->sh_link, sym->st_name);

	return s && (strcmp(s, "__restore_rt") == 0 || strcmp(s, "__kernel_rt_sigreturn") == 0);
}

static uint64_t little(const uint8_t *p, unsigned bytes)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < bytes; i++)
		v |= (uint64_t)p[i] << 8 * i;
	return v;
}

size_t unwind_go_functions(const uint8_t *data, size_t len, uint64_t text, struct unwind_symbol *to,
			   size_t max)
{
	enum { HEAD = 72 }; /* magic, quantum and pointer size; then eight words */
	uint64_t magic, n, base, at;

	if (len < HEAD)
		return 0;
	magic = little(data, 4);
	n = little(data + 8, 8);
	base = little(data + 24, 8);
	at = little(data + 64, 8);
	if ((magic != 0xfffffff0 && magic != 0xfffffff1) || data[7] != 8 || at > len ||
	    n > (len - at) / 8)
		return 0;
	if (!base)
		base = text;
	n = n < max ? n : max;
	for (uint64_t i = 0; i < n; i++)
		to[i] = (struct unwind_symbol){.start = base + little(data + at + 8 * i, 4)};
	/* Each ends where the next one starts. */
	for (uint64_t i = 0; i < n; i++)
		to[i].size = i + 1 < n && to[i + 1].start > to[i].start
				     ? to[i + 1].start - to[i].start
				     : 1;
	return (size_t)n;
}

static int read_go(struct file *f)
{
	const uint8_t *data = NULL;
	size_t len = 0, max;
	uint64_t addr;

	if (f->symtab || !f->go || section(f->go, &data, &len, &addr) < 0 || !data)
		return 0;
	max = len / 8 < SYMBOLS_MAX ? len / 8 : SYMBOLS_MAX;
	free(f->symbols);
	f->symbols = calloc(max + 1, sizeof(*f->symbols));
	if (!f->symbols)
		return -ENOMEM;
	f->src.symbols = f->symbols;
	f->src.n_symbols = unwind_go_functions(data, len, f->text, f->symbols, max);
	return 0;
}

static int read_symbols(struct file *f)
{
	Elf_Scn *scn = f->symtab ? f->symtab : f->dynsym;
	GElf_Shdr h;
	const uint8_t *data = NULL;
	size_t len = 0, n = 0;
	uint64_t addr;
	int r = section(scn, &data, &len, &addr);

	if (r < 0 || !data || !gelf_getshdr(scn, &h))
		return 0; /* they are a help only */
	len /= sizeof(Elf64_Sym);
	if (len > SYMBOLS_MAX)
		len = SYMBOLS_MAX;
	f->symbols = calloc(len + 1, sizeof(*f->symbols));
	if (!f->symbols)
		return -ENOMEM;
	for (size_t i = 0; i < len; i++) {
		Elf64_Sym s;
		unsigned type;

		memcpy(&s, data + i * sizeof(s), sizeof(s));
		type = ELF64_ST_TYPE(s.st_info);
		if ((type == STT_FUNC || type == STT_GNU_IFUNC || type == STT_NOTYPE) &&
		    s.st_shndx != SHN_UNDEF && is_signal_return(f, &h, &s))
			f->symbols[n++] = (struct unwind_symbol){s.st_value, s.st_size, true};
		else if ((type == STT_FUNC || type == STT_GNU_IFUNC) && s.st_shndx != SHN_UNDEF)
			f->symbols[n++] = (struct unwind_symbol){s.st_value, s.st_size, false};
	}
	f->src.symbols = f->symbols;
	f->src.n_symbols = n;
	return 0;
}

static int read_file(struct unwind_table **ret, Elf *elf)
{
	struct file f = {.elf = elf};
	int r = check_machine(&f);

	if (r == 0)
		r = find_range(&f);
	if (r < 0)
		return r;
	find_sections(&f);
	r = section(f.eh, &f.src.eh.data, &f.src.eh.len, &f.src.eh.addr);
	if (r == 0)
		r = section(f.debug, &f.src.debug.data, &f.src.debug.len, &f.src.debug.addr);
	if (r == -E2BIG && f.src.eh.data)
		r = 0; /* debug information of unusual size: done without */
	if (r == 0)
		r = read_symbols(&f);
	if (r == 0)
		r = read_go(&f);
	if (r == 0)
		r = unwind_table_build(ret, &f.src);
	free(f.symbols);
	return r;
}

int unwind_table_read(struct unwind_table **ret, int fd)
{
	Elf *elf;
	int r;

	if (elf_version(EV_CURRENT) == EV_NONE)
		return -ENOEXEC;
	/* Not mapped: whoever may write to the file may also cut it while it is read. */
	elf = elf_begin(fd, ELF_C_READ, NULL);
	if (!elf)
		return -ENOEXEC;
	r = read_file(ret, elf);
	elf_end(elf);
	return r;
}

int unwind_table_image(struct unwind_table **ret, const uint8_t *data, size_t len)
{
	char *copy; /* libelf wants to be able to write to it */
	Elf *elf;
	int r = -ENOEXEC;

	if (elf_version(EV_CURRENT) == EV_NONE)
		return -ENOEXEC;
	copy = malloc(len ? len : 1);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, data, len);
	elf = elf_memory(copy, len);
	if (elf) {
		r = read_file(ret, elf);
		elf_end(elf);
	}
	free(copy);
	return r;
}
