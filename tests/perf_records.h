/* Builds records as the kernel writes them, for the tests and the fuzzer of their decoder. */
#ifndef STROBE_TESTS_PERF_RECORDS_H
#define STROBE_TESTS_PERF_RECORDS_H

#include <linux/perf_event.h>
#include <stdint.h>
#include <string.h>

struct made {
	_Alignas(8) uint8_t data[16384];
	size_t len;
};

static inline void made_u64(struct made *m, uint64_t v)
{
	memcpy(m->data + m->len, &v, 8);
	m->len += 8;
}

static inline void made_pair(struct made *m, uint32_t a, uint32_t b)
{
	made_u64(m, (uint64_t)b << 32 | a);
}

static inline void made_text(struct made *m, const char *text)
{
	size_t len = strlen(text) + 1;

	memset(m->data + m->len, 0, len + 8);
	memcpy(m->data + m->len, text, len);
	m->len += (len + 7) & ~(size_t)7;
}

static inline void made_begin(struct made *m)
{
	m->len = sizeof(struct perf_event_header);
}

static inline void made_end(struct made *m, uint32_t type, uint16_t misc)
{
	struct perf_event_header h = {.type = type, .misc = misc, .size = (uint16_t)m->len};

	memcpy(m->data, &h, sizeof(h));
}

/* What follows every record but samples. */
static inline void made_ids(struct made *m, uint32_t pid, uint32_t tid, uint64_t time_ns,
			    uint32_t cpu, uint64_t id)
{
	made_pair(m, pid, tid);
	made_u64(m, time_ns);
	made_pair(m, cpu, 0);
	made_u64(m, id);
}

/* A tick: chain, 2 registers, a stack of `filled` of 64 bytes. */
static inline void made_sample(struct made *m, const uint64_t *ips, size_t n_ips, size_t filled)
{
	made_begin(m);
	made_u64(m, 77);
	made_pair(m, 100, 101);
	made_u64(m, 5000);
	made_pair(m, 3, 0);
	made_u64(m, n_ips);
	for (size_t i = 0; i < n_ips; i++)
		made_u64(m, ips[i]);
	made_u64(m, PERF_SAMPLE_REGS_ABI_64);
	made_u64(m, 0xaaaa);
	made_u64(m, 0xbbbb);
	made_u64(m, 64);
	for (uint64_t i = 0; i < 8; i++)
		made_u64(m, 0x1000 + i);
	made_u64(m, filled);
	made_end(m, PERF_RECORD_SAMPLE, PERF_RECORD_MISC_USER);
}

static inline void made_mmap2(struct made *m, const char *path)
{
	made_begin(m);
	made_pair(m, 100, 101);
	made_u64(m, 0x7f0000000000);
	made_u64(m, 0x2000);
	made_u64(m, 0x1000);
	made_pair(m, 8, 1);
	made_u64(m, 4711);
	made_u64(m, 12);
	made_pair(m, 5, 2);
	made_text(m, path);
	made_ids(m, 100, 101, 6000, 1, 78);
	made_end(m, PERF_RECORD_MMAP2, 0);
}

#endif
