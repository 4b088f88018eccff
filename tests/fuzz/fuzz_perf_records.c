/* The decoder of perf records, and the ring, over bytes that may hold anything. */
#include "fuzz.h"

#include "../perf_records.h"

#include "profile/perf_ring.h"
#include "profile/records.h"

#include <stdlib.h>

static const struct record_format formats[] = {
	{.callchain = true, .regs_user = true, .stack_user = true, .n_regs = 2},
	{.callchain = true},
	{.callchain = true, .raw = true, .regs_user = true, .stack_user = true, .n_regs = 2},
	{.callchain = true, .regs_user = true, .stack_user = true, .n_regs = 24},
	{0},
};

static uint64_t sum; /* so that every byte that is handed out is read */

static void use(const void *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		sum += ((const uint8_t *)p)[i];
}

static void check_inside(const void *data, size_t len, const void *p, size_t n)
{
	if (n)
		FUZZ_CHECK((const uint8_t *)p >= (const uint8_t *)data &&
			   (const uint8_t *)p + n <= (const uint8_t *)data + len);
	use(p, n);
}

static void read_one(const void *data, size_t len)
{
	struct record r = {0};
	int ret = record_read(data, len, &r);

	FUZZ_CHECK(ret == 0 || ret == -EBADMSG || ret == -ENOTSUP);
	if (ret != -EBADMSG)
		FUZZ_CHECK(record_time_ns(data, len) == r.time_ns);
	if (ret < 0)
		return;
	if (r.type == PERF_RECORD_MMAP2)
		check_inside(data, len, r.mmap.path, strlen(r.mmap.path) + 1);
	if (r.type == PERF_RECORD_COMM)
		check_inside(data, len, r.comm.comm, strlen(r.comm.comm) + 1);
	if (r.type != PERF_RECORD_SAMPLE)
		return;
	for (size_t i = 0; i < sizeof(formats) / sizeof(*formats); i++) {
		struct record_sample s;

		if (record_read_sample(&r, &formats[i], &s) < 0)
			continue;
		FUZZ_CHECK(s.n_ips <= RECORD_IPS_MAX);
		check_inside(data, len, s.ips, s.n_ips * 8);
		check_inside(data, len, s.regs, s.n_regs * 8);
		check_inside(data, len, s.stack, s.stack_len);
	}
}

/* As many records as the bytes hold. */
static void read_all(const uint8_t *data, size_t size)
{
	while (size >= 8) {
		struct perf_event_header h;
		void *copy;
		size_t len;

		memcpy(&h, data, sizeof(h));
		len = h.size < size ? h.size : size;
		if (len < 8)
			len = 8;
		copy = malloc(len); /* of its exact size, so that no read beyond it goes unseen */
		FUZZ_CHECK(copy);
		memcpy(copy, data, len);
		read_one(copy, len);
		free(copy);
		data += len;
		size -= len;
	}
}

/* The same bytes as a ring, begun somewhere. */
static void read_ring(const uint8_t *data, size_t size)
{
	struct perf_event_mmap_page page = {0};
	struct perf_ring ring = {.page = &page, .size = 4096};
	uint8_t *mem = aligned_alloc(8, 4096), *wrap = malloc(PERF_RING_RECORD_MAX);
	const void *p;
	size_t len, n = 0;

	FUZZ_CHECK(mem && wrap);
	memset(mem, 0, 4096);
	memcpy(mem, data, size < 4096 ? size : 4096);
	ring.data = mem;
	ring.wrap = wrap;
	ring.pos = page.data_tail = size % 512 * 8;
	page.data_head = ring.pos + (size < 4096 ? size & ~(size_t)7 : 4096);
	perf_ring_begin(&ring);
	while ((p = perf_ring_next(&ring, &len))) {
		FUZZ_CHECK(len >= 8 && len <= 4096 && ++n <= 512);
		read_one(p, len);
	}
	perf_ring_end(&ring);
	FUZZ_CHECK(page.data_tail == page.data_head);
	free(mem);
	free(wrap);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	read_all(data, size);
	read_ring(data, size);
	return 0;
}

static void fuzz_seeds(void)
{
	static const uint64_t ips[] = {(uint64_t)PERF_CONTEXT_KERNEL, 0xffffffff81000000,
				       (uint64_t)PERF_CONTEXT_USER, 0x401000, 0x402000};
	struct made m;

	made_sample(&m, ips, 5, 40);
	fuzz_seed("sample", m.data, m.len);
	made_mmap2(&m, "/usr/lib/libx.so");
	fuzz_seed("mmap2", m.data, m.len);
	made_begin(&m);
	made_pair(&m, 7, 8);
	made_text(&m, "worker/3");
	made_ids(&m, 7, 8, 9000, 0, 78);
	made_end(&m, PERF_RECORD_COMM, 0);
	fuzz_seed("comm", m.data, m.len);
	made_begin(&m);
	made_pair(&m, 20, 10);
	made_pair(&m, 21, 11);
	made_u64(&m, 9000);
	made_ids(&m, 10, 11, 9001, 0, 78);
	made_end(&m, PERF_RECORD_FORK, 0);
	fuzz_seed("fork", m.data, m.len);
	made_begin(&m);
	made_u64(&m, 78);
	made_u64(&m, 33);
	made_ids(&m, 10, 11, 9002, 0, 78);
	made_end(&m, PERF_RECORD_LOST, 0);
	fuzz_seed("lost", m.data, m.len);
	made_begin(&m);
	made_pair(&m, 5, 6);
	made_ids(&m, 10, 11, 9002, 0, 78);
	made_end(&m, PERF_RECORD_SWITCH_CPU_WIDE, PERF_RECORD_MISC_SWITCH_OUT);
	fuzz_seed("switch", m.data, m.len);
}
