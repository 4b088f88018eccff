#include "base/host.h"

#include "base/cleanup.h"
#include "base/parse.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { KEPT_SPARE = 4096 };

static const char *const default_path[N_ROOTS] = {"/proc", "/sys", "/sys/fs/cgroup"};

int host_file(const struct host *h, enum host_root root, const char *path)
{
	if (h->fd[root] < 0)
		return -ENOENT;
	while (*path == '/')
		path++;
	int fd = openat(h->fd[root], path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	return fd < 0 ? -errno : fd;
}

/* The first line of a small file into buf, NUL-ended; "" when it cannot be read. */
static void read_word(const struct host *h, const char *path, char *buf, size_t size)
{
	_cleanup_close_ int fd = host_file(h, ROOT_PROC, path);
	ssize_t n = fd < 0 ? 0 : read(fd, buf, size - 1);

	buf[n > 0 ? n : 0] = 0;
	buf[strcspn(buf, "\n")] = 0;
}

static uint64_t read_mem_total(const struct host *h)
{
	char buf[256];
	const char *p = buf + strlen("MemTotal:");
	int64_t kib;

	read_word(h, "meminfo", buf, sizeof(buf));
	if (!PARSE_STARTS(buf, "MemTotal:") || !parse_i64(&p, &kib) || kib < 0)
		return 0;
	return (uint64_t)kib * 1024;
}

static void read_machine_id(char out[33])
{
	_cleanup_close_ int fd = open("/etc/machine-id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, out, 32);

	out[n == 32 ? 32 : 0] = 0;
}

int host_open(struct host *h, const char *proc, const char *sys, const char *cgroup)
{
	const char *path[N_ROOTS] = {proc, sys, cgroup};
	long cpus = sysconf(_SC_NPROCESSORS_CONF);

	*h = (struct host){.fd = {-1, -1, -1}};
	for (int i = 0; i < N_ROOTS; i++) {
		h->path[i] = path[i] ? path[i] : default_path[i];
		h->fd[i] = open(h->path[i], O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (h->fd[i] < 0 && (i == ROOT_PROC || path[i])) {
			int r = -errno;

			host_close(h);
			return r;
		}
	}
	h->user_hz = sysconf(_SC_CLK_TCK);
	h->page_size = sysconf(_SC_PAGESIZE);
	h->n_cpus = cpus > 0 ? (uint32_t)cpus : 1;
	h->mem_total_bytes = read_mem_total(h);
	read_word(h, "sys/kernel/random/boot_id", h->boot_id, sizeof(h->boot_id));
	read_word(h, "sys/kernel/hostname", h->name, sizeof(h->name));
	if (!h->name[0] && gethostname(h->name, sizeof(h->name) - 1))
		strcpy(h->name, "localhost");
	if (!proc)
		read_machine_id(h->machine_id);
	return 0;
}

void host_close(struct host *h)
{
	for (int i = 0; i < N_ROOTS; i++) {
		if (h->fd[i] >= 0)
			close(h->fd[i]);
		h->fd[i] = -1;
	}
}

int host_explain(const struct host *h, enum host_root root, const char *path, int err, char *reason,
		 size_t size)
{
	snprintf(reason, size, "%s/%s: %s", h->path[root], path, strerror(-err));
	return err;
}

int host_probe(const struct host *h, enum host_root root, const char *path, char *reason,
	       size_t size)
{
	_cleanup_close_ int fd = host_file(h, root, path);

	return fd < 0 ? host_explain(h, root, path, fd, reason, size) : 0;
}

/* Under AddressSanitizer the part of the buffer behind the text's NUL may not be touched, so that a
 * parser that runs over is found although there is room. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define GUARDED 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define GUARDED 1
#endif
#ifdef GUARDED
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

static void guard(struct kept_file *f)
{
	ASAN_POISON_MEMORY_REGION(f->data + f->len + 1, f->cap - f->len - 1);
}

static void unguard(struct kept_file *f)
{
	ASAN_UNPOISON_MEMORY_REGION(f->data, f->cap);
}

/* Reads to the end or to cap - 1 bytes. */
static int read_whole(struct kept_file *f)
{
	size_t len = 0;

	while (len < f->cap - 1) {
		ssize_t n = pread(f->fd, f->data + len, f->cap - 1 - len, (off_t)len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0) {
			f->data[len] = 0;
			f->len = len;
			return 0;
		}
		len += (size_t)n;
	}
	return -EFBIG;
}

int kept_open(struct kept_file *f, const struct host *h, enum host_root root, const char *path)
{
	int fd = host_file(h, root, path), r;

	*f = (struct kept_file){.fd = -1};
	if (fd < 0)
		return fd;
	f->fd = fd;
	/* A file of /proc/sys is charged for the buffer it is offered, so begin small. */
	for (f->cap = KEPT_SPARE;; f->cap *= 2) {
		free(f->data);
		f->data = malloc(f->cap);
		r = f->data ? read_whole(f) : -ENOMEM;
		if (r != -EFBIG)
			break;
	}
	if (!r && f->len * 2 + KEPT_SPARE > f->cap && f->len * 2 > KEPT_SPARE) {
		size_t cap = f->len * 2 + KEPT_SPARE;
		char *grown = realloc(f->data, cap);

		if (grown) {
			f->data = grown;
			f->cap = cap;
		}
	}
	if (r)
		kept_close(f);
	else
		guard(f);
	return r;
}

int kept_read(struct kept_file *f, uint64_t tick)
{
	int r;

	if (f->tick == tick + 1)
		return 0;
	unguard(f);
	r = read_whole(f);
	f->tick = r ? 0 : tick + 1;
	if (!r)
		guard(f);
	return r;
}

void kept_close(struct kept_file *f)
{
	if (f->cap && f->fd >= 0)
		close(f->fd);
	if (f->data)
		unguard(f);
	free(f->data);
	*f = (struct kept_file){.fd = -1};
}
