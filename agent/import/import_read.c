/* Bytes of a file, a pipe or memory, unpacked where they are gzipped, as lines or whole. */
#include "import/import_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PACKED_BYTES = 64 << 10, STEP_BYTES = 256 << 10 };

/* Packed bytes into [ret, ret + n). 0 at the end or after an error. */
static size_t read_some(struct import_in *in, uint8_t *to, size_t n)
{
	ssize_t got;

	if (in->fd < 0) {
		n = n < in->memory_len ? n : in->memory_len;
		if (n)
			memcpy(to, in->memory, n);
		in->memory += n;
		in->memory_len -= n;
		return n;
	}
	do
		got = read(in->fd, to, n);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		in->error = -errno;
	return got > 0 ? (size_t)got : 0;
}

static bool refill(struct import_in *in)
{
	if (!in->packed)
		in->packed = malloc(PACKED_BYTES);
	if (!in->packed) {
		in->error = -ENOMEM;
		return false;
	}
	in->z.next_in = in->packed;
	in->z.avail_in = (uInt)read_some(in, in->packed, PACKED_BYTES);
	return in->z.avail_in != 0;
}

/* What follows a member of a gzip file is another one, or padding, which is passed over. */
static bool next_member(struct import_in *in)
{
	while (in->z.avail_in || refill(in)) {
		if (*in->z.next_in == 0x1f)
			return inflateReset(&in->z) == Z_OK;
		in->z.next_in++;
		in->z.avail_in--;
	}
	return false;
}

/* Unpacked bytes to p. 0: the end, or error is set. */
static size_t unpack(struct import_in *in, char *p, size_t n)
{
	in->z.next_out = (Bytef *)p;
	in->z.avail_out = (uInt)n;
	while (in->z.avail_out == n) {
		int r;

		if (!in->z.avail_in && !refill(in)) {
			in->error = in->error ? in->error : -EPIPE; /* cut short */
			break;
		}
		r = inflate(&in->z, Z_NO_FLUSH);
		if (r == Z_STREAM_END && !next_member(in)) {
			in->fd_end = true;
			break;
		}
		if (r != Z_OK && r != Z_STREAM_END && r != Z_BUF_ERROR) {
			in->error = r == Z_MEM_ERROR ? -ENOMEM : -EBADMSG;
			break;
		}
	}
	return n - in->z.avail_out;
}

static int begin(struct import_in *in)
{
	if (!refill(in))
		return in->error;
	if (in->z.avail_in == 1) { /* a pipe may give them one by one */
		in->packed[0] = *in->z.next_in;
		in->z.avail_in += (uInt)read_some(in, in->packed + 1, PACKED_BYTES - 1);
		in->z.next_in = in->packed;
	}
	in->gzip = in->z.avail_in > 1 && in->packed[0] == 0x1f && in->packed[1] == 0x8b;
	if (!in->gzip)
		return 0;
	if (inflateInit2(&in->z, 15 + 16) != Z_OK)
		return -ENOMEM;
	in->z_open = true;
	return 0;
}

static size_t plain(struct import_in *in, char *p, size_t n)
{
	if (!in->z.avail_in)
		return read_some(in, (uint8_t *)p, n);
	n = n < in->z.avail_in ? n : in->z.avail_in;
	memcpy(p, in->z.next_in, n);
	in->z.next_in += n;
	in->z.avail_in -= (uInt)n;
	return n;
}

static bool make_room(struct import_in *in)
{
	size_t cap = in->cap ? in->cap : STEP_BYTES;
	char *p;

	if (in->at) {
		memmove(in->buf, in->buf + in->at, in->end - in->at);
		in->end -= in->at;
		in->at = 0;
	}
	while (cap - in->end < STEP_BYTES / 2 + 1)
		cap *= 2;
	if (cap == in->cap)
		return true;
	p = realloc(in->buf, cap);
	if (!p) {
		in->error = -ENOMEM;
		return false;
	}
	in->buf = p;
	in->cap = cap;
	return true;
}

bool import_fill(struct import_in *in)
{
	bool first = !in->packed;
	size_t n;

	if (in->over || in->error || !make_room(in))
		return false;
	if (first) {
		in->error = begin(in);
		in->over = in->error || !in->z.avail_in;
	}
	if (in->over)
		return false;
	n = in->cap - in->end - 1;
	if (in->gzip)
		n = in->fd_end ? 0 : unpack(in, in->buf + in->end, n);
	else
		n = plain(in, in->buf + in->end, n);
	in->end += n;
	in->over = n == 0;
	return n != 0;
}

/* Past the rest of a line that is longer than is taken. */
static void drop_line(struct import_in *in)
{
	for (;;) {
		char *nl = memchr(in->buf + in->at, '\n', in->end - in->at);

		if (nl) {
			in->at = (size_t)(nl - in->buf) + 1;
			return;
		}
		in->at = in->end;
		if (!import_fill(in))
			return;
	}
}

char *import_line(struct import_in *in, size_t *len)
{
	size_t looked = 0, n;
	char *p, *nl;

	for (;;) {
		n = in->end - in->at;
		nl = n > looked ? memchr(in->buf + in->at + looked, '\n', n - looked) : NULL;
		if (nl || n > IMPORT_LINE_MAX)
			break;
		looked = n;
		if (!import_fill(in))
			break;
	}
	n = nl ? (size_t)(nl - in->buf) - in->at : in->end - in->at;
	if (!nl && !n)
		return NULL;
	p = in->buf + in->at;
	in->at += n + (nl != NULL);
	in->line++;
	if (n > IMPORT_LINE_MAX) { /* kept aside: dropping the rest moves the buffer */
		static const char none[] = "";

		if (!nl)
			drop_line(in);
		*len = 0;
		return (char *)(uintptr_t)none;
	}
	if (n && p[n - 1] == '\r')
		n--;
	p[n] = 0; /* over the line's end, or in the spare byte */
	*len = n;
	return p;
}

int import_rest(struct import_in *in, size_t max, char **ret, size_t *len)
{
	while (in->end - in->at <= max && import_fill(in))
		;
	if (in->error)
		return in->error;
	if (in->end - in->at > max)
		return -EFBIG;
	*ret = in->buf + in->at;
	*len = in->end - in->at;
	return 0;
}
