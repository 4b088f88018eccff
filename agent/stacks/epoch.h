/*
 * The stored form of a set of stacks (stacks.h): an epoch, the unit of the disk ring's profile
 * records and of a capture's PROFILE sections. Self-contained: all names are in it.
 *
 * Layout, integers little endian:
 *
 *  Head, 104 B: i64 from_us, i64 to_us (of its own boot's CLOCK_MONOTONIC), u32 magic "epoc", u32
 *  version (2), u32 crc (crc32c of everything with this field 0), u32 plain_len, i64 real_off_us,
 *  i64 reach_us (where the earliest stretch off the CPU began; from_us without any), char
 *  boot_id[40], u32 n_samples, u32 hz, u64 0. Up to the crc they stay where they are in every
 *  version.
 *
 *  Then one zstd frame; unpacked it is plain_len bytes of varints (base/varint.h; "signed" ones
 *  are zigzag) in columns:
 *   1. counts: strings, modules, frames, edges, nodes, tasks, streams, samples, notes; n_cpus;
 *      bits (1 has_cpu, 2 has_time); bytes of the text.
 *   2. text: the strings from the second on ("" is not written), each with its NUL, in the order
 *      in which the columns below name them first. There a string is 0: ""; 1: the next one that
 *      was not named yet; k: the (k - 1)-th before that.
 *   3. modules but the zeroth: name, build_id of each.
 *   4. frames, sorted by module and address: modules of all but the zeroth, signed to the one
 *      before; their addresses, signed to the one before in the same module; names of all; bits of
 *      all but the zeroth (type; 8: missed).
 *   5. edges: of each frame how many callees it has; then the callees, the most frequent first
 *      within a caller, signed to their caller. The root counts as the zeroth frame.
 *   6. nodes but the root, depth first: of each how many levels up from the node before its parent
 *      is (0: that is the parent); then of each which of the callees of its parent's frame it is,
 *      counted from 0, or if it has a sibling before from the one after that's.
 *   7. tasks but the zeroth: pids, signed to the one before; tids, signed to the pid; comms;
 *      processes; cgroups.
 *   8. streams, of the samples of one kind and CPU: kind, CPU, how many.
 *   9. samples, stream after stream: times, signed to the one before in the stream (the first:
 *      from_us) plus a step (of STACKS_CPU 1,000,000 / hz, else 0); tasks (0: that of the one
 *      before in the stream; 1: the next one that was not named yet; k: the (k - 1)-th before
 *      that); nodes, signed to that of the task's sample before, without one to that of the newest
 *      of its comm; weights (of STACKS_CPU signed to the one before in the stream); flags.
 *  10. notes: time, signed to the one before (the first: from_us); n; cpu; kind.
 *  Samples are read in order of time; of equal ones that of the first stream is first.
 */
#ifndef STROBE_STACKS_EPOCH_H
#define STROBE_STACKS_EPOCH_H

#include "stacks/stacks.h"

enum { EPOCH_BYTES_MAX = 16 << 20, EPOCH_PLAIN_MAX = 64 << 20, EPOCH_SAMPLES_MAX = 1 << 22 };

struct epoch_head {
	int64_t from_us, to_us, real_off_us;
	int64_t reach_us; /* where the earliest stretch off the CPU begins; from_us without any */
	char boot_id[40];
	uint32_t n_samples, hz;
};

/* *ret to free(). 0; -ENOMEM; -EMSGSIZE: larger than the limits above. */
int epoch_encode(const struct stacks *, uint8_t **ret, size_t *len);
/* 0; -EBADMSG: damaged; -EPROTONOSUPPORT: of a later version. */
int epoch_head(const uint8_t *data, size_t len, struct epoch_head *ret);
/* The same; -ENOMEM. Every index of the result is in range. */
int epoch_decode(const uint8_t *data, size_t len, struct stacks **ret);

#endif
