/*
 * Sealed blocks: any bytes give -EBADMSG or what the slow decoder reads in them. Mutations are of a
 * block's plain parts, put together again with sizes and checksums that hold, so that the codecs
 * behind them are reached.
 */
#include "fuzz.h"

#include "base/crc32c.h"
#include "block_slow.h"
#include "store.h"
#include "store/block_internal.h"
#include "store/rollup.h"

enum { CELLS_MAX = 1 << 17 };

static struct {
	struct rollup *rollup;
	struct mirror catalog;
} rolled;

static int seed(void *arg, struct sealed *s)
{
	struct frame catalog = {.data = s->catalog, .len = s->catalog_len};
	unsigned *n = arg;
	struct block *b;
	char name[32];
	uint8_t *small;
	size_t len;

	snprintf(name, sizeof(name), "block-%u", (*n)++);
	fuzz_seed(name, s->data, s->len);
	FUZZ_CHECK(block_compress(s->data, s->len, &small, &len) == 0);
	snprintf(name, sizeof(name), "block-%u", (*n)++);
	fuzz_seed(name, small, len);
	free(small);
	if (catalog.data) { /* not a rollup itself */
		FUZZ_CHECK(mirror_apply(&rolled.catalog, &catalog) == 0);
		FUZZ_CHECK(block_open(&b, s->data, s->len) == 0);
		FUZZ_CHECK(rollup_add(rolled.rollup, b, &rolled.catalog) == 0);
		block_close(b);
	}
	free(s->data);
	return 0;
}

static void fuzz_seeds(void)
{
	static struct feeder f;
	unsigned n = 0;
	struct sealer_config c = {.boot_id = "fuzz", .sink = seed, .arg = &n};
	struct rollup_config rc = {.sink = seed, .arg = &n};
	struct sealer *sealer;

	c.log = fuzz_log(&f);
	FUZZ_CHECK(rollup_open(&rolled.rollup, &rc) == 0);
	FUZZ_CHECK(sealer_open(&sealer, &c) == 0);
	for (unsigned i = 0; i < 200; i++) {
		fuzz_tick(&f, i);
		FUZZ_CHECK(sealer_step(sealer) == 0);
		if (i == 1 || i == 8 || i == 20 || i == 199) {
			feeder_put(&f, f.buf,
				   frame_event(f.buf, FEEDER_BUFFER, 5, EVENT_GAP, SEVERITY_WARN,
					       "cpu", "lost"));
			while (sealer_step(sealer) == 1)
				;
			FUZZ_CHECK(sealer_flush(sealer) == 0);
		}
	}
	FUZZ_CHECK(rollup_flush(rolled.rollup) == 0);
	rollup_close(rolled.rollup);
	mirror_done(&rolled.catalog);
	sealer_close(sealer);
	log_close(f.log);
	feeder_close(&f);
}

/* ---- checksums ---- */

static void put_u32(uint8_t *p, uint32_t v)
{
	for (unsigned i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

static uint32_t get_u32(const uint8_t *p)
{
	return (uint32_t)(p[0] | p[1] << 8 | p[2] << 16) | (uint32_t)p[3] << 24;
}

/* Where pages are listed in a plain directory; 0: it is none. */
static size_t find_pages(const uint8_t *p, size_t len, uint32_t n_groups, uint64_t *n_meta,
			 uint64_t *n_values)
{
	struct slow_in in = {.p = p, .n = len};

	for (uint64_t i = 0; i < 9ull * n_groups + 3 && !in.bad; i++)
		slow_v(&in);
	*n_meta = slow_v(&in);
	*n_values = slow_v(&in);
	return in.bad ? 0 : in.at;
}

/* Makes the checksums right, wherever there is room for them. */
static void mend(uint8_t *p, size_t len)
{
	uint64_t n_meta, n_values;
	uint32_t dir_len;
	size_t at, page;
	struct slow_in in;

	if (len < BLOCK_HEAD_SIZE)
		return;
	put_u32(p, BLOCK_MAGIC);
	put_u32(p + 4, BLOCK_VERSION);
	put_u32(p + 8, (uint32_t)len);
	dir_len = get_u32(p + 12);
	if (get_u32(p + 28) <= 4096 && dir_len <= len - BLOCK_HEAD_SIZE && !get_u32(p + 16)) {
		page = BLOCK_HEAD_SIZE + (size_t)dir_len;
		at = find_pages(p + BLOCK_HEAD_SIZE, dir_len, get_u32(p + 28), &n_meta, &n_values);
		in = (struct slow_in){.p = p + BLOCK_HEAD_SIZE, .n = dir_len, .at = at};
		for (uint64_t i = 0; at && i < n_meta + n_values && !in.bad; i++) {
			uint64_t stored = slow_v(&in);

			slow_v(&in);
			if (i >= n_meta)
				slow_v(&in);
			if (in.bad || in.n - in.at < 4 || stored > len - page)
				break;
			put_u32(p + BLOCK_HEAD_SIZE + in.at, crc32c(0, p + page, stored));
			in.at += 4;
			page += stored;
		}
	}
	if (dir_len <= len - BLOCK_HEAD_SIZE)
		put_u32(p + 20, crc32c(0, p + BLOCK_HEAD_SIZE, dir_len));
	put_u32(p + BLOCK_HEAD_SIZE - 4, crc32c(0, p, BLOCK_HEAD_SIZE - 4));
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned int seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned int chance)
{
	/* Most changes stay in their place, else nothing fits any more. */
	if (size > BLOCK_HEAD_SIZE && chance % 8) {
		size_t from = (chance >> 8) % size, n = 1 + (chance >> 4) % 8;

		n = n > size - from ? size - from : n;
		LLVMFuzzerMutate(data + from, n, n);
	} else {
		size = LLVMFuzzerMutate(data, size, max);
	}
	if (chance % 16 != 8)
		mend(data, size);
	return size;
}

/* ---- reading ---- */

static void check_instance(struct block *b, const struct block_group *g, uint32_t i,
			   const struct slow_group *s)
{
	const struct block_instance *in = &g->instances[i];
	const struct slow_instance *want = s ? &s->inst[i] : NULL;
	int64_t values[BLOCK_READS], base;
	struct block_mini minis[BLOCK_MINIS_MAX];

	FUZZ_CHECK(in->first + in->n <= g->n_reads && strlen(in->name) < INSTANCE_NAME_MAX);
	if (want)
		FUZZ_CHECK(in->slot == want->slot && in->gen == want->gen && in->id == want->id &&
			   in->first == want->first && in->n == want->n &&
			   in->started == want->started && in->ended == want->ended &&
			   strcmp(in->name, want->name) == 0);
	for (uint32_t m = 0; m < g->n_metrics; m++) {
		int r = block_values(b, g, i, m, &base, values);

		FUZZ_CHECK(r == 0 || (r == -EBADMSG && !want));
		if (want && in->n)
			FUZZ_CHECK(base == want->base[m] &&
				   memcmp(values, want->values[m], in->n * 8ull) == 0);
		for (unsigned rates = 0; rates < 2; rates++) {
			r = block_minis(b, g, i, m, rates, minis);
			FUZZ_CHECK(r == 0 || r == -EBADMSG);
			for (unsigned k = 0; r == 0 && k < BLOCK_MINIS_MAX; k++)
				FUZZ_CHECK(!minis[k].n || (minis[k].min <= minis[k].first &&
							   minis[k].last <= minis[k].max));
		}
	}
}

static void check_buckets(struct block *b, const struct block_group *g)
{
	struct block_mini buckets[BLOCK_READS];

	if (!block_head(b)->bucket_us || g->n_metrics < 2)
		return;
	for (uint32_t i = 0; i < g->n_instances; i++)
		for (uint32_t m = 0; m < rollup_n_metrics(g); m++) {
			int r = rollup_buckets(b, g, i, m, m % 2, buckets);

			FUZZ_CHECK(r == 0 || r == -EBADMSG);
		}
}

static void check_group(struct block *b, const struct block_group *g, const struct slow_group *s)
{
	int r = block_attrs(b, g);

	check_buckets(b, g);

	FUZZ_CHECK(r == 0 || (r == -EBADMSG && !s));
	if (s) {
		FUZZ_CHECK(g->n_reads == s->n_reads && g->n_instances == s->n_instances);
		FUZZ_CHECK(memcmp(g->at_us, s->at, g->n_reads * 8ull) == 0);
		FUZZ_CHECK(memcmp(g->dt_us, s->dt, g->n_reads * 8ull) == 0);
	}
	for (uint32_t i = 0; i < g->n_instances; i++) {
		check_instance(b, g, i, s);
		for (uint32_t k = 0; r == 0 && g->instances[i].attrs && k < g->n_attrs; k++) {
			const char *have = g->instances[i].attrs[k],
				   *want = s ? s->inst[i].attrs[k] : have;

			FUZZ_CHECK(!have == !want && (!have || strcmp(have, want) == 0));
		}
	}
}

static int each_frame(void *arg, const struct frame *f)
{
	uint64_t *n = arg;

	*n += f->len;
	return 0;
}

static void check_block(struct block *b, const struct slow_block *s)
{
	uint64_t n = 0, want = 0;
	int r;

	for (uint32_t i = 0; i < b->head.n_groups; i++) {
		const struct block_group *g;

		r = block_group(b, b->groups[i].pub.group, &g);
		FUZZ_CHECK(r == 0 || (r == -EBADMSG && s->bad));
		if (r == 0)
			check_group(b, g, s->bad ? NULL : &s->groups[i]);
	}
	r = block_frames(b, each_frame, &n);
	FUZZ_CHECK(r == 0 || (r == -EBADMSG && s->bad));
	for (uint64_t i = 0; !s->bad && i < s->n_frames; i++)
		want += s->frames[i].len;
	FUZZ_CHECK(s->bad || n == want);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1), *small; /* a byte too far is an error */
	struct slow_block *s;
	struct block *b;
	size_t len;
	int r;

	memcpy(copy, data, size);
	r = block_open(&b, copy, size);
	FUZZ_CHECK(r == 0 || r == -EBADMSG || r == -EPROTONOSUPPORT);
	if (r == 0 && b->n_cells > CELLS_MAX) { /* the slow decoder holds them all */
		block_close(b);
		free(copy);
		return 0;
	}
	s = slow_read(copy, size);
	FUZZ_CHECK(r == 0 || s->bad);
	if (r == 0) {
		check_block(b, s);
		block_close(b);
		r = block_compress(copy, size, &small, &len);
		FUZZ_CHECK(r == 0 || s->bad);
		if (r == 0) {
			FUZZ_CHECK(block_open(&b, small, len) == 0);
			check_block(b, s);
			block_close(b);
			free(small);
		}
	}
	slow_free(s);
	free(copy);
	return 0;
}
