/*
 * Memory of each NUMA node, once a second, from /sys/devices/system/node/nodeN/meminfo and
 * numastat. Nodes come and go with memory hot-plug: one that cannot be read is left out, a changed
 * list of nodes asks to be opened again.
 */
#include "base/fields.h"
#include "base/parse.h"
#include "collectors/collector.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NODES_MAX = 1024, PERIOD_MS = 1000 };

#define FOLDER "devices/system/node"
#define ONLINE_PATH FOLDER "/online"
#define MEMINFO "/sys/devices/system/node/nodeN/meminfo "
#define NUMASTAT "/sys/devices/system/node/nodeN/numastat "
#define M(n, key, text)                                                                            \
	{                                                                                          \
		"mem.numa.util." n, "Kbyte", 1, 1, MEMINFO key, text, SEM_INSTANT, 4, NULL         \
	}
#define H(n, key, text)                                                                            \
	{                                                                                          \
		"mem.numa.util." n, "count", 1, 1, MEMINFO key, text, SEM_INSTANT, 0, NULL         \
	}
#define A(n, key, text)                                                                            \
	{                                                                                          \
		"mem.numa.alloc." n, "count", 1, 1, NUMASTAT key, text, SEM_COUNTER, 0, NULL       \
	}

static const struct metric metrics[] = {
	M("total", "MemTotal", "Memory of the node."),
	M("free", "MemFree", "Memory of the node that holds nothing."),
	M("used", "MemUsed", "Memory of the node that holds something, caches included."),
	M("active", "Active", "Memory used lately."),
	M("inactive", "Inactive", "Memory not used lately: reclaimed first."),
	M("active_anon", "Active(anon)", "Memory of processes used lately."),
	M("inactive_anon", "Inactive(anon)", "Memory of processes not used lately."),
	M("active_file", "Active(file)", "File cache used lately."),
	M("inactive_file", "Inactive(file)", "File cache not used lately."),
	M("unevictable", "Unevictable", "Memory that cannot be reclaimed."),
	M("mlocked", "Mlocked", "Memory that processes locked."),
	M("dirty", "Dirty", "File cache that waits to be written."),
	M("writeback", "Writeback", "File cache being written."),
	M("filePages", "FilePages", "File cache, shared memory included."),
	M("mapped", "Mapped", "File cache that processes have mapped."),
	M("anonpages", "AnonPages", "Memory of processes that no file backs."),
	M("shmem", "Shmem", "Shared memory and tmpfs."),
	M("kernelStack", "KernelStack", "Stacks of tasks in the kernel."),
	M("pageTables", "PageTables", "Page tables of processes."),
	M("slab", "Slab", "Memory of the kernel's object caches."),
	M("slabReclaimable", "SReclaimable", "Kernel object caches that can be reclaimed."),
	M("slabUnreclaimable", "SUnreclaim", "Kernel object caches that cannot be reclaimed."),
	H("hugepagesTotal", "HugePages_Total", "Huge pages reserved on the node."),
	H("hugepagesFree", "HugePages_Free", "Huge pages reserved and not in use."),
	H("hugepagesSurp", "HugePages_Surp", "Huge pages beyond the number reserved."),
	A("hit", "numa_hit", "Pages taken from the node that was wanted."),
	A("miss", "numa_miss", "Pages taken from this node though another was wanted."),
	A("foreign", "numa_foreign", "Pages wanted from this node but taken from another."),
	A("interleave_hit", "interleave_hit",
	  "Pages taken from the node that interleaving wanted."),
	A("local_node", "local_node", "Pages taken here by tasks that run here."),
	A("other_node", "other_node", "Pages taken here by tasks that run on another node."),
};

enum {
	N_METRICS = sizeof(metrics) / sizeof(metrics[0]),
	N_ALLOC = 6,
	N_UTIL = N_METRICS - N_ALLOC
};

static const struct group groups[] = {
	{"numa.node", "node", metrics, N_METRICS, PERIOD_MS, NODES_MAX, false, NULL},
};

struct node {
	uint32_t number;
	struct kept_file meminfo, numastat;
	struct fields util, alloc;
};

struct numa {
	struct kept_file online;
	char *opened_for; /* the list of nodes that was opened */
	struct node *nodes;
	uint32_t n_nodes;
};

static int numa_probe(const struct host *h, struct collector_report *rep)
{
	return host_probe(h, ROOT_SYS, ONLINE_PATH, rep->reason, sizeof(rep->reason));
}

static int open_file(const struct host *h, uint32_t node, const char *name, struct kept_file *f,
		     struct fields *s)
{
	char path[64];
	int r;

	snprintf(path, sizeof(path), FOLDER "/node%u/%s", node, name);
	r = kept_open(f, h, ROOT_SYS, path);
	return r ? r : fields_init(s, f->data, f->cap);
}

static void close_node(struct node *n)
{
	kept_close(&n->meminfo);
	kept_close(&n->numastat);
	fields_done(&n->util);
	fields_done(&n->alloc);
}

/* Adds a node; one that has gone in the meantime is left out. 0 or -errno. */
static int open_node(struct numa *s, const struct host *h, uint32_t number)
{
	struct node *n = &s->nodes[s->n_nodes];
	int r;

	*n = (struct node){.number = number};
	r = open_file(h, number, "meminfo", &n->meminfo, &n->util);
	if (!r)
		r = open_file(h, number, "numastat", &n->numastat, &n->alloc);
	if (r)
		close_node(n);
	else
		s->n_nodes++;
	return r == -ENOENT ? 0 : r;
}

/* A list like "0-1,4". */
static int open_nodes(struct numa *s, const struct host *h, const char *list)
{
	int64_t first, last;

	while (parse_i64(&list, &first)) {
		last = first;
		if (*list == '-' && (list++, !parse_i64(&list, &last)))
			return -EBADMSG;
		if (first < 0 || last < first || last >= NODES_MAX)
			return -EBADMSG;
		for (int64_t i = first; i <= last; i++) {
			int r = s->n_nodes == NODES_MAX ? -EBADMSG : open_node(s, h, (uint32_t)i);

			if (r)
				return r;
		}
		list += *list == ',';
	}
	return s->n_nodes ? 0 : -ENOENT;
}

static int numa_open(void *state, const struct host *h, struct collector_report *rep)
{
	struct numa *s = state;
	int r = kept_open(&s->online, h, ROOT_SYS, ONLINE_PATH);

	if (!r) {
		s->nodes = calloc(NODES_MAX, sizeof(*s->nodes));
		s->opened_for = strdup(s->online.data);
		r = s->nodes && s->opened_for ? open_nodes(s, h, s->opened_for) : -ENOMEM;
	}
	return r ? host_explain(h, ROOT_SYS, FOLDER, r, rep->reason, sizeof(rep->reason)) : 0;
}

static void numa_close(void *state)
{
	struct numa *s = state;

	for (uint32_t i = 0; i < s->n_nodes; i++)
		close_node(&s->nodes[i]);
	free(s->nodes);
	free(s->opened_for);
	kept_close(&s->online);
	*s = (struct numa){.online.fd = -1};
}

/* "Node 0 MemTotal:  123 kB" */
static int util_column(const void *ctx, const struct fields_at *at)
{
	(void)ctx;
	if (!at->word_len || at->word[at->word_len - 1] != ':')
		return -1;
	return fields_find_source(metrics, N_UTIL, MEMINFO, at->word, at->word_len - 1);
}

/* "numa_hit 123" */
static int alloc_column(const void *ctx, const struct fields_at *at)
{
	(void)ctx;
	return fields_find_source(metrics + N_UTIL, N_ALLOC, NUMASTAT, at->word, at->word_len);
}

static int sample_node(struct node *n, struct batch *b)
{
	int r = kept_read(&n->meminfo, b->tick);
	char name[16] = "node";
	int64_t *row;

	if (!r)
		r = kept_read(&n->numastat, b->tick);
	if (r)
		return r;
	row = batch_row_named(b, name, 4 + parse_put_u32(name + 4, n->number));
	if (!row)
		return -ENOSPC;
	uint32_t set = fields_read(&n->util, n->meminfo.data, n->meminfo.len, util_column, NULL,
				   row, N_UTIL);

	set += fields_read(&n->alloc, n->numastat.data, n->numastat.len, alloc_column, NULL,
			   row + N_UTIL, N_ALLOC);
	return set ? 0 : -EBADMSG;
}

static int numa_sample(void *state, unsigned group, struct batch *b, struct collector_report *rep)
{
	struct numa *s = state;
	int failed = 0, r = kept_read(&s->online, b->tick);

	(void)group;
	if (!r && strcmp(s->online.data, s->opened_for) != 0)
		r = -ESTALE;
	if (r) {
		snprintf(rep->reason, sizeof(rep->reason), "/sys/" ONLINE_PATH ": %s",
			 r == -ESTALE ? "the nodes have changed" : strerror(-r));
		return r;
	}
	for (uint32_t i = 0; i < s->n_nodes; i++) {
		r = sample_node(&s->nodes[i], b);
		if (r)
			snprintf(rep->reason, sizeof(rep->reason), "/sys/" FOLDER "/node%u: %s",
				 s->nodes[i].number, strerror(-r));
		failed += r != 0;
	}
	return failed;
}

const struct collector collector_numa = {
	.name = "numa",
	.help = "memory and page allocation of each NUMA node",
	.groups = groups,
	.n_groups = 1,
	.state_size = sizeof(struct numa),
	.probe = numa_probe,
	.open = numa_open,
	.sample = numa_sample,
	.close = numa_close,
};
