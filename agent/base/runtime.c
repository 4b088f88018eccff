#include "base/runtime.h"

#include "base/cleanup.h"
#include "base/crc32c.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

enum { AGENT_JSON_MAX = 16 << 10 };

int runtime_place(const char *listen, unsigned n, char *ret, size_t size)
{
	const char *port = strrchr(listen, ':');

	if (!port || !port[1])
		return -EINVAL;
	if (strncmp(listen, "unix:", 5) == 0)
		snprintf(ret, size, "unix-%08x", crc32c(0, listen + 5, strlen(listen + 5)));
	else if (strspn(port + 1, "0123456789") != strlen(port + 1) || strlen(port + 1) > 5)
		return -EINVAL;
	else if (strtoul(port + 1, NULL, 10) == 0) {
		if (n >= RUNTIME_AUTO_MAX)
			return -ERANGE;
		snprintf(ret, size, n ? "auto-%u" : "auto", n + 1);
		return 0;
	} else
		snprintf(ret, size, "%lu", strtoul(port + 1, NULL, 10));
	return n ? -ERANGE : 0;
}

/* The path of the i-th base; -ERANGE past the end, -ENOENT when the environment does not name
 * it. */
static int base_path(unsigned i, const char *dir, char ret[RUNTIME_PATH_MAX])
{
	const char *env = getenv(i == 0 ? "RUNTIME_DIRECTORY" : "XDG_RUNTIME_DIR");
	int n = -1;

	if (i >= (dir ? 1 : RUNTIME_BASES))
		return -ERANGE;
	if (dir)
		n = snprintf(ret, RUNTIME_PATH_MAX, "%s", dir);
	else if (i == 0 && env && *env == '/') /* systemd may name several, separated by ':' */
		n = snprintf(ret, RUNTIME_PATH_MAX, "%.*s", (int)strcspn(env, ":"), env);
	else if (i == 1)
		n = snprintf(ret, RUNTIME_PATH_MAX, "/run/strobe");
	else if (i == 2 && env && *env == '/')
		n = snprintf(ret, RUNTIME_PATH_MAX, "%s/strobe", env);
	else if (i == 3)
		n = snprintf(ret, RUNTIME_PATH_MAX, "/dev/shm/strobe-%u", (unsigned)geteuid());
	if (n < 0)
		return -ENOENT;
	return n >= RUNTIME_PATH_MAX - 64 ? -ENAMETOOLONG : 0;
}

/* Opens a base and checks that nobody else can write there. An fd or -errno. */
static int base_open(const char *path, bool ours, char *err, size_t err_len)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0) {
		int r = -errno;

		snprintf(err, err_len, "%s: %s", path, strerror(-r));
		return r;
	}
	if ((ours && st.st_uid != geteuid()) || (st.st_mode & 022)) {
		snprintf(err, err_len, "%s: %s", path,
			 st.st_uid != geteuid() ? "belongs to another user"
						: "others may write there (chmod 0700 it)");
		return -EPERM;
	}
	return TAKE_FD(fd);
}

bool runtime_on_tmpfs(const char *path)
{
	struct statfs fs;

	return statfs(path, &fs) == 0 && fs.f_type == TMPFS_MAGIC;
}

int runtime_make(unsigned i, const char *dir, bool any_fs, const char *place,
		 char ret[RUNTIME_PATH_MAX], char *err, size_t err_len)
{
	char base[RUNTIME_PATH_MAX];
	struct statfs fs;
	int r = base_path(i, dir, base);

	if (r) {
		snprintf(err, err_len, "not set");
		return r;
	}
	bool made = mkdir(base, 0700) == 0;

	if (!made && errno != EEXIST) {
		r = -errno;
		snprintf(err, err_len, "%s: %s", base, strerror(-r));
		return r;
	}
	_cleanup_close_ int fd = base_open(base, true, err, err_len);

	if (fd < 0)
		return fd;
	if (!dir && !any_fs && (fstatfs(fd, &fs) < 0 || fs.f_type != TMPFS_MAGIC)) {
		snprintf(err, err_len, "%s: not a tmpfs", base);
		if (made)
			rmdir(base);
		return -ENOTSUP;
	}
	if (mkdirat(fd, place, 0700) < 0 && errno != EEXIST)
		r = -errno;
	else if (faccessat(fd, place, W_OK | X_OK, AT_EACCESS) < 0)
		r = -errno;
	if (r)
		snprintf(err, err_len, "%s/%s: %s", base, place, strerror(-r));
	else if (snprintf(ret, RUNTIME_PATH_MAX, "%s/%s", base, place) >= RUNTIME_PATH_MAX)
		r = -ENAMETOOLONG; /* base_path() leaves room */
	return r;
}

int runtime_write_agent(const char *path, const struct runtime_agent *a)
{
	char tmp[RUNTIME_PATH_MAX + 32], file[RUNTIME_PATH_MAX + 32];
	json_t *o = json_pack("{s:s, s:s, s:I, s:s, s:s*}", "url", a->url, "token", a->token, "pid",
			      (json_int_t)a->pid, "log_id", a->log_id, "socket",
			      a->socket[0] ? a->socket : NULL);
	int r = 0;

	if (!o)
		return -EINVAL;
	snprintf(tmp, sizeof(tmp), "%s/agent.json.new", path);
	snprintf(file, sizeof(file), "%s/agent.json", path);
	unlink(tmp);
	errno = 0;
	_cleanup_close_ int fd =
		open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		r = -errno;
	else if (json_dumpfd(o, fd, JSON_INDENT(2)) < 0 || write(fd, "\n", 1) != 1)
		r = errno ? -errno : -EIO;
	else if (rename(tmp, file) < 0)
		r = -errno;
	if (r && fd >= 0)
		unlink(tmp);
	json_decref(o);
	return r;
}

void runtime_remove_agent(const char *path)
{
	char file[RUNTIME_PATH_MAX + 32];

	snprintf(file, sizeof(file), "%s/agent.json", path);
	unlink(file);
}

static void take_string(const json_t *o, const char *key, char *ret, size_t size)
{
	const char *s = json_string_value(json_object_get(o, key));

	snprintf(ret, size, "%s", s ? s : "");
}

int runtime_read_place(const char *path, struct runtime_agent *ret)
{
	char file[RUNTIME_PATH_MAX + 32];
	struct runtime_agent a = {0};

	snprintf(file, sizeof(file), "%s/agent.json", path);
	/* Root reads those of the service's user, who must not be able to hold it up. */
	_cleanup_close_ int fd =
		open(file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_size > AGENT_JSON_MAX)
		return -EBADMSG;
	json_t *o = json_loadfd(fd, 0, NULL);

	take_string(o, "url", a.url, sizeof(a.url));
	take_string(o, "token", a.token, sizeof(a.token));
	take_string(o, "socket", a.socket, sizeof(a.socket));
	take_string(o, "log_id", a.log_id, sizeof(a.log_id));
	a.pid = json_integer_value(json_object_get(o, "pid"));
	json_decref(o);
	if (!a.url[0] || !a.token[0] || a.pid <= 0)
		return -EBADMSG;
	if (kill((pid_t)a.pid, 0) < 0 && errno == ESRCH)
		return -ENOENT;
	*ret = a;
	return 0;
}

static bool listens_on(const struct runtime_agent *a, const char *listen)
{
	const char *port = strrchr(listen, ':'), *at = strrchr(a->url, ':');

	if (!port || !at || !strncmp(listen, "unix:", 5) || a->socket[0])
		return !strncmp(listen, "unix:", 5) && !strcmp(a->socket, listen + 5);
	return !strncmp(at, port, strlen(port)) && !strchr("0123456789", at[strlen(port)]);
}

/* Looks through one base for agents (those on `listen`, where not NULL); keeps what is younger than
 * *best. */
static void scan_base(const char *base, const char *listen, struct timespec *best,
		      struct runtime_agent *ret)
{
	/* Only root can make /run/strobe: what a service user keeps there is good for root to
	 * read. */
	bool trusted = geteuid() == 0 && strcmp(base, "/run/strobe") == 0;
	char path[RUNTIME_PATH_MAX + NAME_MAX + 32], err[1];
	int fd = base_open(base, !trusted, err, sizeof(err));
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	for (const struct dirent *e; d && (e = readdir(d));) {
		struct stat st;
		struct runtime_agent a;

		snprintf(path, sizeof(path), "%s/agent.json", e->d_name);
		if (e->d_name[0] == '.' || fstatat(fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		snprintf(path, sizeof(path), "%s/%s", base, e->d_name);
		if (strlen(path) >= RUNTIME_PATH_MAX || runtime_read_place(path, &a) < 0 ||
		    (listen && !listens_on(&a, listen)))
			continue;
		if (st.st_mtim.tv_sec > best->tv_sec ||
		    (st.st_mtim.tv_sec == best->tv_sec && st.st_mtim.tv_nsec > best->tv_nsec)) {
			*best = st.st_mtim;
			*ret = a;
		}
	}
	if (d)
		closedir(d);
	else if (fd >= 0)
		close(fd);
}

int runtime_read_agent(const char *dir, const char *listen, struct runtime_agent *ret)
{
	struct timespec best = {0};
	char base[RUNTIME_PATH_MAX];

	for (unsigned i = 0;; i++) {
		int r = base_path(i, dir, base);

		if (r == -ERANGE)
			break;
		if (!r)
			scan_base(base, listen, &best, ret);
	}
	return best.tv_sec ? 0 : -ENOENT;
}
