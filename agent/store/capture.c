#include "store/capture.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "base/cleanup.h"
#include "base/crc32c.h"

enum {
	SECTION_HEAD = 24,
	END_SIZE = 16,
	FLAG_ZSTD = 1,
	FLAGS_KNOWN = FLAG_ZSTD,
	LEVEL = 3,
	TRY_FROM = 64 /* shorter ones do not become shorter */
};

static const char magic[8] = "strobecp";

static void put_u32(uint8_t *p, uint64_t v)
{
	uint32_t le = htole32((uint32_t)v);

	memcpy(p, &le, 4);
}

static uint32_t get_u32(const uint8_t *p)
{
	uint32_t le;

	memcpy(&le, p, 4);
	return le32toh(le);
}

static uint64_t get_u64(const uint8_t *p)
{
	return get_u32(p) | (uint64_t)get_u32(p + 4) << 32;
}

static uint32_t seeded(uint64_t section, const void *data, size_t len)
{
	return crc32c((uint32_t)section + 1, data, len);
}

/* ---- writing ---- */

int capture_begin(struct capture_writer *w)
{
	uint8_t head[CAPTURE_HEAD];
	int r;

	memcpy(head, magic, sizeof(magic));
	put_u32(head + 8, CAPTURE_VERSION);
	put_u32(head + 12, crc32c(0, head, 12));
	r = w->write(w->arg, head, sizeof(head));
	if (r < 0)
		return r;
	w->bytes = sizeof(head);
	w->sections = 0;
	return 0;
}

int capture_section(struct capture_writer *w, enum capture_type type, const void *data, size_t len)
{
	size_t room = ZSTD_compressBound(len), stored = 0;
	uint8_t *p;
	int r;

	if (len > CAPTURE_SECTION_MAX)
		return -EMSGSIZE;
	p = malloc(SECTION_HEAD + room);
	if (!p)
		return -ENOMEM;
	if (len >= TRY_FROM)
		stored = ZSTD_compress(p + SECTION_HEAD, room, data, len, LEVEL);
	bool packed = stored && !ZSTD_isError(stored) && stored < len;

	if (!packed) {
		stored = len;
		if (len)
			memcpy(p + SECTION_HEAD, data, len);
	}
	put_u32(p, type);
	put_u32(p + 4, packed ? FLAG_ZSTD : 0);
	put_u32(p + 8, stored);
	put_u32(p + 12, len);
	put_u32(p + 16, seeded(w->sections, p + SECTION_HEAD, stored));
	put_u32(p + 20, seeded(w->sections, p, 20));
	r = w->write(w->arg, p, SECTION_HEAD + stored);
	free(p);
	if (r < 0)
		return r;
	w->bytes += SECTION_HEAD + stored;
	w->sections++;
	return 0;
}

int capture_end(struct capture_writer *w)
{
	uint8_t totals[END_SIZE];

	put_u32(totals, w->sections);
	put_u32(totals + 4, w->sections >> 32);
	put_u32(totals + 8, w->bytes);
	put_u32(totals + 12, w->bytes >> 32);
	return capture_section(w, CAPTURE_END, totals, sizeof(totals));
}

/* ---- reading ---- */

struct bytes {
	uint8_t *p;
	size_t cap;
};

struct capture_reader {
	int (*read)(void *arg, void *to, size_t len);
	void *arg;
	int fd; /* arg of read_file() */
	struct bytes stored, plain;
	uint64_t sections, bytes;
	bool over, end_seen, damaged;
};

static int read_file(void *arg, void *to, size_t len)
{
	const struct capture_reader *c = arg;
	ssize_t n;

	do
		n = read(c->fd, to, len);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : (int)n;
}

/* As many as there are up to len; -errno. */
static ssize_t read_up_to(struct capture_reader *c, uint8_t *to, size_t len)
{
	size_t got = 0;

	while (got < len) {
		int n = c->read(c->arg, to + got, len - got);

		if (n < 0)
			return n;
		if (n == 0)
			break;
		got += (size_t)n;
	}
	c->bytes += got;
	return (ssize_t)got;
}

static int need(struct bytes *b, size_t n)
{
	uint8_t *p;

	if (n <= b->cap)
		return 0;
	p = realloc(b->p, n);
	if (!p)
		return -ENOMEM;
	b->p = p;
	b->cap = n;
	return 0;
}

static int read_head(struct capture_reader *c, char *err, size_t err_len)
{
	uint8_t head[CAPTURE_HEAD];
	ssize_t n = read_up_to(c, head, sizeof(head));

	if (n < 0) {
		snprintf(err, err_len, "it cannot be read: %s", strerror((int)-n));
		return (int)n;
	}
	if (memcmp(head, magic, (size_t)n < sizeof(magic) ? (size_t)n : sizeof(magic)) != 0) {
		snprintf(err, err_len, "it is no capture of strobe");
		return -EBADMSG;
	}
	if (n < CAPTURE_HEAD) {
		snprintf(err, err_len, "it is empty or was cut short before anything was recorded");
		return -EBADMSG;
	}
	if (get_u32(head + 12) != crc32c(0, head, 12)) {
		snprintf(err, err_len, "its first bytes are damaged");
		return -EBADMSG;
	}
	if (get_u32(head + 8) != CAPTURE_VERSION) {
		snprintf(err, err_len,
			 "it is of format %u and this strobe (" STROBE_VERSION
			 ") reads format %u: open it with the version that recorded it, or a newer "
			 "one",
			 get_u32(head + 8), CAPTURE_VERSION);
		return -EPROTONOSUPPORT;
	}
	return 0;
}

static int begin(struct capture_reader *c, struct capture_reader **ret, char *err, size_t err_len)
{
	int r = read_head(c, err, err_len);

	if (r < 0)
		capture_close(c);
	else
		*ret = c;
	return r;
}

int capture_open_read(struct capture_reader **ret, int (*read_some)(void *, void *, size_t),
		      void *arg, char *err, size_t err_len)
{
	struct capture_reader *c = calloc(1, sizeof(*c));

	if (!c) {
		snprintf(err, err_len, "out of memory");
		return -ENOMEM;
	}
	c->fd = -1;
	c->read = read_some;
	c->arg = arg;
	return begin(c, ret, err, err_len);
}

int capture_open(struct capture_reader **ret, const char *path, char *err, size_t err_len)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct capture_reader *c;
	struct stat st;
	int r = fd < 0 || fstat(fd, &st) < 0 ? -errno : S_ISDIR(st.st_mode) ? -EISDIR : 0;

	if (r < 0) {
		snprintf(err, err_len, "it cannot be read: %s", strerror(-r));
		return r;
	}
	c = calloc(1, sizeof(*c));
	if (!c) {
		snprintf(err, err_len, "out of memory");
		return -ENOMEM;
	}
	c->fd = TAKE_FD(fd);
	c->read = read_file;
	c->arg = c;
	return begin(c, ret, err, err_len);
}

void capture_close(struct capture_reader *c)
{
	if (!c)
		return;
	if (c->fd >= 0)
		close(c->fd);
	free(c->stored.p);
	free(c->plain.p);
	free(c);
}

/* Nothing can be read from here on. */
static int give_up(struct capture_reader *c, int r)
{
	c->over = true;
	c->damaged = c->damaged || r < 0;
	return r;
}

static bool head_is_right(const struct capture_reader *c, const uint8_t head[SECTION_HEAD])
{
	uint32_t stored = get_u32(head + 8), plain = get_u32(head + 12);
	bool packed = get_u32(head + 4) & FLAG_ZSTD;

	return get_u32(head + 20) == seeded(c->sections, head, 20) &&
	       plain <= CAPTURE_SECTION_MAX && (packed ? stored < plain : stored == plain);
}

/* The payload in c->stored as it was written. 0, -EBADMSG, -ENOMEM. */
static int unpack(struct capture_reader *c, const uint8_t head[SECTION_HEAD], const uint8_t **data)
{
	size_t stored = get_u32(head + 8), plain = get_u32(head + 12);

	*data = c->stored.p;
	if (!(get_u32(head + 4) & FLAG_ZSTD))
		return 0;
	if (need(&c->plain, plain) < 0)
		return -ENOMEM;
	if (ZSTD_decompress(c->plain.p, plain, c->stored.p, stored) != plain)
		return -EBADMSG;
	*data = c->plain.p;
	return 0;
}

static bool totals_are_right(const struct capture_reader *c, const uint8_t *data, size_t len)
{
	return len == END_SIZE && get_u64(data) == c->sections &&
	       get_u64(data + 8) == c->bytes - SECTION_HEAD - len;
}

/* One section. As capture_next(); -EAGAIN: passed over. */
static int next(struct capture_reader *c, enum capture_type *type, const uint8_t **data,
		size_t *len)
{
	uint8_t head[SECTION_HEAD];
	ssize_t n = read_up_to(c, head, sizeof(head));

	if (n < SECTION_HEAD || c->end_seen) {
		bool trailing = c->end_seen && n > 0;

		return give_up(c, n < 0 ? (int)n : trailing ? -EBADMSG : 0);
	}
	if (!head_is_right(c, head))
		return give_up(c, -EBADMSG);
	size_t stored = get_u32(head + 8);
	int r = need(&c->stored, stored + 1);

	if (r < 0)
		return give_up(c, r);
	n = read_up_to(c, c->stored.p, stored);
	if (n < 0 || (size_t)n < stored)
		return give_up(c, n < 0 ? (int)n : 0);
	r = get_u32(head + 16) == seeded(c->sections, c->stored.p, stored) ? 0 : -EBADMSG;
	*type = (enum capture_type)get_u32(head);
	if (r == 0 && (get_u32(head + 4) & ~(uint32_t)FLAGS_KNOWN || *type < CAPTURE_META ||
		       *type > CAPTURE_PROFILE))
		r = -EAGAIN;
	if (r == 0)
		r = unpack(c, head, data);
	*len = get_u32(head + 12);
	if (r == 0 && *type == CAPTURE_END && !totals_are_right(c, *data, *len))
		r = -EBADMSG;
	c->sections++;
	c->damaged = c->damaged || (r < 0 && r != -EAGAIN);
	if (r < 0)
		return r;
	if (*type != CAPTURE_END)
		return 1;
	c->end_seen = true;
	return -EAGAIN;
}

int capture_next(struct capture_reader *c, enum capture_type *type, const uint8_t **data,
		 size_t *len)
{
	int r;

	do
		r = c->over ? 0 : next(c, type, data, len);
	while (r == -EAGAIN);
	return r;
}

int capture_is_whole(const struct capture_reader *c)
{
	return c->end_seen && !c->damaged;
}
