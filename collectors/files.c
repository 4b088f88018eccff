/*
 * /proc/sys/fs/file-nr and inode-nr: open files and inodes of the whole host. The kernel charges
 * these files for the buffer they are offered: kept_open() takes 4 KiB.
 */
#include "base/parse.h"
#include "collectors/collector.h"

#include <errno.h>
#include <string.h>

enum { F_FILES, F_INODES, N_FILES };
enum { M_FILES_COUNT, M_FILES_FREE, M_FILES_MAX, M_INODES_COUNT, M_INODES_FREE, N_METRICS };

static const struct metric metrics[N_METRICS] = {
	{"vfs.files.count", "1", 1, 1, "/proc/sys/fs/file-nr field 1", "Files open on the host.",
	 SEM_INSTANT, 0, NULL},
	{"vfs.files.free", "1", 1, 1, "/proc/sys/fs/file-nr field 2",
	 "File structures allocated but not used, 0 since Linux 2.6.", SEM_INSTANT, 0, NULL},
	{"vfs.files.max", "1", 1, 1, "/proc/sys/fs/file-nr field 3",
	 "Files that may be open on the host at a time.", SEM_INSTANT, 0, NULL},
	{"vfs.inodes.count", "1", 1, 1, "/proc/sys/fs/inode-nr field 1", "Inodes in memory.",
	 SEM_INSTANT, 0, NULL},
	{"vfs.inodes.free", "1", 1, 1, "/proc/sys/fs/inode-nr field 2",
	 "Inodes in memory that are unused.", SEM_INSTANT, 0, NULL},
};

static const struct group groups[] = {{"files", NULL, metrics, N_METRICS, 0, 1, false, NULL}};

static const struct {
	const char *path;
	unsigned first, n;
} files[N_FILES] = {
	[F_FILES] = {"sys/fs/file-nr", M_FILES_COUNT, 3},
	[F_INODES] = {"sys/fs/inode-nr", M_INODES_COUNT, 2},
};

struct files_state {
	const struct host *host;
	struct kept_file file[N_FILES];
};

static int files_probe(const struct host *h, struct collector_report *rep)
{
	return host_probe(h, ROOT_PROC, files[F_FILES].path, rep->reason, sizeof(rep->reason));
}

static int files_open(void *state, const struct host *h, struct collector_report *rep)
{
	struct files_state *s = state;

	s->host = h;
	for (unsigned i = 0; i < N_FILES; i++) {
		int r = kept_open(&s->file[i], h, ROOT_PROC, files[i].path);

		if (r)
			return host_explain(h, ROOT_PROC, files[i].path, r, rep->reason,
					    sizeof(rep->reason));
	}
	return 0;
}

static void files_close(void *state)
{
	struct files_state *s = state;

	for (unsigned i = 0; i < N_FILES; i++)
		kept_close(&s->file[i]);
}

static int parse(const char *p, int64_t *values, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (!parse_i64(&p, &values[i]))
			return -EBADMSG;
	return *p == '\n' || *p == '\t' ? 0 : -EBADMSG;
}

static int files_sample(void *state, unsigned group, struct batch *b, struct collector_report *rep)
{
	struct files_state *s = state;
	int64_t *row = batch_row(b);
	int failed = 0, r = 0;

	(void)group;
	for (unsigned i = 0; i < N_FILES; i++) {
		int64_t *v = row + files[i].first;
		int e = kept_read(&s->file[i], b->tick);

		if (!e)
			e = parse(s->file[i].data, v, files[i].n);
		if (!e)
			continue;
		for (unsigned k = 0; k < files[i].n; k++)
			v[k] = VALUE_ABSENT;
		r = host_explain(s->host, ROOT_PROC, files[i].path, e, rep->reason,
				 sizeof(rep->reason));
		failed++;
	}
	return failed == N_FILES ? r : failed;
}

const struct collector collector_files = {
	.name = "files",
	.help = "open files and inodes of the host",
	.groups = groups,
	.n_groups = sizeof(groups) / sizeof(groups[0]),
	.state_size = sizeof(struct files_state),
	.probe = files_probe,
	.open = files_open,
	.sample = files_sample,
	.close = files_close,
};
