/*
 * Sealed epochs in files beside the crash log, each as it would lie in memory: on a tmpfs they take the same memory
 * there, and the next agent finds them. With a ring there are none: it has them all.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/write_all.h"
#include "profile/profiles_internal.h"
#include "stacks/epoch_internal.h"

#define KEEP_PREFIX "profile.epoch."
#define KEEP_DRAFT KEEP_PREFIX "new"

static void keep_name(uint64_t number, char name[40])
{
	snprintf(name, 40, KEEP_PREFIX "%" PRIu64, number);
}

int keep_write(struct shelf *s, const uint8_t *data, size_t len, uint64_t *number)
{
	char name[40];
	int fd, r;

	if (s->dir_fd < 0)
		return -ENOENT;
	unlinkat(s->dir_fd, KEEP_DRAFT, 0);
	fd = openat(s->dir_fd, KEEP_DRAFT, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	r = write_all(fd, data, len);
	if (close(fd) < 0 && r >= 0)
		r = -errno;
	keep_name(s->next_kept + 1, name);
	/* A kill before this leaves the epoch to its crash log. */
	if (r >= 0 && renameat(s->dir_fd, KEEP_DRAFT, s->dir_fd, name) < 0)
		r = -errno;
	if (r < 0) {
		unlinkat(s->dir_fd, KEEP_DRAFT, 0);
		return r;
	}
	*number = ++s->next_kept;
	return 0;
}

static int keep_open(const struct shelf *s, uint64_t number, struct stat *st)
{
	char name[40];

	keep_name(number, name);
	int fd = openat(s->dir_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return -errno;
	if (fstat(fd, st) < 0 || !S_ISREG(st->st_mode) || st->st_size < EPOCH_HEAD_SIZE ||
	    st->st_size > EPOCH_BYTES_MAX) {
		close(fd);
		return -EBADMSG;
	}
	return fd;
}

int keep_read(const struct shelf *s, uint64_t number, uint8_t *data, size_t len)
{
	struct stat st;
	_cleanup_close_ int fd = keep_open(s, number, &st);

	if (fd < 0)
		return fd == -ENOENT ? -EBADMSG : fd;
	return (size_t)st.st_size == len && pread(fd, data, len, 0) == (ssize_t)len ? 0 : -EBADMSG;
}

void keep_remove(const struct shelf *s, uint64_t number)
{
	char name[40];

	keep_name(number, name);
	unlinkat(s->dir_fd, name, 0);
}

/* To be written to the ring that there is now; the file has done its work. */
static int take_to_ring(struct profiles *p, uint64_t number, const struct epoch_head *head,
			size_t len)
{
	struct held *h;
	uint8_t *data = malloc(len);
	int r = data ? keep_read(&p->shelf, number, data, len) : -ENOMEM;

	if (r >= 0 && !shelf_has(p, head->boot_id, head->from_us)) {
		r = shelf_add(p, head, data, (uint32_t)len, NULL, &h);
		if (r >= 0) {
			h->unwritten = true;
			shelf_release(p, h);
			data = NULL;
		}
	}
	free(data);
	if (r != -ENOMEM)
		keep_remove(&p->shelf, number);
	return r;
}

/* Its content is checked when it is read. */
static int take_one(struct profiles *p, uint64_t number)
{
	uint8_t start[EPOCH_HEAD_SIZE];
	struct epoch_head head;
	struct held *h;
	struct stat st;
	_cleanup_close_ int fd = keep_open(&p->shelf, number, &st);
	int r = fd < 0 ? fd : 0;

	if (r >= 0 && pread(fd, start, sizeof(start), 0) != sizeof(start))
		r = -EBADMSG;
	if (r >= 0)
		r = epoch_head_start(start, &head);
	if (r >= 0 && p->c.ring)
		return take_to_ring(p, number, &head, (size_t)st.st_size);
	if (r >= 0)
		r = shelf_add(p, &head, NULL, (uint32_t)st.st_size, NULL, &h);
	if (r >= 0) {
		h->kept = number;
		p->shelf.bytes += h->len;
		shelf_release(p, h);
	}
	return r;
}

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* Numbers of the files there are, to free(). NULL: none, or no memory. */
static uint64_t *keep_list(const struct shelf *s, size_t *n)
{
	int fd = openat(s->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	uint64_t *list = NULL;
	struct dirent *e;
	size_t cap = 0;

	*n = 0;
	if (!d && fd >= 0)
		close(fd);
	while (d && (e = readdir(d))) {
		uint64_t number;
		char name[40];

		if (sscanf(e->d_name, KEEP_PREFIX "%" SCNu64, &number) != 1 || !number ||
		    number == UINT64_MAX)
			continue;
		keep_name(number, name);
		if (strcmp(name, e->d_name) != 0)
			continue;
		if (*n == cap) {
			uint64_t *grown = realloc(list, (cap = cap ? cap * 2 : 64) * sizeof(*list));

			if (!grown)
				break;
			list = grown;
		}
		list[(*n)++] = number;
	}
	if (d)
		closedir(d);
	if (*n)
		qsort(list, *n, sizeof(*list), by_number);
	return list;
}

int keep_take_all(struct profiles *p)
{
	struct shelf *s = &p->shelf;
	uint64_t *list;
	size_t n;
	int r = 0;

	if (s->dir_fd < 0)
		return 0;
	unlinkat(s->dir_fd, KEEP_DRAFT, 0);
	pthread_mutex_lock(&p->lock);
	list = keep_list(s, &n);
	for (size_t i = 0; r >= 0 && i < n; i++) {
		s->next_kept = list[i];
		r = take_one(p, list[i]);
		if (r < 0 && r != -ENOMEM) { /* nobody can read that one */
			s->damaged++;
			keep_remove(s, list[i]);
			r = 0;
		}
	}
	shelf_shrink(p);
	pthread_mutex_unlock(&p->lock);
	free(list);
	return r;
}
