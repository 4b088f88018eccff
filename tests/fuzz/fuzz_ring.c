/*
 * Recovery of the disk ring from any bytes: the file that is given, or a sound one with edits in it
 * (8 bytes each: kind, offset (3), value (4)), of which some sign anew what they touched, so that the
 * checks behind the checksums are reached. What opens is read to its end, written to and opened again.
 */
#include "fuzz.h"

#include "ring_lab.h"

enum { SIZE = 96 << 10, EDIT = 8, RAW = 0xff };

static struct lab_device template;
static uint8_t *image;

static void make_template(void)
{
	struct lab l = {.rnd = 9, .log_no = 1, .catalog_no = 1, .len_max = 12000};
	enum lab_did did;

	lab_device_open(&template, SIZE, false);
	l.r = lab_open(&template, false);
	for (unsigned i = 0; i < 200; i++)
		FUZZ_CHECK(lab_step(&l, &did) == 0);
	ring_close(l.r);
	image = malloc(SIZE);
	FUZZ_CHECK(image);
}

static uint32_t seed_of(void)
{
	struct ring_super s;

	memcpy(&s, template.now, sizeof(s));
	return crc32c(0, s.id, sizeof(s.id));
}

static uint64_t records_at(void)
{
	struct ring_super s;

	memcpy(&s, template.now, sizeof(s));
	return s.records_at;
}

static void sign_record(uint64_t at)
{
	struct ring r = {.seed = seed_of()};
	struct ring_record h;

	at = at / RING_UNIT * RING_UNIT;
	if (at < records_at() || at + sizeof(h) > SIZE)
		return;
	memcpy(&h, image + at, sizeof(h));
	h.magic = RING_RECORD_MAGIC;
	h.crc = ring_record_crc(&r, &h, at - records_at());
	memcpy(image + at, &h, sizeof(h));
}

static void sign_super(unsigned i)
{
	struct ring_super s;

	memcpy(&s, image + (size_t)i * RING_UNIT, sizeof(s));
	s.crc = 0;
	s.crc = crc32c(0, &s, sizeof(s));
	memcpy(image + (size_t)i * RING_UNIT, &s, sizeof(s));
}

static void sign_frame(uint64_t at)
{
	const size_t skip = offsetof(struct ring_frame, at);
	struct ring_frame f;
	uint32_t crc;

	at = at / 8 * 8;
	if (at + sizeof(f) > SIZE)
		return;
	memcpy(&f, image + at, sizeof(f));
	if (f.len > SIZE - at - sizeof(f))
		return;
	crc = crc32c(seed_of(), &f.len, sizeof(f.len));
	crc = crc32c(crc, (const uint8_t *)&f + skip, sizeof(f) - skip);
	f.crc = crc32c(crc, image + at + sizeof(f), f.len);
	memcpy(image + at, &f, sizeof(f));
}

/* The length of the file with the edits in it. */
static size_t edit(const uint8_t *data, size_t size)
{
	size_t len = SIZE;

	memcpy(image, template.now, SIZE);
	for (; size >= EDIT; data += EDIT, size -= EDIT) {
		uint64_t at = (data[1] | (uint64_t)data[2] << 8 | (uint64_t)data[3] << 16) % SIZE;
		uint64_t from = (data[4] | (uint64_t)data[5] << 8) * 512 % SIZE;

		switch (data[0] % 8) {
		case 0:
		case 1:
		case 2:
			memcpy(image + at, data + 4, at + 4 > SIZE ? SIZE - at : 4);
			if (data[0] % 8 == 1)
				sign_record(at);
			if (data[0] % 8 == 2)
				at < 2 * RING_UNIT ? sign_super(at / RING_UNIT) : sign_frame(at);
			break;
		case 3:
			memcpy(image + at / 512 * 512, image + from, 512);
			break;
		case 4:
			sign_frame(at);
			break;
		case 5: /* a record in another's place */
			from = from / RING_UNIT * RING_UNIT;
			memmove(image + at / RING_UNIT * RING_UNIT, image + from, RING_UNIT);
			sign_record(at);
			break;
		case 6:
			sign_record(at);
			break;
		default:
			len = at;
		}
	}
	return len;
}

static int see(void *arg, const uint8_t log_id[LOG_ID_LEN], const struct frame *f)
{
	unsigned *n = arg;

	(void)log_id;
	FUZZ_CHECK(f->len && f->len <= LOG_FRAME_MAX);
	*n += f->data[0] + f->data[f->len - 1];
	return 0;
}

static void read_all(struct ring *r)
{
	struct ring_stats st;
	uint64_t seq = 0;
	unsigned sum = 0;
	size_t n = 0;
	struct ring_entry *list = ring_list(r, &n);

	FUZZ_CHECK(list);
	for (size_t i = 0; i < n; i++) {
		uint8_t *to = malloc(list[i].len);
		int e = to ? ring_read(r, &list[i], to) : 0;

		FUZZ_CHECK(e == 0 || e == -EBADMSG);
		FUZZ_CHECK(list[i].seq > seq && list[i].len < r->super.records_size);
		FUZZ_CHECK(strnlen(list[i].block.boot_id, RING_BOOT_LEN) < RING_BOOT_LEN);
		seq = list[i].seq;
		free(to);
	}
	free(list);
	FUZZ_CHECK(ring_journal_each(r, see, &sum) == 0);
	ring_stats(r, &st);
	FUZZ_CHECK(st.used_bytes <= st.size_bytes && st.journal_bytes <= st.journal_size_bytes);
}

static void write_some(struct lab_device *d)
{
	struct lab l = {.r = lab_open(d, false), .log_no = 99, .catalog_no = 8, .tag = 7777};
	uint64_t max = RING_SEQ_MAX - 1000000;
	bool odd = l.r->next_seq > max || l.r->journal_head > max;
	struct ring_entry *list;
	size_t n = 0;
	int e = 0;

	l.len_max = l.r->super.records_size / 4 - 3 * RING_UNIT;
	l.len_max = l.len_max > 12000 ? 12000 : l.len_max;
	for (unsigned i = 0; i < 30 && e == 0; i++) {
		e = lab_journal(&l);
		if (i % 6 == 5 || e == -ENOSPC)
			e = lab_seal(&l, l.frame);
		FUZZ_CHECK(e == 0 || odd || l.len_max < 2000);
	}
	ring_close(l.r);
	l.r = lab_open(d, true);
	list = ring_list(l.r, &n);
	FUZZ_CHECK(odd || e < 0 || (n && list[n - 1].block.n_samples == l.tag));
	free(list);
	read_all(l.r);
	ring_close(l.r);
}

static void fuzz_seeds(void)
{
	static const uint8_t edits[][EDIT] = {
		{0, 0, 0, 0, 1, 2, 3, 4},    {1, 8, 64, 0, 9, 0, 0, 0},
		{2, 24, 16, 0, 5, 5, 0, 0},  {3, 0, 96, 0, 80, 0, 0, 0},
		{4, 0, 32, 0, 0, 0, 0, 0},   {5, 0, 96, 0, 72, 0, 0, 0},
		{7, 0, 80, 0, 0, 0, 0, 0},   {2, 48, 0, 0, 1, 0, 0, 0},
		{1, 40, 96, 0, 1, 1, 1, 1},  {1, 16, 96, 0, 255, 255, 0, 0},
		{2, 80, 0, 0, 255, 0, 0, 0},
	};
	static uint8_t raw[65536];

	for (unsigned i = 0; i < sizeof(edits) / sizeof(*edits); i++) {
		char name[16];

		snprintf(name, sizeof(name), "edit-%u", i);
		fuzz_seed(name, edits[i], EDIT);
	}
	make_template();
	raw[0] = RAW;
	memcpy(raw + 1, template.now, sizeof(raw) - 1);
	fuzz_seed("raw", raw, sizeof(raw));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct lab_device d = {.ops_left = UINT64_MAX};
	struct ring *r = NULL;
	struct ring_io io;
	char err[200] = "";
	int e;

	if (!image)
		make_template();
	d.now = image;
	if (size && data[0] == RAW) {
		d.size = size - 1 < SIZE ? size - 1 : SIZE;
		memcpy(image, data + 1, d.size);
	} else {
		d.size = edit(data, size);
	}
	io = lab_io(&d);
	e = ring_open_io(&r, &io, true, err, sizeof(err));
	FUZZ_CHECK(e == 0 || (err[0] && (e == -EBADMSG || e == -EPROTONOSUPPORT)));
	if (e < 0)
		return 0;
	read_all(r);
	e = r->super.size <= d.size;
	ring_close(r);
	if (e)
		write_some(&d);
	return 0;
}
