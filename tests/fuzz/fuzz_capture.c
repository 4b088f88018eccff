/*
 * Capture files: any bytes are read to their end and replayed into a log, which is then read as a
 * log is, and told sample by sample. The first byte of the input says whether the crcs are made
 * right, so that what they guard is reached, too.
 */
#include "fuzz.h"

#include "base/crc32c.h"
#include "export/samples.h"
#include "feeder.h"
#include "serve/capture_meta.h"
#include "store/capture_log.h"
#include "store/seal.h"

enum { SECTION_HEAD = 24, SEGMENTS_MAX = 8 };

static const struct metric metrics[] = {
	{"t.count", "count", 1, 1, "a", "A.", SEM_COUNTER, 0, NULL},
	{"t.level", "byte", 1024, 1, "b", "B.", SEM_INSTANT, 4, NULL},
};
static const char *const keys[] = {"comm", NULL};
static const struct group groups[] = {
	{"one", NULL, metrics, 2, 0, 1, false, NULL},
	{"disk", "disk", metrics, 2, 0, 16, false, keys},
};

struct memory {
	const uint8_t *p;
	size_t len, at;
};

static int read_memory(void *arg, void *to, size_t len)
{
	struct memory *m = arg;
	size_t n = m->len - m->at;

	n = n < len ? n : len;
	if (n)
		memcpy(to, m->p + m->at, n);
	m->at += n;
	return (int)n;
}

static uint8_t *made;
static size_t made_len;

static int write_made(void *arg, const void *data, size_t len)
{
	(void)arg;
	made = realloc(made, made_len + len);
	FUZZ_CHECK(made);
	memcpy(made + made_len, data, len);
	made_len += len;
	return 0;
}

/* ---- seeds: a capture as record makes it, in both modes ---- */

static struct log *new_log(uint64_t segments)
{
	struct log_config c = {.size_bytes = segments * LOG_SEGMENT_SIZE, .boot_id = "fuzz"};
	enum log_state state;
	struct log *l;
	char err[200];

	FUZZ_CHECK(log_open(&l, &c, &state, err, sizeof(err)) == 0);
	return l;
}

static int put_block(void *arg, struct sealed *s)
{
	FUZZ_CHECK(capture_section(arg, CAPTURE_CATALOG, s->catalog, s->catalog_len) == 0);
	FUZZ_CHECK(capture_section(arg, CAPTURE_BLOCK, s->data, s->len) == 0);
	free(s->data);
	return 0;
}

static void put_blocks(struct log *l, struct capture_writer *w)
{
	const struct sealer_config c = {.log = l, .boot_id = "fuzz", .sink = put_block, .arg = w};
	struct sealer *s;

	FUZZ_CHECK(sealer_open(&s, &c) == 0);
	while (sealer_step(s) == 1)
		;
	FUZZ_CHECK(sealer_flush(s) == 0);
	sealer_close(s);
}

static void make_capture(void)
{
	static struct feeder f;
	struct log *l = new_log(4);
	struct capture_cut_config c = {.log = l, .from_us = 1000000, .to_us = 9000000};
	struct capture_writer w = {.write = write_made};
	const struct capture_meta meta = {.host = "h", .rate_hz = 10, .n_marks = 1};
	struct capture_cut *cut;
	struct buf text = {0};

	feeder_open(&f, l, groups, 2);
	feeder_segment(&f);
	for (unsigned i = 1; i <= 60; i++) {
		feeder_tick(&f, i * 100000);
		batch_row(feeder_batch(&f, 0))[0] += 1000 * i;
		feeder_group(&f, 0, 12, -1);
		batch_row_named(feeder_batch(&f, 1), i % 3 ? "sda" : "sdb", 3)[1] = i;
		batch_attr(feeder_batch(&f, 1), 0, 0, "x", 1);
		feeder_group(&f, 1, -5, -1);
		feeder_end(&f);
		if (i == 40)
			feeder_segment(&f);
	}
	FUZZ_CHECK(capture_begin(&w) == 0);
	capture_meta_put(&text, &meta);
	FUZZ_CHECK(capture_section(&w, CAPTURE_META, text.p, text.len) == 0);
	put_blocks(l, &w);
	FUZZ_CHECK(capture_cut_open(&cut, &c) == 0);
	while (capture_cut_step(cut, &w) == 1)
		;
	FUZZ_CHECK(capture_end(&w) == 0);
	capture_cut_close(cut);
	buf_done(&text);
	feeder_close(&f);
	log_close(l);
}

static void put_u32(uint8_t *p, uint32_t v)
{
	memcpy(p, &v, 4);
}

/* The same without compression, so that changes reach what is in it; sign() makes the crcs. */
static size_t flatten(uint8_t *out)
{
	struct memory m = {.p = made, .len = made_len};
	struct capture_reader *r;
	enum capture_type type;
	const uint8_t *data;
	size_t n, len = CAPTURE_HEAD;
	char err[300];

	FUZZ_CHECK(capture_open_read(&r, read_memory, &m, err, sizeof(err)) == 0);
	memset(out, 0, CAPTURE_HEAD);
	while (capture_next(r, &type, &data, &n) == 1) {
		memset(out + len, 0, SECTION_HEAD);
		put_u32(out + len, type);
		put_u32(out + len + 8, (uint32_t)n);
		put_u32(out + len + 12, (uint32_t)n);
		memcpy(out + len + SECTION_HEAD, data, n);
		len += SECTION_HEAD + n;
	}
	capture_close(r);
	return len;
}

static void fuzz_seeds(void)
{
	uint8_t *seed;

	make_capture();
	seed = malloc(256 << 10);
	FUZZ_CHECK(seed);
	memcpy(seed + 1, made, made_len);
	seed[0] = 0;
	fuzz_seed("plain", seed, made_len + 1);
	seed[0] = 1;
	fuzz_seed("signed", seed, made_len + 1);
	fuzz_seed("cut", seed, made_len / 2);
	fuzz_seed("flat", seed, 1 + flatten(seed + 1));
	free(seed);
}

/* ---- the input ---- */

static void sign(uint8_t *p, size_t len)
{
	uint32_t number = 1, stored;

	if (len < CAPTURE_HEAD)
		return;
	memcpy(p, "strobecp\1\0\0\0", 12);
	put_u32(p + 12, crc32c(0, p, 12));
	for (size_t at = CAPTURE_HEAD; at + SECTION_HEAD <= len;
	     at += SECTION_HEAD + stored, number++) {
		memcpy(&stored, p + at + 8, 4);
		if (stored > len - at - SECTION_HEAD)
			stored = (uint32_t)(len - at - SECTION_HEAD);
		put_u32(p + at + 8, stored);
		put_u32(p + at + 16, crc32c(number, p + at + SECTION_HEAD, stored));
		put_u32(p + at + 20, crc32c(number, p + at, 20));
	}
}

struct sink {
	uint64_t n;
};

static bool wanted(void *arg, const char *metric)
{
	(void)arg;
	return metric != NULL;
}

static int on_sample(void *arg, const struct sample *s)
{
	struct sink *k = arg;

	FUZZ_CHECK(s->value != VALUE_ABSENT || s->rate);
	FUZZ_CHECK(strlen(s->instance) < INSTANCE_NAME_MAX);
	k->n++;
	return 0;
}

static void feed_samples(struct samples *s, const uint8_t *data, size_t len)
{
	struct capture_unpack u;
	struct frame f;

	if (capture_unpack_begin(&u, data, len) < 0)
		return;
	while (capture_unpack_next(&u, &f) == 1)
		samples_frame(s, &f);
}

/* Reads it all; with a log it is filled. The fill's state is the caller's. */
static void read_all(const uint8_t *p, size_t len, struct capture_fill *fill, struct log *l,
		     bool tell)
{
	struct memory m = {.p = p, .len = len};
	struct sink sink = {0};
	const struct samples_config c = {.rates = true,
					 .to_us = UINT64_MAX,
					 .wanted = wanted,
					 .each = on_sample,
					 .arg = &sink};
	struct samples *samples = NULL;
	struct capture_reader *r;
	struct capture_meta meta;
	enum capture_type type;
	const uint8_t *data;
	unsigned calls = 0;
	char err[300] = "";
	size_t n;
	int got;

	capture_fill_init(fill, l);
	if (capture_open_read(&r, read_memory, &m, err, sizeof(err)) < 0) {
		FUZZ_CHECK(err[0]);
		return;
	}
	FUZZ_CHECK(!tell || samples_open(&samples, &c) == 0);
	while ((got = capture_next(r, &type, &data, &n)) != 0) {
		FUZZ_CHECK(++calls <= len / SECTION_HEAD + 2);
		FUZZ_CHECK(got == 1 || got == -EBADMSG || got == -ENOMEM);
		if (got == 1 && type == CAPTURE_META)
			capture_meta_parse(data, n, &meta);
		if (got == 1 && tell && type == CAPTURE_CATALOG)
			samples_catalog(samples, data, n);
		if (got == 1 && tell && type == CAPTURE_BLOCK)
			samples_block(samples, data, n, 0);
		if (got != 1 || type != CAPTURE_FRAMES)
			continue;
		got = capture_fill_section(fill, data, n);
		FUZZ_CHECK(got == 0 || got == -EBADMSG || got == -ENOMEM || got == -ENOSPC);
		if (tell)
			feed_samples(samples, data, n);
	}
	FUZZ_CHECK(capture_next(r, &type, &data, &n) == 0);
	if (tell)
		samples_flush(samples);
	samples_close(samples);
	capture_close(r);
}

/* Whatever was put into it, the log is one: read by a mirror from end to end. */
static void read_log(struct log *l)
{
	uint64_t from, to, last = 0;
	struct cursor c;
	struct frame f;
	struct mirror m;
	int r;

	mirror_init(&m);
	if (cursor_open_seq(&c, l, 1) == 0) {
		while ((r = cursor_next(&c, &f, &from, &to)) != 0) {
			if (r == -ESTALE) {
				m.keyed = false;
				continue;
			}
			FUZZ_CHECK(r == 1 && f.seq > last);
			last = f.seq;
			r = mirror_apply(&m, &f);
			FUZZ_CHECK(r == 0 || r == -EBADMSG);
		}
		cursor_close(&c);
	}
	mirror_done(&m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct capture_fill count, fill;
	uint8_t *copy;

	if (!size)
		return 0;
	copy = malloc(size);
	FUZZ_CHECK(copy);
	memcpy(copy, data + 1, size - 1);
	if (data[0] & 1)
		sign(copy, size - 1);
	read_all(copy, size - 1, &count, NULL, true);
	if (count.n_segments && count.n_segments <= SEGMENTS_MAX) {
		struct log *l = new_log(count.n_segments);

		read_all(copy, size - 1, &fill, l, false);
		FUZZ_CHECK(fill.n_segments == count.n_segments);
		FUZZ_CHECK(fill.n_ticks == count.n_ticks && fill.n_samples == count.n_samples);
		capture_fill_done(&fill);
		read_log(l);
		log_close(l);
	}
	capture_fill_done(&count);
	free(copy);
	return 0;
}
