/*
 * Records of a perf ring: from bytes to fields. A pure function over bytes that may hold anything.
 *
 * All events of ours carry IDENTIFIER, TID, TIME and CPU, so that when, who and of which event is known of every
 * record before anything else of it is looked at (record_read); what a sample has besides depends on its event
 * (record_format).
 */
#ifndef STROBE_PROFILE_RECORDS_H
#define STROBE_PROFILE_RECORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RECORD_IPS_MAX = 512, RECORD_REGS_MAX = 64 };

/* What attr.sample_type of each event has; others may be added by record_format. */
uint64_t record_sample_type(void);

/* What a sample has beyond that, in the kernel's order. */
struct record_format {
	bool callchain, raw, regs_user, stack_user;
	uint8_t n_regs; /* bits set in attr.sample_regs_user */
};

struct record_mmap {
	uint32_t pid, tid, major, minor, prot;
	uint64_t addr, len, file_off, ino, generation;
	const char *path; /* NUL-ended inside the record */
};

struct record {
	uint32_t type; /* PERF_RECORD_... */
	uint16_t misc;
	uint64_t id; /* of the event, PERF_EVENT_IOC_ID */
	uint64_t time_ns;
	uint32_t pid, tid, cpu;		/* of whom it was on the CPU at that time */
	const uint8_t *body, *body_end; /* what follows those fields, or stands before them */
	union {
		struct record_mmap mmap;
		struct {
			uint32_t pid, tid;
			const char *comm;
		} comm;
		struct {
			uint32_t pid, ppid, tid, ptid;
		} task; /* FORK, EXIT */
		uint64_t lost;
		struct {
			uint32_t pid, tid; /* switch: the other one; 0 of a task's own event */
		} other;
		struct {
			uint64_t addr;
			uint32_t len;
			bool gone; /* it was unloaded */
			const char *name;
		} ksymbol; /* KSYMBOL: code that was put into the kernel */
	};
};

/* One record, `len` bytes from its header, 8-aligned. 0; -EBADMSG: damaged; -ENOTSUP: of a type of no interest (its
 * time and so on are set). Pointers are into data. */
int record_read(const void *data, size_t len, struct record *ret);
/* Only the time, for ordering; 0 where it has none. */
uint64_t record_time_ns(const void *data, size_t len);

struct record_sample {
	const uint64_t *ips; /* innermost first, with PERF_CONTEXT_... markers */
	size_t n_ips;
	const uint8_t *raw; /* what a program of ours in the kernel said, and padding */
	size_t raw_len;
	const uint64_t *regs; /* NULL: a kernel thread, or a task of another word size */
	size_t n_regs;
	const uint8_t *stack; /* from the stack pointer up */
	size_t stack_len;
};
/* The rest of a PERF_RECORD_SAMPLE. 0 or -EBADMSG. */
int record_read_sample(const struct record *, const struct record_format *,
		       struct record_sample *ret);

#endif
