/*
 * Which control group a process is in.
 */
#ifndef STROBE_BASE_CGROUP_H
#define STROBE_BASE_CGROUP_H

#include <stddef.h>

/* Of the text of /proc/PID/cgroup the path that says most (the unified one unless it is "/", then systemd's own, then
 * the first that is not "/") into out, NUL-ended, cut to size; "" when there is none. Its length. */
size_t cgroup_parse(const char *text, char *out, size_t size);

#endif
