/*
 * Which package of the host a file is of, by the lists that dpkg keeps; nothing is started. Slow (10 MB of lists are read): for
 * what somebody asked about.
 */
#ifndef STROBE_SYMBOLS_PACKAGE_H
#define STROBE_SYMBOLS_PACKAGE_H

#include <stddef.h>

#define PACKAGE_LISTS "/var/lib/dpkg/info"

/* The package that has `path` ("libc6", without its architecture), cut to size. `lists`: PACKAGE_LISTS, but in tests.
 * 0; -ENOENT: none has it, or there are no lists; -ENOMEM. */
int package_owner(const char *lists, const char *path, char *ret, size_t size);
/* The package with its debug files, by Debian's names: "libc6-dbg", "zlib1g-dbgsym". */
void package_debug(const char *package, char *ret, size_t size);

#endif
