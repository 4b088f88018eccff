/*
 * The text of /proc/PID files into numbers. Inputs are NUL-ended and never read past the NUL; a
 * text that is cut or garbled is refused as a whole (-EBADMSG) or leaves the field VALUE_ABSENT.
 */
#ifndef STROBE_COLLECTORS_PROCESS_PARSE_H
#define STROBE_COLLECTORS_PROCESS_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	COMM_MAX = 64, /* bytes of a kernel worker's name with the NUL; others have 16 */
	STATE_NONE = 9 /* no known letter; see state_names in process.c */
};

struct proc_stat {
	char comm[COMM_MAX]; /* raw bytes, may hold anything but NUL */
	uint32_t comm_len;
	int64_t state; /* index into "RSDZTtIXP" */
	int64_t ppid, flags, minflt, majflt, utime, stime, priority, nice, threads, start, vsize,
		rss;
	int64_t exec_mark;   /* start of code ^ of stack: another after an exec; 0: not permitted */
	int64_t exit_signal; /* -1: a thread, not a process */
	int64_t processor;
};

/* /proc/PID/stat; times in clock ticks, vsize in bytes, rss in pages. comm ends at the last ')'.
 * 0 or -EBADMSG. */
int parse_proc_stat(const char *text, size_t len, struct proc_stat *ret);

struct proc_io {
	int64_t rchar, wchar, syscr, syscw, read_bytes, write_bytes, cancelled_write_bytes;
};

/* /proc/PID/io: bytes and calls; a field that is missing is VALUE_ABSENT. 0, or -EBADMSG when none
 * is there. */
int parse_proc_io(const char *text, struct proc_io *ret);

struct proc_status {
	int64_t uid;	 /* real */
	int64_t swap_kb; /* 0 where there is no such line (kernel threads, zombies) */
	int64_t vctxsw, nvctxsw;
};

/* /proc/PID/status; a field that is missing is VALUE_ABSENT. 0, or -EBADMSG when it has no Uid. */
int parse_proc_status(const char *text, struct proc_status *ret);

struct proc_peek {
	char state; /* its letter */
	int64_t ppid, threads, vsize_kb;
};

/* The same file, for what one wants to know before touching others. 0 or -EBADMSG, also for a
 * kernel thread or a zombie (no memory). */
int parse_proc_peek(const char *text, struct proc_peek *ret);

struct proc_schedstat {
	int64_t cpu_ns, delay_ns, count;
};

/* /proc/PID/schedstat. 0 or -EBADMSG. */
int parse_proc_schedstat(const char *text, struct proc_schedstat *ret);

/* /proc/loadavg: tasks there are and the newest pid. 0 or -EBADMSG. */
int parse_loadavg(const char *text, int64_t *ret_tasks, int64_t *ret_last_pid);

/* The name people know a cgroup by, of its path: the innermost *.service or *.scope, the first 12
 * digits of a container's id, else the last component; "" for "/". NUL-ended; its length. */
size_t parse_unit(const char *path, char *out, size_t size);

#endif
