#include "symbols/symtab.h"

#include <stdlib.h>
#include <string.h>

/*
 * A PLT entry jumps to where a slot of the GOT says, and a relocation says whose address stands in that slot. The
 * entry's code is read for its slot: that holds for .plt, .plt.sec (with IBT) and .plt.got alike.
 */
enum {
	SLOTS_MAX = 1 << 20,
	PLT_MAX = 4 << 20,
	CHUNK = 64 << 10,
	RANK_PLT = 64,
	RELA_MAX = 256 << 20
};

struct slot {
	uint64_t addr;
	uint32_t symbol; /* in .dynsym */
};

struct slots {
	struct slot *v; /* pages */
	size_t n, pages_len;
};

static bool is_slot(unsigned machine, uint64_t type)
{
	if (machine == EM_X86_64)
		return type == R_X86_64_JUMP_SLOT || type == R_X86_64_GLOB_DAT;
	return type == R_AARCH64_JUMP_SLOT || type == R_AARCH64_GLOB_DAT;
}

static bool add_slot(struct slots *s, uint64_t addr, uint32_t symbol)
{
	if ((s->n + 1) * sizeof(*s->v) > s->pages_len) {
		size_t len = s->pages_len ? 2 * s->pages_len : CHUNK;
		void *p = s->v ? pages_resize(s->v, s->pages_len, len) : pages_new(len);

		if (!p || s->n >= SLOTS_MAX)
			return false;
		s->v = p;
		s->pages_len = len;
	}
	s->v[s->n++] = (struct slot){.addr = addr, .symbol = symbol};
	return true;
}

static void add_relocations(struct slots *s, const struct symfile *f, const GElf_Shdr *sh,
			    unsigned machine)
{
	uint8_t *chunk = pages_new(CHUNK);

	for (uint64_t off = 0, n; chunk && off + sizeof(Elf64_Rela) <= sh->sh_size; off += n) {
		n = sh->sh_size - off < CHUNK ? sh->sh_size - off : CHUNK;
		n = n / sizeof(Elf64_Rela) * sizeof(Elf64_Rela);
		if (!symfile_read(f, sh->sh_offset + off, chunk, n))
			break;
		for (size_t at = 0; at < n; at += sizeof(Elf64_Rela)) {
			Elf64_Rela r;

			memcpy(&r, chunk + at, sizeof(r));
			if (is_slot(machine, ELF64_R_TYPE(r.r_info)) &&
			    !add_slot(s, r.r_offset, (uint32_t)ELF64_R_SYM(r.r_info)))
				break;
		}
	}
	pages_free(chunk, CHUNK);
}

static int by_addr(const void *a, const void *b)
{
	const struct slot *x = a, *y = b;

	return (x->addr > y->addr) - (x->addr < y->addr);
}

/* ---- code ---- */

/* The slot that the entry at `addr` jumps through; 0: none. */
static uint64_t slot_x86(const uint8_t *code, size_t len, uint64_t addr)
{
	for (size_t i = 0; i + 6 <= len; i++)
		if (code[i] == 0xff && code[i + 1] == 0x25) { /* jmp *disp(%rip) */
			int32_t disp;

			memcpy(&disp, code + i + 2, sizeof(disp));
			return addr + i + 6 + (uint64_t)(int64_t)disp;
		}
	return 0;
}

/* adrp x16, page; ldr x17, [x16, #off] */
static uint64_t slot_aarch64(const uint8_t *code, uint64_t addr)
{
	uint32_t adrp, ldr;

	memcpy(&adrp, code, 4);
	memcpy(&ldr, code + 4, 4);
	if ((adrp & 0x9f00001f) != 0x90000010 || (ldr & 0xffc003ff) != 0xf9400211)
		return 0;
	uint64_t page = (uint64_t)(adrp >> 5 & 0x7ffff) << 2 | (adrp >> 29 & 3);

	if (page & 1 << 20)
		page |= ~(uint64_t)0 << 21;
	return (addr & ~(uint64_t)4095) + (page << 12) + (uint64_t)(ldr >> 10 & 0xfff) * 8;
}

struct plt {
	struct symtab_builder *b;
	const struct symfile *f;
	const struct slots *slots;
	GElf_Shdr symbols;
	uint64_t names_len;
	unsigned machine;
};

static void add_entry(const struct plt *p, uint64_t addr, uint64_t size, uint64_t slot)
{
	const struct slot key = {.addr = slot};
	const struct slot *found =
		bsearch(&key, p->slots->v, p->slots->n, sizeof(*p->slots->v), by_addr);
	Elf64_Sym sym;

	if (!slot || !found || found->symbol >= p->symbols.sh_size / sizeof(sym) ||
	    !symfile_read(p->f, p->symbols.sh_offset + found->symbol * sizeof(sym), &sym,
			  sizeof(sym)))
		return;
	if (sym.st_name && sym.st_name < p->names_len && !(sym.st_name >> SOURCE_SHIFT))
		builder_add(p->b, addr, size, sym.st_name | (uint32_t)FROM_PLT << SOURCE_SHIFT,
			    RANK_PLT);
}

static void add_x86(const struct plt *p, const uint8_t *code, const GElf_Shdr *sh, size_t each)
{
	for (size_t at = 0; at < sh->sh_size; at += each) {
		size_t left = sh->sh_size - at, n = left < each ? left : each;

		add_entry(p, sh->sh_addr + at, n, slot_x86(code + at, n, sh->sh_addr + at));
	}
}

/* Entries of 16 bytes, or of 24 with BTI (which is in front) or PAC. */
static void add_aarch64(const struct plt *p, const uint8_t *code, const GElf_Shdr *sh)
{
	static const uint32_t bti_c = 0xd503245f;

	for (size_t at = 0; at + 16 <= sh->sh_size; at += 4) {
		uint64_t slot = slot_aarch64(code + at, sh->sh_addr + at);
		bool bti = at >= 4 && memcmp(code + at - 4, &bti_c, 4) == 0;

		if (slot)
			add_entry(p, sh->sh_addr + at - (bti ? 4 : 0), bti ? 24 : 16, slot);
	}
}

static void add_section(const struct plt *p, const GElf_Shdr *sh, const char *name)
{
	bool short_entries = strcmp(name, ".plt.got") == 0 && sh->sh_entsize == 8;
	size_t len;
	uint8_t *code = (uint8_t *)symfile_load(p->f, sh, PLT_MAX, &len);

	if (!code)
		return;
	if (p->machine == EM_X86_64)
		add_x86(p, code, sh, short_entries ? 8 : 16);
	else
		add_aarch64(p, code, sh);
	pages_free(code, len);
}

static void add_sections(const struct plt *p)
{
	size_t names;

	if (elf_getshdrstrndx(p->f->elf, &names) < 0)
		return;
	for (Elf_Scn *scn = NULL; (scn = elf_nextscn(p->f->elf, scn));) {
		GElf_Shdr sh;

		if (!gelf_getshdr(scn, &sh) || sh.sh_type != SHT_PROGBITS ||
		    !(sh.sh_flags & SHF_EXECINSTR))
			continue;
		const char *name = elf_strptr(p->f->elf, names, sh.sh_name);

		if (name && strncmp(name, ".plt", 4) == 0)
			add_section(p, &sh, name);
	}
}

void builder_add_plt(struct symtab_builder *b, const struct symfile *f)
{
	struct plt p = {.b = b, .f = f};
	struct slots slots = {0};
	GElf_Ehdr eh;
	GElf_Shdr names;

	if (gelf_getclass(f->elf) != ELFCLASS64 || !gelf_getehdr(f->elf, &eh) ||
	    (eh.e_machine != EM_X86_64 && eh.e_machine != EM_AARCH64) ||
	    !symfile_section(f, SHT_DYNSYM, NULL, &p.symbols) ||
	    !symfile_section_at(f, p.symbols.sh_link, &names))
		return;
	p.machine = eh.e_machine;
	p.names_len = names.sh_size;
	b->strings[FROM_DYNSYM].text_len = names.sh_size;
	b->strings[FROM_DYNSYM].file_off = names.sh_offset;
	for (Elf_Scn *scn = NULL; (scn = elf_nextscn(f->elf, scn));) {
		GElf_Shdr sh;

		if (gelf_getshdr(scn, &sh) && sh.sh_type == SHT_RELA && sh.sh_size <= RELA_MAX &&
		    sh.sh_offset <= f->size && sh.sh_size <= f->size - sh.sh_offset)
			add_relocations(&slots, f, &sh, p.machine);
	}
	if (slots.n) {
		qsort(slots.v, slots.n, sizeof(*slots.v), by_addr);
		p.slots = &slots;
		add_sections(&p);
	}
	pages_free(slots.v, slots.pages_len);
}
