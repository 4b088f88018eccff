/*
 * Files of other users: whole ELF files through libelf into a table, their first pages, bare call frame
 * information, and a Go program's table of functions. Whatever the bytes are, reading ends, rows stay in their function, and every lookup in a table that was
 * made of it stays within it.
 */
#include "fuzz.h"

#include "unwind/cfi.h"
#include "unwind/module_private.h"

#include <elf.h>
#include <sys/mman.h>

/* ---- seeds: a small ELF file with .eh_frame, .debug_frame and symbols ---- */

struct out {
	uint8_t data[4096];
	size_t n;
};

static void put(struct out *o, uint64_t v, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		o->data[o->n++] = (uint8_t)(v >> 8 * i);
}

static void put_all(struct out *o, const void *p, size_t n)
{
	memcpy(o->data + o->n, p, n);
	o->n += n;
}

static void end_entry(struct out *o, size_t at)
{
	while ((o->n - at) % 8 != 4)
		put(o, 0, 1);
	uint32_t len = (uint32_t)(o->n - at - 4);

	memcpy(o->data + at, &len, 4);
}

static const uint8_t insns[] = {0x41, 0x0e, 16,	  0x86, 2,    0x43, 0x0d, 6,	0x0a, 0x02, 9,
				0x0c, 7,    8,	  0xc6, 0x0b, 0x03, 4,	  0,	0x0f, 3,    0x76,
				0x78, 0x06, 0x10, 6,	2,    0x76, 0,	  0x44, 0x0f, 11,   0x77,
				8,    0x80, 0,	  0x3f, 0x1a, 0x3b, 0x2a, 0x33, 0x24, 0x22, 0x41,
				0x07, 16,   0x44, 0x16, 3,    2,    0x77, 0,	0x2e, 0x80, 1,
				0x05, 6,    3,	  0x11, 6,    0x7d, 0x12, 3,	0x7e, 0x41, 0x13,
				0x7c, 0x14, 6,	  2,	0x09, 16,   5,	  0x2f, 6,    1};

static void put_frames(struct out *o, bool eh, uint64_t addr)
{
	for (unsigned k = 0; k < 2; k++) {
		size_t cie = o->n, at;

		put(o, 0, 4);
		put(o, eh ? 0 : UINT32_MAX, 4);
		put(o, 1, 1);
		put_all(o, eh ? (k ? "zPLRS" : "zR") : "", eh ? (k ? 6 : 3) : 1);
		put_all(o, "\1\x78\x10", 3);
		if (eh && k)
			put_all(o, "\7\x1b\0\0\0\0\x1b\x1b", 8);
		else if (eh)
			put_all(o, "\1\x1b", 2);
		put_all(o, "\x0c\x07\x08\x90\x01", 5);
		end_entry(o, cie);
		for (unsigned i = 0; i < 3; i++) {
			uint64_t start = 0x1000 + 0x100 * (i + 3 * k) + (eh ? 0 : 0x800);

			at = o->n;
			put(o, 0, 4);
			put(o, eh ? o->n - cie : cie, 4);
			if (eh)
				put(o, start - (addr + o->n), 4);
			else
				put(o, start, 8);
			put(o, 0x100, eh ? 4 : 8);
			if (eh)
				put(o, k ? 4 : 0, k ? 5 : 1);
			put_all(o, insns + 9 * i, sizeof(insns) - 9 * i);
			end_entry(o, at);
		}
	}
}

static Elf64_Shdr section(struct out *o, uint32_t name, uint32_t type, size_t at, uint64_t addr)
{
	return (Elf64_Shdr){.sh_name = name,
			    .sh_type = type,
			    .sh_addr = addr,
			    .sh_offset = at,
			    .sh_size = o->n - at,
			    .sh_addralign = 1};
}

static void seed_elf(const char *name, uint16_t machine)
{
	static const char names[] =
		"\0.eh_frame\0.debug_frame\0.symtab\0.strtab\0.shstrtab\0__restore_rt";
	struct out o = {0};
	Elf64_Ehdr h = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
			.e_type = ET_DYN,
			.e_machine = machine,
			.e_version = EV_CURRENT,
			.e_entry = 0x1000,
			.e_phoff = sizeof(h),
			.e_ehsize = sizeof(h),
			.e_phentsize = sizeof(Elf64_Phdr),
			.e_phnum = 2,
			.e_shentsize = sizeof(Elf64_Shdr),
			.e_shnum = 6,
			.e_shstrndx = 4};
	Elf64_Phdr p[2] = {{.p_type = PT_LOAD,
			    .p_flags = PF_R | PF_X,
			    .p_vaddr = 0x1000,
			    .p_filesz = 0x2000,
			    .p_memsz = 0x2000},
			   {.p_type = PT_NOTE, .p_filesz = 24}};
	Elf64_Sym sym[3] = {
		{0},
		{.st_name = 48, .st_info = STT_FUNC, .st_shndx = 1, .st_value = 0x2800},
		{.st_info = STT_FUNC, .st_shndx = 1, .st_value = 0x2900, .st_size = 16}};
	Elf64_Shdr s[6] = {{0}};
	size_t at;

	o.n = sizeof(h) + sizeof(p);
	p[1].p_offset = o.n;
	put_all(&o, "\4\0\0\0\x8\0\0\0\3\0\0\0GNU\0abcdefgh", 24);
	at = o.n;
	struct out frames = {0};

	put_frames(&frames, true, 0x3000);
	put_all(&o, frames.data, frames.n);
	s[1] = section(&o, 1, SHT_PROGBITS, at, 0x3000);
	at = o.n;
	frames.n = 0;
	put_frames(&frames, false, 0);
	put_all(&o, frames.data, frames.n);
	s[2] = section(&o, 11, SHT_PROGBITS, at, 0);
	at = o.n;
	put_all(&o, sym, sizeof(sym));
	s[3] = section(&o, 24, SHT_SYMTAB, at, 0);
	s[3].sh_link = 4;
	s[3].sh_entsize = sizeof(sym[0]);
	at = o.n;
	put_all(&o, names, sizeof(names));
	s[4] = section(&o, 32, SHT_STRTAB, at, 0);
	h.e_shoff = o.n;
	put_all(&o, s, sizeof(s));
	memcpy(o.data, &h, sizeof(h));
	memcpy(o.data + sizeof(h), p, sizeof(p));
	o.data[o.n] = 0; /* which of the readers: see below */
	fuzz_seed(name, o.data, o.n + 1);
}

static void fuzz_seeds(void)
{
	for (unsigned eh = 0; eh < 2; eh++) {
		struct out o = {0};

		put_frames(&o, eh, 0x3000);
		o.data[o.n++] = (uint8_t)(1 + eh);
		fuzz_seed(eh ? "eh_frame" : "debug_frame", o.data, o.n);
	}
	struct out o = {0};

	put(&o, 0xfffffff1, 4);
	put_all(&o, "\0\0\1\10", 4);
	put(&o, 3, 8);
	put(&o, 1, 8);
	put(&o, 0x401000, 8);
	o.n += 32;
	put(&o, 72, 8);
	o.n += 32;
	put(&o, 3, 1);
	fuzz_seed("go", o.data, o.n);
	seed_elf("x86", EM_X86_64);
	seed_elf("arm", EM_AARCH64);
}

/* ---- readers ---- */

struct seen {
	const struct cfi_fde *fde;
	uint64_t last;
	bool any;
};

static int on_row(void *arg, uint64_t addr, const struct cfi_rule *r)
{
	struct seen *s = arg;

	FUZZ_CHECK(addr >= s->fde->start && addr < s->fde->end && (!s->any || addr > s->last));
	FUZZ_CHECK(r->cfa <= CFI_PLT && r->cfa_reg < CFI_REGS && r->fp.how <= CFI_LOST &&
		   r->ra.how <= CFI_LOST && r->fp.reg < CFI_REGS && r->ra.reg < CFI_REGS);
	s->any = true;
	s->last = addr;
	return 0;
}

static void bare(const uint8_t *data, size_t size, bool eh)
{
	struct cfi_fde fde;
	struct cfi c;
	size_t at = 0;
	int r;

	cfi_init(&c, size % 2 ? CFI_X86_64 : CFI_AARCH64, eh, 0x3000, data, size);
	while ((r = cfi_next(&c, &at, &fde)) >= 0) {
		struct seen s = {.fde = &fde};

		FUZZ_CHECK(at <= size);
		if (r == 1) {
			FUZZ_CHECK(fde.start < fde.end);
			r = cfi_rows(&c, fde.at, on_row, &s);
			FUZZ_CHECK(r == 0 || r == -E2BIG);
		}
	}
	FUZZ_CHECK(r == -ENODATA || r == -E2BIG);
	struct unwind_source src = {.base = 0x1000, .end = 0x3000};
	struct unwind_table *t;

	if (eh) {
		src.eh.data = data;
		src.eh.len = size;
		src.eh.addr = 0x3000;
	} else {
		src.debug.data = data;
		src.debug.len = size;
	}
	if (unwind_table_build(&t, &src) == 0)
		free(t);
}

/* A function begins where it is looked for, or before; what a signal handler returns to an instruction later. */
static void check_function(const struct unwind_table *t, uint64_t vaddr)
{
	const struct cfi_rule *rule = unwind_table_find(t, vaddr, false);
	uint64_t later = rule && rule->signal ? 4 : 0;

	FUZZ_CHECK(unwind_table_function(t, vaddr) <= vaddr + later);
}

static void check_table(const struct unwind_table *t)
{
	FUZZ_CHECK(t->n_rows && t->pages[t->n_pages] <= t->n_rows);
	for (uint32_t i = 0; i < t->n_rows; i++)
		FUZZ_CHECK((t->rows[i].rule & 0x7fffu) < t->n_rules);
	for (uint64_t page = 0; page < t->n_pages && page < 64; page++)
		for (unsigned k = 0; k < 3; k++) {
			uint64_t v = t->base + (page << 16) + (uint64_t[]){0, 0x1234, 0xffff}[k];

			unwind_table_find(t, v, k % 2);
			check_function(t, v);
		}
	for (uint32_t i = 0; i < t->n_rows && i < 64; i++) {
		uint64_t v = t->base + t->rows[i].low;

		unwind_table_find(t, v, true);
		check_function(t, v);
	}
}

static void elf(const uint8_t *data, size_t size)
{
	static int fd = -1;
	struct module_head head;
	struct unwind_table *t;

	if (fd < 0)
		fd = memfd_create("fuzz", MFD_CLOEXEC);
	FUZZ_CHECK(ftruncate(fd, 0) == 0 && pwrite(fd, data, size, 0) == (ssize_t)size);
	if (module_file_head(fd, &head) == 0)
		FUZZ_CHECK(strlen(head.build_id) < BUILD_ID_HEX && head.n_segments <= SEGMENTS_MAX);
	if (unwind_table_read(&t, fd) == 0) {
		check_table(t);
		free(t);
	}
	if (unwind_table_image(&t, data, size) == 0) {
		check_table(t);
		free(t);
	}
}

static void go(const uint8_t *data, size_t size)
{
	struct unwind_symbol *f = calloc(size / 8 + 1, sizeof(*f));

	FUZZ_CHECK(unwind_go_functions(data, size, 0x1000, f, size / 8) <= size / 8);
	free(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	uint8_t *copy = malloc(size), kind = data[size - 1]; /* a byte too far is an error */

	memcpy(copy, data, --size);
	copy = realloc(copy, size ? size : 1);
	if (kind == 1 || kind == 2)
		bare(copy, size, kind == 2);
	else if (kind == 3)
		go(copy, size);
	else
		elf(copy, size);
	free(copy);
	return 0;
}
