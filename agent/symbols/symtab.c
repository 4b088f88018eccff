#include "symbols/symtab.h"

#include <errno.h>
#include <string.h>

enum {
	CHUNK = 64 << 10,
	/* Bounds for what somebody may have made up; a browser has a million functions. */
	TABLE_MAX = 256 << 20,
	FOUND_MAX = 3 << 20,
	STRINGS_MAX = 128 << 20,
	/* A function of unknown size ends where the next begins, but where only exported ones are known
	 * others may lie in between. */
	UNSIZED_MAX = 4096,
	RANK_LOCAL = 1,
	RANK_WEAK = 2,
	RANK_UNTYPED = 4,
};

int builder_open(struct symtab_builder *b, const struct symfile *f)
{
	uint64_t low = UINT64_MAX;

	*b = (struct symtab_builder){0};
	for (Elf_Scn *scn = NULL; (scn = elf_nextscn(f->elf, scn));) {
		GElf_Shdr sh;

		if (gelf_getshdr(scn, &sh) && sh.sh_flags & SHF_EXECINSTR &&
		    sh.sh_flags & SHF_ALLOC && sh.sh_size && sh.sh_addr < low)
			low = sh.sh_addr;
	}
	for (Elf_Scn *scn = NULL;
	     (scn = elf_nextscn(f->elf, scn)) && b->n_code < SYMTAB_CODE_MAX;) {
		GElf_Shdr sh;

		if (!gelf_getshdr(scn, &sh) || !(sh.sh_flags & SHF_EXECINSTR) ||
		    !(sh.sh_flags & SHF_ALLOC) || !sh.sh_size || sh.sh_addr - low > UINT32_MAX ||
		    sh.sh_size > UINT32_MAX - (sh.sh_addr - low))
			continue;
		b->code[b->n_code].start = (uint32_t)(sh.sh_addr - low);
		b->code[b->n_code++].end = (uint32_t)(sh.sh_addr - low + sh.sh_size);
	}
	b->base = low;
	return b->n_code ? 0 : -ENODATA;
}

void builder_close(struct symtab_builder *b)
{
	pages_free(b->found, b->pages_len);
	for (int i = 0; i < SOURCES; i++)
		pages_free(b->strings[i].text, b->strings[i].pages_len);
	*b = (struct symtab_builder){0};
}

/* The end of the section around an offset; 0: no code there. */
static uint32_t code_end(const struct symtab_builder *b, uint32_t at)
{
	for (size_t i = 0; i < b->n_code; i++)
		if (at >= b->code[i].start && at < b->code[i].end)
			return b->code[i].end;
	return 0;
}

static bool grow(struct symtab_builder *b, size_t n)
{
	size_t len = pages_round((n < 1024 ? 1024 : n + n / 4) * sizeof(*b->found));
	void *p = b->found ? pages_resize(b->found, b->pages_len, len) : pages_new(len);

	if (!p) {
		b->failed = true;
		return false;
	}
	b->found = p;
	b->pages_len = len;
	return true;
}

bool builder_add(struct symtab_builder *b, uint64_t addr, uint64_t size, uint32_t name,
		 uint32_t rank)
{
	uint64_t start = addr - b->base;

	if (addr < b->base || start > UINT32_MAX || b->n >= FOUND_MAX)
		return false;
	uint32_t end = code_end(b, (uint32_t)start);

	if (!end || ((b->n + 1) * sizeof(*b->found) > b->pages_len && !grow(b, b->n + 1)))
		return false;
	if (size > end - start)
		size = end - start;
	b->found[b->n++] = (struct found){
		.start = (uint32_t)start,
		.size = (uint32_t)size & ~SYMBOL_NESTED,
		.name = name,
		.rank = rank,
	};
	return true;
}

/* ---- symbol tables ---- */

/* Labels that assemblers put between code and data ($x, $d.3), and those meant to be left out. */
static bool is_label(const char *name)
{
	return !name[0] || name[0] == '$' || strncmp(name, ".L", 2) == 0 ||
	       strncmp(name, ".annobin", 8) == 0;
}

static void add_symbol(struct symtab_builder *b, const GElf_Sym *sym, enum symtab_source source)
{
	unsigned type = GELF_ST_TYPE(sym->st_info), bind = GELF_ST_BIND(sym->st_info);
	const char *text = b->strings[source].text;
	uint32_t rank = bind == STB_LOCAL ? RANK_LOCAL : bind == STB_WEAK ? RANK_WEAK : 0;

	if (sym->st_shndx == SHN_UNDEF ||
	    (sym->st_shndx >= SHN_LORESERVE && sym->st_shndx != SHN_XINDEX) ||
	    (type != STT_FUNC && type != STT_GNU_IFUNC && (type != STT_NOTYPE || !text)) ||
	    sym->st_name >= b->strings[source].text_len || sym->st_name >> SOURCE_SHIFT ||
	    (text && is_label(text + sym->st_name)))
		return;
	builder_add(b, sym->st_value, sym->st_size, sym->st_name | (uint32_t)source << SOURCE_SHIFT,
		    rank + (type == STT_NOTYPE ? RANK_UNTYPED : 0));
}

static void from_32(GElf_Sym *to, const Elf32_Sym *from)
{
	*to = (GElf_Sym){
		.st_name = from->st_name,
		.st_info = from->st_info,
		.st_shndx = from->st_shndx,
		.st_value = from->st_value,
		.st_size = from->st_size,
	};
}

size_t builder_add_table(struct symtab_builder *b, const struct symfile *f, const GElf_Shdr *sh,
			 enum symtab_source source)
{
	bool is_64 = gelf_getclass(f->elf) == ELFCLASS64;
	size_t each = is_64 ? sizeof(Elf64_Sym) : sizeof(Elf32_Sym), before = b->n;
	uint8_t *chunk = pages_new(CHUNK);
	GElf_Shdr names;

	if (!chunk || sh->sh_type == SHT_NOBITS || sh->sh_size > TABLE_MAX ||
	    !symfile_section_at(f, sh->sh_link, &names) || names.sh_type != SHT_STRTAB) {
		pages_free(chunk, CHUNK);
		return 0;
	}
	b->strings[source].text =
		symfile_load(f, &names, STRINGS_MAX, &b->strings[source].pages_len);
	b->strings[source].text_len = names.sh_size;
	b->strings[source].file_off = names.sh_offset;
	for (uint64_t off = 0, n; off + each <= sh->sh_size && !b->failed; off += n) {
		n = (sh->sh_size - off < CHUNK ? sh->sh_size - off : CHUNK) / each * each;
		if (!symfile_read(f, sh->sh_offset + off, chunk, n))
			break;
		for (size_t at = 0; at < n; at += each) {
			GElf_Sym sym;

			if (is_64)
				memcpy(&sym, chunk + at, sizeof(sym));
			else
				from_32(&sym, (const Elf32_Sym *)(const void *)(chunk + at));
			add_symbol(b, &sym, source);
		}
	}
	pages_free(chunk, CHUNK);
	return b->n - before;
}

/* ---- order ---- */

enum { RADIX_BITS = 11, RADIX = 1 << RADIX_BITS };

/* One pass, stable, by RADIX_BITS of start. False: they are all the same, nothing was moved. */
static bool radix_pass(const struct found *from, struct found *to, size_t n, unsigned shift)
{
	size_t at[RADIX] = {0}, sum = 0;

	for (size_t i = 0; i < n; i++)
		at[from[i].start >> shift & (RADIX - 1)]++;
	for (size_t d = 0; d < RADIX; d++) {
		size_t count = at[d];

		if (count == n)
			return false;
		at[d] = sum;
		sum += count;
	}
	for (size_t i = 0; i < n; i++)
		to[at[from[i].start >> shift & (RADIX - 1)]++] = from[i];
	return true;
}

static bool sort_found(struct symtab_builder *b)
{
	struct found *other = pages_new(b->pages_len);

	if (!other)
		return false;
	for (unsigned shift = 0; shift < 32; shift += RADIX_BITS)
		if (radix_pass(b->found, other, b->n, shift)) {
			struct found *swap = b->found;

			b->found = other;
			other = swap;
		}
	pages_free(other, b->pages_len);
	return true;
}

static const char *text_of(const struct symtab_builder *b, const struct found *s)
{
	uint32_t source = s->name >> SOURCE_SHIFT;
	const char *text = b->strings[source == FROM_PLT ? FROM_DYNSYM : source].text;

	return text ? text + (s->name & ((1u << SOURCE_SHIFT) - 1)) : "";
}

/* Global before local before weak; then few underscores, then short. */
static bool is_nicer(const struct symtab_builder *b, const struct found *x, const struct found *y)
{
	if (!x->size != !y->size)
		return x->size;
	if (x->rank != y->rank)
		return x->rank < y->rank;
	const char *p = text_of(b, x), *q = text_of(b, y);
	size_t p_bars = strspn(p, "_"), q_bars = strspn(q, "_");

	/* Every C++ and Rust name begins with "_Z" or "_R". */
	if (p_bars != q_bars)
		return p_bars < q_bars;
	size_t p_len = strlen(p), q_len = strlen(q);

	return p_len != q_len ? p_len < q_len : strcmp(p, q) < 0;
}

/* One of those that start at the same address is left; how many are left. */
static size_t choose_names(struct symtab_builder *b)
{
	size_t n = 0;

	for (size_t i = 0; i < b->n; i++) {
		if (n && b->found[n - 1].start == b->found[i].start) {
			if (is_nicer(b, &b->found[i], &b->found[n - 1]))
				b->found[n - 1] = b->found[i];
		} else {
			b->found[n++] = b->found[i];
		}
	}
	return n;
}

static uint32_t guess_size(const struct symtab_builder *b, const struct found *s,
			   const struct found *next)
{
	uint32_t size = code_end(b, s->start) - s->start;

	if (next && next->start - s->start < size)
		size = next->start - s->start;
	if (b->only_dynamic && size > UNSIZED_MAX)
		size = UNSIZED_MAX;
	return size & ~SYMBOL_NESTED;
}

/* In place: a symbol takes less room than what it was made of. A label within a function is no function. */
static size_t pack(struct symtab_builder *b, size_t n_found)
{
	uint8_t *to = (uint8_t *)b->found;
	uint64_t reach = 0;
	size_t n = 0;

	for (size_t i = 0; i < n_found; i++) {
		struct found s = b->found[i];

		if (!s.size && s.start < reach)
			continue;
		if (!s.size)
			s.size = guess_size(b, &s, i + 1 < n_found ? &b->found[i + 1] : NULL);
		struct symbol symbol = {
			.start = s.start,
			.size = s.size | (s.start < reach ? SYMBOL_NESTED : 0),
			.name = s.name,
		};

		memcpy(to + n++ * sizeof(symbol), &symbol, sizeof(symbol));
		if ((uint64_t)s.start + s.size > reach)
			reach = (uint64_t)s.start + s.size;
	}
	return n;
}

struct symbol *builder_finish(struct symtab_builder *b, size_t *ret_n, size_t *ret_pages_len)
{
	if (!b->n || b->failed || !sort_found(b))
		return NULL;
	size_t n = pack(b, choose_names(b)), len = pages_round(n * sizeof(struct symbol));
	struct symbol *symbols = pages_resize(b->found, b->pages_len, len);

	if (!symbols)
		return NULL;
	b->found = NULL;
	*ret_n = n;
	*ret_pages_len = len;
	return symbols;
}
