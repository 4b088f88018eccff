#include "symbols/symbols_file.h"

#include "symbols/root_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <zlib.h>

/* A checksum reads all of the file; larger ones are found by their build-id or not at all. */
enum { CHECKSUM_MAX = 256 << 20 };

void fd_path(int fd, char *buf, size_t size)
{
	static const char deleted[] = " (deleted)";
	char link[40];

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, buf, size - 1);

	buf[n > 0 ? n : 0] = 0;
	size_t len = strlen(buf), end = sizeof(deleted) - 1;

	if (len > end && strcmp(buf + len - end, deleted) == 0)
		buf[len - end] = 0;
	if (buf[0] != '/')
		buf[0] = 0;
}

static bool checksum_is(int fd, uint32_t want)
{
	static const size_t chunk = 256 << 10;
	struct stat st;
	uint8_t *buf = NULL;
	uLong crc = crc32(0, NULL, 0);
	ssize_t n = -1;

	if (fstat(fd, &st) == 0 && st.st_size <= CHECKSUM_MAX)
		buf = pages_new(chunk);
	for (off_t off = 0; buf && (n = pread(fd, buf, chunk, off)) > 0; off += n)
		crc = crc32(crc, buf, (uInt)n);
	pages_free(buf, chunk);
	return n == 0 && crc == want;
}

/* Is what was opened the debug file that is looked for? fd is closed if not. */
static int accept_file(struct symfile *ret, int fd, const char *id, const uint32_t *crc,
		       const char *want)
{
	struct symfile f;
	GElf_Shdr sh;
	char found[SYMFILE_ID_SIZE];

	if (fd < 0)
		return -ENOENT;
	if (symfile_open(&f, fd) == 0) {
		symfile_build_id(&f, found);
		bool same =
			id[0] && found[0] ? strcmp(id, found) == 0 : crc && checksum_is(fd, *crc);

		if (same && symfile_section(&f, 0, want, &sh) && sh.sh_type != SHT_NOBITS) {
			*ret = f;
			return fd;
		}
		symfile_close(&f);
	}
	close(fd);
	return -ENOENT;
}

static bool id_path(const char *id, char *buf, size_t size)
{
	if (strlen(id) < 6 || strspn(id, "0123456789abcdef") != strlen(id))
		return false;
	snprintf(buf, size, "/usr/lib/debug/.build-id/%.2s/%s.debug", id, id + 2);
	return true;
}

int debug_file_open_id(const char *build_id, const char *debug_root)
{
	char path[PATH_MAX];
	int fd = -ENOENT;

	if (!id_path(build_id, path, sizeof(path)))
		return -ENOENT;
	if (debug_root[0])
		fd = root_file(debug_root, path);
	return fd >= 0 ? fd : root_file("", path);
}

static int by_link(struct symfile *ret, const char *id, const char *root, const char *dir,
		   int dir_len, const char *name, uint32_t crc, const char *want)
{
	static const char *const before[] = {"", "", "/usr/lib/debug", "/usr/lib/debug"};
	static const char *const after[] = {"", "/.debug", "", ""};
	char path[PATH_MAX];

	for (size_t i = 0; i < sizeof(before) / sizeof(*before); i++) {
		int skip = i == 3 && strncmp(dir, "/usr/", 5) == 0 ? 4 : 0;

		if (i == 3 && !skip)
			break;
		int n = snprintf(path, sizeof(path), "%s%.*s%s/%s", before[i], dir_len - skip,
				 dir + skip, after[i], name);

		if (n < 0 || (size_t)n >= sizeof(path))
			continue;
		int fd = accept_file(ret, root_file(root, path), id, &crc, want);

		if (fd >= 0)
			return fd;
	}
	return -ENOENT;
}

int debug_file_open(struct symfile *ret, const struct symfile *f, const char *path,
		    const char *debug_root, const char *want)
{
	const char *roots[] = {debug_root, ""};
	char id[SYMFILE_ID_SIZE], by_id[PATH_MAX];
	char name[SYMFILE_LINK_SIZE];
	uint32_t crc = 0;
	bool linked = symfile_debuglink(f, name, &crc);
	const char *slash = strrchr(path, '/');

	symfile_build_id(f, id);
	for (size_t i = debug_root[0] ? 0 : 1; i < 2; i++) {
		int fd = id_path(id, by_id, sizeof(by_id))
				 ? accept_file(ret, root_file(roots[i], by_id), id, NULL, want)
				 : -ENOENT;

		if (fd < 0 && linked && slash)
			fd = by_link(ret, id, roots[i], path, (int)(slash - path), name, crc, want);
		if (fd >= 0)
			return fd;
	}
	return -ENOENT;
}
