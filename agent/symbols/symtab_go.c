#include "symbols/symtab.h"

#include <string.h>

/*
 * .gopclntab: what Go's runtime itself calls its functions, so that it is there in stripped programs, too. Words are as
 * large as the program's pointers. A table of entries (address, place of a record), sorted; each record holds its
 * function's name as an offset. Go 1.2 counts all from the table's start, 1.16 has parts of their own, 1.18 counts
 * addresses from the start of the text.
 */
enum { FUNCTIONS_MAX = 4 << 20, WINDOW = 64 << 10, WORDS = 8 };
#define GO_1_2 0xfffffffbu
#define GO_1_16 0xfffffffau
#define GO_1_18 0xfffffff0u
#define GO_1_20 0xfffffff1u

struct go {
	const struct symfile *f;
	uint64_t off, size; /* of the section */
	uint32_t magic, ptr;
	uint64_t n, text, names, table, records; /* places count from `off` */
	uint8_t *window;
	uint64_t window_at;
	size_t window_len;
};

/* len (<= 16) bytes at a place of the section, read through the window; records follow one another. */
static const uint8_t *at(struct go *g, uint64_t place, size_t len)
{
	if (place > g->size || len > g->size - place)
		return NULL;
	if (place < g->window_at || place + len > g->window_at + g->window_len) {
		uint64_t left = g->size - place;

		g->window_len = left < WINDOW ? left : WINDOW;
		g->window_at = place;
		if (!symfile_read(g->f, g->off + place, g->window, g->window_len)) {
			g->window_len = 0;
			return NULL;
		}
	}
	return g->window + (place - g->window_at);
}

static uint64_t number(const uint8_t *p, size_t len)
{
	uint64_t v = 0;
	uint32_t w;

	if (len == 8) {
		memcpy(&v, p, 8);
		return v;
	}
	memcpy(&w, p, 4);
	return w;
}

static bool read_words(struct go *g, uint64_t words[WORDS])
{
	for (size_t i = 0; i < WORDS; i++) {
		const uint8_t *p = at(g, 8 + i * g->ptr, g->ptr);

		if (!p)
			return false;
		words[i] = number(p, g->ptr);
	}
	return true;
}

/* Position-independent programs may have 0 there, to be relocated: known only where nothing but Go is in .text. */
static bool text_start(const struct symfile *f, uint64_t word, uint64_t *ret)
{
	GElf_Shdr sh;

	*ret = word;
	if (word)
		return true;
	if (symfile_section(f, SHT_DYNSYM, NULL, &sh) || !symfile_section(f, 0, ".text", &sh))
		return false;
	*ret = sh.sh_addr;
	return true;
}

static bool read_header(struct go *g)
{
	const uint8_t *p = at(g, 0, 8);
	uint64_t w[WORDS];

	if (!p)
		return false;
	g->magic = (uint32_t)number(p, 4);
	g->ptr = p[7];
	if (p[4] || p[5] || (g->ptr != 4 && g->ptr != 8) || !read_words(g, w))
		return false;
	g->n = w[0];
	switch (g->magic) {
	case GO_1_2:
		g->table = 8 + g->ptr;
		break;
	case GO_1_16:
		g->names = w[2];
		g->table = g->records = w[6];
		break;
	case GO_1_18:
	case GO_1_20:
		g->names = w[3];
		g->table = g->records = w[7];
		return g->n <= FUNCTIONS_MAX && text_start(g->f, w[2], &g->text);
	default:
		return false;
	}
	return g->n <= FUNCTIONS_MAX;
}

/* The table, n entries and the end of the last function, in pages. */
static uint8_t *load_table(const struct go *g, size_t word, size_t *ret_len)
{
	size_t len = (2 * g->n + 1) * word;
	uint8_t *table;

	if (g->table > g->size || len > g->size - g->table)
		return NULL;
	table = pages_new(len);
	if (table && !symfile_read(g->f, g->off + g->table, table, len)) {
		pages_free(table, len);
		table = NULL;
	}
	*ret_len = len;
	return table;
}

static void add_function(struct symtab_builder *b, struct go *g, uint64_t start, uint64_t end,
			 uint64_t record)
{
	bool is_short = g->magic == GO_1_18 || g->magic == GO_1_20;
	size_t entry = is_short ? 4 : g->ptr;
	const uint8_t *p = record > g->size ? NULL : at(g, g->records + record, entry + 4);
	uint64_t name = p ? number(p + entry, 4) : 0;

	if (p && name < b->strings[FROM_GO].text_len && !(name >> SOURCE_SHIFT) && end > start)
		builder_add(b, g->text + start, end - start,
			    (uint32_t)name | (uint32_t)FROM_GO << SOURCE_SHIFT, 0);
}

static void add_functions(struct symtab_builder *b, struct go *g)
{
	size_t word = g->magic == GO_1_18 || g->magic == GO_1_20 ? 4 : g->ptr, len;
	uint8_t *table = load_table(g, word, &len);

	for (uint64_t i = 0; table && i < g->n; i++) {
		const uint8_t *p = table + 2 * i * word;

		add_function(b, g, number(p, word), number(p + 2 * word, word),
			     number(p + word, word));
	}
	pages_free(table, table ? len : 0);
}

size_t builder_add_go(struct symtab_builder *b, const struct symfile *f)
{
	static const char *const names[] = {".gopclntab", ".data.rel.ro.gopclntab"};
	struct go g = {.f = f};
	GElf_Shdr sh;
	size_t before = b->n;

	if (!symfile_section(f, SHT_PROGBITS, names[0], &sh) &&
	    !symfile_section(f, SHT_PROGBITS, names[1], &sh))
		return 0;
	g.off = sh.sh_offset;
	g.size = sh.sh_size;
	g.window = pages_new(WINDOW);
	if (g.window && read_header(&g) && g.names <= g.size) {
		b->strings[FROM_GO].file_off = g.off + g.names;
		b->strings[FROM_GO].text_len = g.size - g.names;
		add_functions(b, &g);
	}
	pages_free(g.window, WINDOW);
	return b->n - before;
}
