/* The mappings of one space. */
#include "base/cleanup.h"
#include "base/parse.h"
#include "unwind/space_private.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum { READ_BUFFER = 64 << 10, THREADS_TRIED = 16 };

bool space_path_is_jit(const char *path)
{
	/* "//anon" is what side-band records call them; memfds and shared memory hold code that a JIT maps
	 * twice. */
	return !path[0] || PARSE_STARTS(path, "//") || PARSE_STARTS(path, "/memfd:") ||
	       PARSE_STARTS(path, "/dev/zero") || PARSE_STARTS(path, "/SYSV") ||
	       PARSE_STARTS(path, "[heap]") || PARSE_STARTS(path, "[stack") ||
	       PARSE_STARTS(path, "[anon");
}

/* ---- the array ---- */

void space_unmap_all(struct space *x)
{
	if (x->maps && --x->maps->n_users == 0) {
		x->owner->n_mappings -= x->maps->cap;
		free(x->maps);
	}
	x->maps = NULL;
}

/* Makes x->maps its own, to be changed, with room for two more. */
static int own(struct space *x)
{
	struct mappings *m = x->maps, *to;
	uint32_t n = m ? m->n : 0, cap;

	if (m && m->n_users == 1 && m->cap >= n + 2) {
		m->version = ++x->owner->versions;
		return 0;
	}
	cap = n + 2 + n / 2 + 4;
	if (x->owner->n_mappings + cap > MAPPINGS_TOTAL)
		return -ENOMEM;
	to = malloc(sizeof(*to) + cap * sizeof(to->at[0]));
	if (!to)
		return -ENOMEM;
	*to = (struct mappings){.version = ++x->owner->versions,
				.n_users = 1,
				.n = n,
				.cap = cap,
				.jit = m && m->jit};
	if (m)
		memcpy(to->at, m->at, n * sizeof(to->at[0]));
	space_unmap_all(x);
	x->owner->n_mappings += cap;
	x->maps = to;
	return 0;
}

static bool is_free(const struct space *x, uint64_t start, uint64_t end)
{
	const struct mapping *m = space_after(x, start);

	return !m || m->start >= end;
}

void space_cut(struct space *x, uint64_t start, uint64_t end)
{
	if (is_free(x, start, end) || own(x) < 0)
		return;
	struct mappings *m = x->maps;
	uint32_t to = 0;

	for (uint32_t i = 0; i < m->n; i++) {
		struct mapping a = m->at[i];

		if (a.start < start &&
		    a.end > end) { /* in the middle: two remain, there is room for it */
			memmove(&m->at[i + 2], &m->at[i + 1], (m->n - i - 1) * sizeof(a));
			m->at[i].end = start;
			m->at[i + 1] = a;
			m->at[i + 1].start = end;
			m->at[i + 1].file_off += end - a.start;
			m->n++;
			return;
		}
		if (a.start >= start && a.end <= end)
			continue;
		if (a.start < start && a.end > start) {
			a.end = start;
		} else if (a.start < end && a.end > end) {
			a.file_off += end - a.start;
			a.start = end;
		}
		m->at[to++] = a;
	}
	m->n = to;
}

int space_add(struct space *x, const struct mapping *add)
{
	struct mappings *m;
	uint32_t i;

	space_cut(x, add->start, add->end);
	if (x->maps && x->maps->n >= MAPPINGS_MAX)
		return -ENOMEM;
	if (own(x) < 0)
		return -ENOMEM;
	m = x->maps;
	for (i = m->n; i && m->at[i - 1].start > add->start; i--)
		m->at[i] = m->at[i - 1];
	m->at[i] = *add;
	m->n++;
	m->jit |= !add->module;
	return 0;
}

/* ---- /proc/PID/maps ---- */

struct reader {
	struct space *x;
	char exe[512]; /* what /proc/PID/exe is a link to */
};

/* "start-end perms offset dev inode   path" */
static void read_line(struct reader *r, char *line)
{
	struct mapping m = {0};
	uint64_t dev_major, dev_minor;
	int64_t ino;
	const char *p = line, *perms;

	if (!parse_hex(&p, &m.start) || *p++ != '-' || !parse_hex(&p, &m.end) || m.end <= m.start)
		return;
	perms = p = parse_blank(p);
	p = parse_word(p);
	if (p - perms < 3 || perms[2] != 'x')
		return;
	if (!parse_hex(&p, &m.file_off) || !parse_hex(&p, &dev_major) || *p++ != ':' ||
	    !parse_hex(&p, &dev_minor) || !parse_i64(&p, &ino))
		return;
	p = parse_blank(p);
	if (p[0] == '[' && strcmp(p, "[vdso]") != 0 && !space_path_is_jit(p))
		return; /* the kernel's */
	if (!space_path_is_jit(p)) {
		char *deleted = strstr(line, " (deleted)");
		struct module_key k = {.dev = makedev((unsigned)dev_major, (unsigned)dev_minor),
				       .ino = (uint64_t)ino,
				       .path = p,
				       .pid = r->x->pid,
				       .start = m.start,
				       .end = m.end};

		m.main = r->exe[0] && strcmp(p, r->exe) == 0;
		if (deleted && !deleted[10])
			*deleted = 0;
		m.module = modules_get(r->x->owner->modules, &k);
	}
	space_add(r->x, &m);
}

static int read_all(struct reader *r, int fd)
{
	char *buf = r->x->owner->buf;
	size_t len = 0;
	bool skip = false; /* the rest of a line that is longer than the buffer */
	ssize_t n;

	while ((n = read(fd, buf + len, READ_BUFFER - 1 - len)) > 0) {
		char *p = buf, *end;

		len += (size_t)n;
		buf[len] = 0;
		while ((end = memchr(p, '\n', len - (size_t)(p - buf)))) {
			*end = 0;
			if (!skip)
				read_line(r, p);
			skip = false;
			p = end + 1;
		}
		len -= (size_t)(p - buf);
		memmove(buf, p, len);
		if (len == READ_BUFFER - 1) {
			skip = true;
			len = 0;
		}
	}
	return n < 0 ? -errno : 0;
}

/* `who`: "PID", or "PID/task/TID". */
static int read_maps(struct space *x, const char *who)
{
	const struct host *host = x->owner->host;
	struct reader r = {.x = x};
	char path[64];
	_cleanup_close_ int fd = -1;

	snprintf(path, sizeof(path), "%s/maps", who);
	fd = host_file(host, ROOT_PROC, path);
	if (fd < 0)
		return fd;
	snprintf(path, sizeof(path), "%s/exe", who);
	if (readlinkat(host->fd[ROOT_PROC], path, r.exe, sizeof(r.exe) - 1) < 0)
		r.exe[0] = 0;
	return read_all(&r, fd);
}

/* Where the main thread has ended and others go on, they alone tell. */
static void read_threads(struct space *x)
{
	char path[48];

	snprintf(path, sizeof(path), "%u/task", x->pid);
	int fd = host_file(x->owner->host, ROOT_PROC, path);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;

	if (!d && fd >= 0)
		close(fd);
	for (int i = 0; d && !x->maps && i < THREADS_TRIED && (e = readdir(d)); i++) {
		unsigned long tid = strtoul(e->d_name, NULL, 10);

		snprintf(path, sizeof(path), "%u/task/%lu", x->pid, tid);
		if (tid && tid != x->pid)
			read_maps(x, path);
	}
	if (d)
		closedir(d);
}

int space_read(struct space *x)
{
	struct mappings *was = x->maps;
	char who[16];
	int e;

	spaces_prune_modules(x->owner);
	x->maps = NULL;
	snprintf(who, sizeof(who), "%u", x->pid);
	e = read_maps(x, who);
	if (e == 0 && !x->maps)
		read_threads(x);
	if (e < 0 || !x->maps) { /* of a process that is just exiting nothing is left */
		space_unmap_all(x);
		x->maps = was;
		return e;
	}
	struct space old = {.owner = x->owner, .maps = was};

	space_unmap_all(&old);
	return 0;
}
