/*
 * Where a running agent keeps what must outlive a crash of it, and how clients on the host find it.
 *
 *	BASE/PLACE/log          the log (store/log.h)
 *	BASE/PLACE/agent.json   0600 {"url", "token", "pid", "log_id", "socket"} while it runs
 *
 * BASE is the first of $RUNTIME_DIRECTORY, /run/strobe, $XDG_RUNTIME_DIR/strobe,
 * /dev/shm/strobe-UID that is a real directory (no symlink) on tmpfs, ours, closed to others (0700)
 * and writable. PLACE says where the agent listens, so that a restart finds its log again and two
 * agents never share one: "9820" for 127.0.0.1:9820, "unix-<hash>" for a socket, "auto", "auto-2",
 * ... for port 0 (the first that no other agent has locked).
 */
#ifndef STROBE_BASE_RUNTIME_H
#define STROBE_BASE_RUNTIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RUNTIME_PATH_MAX = 512, RUNTIME_BASES = 4, RUNTIME_AUTO_MAX = 16 };

/* The n-th place for a listen address ("127.0.0.1:9820", "127.0.0.1:0", "unix:/path"), n below
 * RUNTIME_AUTO_MAX. -ERANGE when this address has no n-th place, -EINVAL when it is no address. */
int runtime_place(const char *listen, unsigned n, char *ret, size_t size);

/* Makes BASE/place for the i-th base and checks it. `dir`, where not NULL, is --runtime-dir: the
 * only base then, on whatever file system, as the others are with any_fs (for agent.json alone). 0;
 * -ERANGE: there is no i-th base; other -errno with the reason in err. */
int runtime_make(unsigned i, const char *dir, bool any_fs, const char *place,
		 char ret[RUNTIME_PATH_MAX], char *err, size_t err_len);
bool runtime_on_tmpfs(const char *path);

struct runtime_agent {
	char url[256]; /* "http://127.0.0.1:9820/" */
	char token[256];
	char socket[108]; /* "" when it listens on a port */
	char log_id[33];  /* hexadecimal */
	int64_t pid;
};

/* Writes path/agent.json, whole or not at all. 0 or -errno. */
int runtime_write_agent(const char *path, const struct runtime_agent *);
void runtime_remove_agent(const char *path);
/* Reads path/agent.json. 0; -ENOENT: none, or its process is gone; -EBADMSG; other -errno. */
int runtime_read_place(const char *path, struct runtime_agent *ret);
/* The youngest living agent this user may read, in all bases (`dir` as above, or NULL), where
 * `listen` is not NULL of those that listen there. 0 or -ENOENT. */
int runtime_read_agent(const char *dir, const char *listen, struct runtime_agent *ret);

#endif
