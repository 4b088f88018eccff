#include "symbols/root_file.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { READ_FLAGS = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, DEPTH_MAX = 64, LINKS_MAX = 40 };

static int regular(int fd)
{
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return -ENOENT;
	}
	return fd;
}

/* Where the walk stands: folders from the root's on, and what is left of the path. */
struct walk {
	int fd[DEPTH_MAX]; /* fd[0] is the caller's */
	int depth, n_links;
	char rest[2 * PATH_MAX];
};

static void walk_up(struct walk *w, int depth)
{
	while (w->depth > depth)
		close(w->fd[w->depth--]);
}

/* Takes the next component off the path; false: there is none. */
static bool next_name(struct walk *w, char name[NAME_MAX + 1], bool *last)
{
	size_t skip = strspn(w->rest, "/"), len = strcspn(w->rest + skip, "/");

	if (len == 0 || len > NAME_MAX)
		return false;
	memcpy(name, w->rest + skip, len);
	name[len] = 0;
	const char *behind = w->rest + skip + len;

	*last = !*behind;
	memmove(w->rest, behind, strlen(behind) + 1);
	return true;
}

/* The link's text takes its place in the path. */
static int follow(struct walk *w, int link_fd)
{
	char text[PATH_MAX];
	size_t left = strlen(w->rest);
	ssize_t n = readlinkat(link_fd, "", text, sizeof(text) - 1);

	if (n < 0)
		return -errno;
	if (++w->n_links > LINKS_MAX)
		return -ELOOP;
	if (n == 0 || (size_t)n + left >= sizeof(w->rest))
		return -ENAMETOOLONG;
	memmove(w->rest + n, w->rest, left + 1);
	memcpy(w->rest, text, (size_t)n);
	if (text[0] == '/')
		walk_up(w, 0);
	return 0;
}

static int step_into(struct walk *w, int *fd)
{
	if (w->depth + 1 == DEPTH_MAX)
		return -ENAMETOOLONG;
	w->fd[++w->depth] = *fd;
	*fd = -1;
	return 0;
}

/* What is opened has not been a link when it was looked at, nor is it followed if it has become one. */
static int walk_on(struct walk *w, bool no_link)
{
	char name[NAME_MAX + 1];
	struct stat st;
	bool last;

	while (next_name(w, name, &last)) {
		if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
			walk_up(w, w->depth - (name[1] && w->depth > 0));
			continue;
		}
		_cleanup_close_ int fd =
			openat(w->fd[w->depth], name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		int r = fd < 0 || fstat(fd, &st) < 0 ? -errno : 0;

		if (r == 0 && S_ISLNK(st.st_mode))
			r = last && no_link ? -ELOOP : follow(w, fd);
		else if (r == 0 && last)
			return regular(openat(w->fd[w->depth], name, READ_FLAGS | O_NOFOLLOW));
		else if (r == 0)
			r = step_into(w, &fd);
		if (r < 0)
			return r;
	}
	return -ENOENT;
}

int root_file_walk(int root_fd, const char *path, bool no_link)
{
	struct walk w = {.fd = {root_fd}};

	if (strlen(path) >= PATH_MAX)
		return -ENAMETOOLONG;
	strcpy(w.rest, path);
	int r = walk_on(&w, no_link);

	walk_up(&w, 0);
	return r;
}

int root_file_at(int root_fd, const char *path, bool no_link)
{
	struct open_how how = {
		.flags = READ_FLAGS | (uint64_t)(no_link ? O_NOFOLLOW : 0),
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};
	int fd = (int)syscall(SYS_openat2, root_fd, path, &how, sizeof(how));

	if (fd < 0 && (errno == ENOSYS || errno == EPERM))
		return root_file_walk(root_fd, path, no_link);
	return regular(fd);
}

int root_file(const char *root, const char *path)
{
	if (!root[0])
		return regular(open(path, READ_FLAGS));
	int root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (root_fd < 0)
		return -errno;
	int fd = root_file_at(root_fd, path, false);

	close(root_fd);
	return fd;
}
