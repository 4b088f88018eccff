/* Why perf_event_open said no, and what to set. Nothing here tries again: it looks at what is known of this process. */
#include "base/cleanup.h"
#include "profile/profiler_private.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef CAP_PERFMON
#define CAP_PERFMON 38
#endif

/* What stands in a small file, with its end; "" where there is none. */
static void read_text(const struct host *host, enum host_root root, const char *path, char *ret,
		      size_t size)
{
	_cleanup_close_ int fd = host_file(host, root, path);
	ssize_t n = fd < 0 ? 0 : read(fd, ret, size - 1);

	ret[n > 0 ? n : 0] = 0;
}

struct circumstances {
	bool filtered, locked, capable,
		inner; /* inner: of a user namespace that is not the host's */
	int paranoid;
};

static void look(const struct host *host, struct circumstances *c)
{
	char text[4096];
	const char *line;
	unsigned id, outer, n;

	read_text(host, ROOT_PROC, "self/status", text, sizeof(text));
	line = strstr(text, "\nSeccomp:\t");
	c->filtered = line && line[10] != '0';
	line = strstr(text, "\nCapEff:\t");
	c->capable = line &&
		     strtoull(line + 9, NULL, 16) & (1ull << CAP_PERFMON | 1ull << CAP_SYS_ADMIN);
	read_text(host, ROOT_PROC, "self/uid_map", text, sizeof(text));
	c->inner =
		sscanf(text, "%u %u %u", &id, &outer, &n) == 3 && (id || outer || n != UINT32_MAX);
	read_text(host, ROOT_SYS, "kernel/security/lockdown", text, sizeof(text));
	c->locked = strstr(text, "[confidentiality]") != NULL;
	read_text(host, ROOT_PROC, "sys/kernel/perf_event_paranoid", text, sizeof(text));
	c->paranoid = atoi(text);
}

static void say_denied(const struct circumstances *c, int err, bool own, const char *what,
		       char *ret, size_t size)
{
	if (c->filtered && err == -EPERM)
		snprintf(
			ret, size,
			"%s: a seccomp filter forbids perf_event_open: allow it (docker: --cap-add "
			"PERFMON; systemd: SystemCallFilter=perf_event_open), or run outside",
			what);
	else if (c->locked && err == -EPERM)
		snprintf(ret, size,
			 "%s: the kernel is locked down for confidentiality: boot with "
			 "lockdown=integrity",
			 what);
	else if (c->capable && c->inner)
		snprintf(ret, size,
			 "%s: CAP_PERFMON of a user namespace does not count: give it on the host, "
			 "or sysctl kernel.perf_event_paranoid=%d there (it is %d)",
			 what, own ? 2 : 0, c->paranoid);
	else if (c->capable)
		snprintf(ret, size,
			 "%s: forbidden although CAP_PERFMON is there: a security module does so; "
			 "allow perf_event in its policy (SELinux: audit2allow)",
			 what);
	else
		snprintf(
			ret, size,
			"%s: needs CAP_PERFMON, or sysctl kernel.perf_event_paranoid=%d (it is %d)",
			what, own ? 2 : 0, c->paranoid);
}

void profiler_explain(const struct host *host, bool own, int err, const char *what, char *ret,
		      size_t size)
{
	struct circumstances c = {0};

	look(host, &c);
	if (err == -ENOSYS)
		snprintf(ret, size,
			 "there is no perf_event_open: the kernel wants CONFIG_PERF_EVENTS%s",
			 c.filtered ? ", or the seccomp filter of this container or service says "
				      "so: allow it there (docker, podman: --cap-add PERFMON)"
				    : "");
	else if (err == -EACCES || err == -EPERM)
		say_denied(&c, err, own, what, ret, size);
	else
		snprintf(ret, size, "%s: perf_event_open: %s", what, strerrordesc_np(-err));
}
