/* Captures: the container whole, cut short, damaged, of another version. */
#include "base/crc32c.h"
#include "capture_file.h"

/* ---- sections of known contents ---- */

enum { N_SECTIONS = 9 };

static size_t section_of(unsigned i, uint8_t *out)
{
	static const size_t lens[N_SECTIONS] = {0, 1, 63, 64, 65, 200, 5, 300, 40};
	uint64_t state = i;

	for (size_t k = 0; k < lens[i]; k++) /* every other one can be compressed */
		out[k] = (uint8_t)(i % 2 ? k / 50 : feeder_random(&state));
	return lens[i];
}

static enum capture_type type_of(unsigned i)
{
	return (enum capture_type)(CAPTURE_META + i % 4);
}

static void make_sections(struct memory *m, bool end)
{
	struct capture_writer w = writer_to(m);
	uint8_t data[512];

	for (unsigned i = 0; i < N_SECTIONS; i++)
		ck_assert_int_eq(capture_section(&w, type_of(i), data, section_of(i, data)), 0);
	if (end)
		ck_assert_int_eq(capture_end(&w), 0);
	ck_assert_uint_eq(w.bytes, m->len);
	ck_assert_uint_eq(w.sections, N_SECTIONS + end);
}

/* Reads all of it: whatever comes is one of the sections, each at most once and in order. Bits of
 * *ret_seen: which came. */
static int read_sections(const uint8_t *p, size_t len, unsigned *ret_seen, bool *ret_whole,
			 unsigned *ret_damaged)
{
	struct capture_reader *c;
	enum capture_type type;
	struct memory m;
	const uint8_t *data;
	uint8_t want[512];
	size_t n;
	unsigned at = 0, calls = 0;
	int r = open_mem(&c, p, len, &m);

	*ret_seen = *ret_damaged = 0;
	*ret_whole = false;
	if (r < 0)
		return r;
	while ((r = capture_next(c, &type, &data, &n)) != 0) {
		MUST(++calls < 100);
		if (r < 0) {
			MUST(r == -EBADMSG);
			++*ret_damaged;
			continue;
		}
		while (at < N_SECTIONS && !(type == type_of(at) && n == section_of(at, want) &&
					    memcmp(data, want, n) == 0))
			at++;
		MUST(at < N_SECTIONS); /* else these bytes were never written */
		*ret_seen |= 1u << at++;
	}
	MUST(capture_next(c, &type, &data, &n) == 0);
	*ret_whole = capture_is_whole(c);
	capture_close(c);
	return 0;
}

START_TEST(round_trip)
{
	struct memory m;
	unsigned seen, damaged;
	bool whole;

	make_sections(&m, true);
	ck_assert_int_eq(read_sections(m.p, m.len, &seen, &whole, &damaged), 0);
	ck_assert_uint_eq(seen, (1u << N_SECTIONS) - 1);
	ck_assert(whole && !damaged);
	free(m.p);
}
END_TEST

START_TEST(large_sections)
{
	size_t len = CAPTURE_SECTION_MAX;
	uint8_t *data = malloc(len + 1);
	struct capture_reader *c;
	struct memory m, in;
	struct capture_writer w = writer_to(&m);
	enum capture_type type;
	const uint8_t *got;
	uint64_t state = 5;
	size_t n;

	for (size_t i = 0; i < len; i += 8) {
		uint64_t v = i < len / 2 ? feeder_random(&state) : 0;

		memcpy(data + i, &v, 8);
	}
	ck_assert_int_eq(capture_section(&w, CAPTURE_BLOCK, data, len + 1), -EMSGSIZE);
	ck_assert_int_eq(capture_section(&w, CAPTURE_BLOCK, data, len), 0);
	ck_assert_int_eq(capture_end(&w), 0);
	ck_assert_int_eq(open_mem(&c, m.p, m.len, &in), 0);
	in.step = 1000; /* it comes in pieces */
	ck_assert_int_eq(capture_next(c, &type, &got, &n), 1);
	ck_assert(type == CAPTURE_BLOCK && n == len && memcmp(got, data, n) == 0);
	ck_assert_int_eq(capture_next(c, &type, &got, &n), 0);
	ck_assert(capture_is_whole(c));
	capture_close(c);
	free(data);
	free(m.p);
}
END_TEST

/* Cut at every byte: what lies before the cut is there, and it does not pass for whole. */
START_TEST(cut_anywhere)
{
	struct memory m;
	unsigned seen, damaged;
	bool whole;
	size_t ends[N_SECTIONS + 2], n = 1, pos = CAPTURE_HEAD;

	make_sections(&m, true);
	for (ends[0] = pos; pos < m.len; ends[n++] = pos) {
		uint32_t stored;

		memcpy(&stored, m.p + pos + 8, 4);
		pos += 24 + stored;
	}
	ck_assert_uint_eq(n, N_SECTIONS + 2);
	for (size_t len = 0; len < m.len; len++) {
		int r = read_sections(m.p, len, &seen, &whole, &damaged);
		unsigned want = 0;

		if (len < CAPTURE_HEAD) {
			ck_assert_int_eq(r, -EBADMSG);
			continue;
		}
		ck_assert_int_eq(r, 0);
		for (unsigned i = 0; i < N_SECTIONS && ends[i + 1] <= len; i++)
			want |= 1u << i;
		ck_assert_msg(seen == want, "cut at %zu: %x, not %x", len, seen, want);
		ck_assert_msg(!whole && !damaged, "cut at %zu", len);
	}
	free(m.p);
}
END_TEST

/* Any bit: never a section that was not written, never whole; a damaged payload costs itself only. */
START_TEST(flip_any_bit)
{
	struct memory m;
	unsigned seen, damaged, most = 0;
	bool whole;

	make_sections(&m, true);
	for (size_t bit = 0; bit < 8 * m.len; bit++) {
		m.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
		int r = read_sections(m.p, m.len, &seen, &whole, &damaged);

		if (bit < 8 * CAPTURE_HEAD)
			ck_assert_int_eq(r, -EBADMSG);
		else
			ck_assert_msg(r == 0 && !whole && damaged == 1, "bit %zu", bit);
		most += __builtin_popcount(seen) >= N_SECTIONS - 1;
		m.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	ck_assert_uint_gt(most, 2000); /* of the flips in payloads */
	free(m.p);
}
END_TEST

/* Sections that are left out, doubled, exchanged or follow the end are damage. */
START_TEST(moved_sections)
{
	struct memory m, other;
	unsigned seen, damaged;
	bool whole;
	struct capture_writer w = writer_to(&m);
	size_t at[4];

	for (unsigned i = 0; i < 3; i++) {
		at[i] = m.len;
		capture_section(&w, CAPTURE_META, "\0", 1); /* section_of(1), type aside */
	}
	at[3] = m.len;
	capture_end(&w);
	size_t one = at[1] - at[0];

	for (unsigned what = 0; what < 3; what++) {
		writer_to(&other);
		static const unsigned order[3][5] = {
			{0, 2, 3, 9, 9}, {0, 0, 1, 2, 3}, {0, 2, 1, 3, 9}};

		for (unsigned i = 0; i < 5 && order[what][i] < 4; i++)
			mem_write(&other, m.p + at[order[what][i]],
				  order[what][i] < 3 ? one : m.len - at[3]);
		struct capture_reader *c;
		enum capture_type type;
		const uint8_t *data;
		struct memory in;
		size_t n;
		unsigned good = 0, bad = 0;
		int r;

		ck_assert_int_eq(open_mem(&c, other.p, other.len, &in), 0);
		while ((r = capture_next(c, &type, &data, &n)) != 0)
			*(r < 0 ? &bad : &good) += 1;
		ck_assert_msg(good == 1 && bad == 1 && !capture_is_whole(c), "%u: %u %u", what,
			      good, bad);
		capture_close(c);
		free(other.p);
	}
	free(m.p);
	make_sections(&m, true);
	mem_write(&m, "x", 1);
	ck_assert_int_eq(read_sections(m.p, m.len, &seen, &whole, &damaged), 0);
	ck_assert(!whole && damaged == 1 && seen == (1u << N_SECTIONS) - 1);
	free(m.p);
}
END_TEST

static void put_u32(uint8_t *p, uint32_t v)
{
	memcpy(p, &v, 4);
}

/* Whatever is in there is crc'd as the format wants it. */
static void sign(uint8_t *p, size_t len)
{
	uint32_t number = 1, stored;

	put_u32(p + 12, crc32c(0, p, 12));
	for (size_t at = CAPTURE_HEAD; at + 24 <= len; at += 24 + stored, number++) {
		memcpy(&stored, p + at + 8, 4);
		if (stored > len - at - 24)
			return;
		put_u32(p + at + 16, crc32c(number, p + at + 24, stored));
		put_u32(p + at + 20, crc32c(number, p + at, 20));
	}
}

START_TEST(other_versions)
{
	struct capture_reader *c;
	struct memory m, in = {0};
	unsigned seen, damaged;
	bool whole;
	char err[300], dir[64], path[128];

	make_sections(&m, true);
	put_u32(m.p + 8, 2);
	sign(m.p, m.len);
	in.p = m.p;
	in.len = m.len;
	ck_assert_int_eq(capture_open_read(&c, mem_read, &in, err, sizeof(err)), -EPROTONOSUPPORT);
	ck_assert_msg(strstr(err, "format 2") && strstr(err, "format 1"), "%s", err);
	put_u32(m.p + 8, 1);
	put_u32(m.p + CAPTURE_HEAD, 77); /* a type of later */
	sign(m.p, m.len);
	ck_assert_int_eq(read_sections(m.p, m.len, &seen, &whole, &damaged), 0);
	ck_assert(whole && !damaged && seen == (1u << N_SECTIONS) - 2);
	put_u32(m.p + CAPTURE_HEAD, CAPTURE_META);
	put_u32(m.p + CAPTURE_HEAD + 4, 4); /* a flag of later */
	sign(m.p, m.len);
	ck_assert_int_eq(read_sections(m.p, m.len, &seen, &whole, &damaged), 0);
	ck_assert(whole && !damaged && seen == (1u << N_SECTIONS) - 2);
	free(m.p);

	support_dir(dir);
	support_put(dir, "elf", "\177ELF and more bytes");
	support_put(dir, "empty", "");
	static const char *const names[] = {"elf", "empty", "none", ""};
	static const char *const words[] = {"no capture", "cut short", "No such file",
					    "Is a directory"};

	for (unsigned i = 0; i < 4; i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		ck_assert_int_lt(capture_open(&c, path, err, sizeof(err)), 0);
		ck_assert_msg(strstr(err, words[i]), "%s: %s", names[i], err);
	}
	support_rm(dir);
}
END_TEST

/* A disk that is full: what was written whole stays readable. */
START_TEST(no_room)
{
	struct memory m;
	unsigned seen, damaged;
	struct capture_writer w = writer_to(&m);
	uint8_t data[512];
	bool whole;
	int r = 0;

	m.room = 400;
	for (unsigned i = 0; r == 0; i++)
		r = capture_section(&w, type_of(i), data, section_of(i, data));
	ck_assert_int_eq(r, -ENOSPC);
	ck_assert_uint_eq(w.bytes, m.len);
	ck_assert_int_eq(read_sections(m.p, m.len, &seen, &whole, &damaged), 0);
	ck_assert(!whole && !damaged && seen + 1 == 1u << w.sections);
	free(m.p);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {round_trip,     large_sections, cut_anywhere, flip_any_bit,
				      moved_sections, other_versions, no_room};

	return support_run("capture", tests, sizeof(tests) / sizeof(*tests));
}
