#include "symbols/symbols.h"

#include "symbols/perf_map_paint.h"
#include "symbols/root_file.h"
#include "symbols/symbols_file.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/parse.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	CHUNK = 64 << 10,
	STROKES = 8 << 10,
	NAME_LEN_MAX = 255, /* as the profiler has them */
	BYTES_MAX = 64 << 20,
	CODE_MAX = 1 << 30, /* larger pieces of code are no pieces of code */
	OLDER_S = 5	    /* of what clocks and file systems differ by */
};

struct perf_map {
	const struct host *host;
	uint32_t pid;
	uint64_t started; /* field 22 of stat: another process by that number is another one */
	dev_t dev;
	ino_t ino;
	uint64_t size, off; /* of the file; up to where its lines were read */
	struct timespec changed;
	struct piece *pieces; /* pages */
	char *names;	      /* pages */
	size_t n, pieces_pages, names_len, names_pages;
	uint64_t dropped;
	bool skipping; /* within a line that is longer than a chunk */
};

/* ---- the process ---- */

/* A short file of the process, NUL-ended, into buf. */
static int read_small(const struct host *h, uint32_t pid, const char *name, char *buf, size_t size)
{
	char path[40];

	snprintf(path, sizeof(path), "%u/%s", pid, name);
	_cleanup_close_ int fd = host_file(h, ROOT_PROC, path);
	ssize_t n = fd < 0 ? -1 : pread(fd, buf, size - 1, 0);

	buf[n > 0 ? n : 0] = 0;
	return fd < 0 ? fd : n < 0 ? -errno : 0;
}

static uint64_t start_time(const struct host *h, uint32_t pid)
{
	char buf[1024];
	int64_t v = 0;

	if (read_small(h, pid, "stat", buf, sizeof(buf)) < 0)
		return 0;
	const char *p = strrchr(buf, ')');

	for (int field = 2; p && *p && field < 22; field++)
		p = parse_blank(parse_word(p));
	return p && parse_i64(&p, &v) ? (uint64_t)v : 0;
}

struct process {
	uint32_t ns_pid; /* as it knows itself */
	int64_t uids[4];
};

static int read_process(const struct host *h, uint32_t pid, struct process *ret)
{
	char buf[4096];
	int64_t v;
	int r = read_small(h, pid, "status", buf, sizeof(buf));

	if (r < 0)
		return r == -ENOENT || r == -ESRCH ? -ENOENT : r;
	*ret = (struct process){.ns_pid = pid, .uids = {-1, -1, -1, -1}};
	for (const char *p = buf; *p; p = parse_line(p)) {
		const char *q = p + 6;

		if (PARSE_STARTS(p, "NSpid:"))
			while (parse_i64(&q, &v))
				ret->ns_pid = (uint32_t)v;
		q = p + 4;
		for (int i = 0; PARSE_STARTS(p, "Uid:") && i < 4 && parse_i64(&q, &v); i++)
			ret->uids[i] = v;
	}
	return 0;
}

/* Anybody may write to /tmp: only a map of the process's own user counts, or of root. */
static bool may_own(const struct process *p, uid_t owner)
{
	for (int i = 0; i < 4; i++)
		if (p->uids[i] == (int64_t)owner)
			return true;
	return owner == 0;
}

/* Numbers are used again, and in containers it is the same few: what was last written before the process began is
 * another one's. */
static bool is_older(const struct perf_map *m, const struct stat *st)
{
	int64_t hz = sysconf(_SC_CLK_TCK), up_s = (int64_t)(clock_ns(CLOCK_BOOTTIME) / 1000000000),
		now_s = (int64_t)(clock_ns(CLOCK_REALTIME) / 1000000000);

	return st->st_mtim.tv_sec + OLDER_S < now_s - up_s + (int64_t)m->started / hz;
}

/* Opened anew each time: an open file would keep the process's file system busy. */
static int open_map(const struct perf_map *m, struct stat *st)
{
	struct process p;
	char path[40];
	int r = read_process(m->host, m->pid, &p);

	if (r < 0)
		return r;
	snprintf(path, sizeof(path), "%u/root", m->pid);
	_cleanup_close_ int root =
		openat(m->host->fd[ROOT_PROC], path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (root < 0)
		return errno == ESRCH ? -ENOENT : -errno;
	snprintf(path, sizeof(path), "/tmp/perf-%u.map", p.ns_pid);
	int fd = root_file_at(root, path, true);

	if (fd < 0)
		return fd;
	if (fstat(fd, st) < 0 || !may_own(&p, st->st_uid)) {
		close(fd);
		return -EPERM;
	}
	if (is_older(m, st)) {
		close(fd);
		return -ENOENT;
	}
	return fd;
}

/* ---- what it holds ---- */

static void forget(struct perf_map *m)
{
	m->n = m->names_len = 0;
	m->size = m->off = 0;
	m->skipping = false;
}

static bool reserve(void **p, size_t *pages, size_t want)
{
	if (want <= *pages)
		return true;
	size_t len = pages_round(want + want / 4);
	void *q = *p ? pages_resize(*p, *pages, len) : pages_new(len);

	if (!q)
		return false;
	*p = q;
	*pages = len;
	return true;
}

/* Leaves out the names of code that was written over. */
static void compact(struct perf_map *m)
{
	char *names = pages_new(m->names_pages);
	size_t len = 0;

	if (!names)
		return;
	for (size_t i = 0; i < m->n; i++) {
		const char *name = m->names + m->pieces[i].name;
		size_t size = strlen(name) + 1;

		/* What is seen of one piece of code in several places has its name several times. */
		if (len + size > m->names_pages)
			break;
		memcpy(names + len, name, size);
		m->pieces[i].name = (uint32_t)len;
		len += size;
	}
	pages_free(m->names, m->names_pages);
	m->names = names;
	m->names_len = len;
}

struct batch_of_strokes {
	struct stroke v[STROKES];
	size_t n;
};

static int apply(struct perf_map *m, struct batch_of_strokes *b)
{
	size_t pages = pages_round(paint_room(m->n, b->n) * sizeof(*m->pieces));
	struct piece *out = b->n ? pages_new(pages) : NULL;

	if (!out)
		return b->n ? -ENOMEM : 0;
	size_t n = paint(m->pieces, m->n, b->v, b->n, out);

	if (n == SIZE_MAX) {
		pages_free(out, pages);
		return -ENOMEM;
	}
	pages_free(m->pieces, m->pieces_pages);
	m->pieces = out;
	m->pieces_pages = pages;
	m->n = n;
	b->n = 0;
	return 1;
}

/* ---- lines ---- */

/* "START SIZE name", hexadecimal; a name may have blanks in it. */
static bool parse_entry(const char *p, struct stroke *ret, const char **ret_name)
{
	uint64_t start, len;

	p += PARSE_STARTS(p, "0x") ? 2 : 0;
	if (!parse_hex(&p, &start) || *p != ' ')
		return false;
	p = parse_blank(p);
	p += PARSE_STARTS(p, "0x") ? 2 : 0;
	if (!parse_hex(&p, &len) || *p != ' ')
		return false;
	p = parse_blank(p);
	if (!*p || !len || len > CODE_MAX || start > UINT64_MAX - len)
		return false;
	*ret = (struct stroke){.start = start, .len = (uint32_t)len};
	*ret_name = p;
	return true;
}

static size_t held(const struct perf_map *m)
{
	return m->n * sizeof(*m->pieces) + m->names_len;
}

static int add_line(struct perf_map *m, struct batch_of_strokes *b, const char *line)
{
	struct stroke s;
	const char *name;

	if (!parse_entry(line, &s, &name))
		return 0;
	size_t len = strlen(name);

	if (len > NAME_LEN_MAX)
		len = NAME_LEN_MAX;
	if (held(m) + b->n * 2 * sizeof(*m->pieces) + len + 1 > BYTES_MAX) {
		m->dropped++;
		return 0;
	}
	if (!reserve((void **)&m->names, &m->names_pages, m->names_len + len + 1))
		return -ENOMEM;
	memcpy(m->names + m->names_len, name, len);
	m->names[m->names_len + len] = 0;
	symbol_clean(m->names + m->names_len);
	s.name = (uint32_t)m->names_len;
	m->names_len += len + 1;
	b->v[b->n++] = s;
	return b->n == STROKES ? apply(m, b) : 0;
}

/* The whole lines of buf; *ret_used: their length. */
static int add_lines(struct perf_map *m, struct batch_of_strokes *b, char *buf, size_t len,
		     size_t *ret_used)
{
	char *p = buf, *end;

	while ((end = memchr(p, '\n', len - (size_t)(p - buf)))) {
		*end = 0;
		int r = m->skipping ? 0 : add_line(m, b, p);

		if (r < 0)
			return r;
		m->skipping = false;
		p = end + 1;
	}
	*ret_used = (size_t)(p - buf);
	return 0;
}

static int read_on(struct perf_map *m, int fd, struct batch_of_strokes *b, char *buf)
{
	ssize_t n;
	int r = 0;

	while (r >= 0 && (n = pread(fd, buf, CHUNK, (off_t)m->off)) > 0) {
		size_t used = 0;

		r = add_lines(m, b, buf, (size_t)n, &used);
		/* The last line may not be all there yet. */
		if (!used && n < CHUNK)
			break;
		if (!used) {
			m->skipping = true;
			used = (size_t)n;
		}
		m->off += used;
	}
	return r < 0 ? r : n < 0 ? -errno : 0;
}

static bool is_unchanged(const struct perf_map *m, const struct stat *st)
{
	return (uint64_t)st->st_size == m->size && st->st_mtim.tv_sec == m->changed.tv_sec &&
	       st->st_mtim.tv_nsec == m->changed.tv_nsec;
}

/* Written from the start again, by this process or by one before it under the same name. */
static bool is_another(const struct perf_map *m, const struct stat *st)
{
	return st->st_dev != m->dev || st->st_ino != m->ino || (uint64_t)st->st_size < m->off ||
	       ((uint64_t)st->st_size == m->size && m->size == m->off);
}

static int refresh(struct perf_map *m, int fd, const struct stat *st)
{
	struct batch_of_strokes *b = pages_new(sizeof(*b));
	char *buf = pages_new(CHUNK + 1);
	uint64_t before = m->off;
	int r = -ENOMEM;

	if (b && buf) {
		if (is_another(m, st))
			forget(m);
		if (held(m) > BYTES_MAX / 8 * 7)
			compact(m);
		before = m->off;
		r = read_on(m, fd, b, buf);
		int a = apply(m, b);

		r = r < 0 ? r : a < 0 ? a : 0;
	}
	pages_free(b, sizeof(*b));
	pages_free(buf, CHUNK + 1);
	if (r < 0)
		return r;
	m->dev = st->st_dev;
	m->ino = st->st_ino;
	m->size = (uint64_t)st->st_size;
	m->changed = st->st_mtim;
	return m->off != before;
}

int perf_map_refresh(struct perf_map *m)
{
	struct stat st;

	uint64_t started = start_time(m->host, m->pid);
	if (started != m->started)
		return started ? -ESRCH : -ENOENT;
	_cleanup_close_ int fd = open_map(m, &st);

	if (fd < 0)
		return fd;
	return is_unchanged(m, &st) ? 0 : refresh(m, fd, &st);
}

int perf_map_open(struct perf_map **ret, const struct host *h, uint32_t pid)
{
	struct perf_map *m = pages_new(sizeof(*m));

	if (!m)
		return -ENOMEM;
	*m = (struct perf_map){.host = h, .pid = pid, .started = start_time(h, pid)};
	int r = perf_map_refresh(m);

	if (r < 0) {
		perf_map_close(m);
		return r;
	}
	*ret = m;
	return 0;
}

int perf_map_look(const struct host *h, uint32_t pid, uint32_t *ns_pid)
{
	char path[64];

	if (!*ns_pid) {
		struct process p;
		int r = read_process(h, pid, &p);

		if (r < 0)
			return r;
		*ns_pid = p.ns_pid;
	}
	snprintf(path, sizeof(path), "%u/root/tmp/perf-%u.map", pid, *ns_pid);
	return faccessat(h->fd[ROOT_PROC], path, F_OK, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

void perf_map_close(struct perf_map *m)
{
	if (!m)
		return;
	pages_free(m->pieces, m->pieces_pages);
	pages_free(m->names, m->names_pages);
	pages_free(m, sizeof(*m));
}

size_t perf_map_bytes(const struct perf_map *m)
{
	return pages_round(sizeof(*m)) + m->pieces_pages + m->names_pages;
}

uint64_t perf_map_dropped(const struct perf_map *m)
{
	return m->dropped;
}

const char *perf_map_find(const struct perf_map *m, uint64_t addr, uint64_t *ret_start)
{
	size_t low = 0, high = m->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (m->pieces[mid].start <= addr)
			low = mid + 1;
		else
			high = mid;
	}
	if (!low || addr - m->pieces[low - 1].start >= m->pieces[low - 1].len)
		return NULL;
	const struct piece *p = &m->pieces[low - 1];

	if (ret_start)
		*ret_start = p->start - p->before;
	return m->names + p->name;
}
