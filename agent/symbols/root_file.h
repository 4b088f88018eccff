/*
 * Files below another process's root, which may be another user's to arrange: a FIFO must not make anybody wait,
 * a link not lead out of that root.
 */
#ifndef STROBE_SYMBOLS_ROOT_FILE_H
#define STROBE_SYMBOLS_ROOT_FILE_H

#include <stdbool.h>

/* Opens a regular file for reading without following it out of root ("": the agent's own). An fd; -ENOENT: none, or no
 * regular one; -ELOOP; else -errno. */
int root_file(const char *root, const char *path);
/* The same below an open folder; a symbolic link at the end is not followed when no_link. */
int root_file_at(int root_fd, const char *path, bool no_link);
/* The same, as it is done where the kernel has no openat2 (before Linux 5.6, or where a container's filter refuses it):
 * one component after the other. */
int root_file_walk(int root_fd, const char *path, bool no_link);

#endif
