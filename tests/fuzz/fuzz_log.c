/*
 * Recovery: a log file that something wrote into is opened, read to its end and continued. The
 * input is a row of edits, 6 bytes each: segment (its bits 6 and 7 say how), offset (2), value (3).
 * The header page is segment 0.
 */
#include "fuzz.h"

#include "feeder.h"
#include "store/mirror.h"

enum {
	SEGMENTS = 5,
	HEADER = 4096,
	EDIT = 6,
	SPAN = 8192,
	FILE_SIZE = HEADER + SEGMENTS * LOG_SEGMENT_SIZE
};

static const struct metric metrics[] = {
	{"t.count", "count", 1, 1, "a", "A.", SEM_COUNTER, 0, NULL},
	{"t.level", "byte", 1024, 1, "b", "B.", SEM_INSTANT, 4, NULL},
};
static const struct group groups[] = {
	{"one", NULL, metrics, 2, 0, 1, false, NULL},
	{"disk", "disk", metrics, 2, 0, 16, false, NULL},
};

static uint8_t *template_file;
static size_t template_size;
static char log_path[96];

static int open_here(struct log **ret, enum log_state *state)
{
	struct log_config c = {.dir = fuzz_scratch(),
			       .size_bytes = (uint64_t)SEGMENTS * LOG_SEGMENT_SIZE,
			       .boot_id = "fuzz"};
	char err[200] = "";
	int r = log_open(ret, &c, state, err, sizeof(err));

	FUZZ_CHECK(r == 0 || err[0]);
	return r;
}

/* Writes a log that went round its segments once and keeps its bytes. */
static void make_template(void)
{
	static struct feeder f;
	enum log_state state;
	struct log *l;
	FILE *file;

	FUZZ_CHECK(open_here(&l, &state) == 0 && state == LOG_NEW);
	feeder_open(&f, l, groups, 2);
	for (unsigned i = 1; i <= 7 * 20; i++) {
		feeder_tick(&f, i * 100000);
		batch_row(feeder_batch(&f, 0))[0] += 1000 * i;
		feeder_group(&f, 0, 12, -1);
		batch_row_named(feeder_batch(&f, 1), i % 3 ? "sda" : "sdb", 3)[1] = i;
		feeder_group(&f, 1, -5, -1);
		feeder_end(&f);
		if (i % 20 == 0)
			feeder_segment(&f);
	}
	feeder_close(&f);
	log_close(l);
	snprintf(log_path, sizeof(log_path), "%s/log", fuzz_scratch());
	file = fopen(log_path, "r");
	FUZZ_CHECK(file);
	template_file = malloc(FILE_SIZE);
	template_size = fread(template_file, 1, FILE_SIZE, file);
	fclose(file);
	FUZZ_CHECK(template_size > LOG_SEGMENT_SIZE);
}

static size_t place(uint8_t segment, unsigned offset)
{
	unsigned k = (segment & 0x3f) % (SEGMENTS + 1);
	size_t at =
		k ? HEADER + (size_t)(k - 1) * LOG_SEGMENT_SIZE + offset % SPAN : offset % HEADER;

	return at < template_size ? at : 0;
}

/* The file with the edits in it; 3 in the upper bits cuts it there. Only what is not zero is
 * written. */
static void write_edited(const uint8_t *data, size_t size)
{
	int fd = open(log_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	FUZZ_CHECK(fd >= 0 && !ftruncate(fd, (off_t)template_size));
	for (unsigned k = 0; k <= SEGMENTS; k++) {
		size_t at = place((uint8_t)k, 0), span = k ? SPAN : HEADER;

		span = at + span > template_size ? template_size - at : span;
		FUZZ_CHECK(pwrite(fd, template_file + at, span, (off_t)at) == (ssize_t)span);
	}
	for (; size >= EDIT; data += EDIT, size -= EDIT) {
		size_t at = place(data[0], data[1] | (unsigned)data[2] << 8);

		if (data[0] >> 6 == 3)
			FUZZ_CHECK(!ftruncate(fd, (off_t)at));
		else
			FUZZ_CHECK(pwrite(fd, data + 3, (data[0] >> 6) + 1u, (off_t)at) > 0);
	}
	close(fd);
}

static void read_all(struct log *l)
{
	uint64_t from, to, last = 0;
	struct cursor c;
	struct frame f;
	struct mirror m;
	unsigned stale = 0;
	int r;

	mirror_init(&m);
	if (cursor_open_seq(&c, l, log_oldest(l)) == 0) {
		while ((r = cursor_next(&c, &f, &from, &to)) == 1 || r == -ESTALE) {
			FUZZ_CHECK(r == 1 || ++stale <= 2 * SEGMENTS);
			if (r == 1) {
				FUZZ_CHECK(f.seq > last);
				last = f.seq;
				mirror_apply(&m, &f);
			}
		}
		FUZZ_CHECK(r == 0);
		cursor_close(&c);
	}
	mirror_done(&m);
}

static void fuzz_seeds(void)
{
	static const uint8_t edits[][EDIT] = {
		{0, 0, 0, 0xff, 0, 0},	      {1, 0, 0, 1, 0, 0},  {1, 64, 0, 200, 0, 0},
		{2, 8, 0, 9, 9, 9},	      {3, 16, 1, 1, 1, 1}, {0xc2, 0, 16, 0, 0, 0},
		{0x84, 64, 0, 255, 255, 255},
	};

	for (unsigned i = 0; i < sizeof(edits) / sizeof(*edits); i++) {
		char name[8];

		snprintf(name, sizeof(name), "%u", i);
		fuzz_seed(name, edits[i],
			  EDIT); /* one each: the first spoils the file's own header */
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum log_state state;
	struct log *l;

	if (!template_file)
		make_template();
	write_edited(data, size);
	if (open_here(&l, &state))
		return 0;
	if (state == LOG_CONTINUED)
		read_all(l);
	FUZZ_CHECK(log_append(l, "\6", 1) == -EAGAIN);
	log_next_segment(l, 1);
	FUZZ_CHECK(log_append(l, "\6", 1) > 0);
	log_close(l);
	return 0;
}
