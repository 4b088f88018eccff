/*
 * The host that is watched: roots that can be injected (a captured tree in tests, a container's
 * view of its host), and files that are opened once and read from offset 0 each tick.
 */
#ifndef STROBE_BASE_HOST_H
#define STROBE_BASE_HOST_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum host_root { ROOT_PROC, ROOT_SYS, ROOT_CGROUP, N_ROOTS };

struct host {
	int fd[N_ROOTS];	   /* O_PATH | O_DIRECTORY; -1: no such root */
	const char *path[N_ROOTS]; /* for messages: "/proc" */
	int64_t user_hz;	   /* clock ticks a second in /proc: sysconf(_SC_CLK_TCK) */
	int64_t page_size;	   /* bytes */
	uint32_t n_cpus;	   /* configured CPUs, at least 1 */
	uint64_t mem_total_bytes;  /* MemTotal; 0 if unknown */
	char boot_id[37];	   /* "" if unknown */
	char name[65];		   /* hostname */
	char machine_id[33];	   /* "" if unknown */
};

/* NULL for a root means /proc, /sys, /sys/fs/cgroup. A missing /sys or cgroup root is no error
 * (fd -1), a missing proc root is. 0 or -errno. The strings must outlive the host. */
int host_open(struct host *, const char *proc, const char *sys, const char *cgroup);
void host_close(struct host *);

/* Opens root/path read-only and close-on-exec. An fd or -errno. */
int host_file(const struct host *, enum host_root, const char *path);

/* Is root/path readable? 0, or -errno with a sentence in reason[size]. Keeps nothing open. */
int host_probe(const struct host *, enum host_root, const char *path, char *reason, size_t size);
/* Writes "/proc/stat: No such file or directory" for -errno err into reason[size]; returns err. */
int host_explain(const struct host *, enum host_root, const char *path, int err, char *reason,
		 size_t size);

/* A file that stays open. `data` is NUL-ended after each read. */
struct kept_file {
	int fd;
	char *data;
	size_t len, cap;
	uint64_t tick; /* of the last read + 1; 0: none yet */
};

/* Opens and reads once to size the buffer with room to grow (twice the size + 4 KiB). 0 or
 * -errno. */
int kept_open(struct kept_file *, const struct host *, enum host_root, const char *path);
/* Reads the whole file from offset 0 unless it was read for this tick already. 0; -EFBIG: it has
 * outgrown the buffer (reopen to resize); or -errno of pread. Never allocates. */
int kept_read(struct kept_file *, uint64_t tick);
void kept_close(struct kept_file *); /* zeroed is fine; leaves it closed */

#endif
