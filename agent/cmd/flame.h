/*
 * What `strobe flame` was asked for, and how it gets written. Messages go to stderr.
 */
#ifndef STROBE_CMD_FLAME_H
#define STROBE_CMD_FLAME_H

#include "cmd/flame_load.h"
#include "export/profile.h"

struct flame {
	const char *path, *from, *to, *base_from, *base_to, *base_file, *output, *url, *by, *event;
	const char *pid, *tid, *cpu, *classes, *min_us, *title;
	struct stacks_filter filter;
	enum profile_format format;
	enum import_format input;
	bool has_format, off_cpu, reverse, annotate;
	int fd;		      /* of the output */
	int64_t wall_base_us; /* when the baseline of an agent began; 0: it is not apart */
	struct flame_sets sets, base;
	struct fold_request request;
	struct profile_about about;
};

/* < 0: go on; else the exit status, after what was wrong was said. */
int flame_parse(int argc, char **argv, struct flame *);
int flame_wrong(const char *what, const char *value); /* 2 */
/* Is it made here of all samples? Else the agent renders it, which need not send them. */
static inline bool flame_is_local(const struct flame *f)
{
	return !profile_format_is_tree(f->format) || f->reverse || f->annotate || f->base_file ||
	       (f->title && f->format != PROFILE_FOLDED);
}

/* Makes the output: a file's only now, so that what is there is not lost to a wrong option. 0 or -errno, said. */
int flame_open_output(struct flame *);
/* r: what came of writing. 0 or -errno, said; then a file is removed. */
int flame_close_output(struct flame *, int r);
int flame_write(void *flame, const void *data, size_t len); /* 0 or -errno */

/* From f->sets (and f->base) in the ranges of f->request to the output. 0 or -errno, said. */
int flame_export(struct flame *);

#endif
