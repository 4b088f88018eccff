/*
 * Time off the CPU by a program in the kernel (bpf/offcpu.c): it looks at every switch, and only a wait of at least
 * `min_us` makes a record, with its stack, as it ends. Of shorter ones it keeps count.
 *
 * Who opens it gives it, for each CPU, an event of PERF_COUNT_SW_BPF_OUTPUT with PERF_SAMPLE_RAW that has a ring: there the
 * records go. Capture thread only.
 */
#ifndef STROBE_PROFILE_OFFCPU_EBPF_H
#define STROBE_PROFILE_OFFCPU_EBPF_H

#include "base/host.h"
#include "profile/bpf/offcpu.h"

#include <stdbool.h>

struct offcpu_ebpf;

/* Loads the program and attaches it; it does nothing yet on CPUs without an event. `interrupt`: takes stacks in one, as
 * is the way before Linux 6.16. 0; -errno, with a clause that says what is missing in err: "eBPF needs CAP_BPF". */
int offcpu_ebpf_open(struct offcpu_ebpf **ret, const struct host *, uint32_t min_us, bool interrupt,
		     char *err, size_t err_len);
void offcpu_ebpf_close(struct offcpu_ebpf *); /* NULL is fine */

/* Records of that CPU go to `event` (borrowed: remove it before it is closed), which is enabled. 0 or -errno. */
int offcpu_ebpf_add(struct offcpu_ebpf *, uint32_t cpu, int event);
void offcpu_ebpf_remove(struct offcpu_ebpf *, uint32_t cpu);

void offcpu_ebpf_set_min(struct offcpu_ebpf *, uint32_t min_us);

/* Since it was opened, of all CPUs. */
struct offcpu_ebpf_counts {
	uint64_t switches;
	uint64_t n_short, short_ns;	   /* waits that were too short to be kept */
	uint64_t kept;			   /* records made */
	uint64_t missed, dropped, unknown; /* as struct offcpu_cpu */
};
void offcpu_ebpf_counts(const struct offcpu_ebpf *, struct offcpu_ebpf_counts *ret);

/* The raw part of a record. 0 or -EBADMSG. */
int offcpu_ebpf_read(const void *raw, size_t len, struct offcpu_wait *ret);

#endif
