#include "symbols/symbols.h"
#include "symbols/symbols_file.h"

#include "base/cleanup.h"
#include "base/parse.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

/*
 * Offsets from a base are kept, not addresses: a kernel and its modules lie within 2 GiB of each other. Names stand
 * one behind the other.
 */
enum {
	CHUNK = 64 << 10,
	SYMBOLS_MAX = 4 << 20,
	NAMES_MAX = 256 << 20,
	MODULES_MAX = 4096,
	MODULE_NAME_MAX = 64,
	/* The last function of the kernel or of a module is no longer: behind it is a page that is not mapped, and then
	 * perhaps a module that was loaded later. */
	LAST_MAX = 4 << 10
};
#define WINDOW UINT64_C(0x80000000)

struct kernel_symbol {
	uint32_t start, name;
};

struct run { /* symbols of one module that stand together */
	uint32_t first;
	uint32_t module;
};

struct kernel_symbols {
	uint64_t base;
	struct kernel_symbol *symbols; /* pages */
	char *names;		       /* pages */
	struct run *runs;	       /* pages */
	char (*modules)[MODULE_NAME_MAX];
	size_t n, n_runs, n_modules, names_len, symbols_pages, names_pages, runs_pages;
};

/* ---- reading ---- */

struct entry {
	uint64_t addr;
	uint32_t name;
	uint16_t module;
	char type;
};

struct reader {
	struct kernel_symbols *k;
	struct entry *entries; /* pages */
	size_t n, entries_pages;
	uint64_t text; /* address of _text, or 0 */
	bool any_address, failed;
};

static bool reserve(void **p, size_t *pages, size_t want)
{
	if (want <= *pages)
		return true;
	size_t len = pages_round(want + want / 2);
	void *q = *p ? pages_resize(*p, *pages, len) : pages_new(len);

	if (!q)
		return false;
	*p = q;
	*pages = len;
	return true;
}

static uint16_t module_index(struct kernel_symbols *k, const char *name, size_t len)
{
	if (len >= MODULE_NAME_MAX)
		len = MODULE_NAME_MAX - 1;
	for (size_t i = k->n_modules; i-- > 0;)
		if (strncmp(k->modules[i], name, len) == 0 && !k->modules[i][len])
			return (uint16_t)i;
	if (k->n_modules == MODULES_MAX)
		return 0;
	if (k->n_modules % 64 == 0) {
		void *p = realloc(k->modules, (k->n_modules + 64) * sizeof(*k->modules));

		if (!p)
			return 0;
		k->modules = p;
	}
	memcpy(k->modules[k->n_modules], name, len);
	k->modules[k->n_modules][len] = 0;
	return (uint16_t)k->n_modules++;
}

static void add_line(struct reader *r, const char *line)
{
	struct kernel_symbols *k = r->k;
	uint64_t addr;

	if (!parse_hex(&line, &addr) || *line != ' ' || !line[1] || line[2] != ' ')
		return;
	char type = line[1];
	const char *name = line + 3, *end = parse_word(name);

	r->any_address |= addr != 0;
	/* __pfx_foo is the room in front of foo for a probe: half of all names, and nothing runs there. */
	if (!addr || !strchr("tTwW", type) || end == name || PARSE_STARTS(name, "__pfx_") ||
	    r->n >= SYMBOLS_MAX || k->names_len > NAMES_MAX)
		return;
	size_t len = (size_t)(end - name);
	const char *module = parse_blank(end);

	if (!reserve((void **)&r->entries, &r->entries_pages, (r->n + 1) * sizeof(*r->entries)) ||
	    !reserve((void **)&k->names, &k->names_pages, k->names_len + len + 1)) {
		r->failed = true;
		return;
	}
	if (len == 5 && memcmp(name, "_text", 5) == 0 && *module != '[')
		r->text = addr;
	const char *close = *module == '[' ? strchr(module, ']') : NULL;

	r->entries[r->n++] = (struct entry){
		.addr = addr,
		.name = (uint32_t)k->names_len,
		.module = close ? module_index(k, module + 1, (size_t)(close - module - 1)) : 0,
		.type = type,
	};
	memcpy(k->names + k->names_len, name, len);
	k->names[k->names_len + len] = 0;
	symbol_clean(k->names + k->names_len);
	k->names_len += len + 1;
}

/* Lines of whatever lengths; one that does not fit into a chunk is passed over. */
static int read_lines(struct reader *r, int fd)
{
	char *buf = pages_new(CHUNK + 1);
	size_t have = 0;
	ssize_t n = -1;

	if (!buf)
		return -ENOMEM;
	while ((n = read(fd, buf + have, CHUNK - have)) > 0 || (n < 0 && errno == EINTR)) {
		char *p = buf, *end;

		have += n > 0 ? (size_t)n : 0;
		while ((end = memchr(p, '\n', have - (size_t)(p - buf)))) {
			*end = 0;
			add_line(r, p);
			p = end + 1;
		}
		have -= (size_t)(p - buf);
		memmove(buf, p, have);
		if (have == CHUNK)
			have = 0;
	}
	int e = n < 0 ? -errno : r->failed ? -ENOMEM : 0;

	pages_free(buf, CHUNK + 1);
	return e;
}

/* ---- order ---- */

static int by_addr(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->addr != y->addr)
		return x->addr < y->addr ? -1 : 1;
	return (x->name > y->name) - (x->name < y->name);
}

static bool ends(const char *name, const char *end)
{
	size_t len = strlen(name), n = strlen(end);

	return len >= n && strcmp(name + len - n, end) == 0;
}

/* Where a section begins or ends, which is also where a function begins. */
static bool is_mark(const char *name)
{
	return strcmp(name, "_text") == 0 || strcmp(name, "_stext") == 0 ||
	       strcmp(name, "_sinittext") == 0 || ends(name, "text_start") ||
	       ends(name, "text_end");
}

static bool is_nicer(const struct kernel_symbols *k, const struct entry *x, const struct entry *y)
{
	static const char order[] = "TtWw";
	const char *p = k->names + x->name, *q = k->names + y->name;

	if (is_mark(p) != is_mark(q))
		return is_mark(q);
	if (x->type != y->type)
		return strchr(order, x->type) < strchr(order, y->type);
	size_t p_bars = strspn(p, "_"), q_bars = strspn(q, "_");

	/* Of __x64_sys_getpid and __ia32_sys_getpid, which are one function, the former. */
	return p_bars != q_bars ? p_bars < q_bars : strlen(p) < strlen(q);
}

static uint64_t choose_base(const struct reader *r)
{
	if (!r->text)
		return r->entries[0].addr;
	return r->text > WINDOW ? r->text - WINDOW : 0;
}

/* Sorted entries to symbols, one for each address, and runs of modules. */
static int settle(struct reader *r)
{
	struct kernel_symbols *k = r->k;
	size_t n = 0;

	for (size_t i = 0; i < r->n; i++) {
		if (r->entries[i].addr < k->base || r->entries[i].addr - k->base > UINT32_MAX)
			continue;
		if (n && r->entries[n - 1].addr == r->entries[i].addr) {
			if (is_nicer(k, &r->entries[i], &r->entries[n - 1]))
				r->entries[n - 1] = r->entries[i];
		} else {
			r->entries[n++] = r->entries[i];
		}
	}
	k->symbols_pages = pages_round(n * sizeof(*k->symbols));
	k->symbols = pages_new(k->symbols_pages);
	if (!k->symbols)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		const struct entry *e = &r->entries[i];

		k->symbols[i] = (struct kernel_symbol){
			.start = (uint32_t)(e->addr - k->base),
			.name = e->name,
		};
		if (i && e->module == k->runs[k->n_runs - 1].module)
			continue;
		if (!reserve((void **)&k->runs, &k->runs_pages, (k->n_runs + 1) * sizeof(*k->runs)))
			return -ENOMEM;
		k->runs[k->n_runs++] = (struct run){.first = (uint32_t)i, .module = e->module};
	}
	k->n = n;
	return n ? 0 : -ENODATA;
}

static bool is_sorted(const struct reader *r)
{
	for (size_t i = 1; i < r->n; i++)
		if (r->entries[i].addr < r->entries[i - 1].addr)
			return false;
	return true;
}

static int load(struct reader *r, int fd)
{
	struct kernel_symbols *k = r->k;
	int e;

	module_index(k, "", 0);
	if (!k->n_modules)
		return -ENOMEM;
	e = read_lines(r, fd);
	if (e < 0)
		return e;
	if (!r->n)
		return r->any_address ? -ENODATA : -EACCES;
	if (!is_sorted(r))
		qsort(r->entries, r->n, sizeof(*r->entries), by_addr);
	k->base = choose_base(r);
	return settle(r);
}

static void trim(void **p, size_t *pages, size_t used)
{
	size_t len = pages_round(used);
	void *q = *p && len && len < *pages ? pages_resize(*p, *pages, len) : NULL;

	if (q) {
		*p = q;
		*pages = len;
	}
}

static int read_setting(const struct host *h, const char *path)
{
	_cleanup_close_ int fd = host_file(h, ROOT_PROC, path);
	char buf[16] = "";
	const char *p = buf;
	int64_t v = 0;

	if (fd < 0 || pread(fd, buf, sizeof(buf) - 1, 0) <= 0 || !parse_i64(&p, &v))
		return -1;
	return (int)v;
}

static void explain(const struct host *h, int e, char *err, size_t err_len)
{
	if (e != -EACCES) {
		host_explain(h, ROOT_PROC, "kallsyms", e, err, err_len);
		return;
	}
	snprintf(
		err, err_len,
		"%s/kallsyms hides addresses: run as root or with CAP_SYSLOG (kernel.kptr_restrict "
		"<= 1, is %d), or set it 0 and kernel.perf_event_paranoid <= 1 (is %d)",
		h->path[ROOT_PROC], read_setting(h, "sys/kernel/kptr_restrict"),
		read_setting(h, "sys/kernel/perf_event_paranoid"));
}

int kernel_symbols_open(struct kernel_symbols **ret, const struct host *h, char *err,
			size_t err_len)
{
	struct kernel_symbols *k = calloc(1, sizeof(*k));
	struct reader r = {.k = k};

	if (!k)
		return -ENOMEM;
	_cleanup_close_ int fd = host_file(h, ROOT_PROC, "kallsyms");
	int e = fd < 0 ? fd : load(&r, fd);

	pages_free(r.entries, r.entries_pages);
	if (e < 0) {
		kernel_symbols_close(k);
		explain(h, e, err, err_len);
		return e;
	}
	trim((void **)&k->names, &k->names_pages, k->names_len);
	trim((void **)&k->runs, &k->runs_pages, k->n_runs * sizeof(*k->runs));
	*ret = k;
	return 0;
}

void kernel_symbols_close(struct kernel_symbols *k)
{
	if (!k)
		return;
	pages_free(k->symbols, k->symbols_pages);
	pages_free(k->names, k->names_pages);
	pages_free(k->runs, k->runs_pages);
	free(k->modules);
	free(k);
}

size_t kernel_symbols_bytes(const struct kernel_symbols *k)
{
	return sizeof(*k) + k->symbols_pages + k->names_pages + k->runs_pages +
	       (k->n_modules + 63) / 64 * 64 * sizeof(*k->modules);
}

/* ---- finding ---- */

static uint32_t module_at(const struct kernel_symbols *k, size_t i, size_t *ret_end)
{
	size_t low = 0, high = k->n_runs;

	while (high - low > 1) {
		size_t mid = low + (high - low) / 2;

		if (k->runs[mid].first <= i)
			low = mid;
		else
			high = mid;
	}
	*ret_end = low + 1 < k->n_runs ? k->runs[low + 1].first : k->n;
	return k->runs[low].module;
}

/* The function around addr; its module. SIZE_MAX: none. */
static size_t find(const struct kernel_symbols *k, uint64_t addr, uint32_t *ret_module)
{
	uint64_t at = addr - k->base;
	size_t low = 0, high = k->n, end;

	if (addr < k->base || at > UINT32_MAX)
		return SIZE_MAX;
	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (k->symbols[mid].start <= at)
			low = mid + 1;
		else
			high = mid;
	}
	if (!low--)
		return SIZE_MAX;
	const char *name = k->names + k->symbols[low].name;

	*ret_module = module_at(k, low, &end);
	/* Behind the last one comes no other, or one far away. */
	if (low + 1 == end && at - k->symbols[low].start > LAST_MAX)
		return SIZE_MAX;
	if (strcmp(name, "_etext") == 0 || strcmp(name, "_einittext") == 0)
		return SIZE_MAX;
	return low;
}

uint64_t kernel_function(const struct kernel_symbols *k, uint64_t addr)
{
	uint32_t module;
	size_t i = find(k, addr, &module);

	return i == SIZE_MAX ? addr : k->base + k->symbols[i].start;
}

const char *kernel_name(const struct kernel_symbols *k, uint64_t addr, const char **ret_module)
{
	uint32_t module;
	size_t i = find(k, addr, &module);

	if (i == SIZE_MAX)
		return NULL;
	if (ret_module)
		*ret_module = k->modules[module];
	return k->names + k->symbols[i].name;
}
