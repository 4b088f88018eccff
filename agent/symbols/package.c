#include "symbols/package.h"

#include "base/cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LIST_MAX = 4 << 20 };

/* Where /lib is /usr/lib, lists have either. */
static const char *other_way(const char *path, char *buf, size_t size)
{
	static const char *const merged[] = {"/lib", "/bin/", "/sbin/"};

	if (strncmp(path, "/usr/", 5) == 0)
		path += 4;
	for (size_t i = 0; i < sizeof(merged) / sizeof(*merged); i++)
		if (strncmp(path, merged[i], strlen(merged[i])) == 0) {
			snprintf(buf, size, "%s", path);
			return buf;
		}
	return NULL;
}

static bool has_line(const char *text, size_t len, const char *line)
{
	size_t n = line ? strlen(line) : 0;
	const char *at = text;

	while (n && (at = memmem(at, len - (size_t)(at - text), line, n))) {
		if ((at == text || at[-1] == '\n') && (at + n == text + len || at[n] == '\n'))
			return true;
		at += n;
	}
	return false;
}

/* The list, NUL-ended, into *buf, which grows. Its length; 0: none. */
static size_t read_list(int dir, const char *name, char **buf, size_t *cap)
{
	_cleanup_close_ int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > LIST_MAX)
		return 0;
	if ((size_t)st.st_size > *cap) {
		free(*buf);
		*cap = (size_t)st.st_size * 2;
		*buf = malloc(*cap);
		if (!*buf) {
			*cap = 0;
			return 0;
		}
	}
	n = *buf ? read(fd, *buf, (size_t)st.st_size) : 0;
	return n > 0 ? (size_t)n : 0;
}

int package_owner(const char *lists, const char *path, char *ret, size_t size)
{
	char short_path[4096], *buf = NULL;
	const char *other = other_way(path, short_path, sizeof(short_path));
	const char *name = strrchr(path, '/');
	DIR *dir = name ? opendir(lists) : NULL;
	size_t cap = 0;
	int r = -ENOENT;

	for (const struct dirent *e; dir && r < 0 && (e = readdir(dir));) {
		const char *dot = strrchr(e->d_name, '.');
		size_t len;

		if (!dot || strcmp(dot, ".list") != 0)
			continue;
		len = read_list(dirfd(dir), e->d_name, &buf, &cap);
		if (!len || (!has_line(buf, len, path) && !has_line(buf, len, other)))
			continue;
		len = strcspn(e->d_name, ":"); /* what follows is the architecture */
		if (len > (size_t)(dot - e->d_name))
			len = (size_t)(dot - e->d_name);
		snprintf(ret, size, "%.*s", (int)len, e->d_name);
		r = 0;
	}
	if (dir)
		closedir(dir);
	free(buf);
	return r;
}

void package_debug(const char *package, char *ret, size_t size)
{
	/* Those that are built with the package itself; all others are in the archive of debug symbols. */
	snprintf(ret, size, "%s-%s", package, strcmp(package, "libc6") == 0 ? "dbg" : "dbgsym");
}
