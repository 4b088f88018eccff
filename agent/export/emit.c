#include "export/emit.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct emit *emit_begin(const struct profile_out *out)
{
	struct emit *e = malloc(sizeof(*e));

	if (e) {
		e->out = out;
		e->error = 0;
		e->last = '[';
		e->len = 0;
	}
	return e;
}

static void flush(struct emit *e)
{
	if (!e->error && e->len)
		e->error = e->out->write(e->out->arg, e->buf, e->len);
	e->len = 0;
}

int emit_end(struct emit *e)
{
	int r;

	flush(e);
	r = e->error;
	free(e);
	return r;
}

void emit_fail(struct emit *e, int r)
{
	if (!e->error)
		e->error = r;
}

void emit_bytes(struct emit *e, const void *data, size_t len)
{
	const uint8_t *p = data;

	if (!len)
		return;
	e->last = (char)p[len - 1];
	while (len) {
		size_t n = EMIT_BYTES - e->len;

		n = n < len ? n : len;
		memcpy(e->buf + e->len, p, n);
		e->len += n;
		p += n;
		len -= n;
		if (e->len == EMIT_BYTES)
			flush(e);
	}
}

void emit_text(struct emit *e, const char *s)
{
	emit_bytes(e, s, strlen(s));
}

void emit_format(struct emit *e, const char *format, ...)
{
	char s[512];
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(s, sizeof(s), format, ap);
	va_end(ap);
	if (n > 0)
		emit_bytes(e, s, (size_t)n < sizeof(s) ? (size_t)n : sizeof(s) - 1);
}

/* ---- JSON ---- */

static void separate(struct emit *e)
{
	if (e->last != '[' && e->last != '{' && e->last != ':')
		emit_bytes(e, ",", 1);
}

void emit_open(struct emit *e, char bracket)
{
	separate(e);
	emit_bytes(e, &bracket, 1);
}

void emit_close(struct emit *e, char bracket)
{
	emit_bytes(e, &bracket, 1);
}

/* Bytes of the UTF-8 character at p (NUL-ended); 0: it is none. */
static size_t utf8_len(const unsigned char *p)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t n = *p < 0x80   ? 1
		   : *p < 0xc2 ? 0
		   : *p < 0xe0 ? 2
		   : *p < 0xf0 ? 3
		   : *p < 0xf5 ? 4
			       : 0;
	uint32_t c = n > 1 ? *p & (0x7fu >> n) : *p;

	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	if (n > 1 && (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000)))
		return 0;
	return n;
}

static bool is_separator(const unsigned char *p) /* U+2028, U+2029 */
{
	return p[0] == 0xe2 && p[1] == 0x80 && (p[2] & 0xfe) == 0xa8;
}

void emit_string(struct emit *e, const char *s)
{
	const unsigned char *p = (const unsigned char *)(s ? s : "");

	separate(e);
	emit_bytes(e, "\"", 1);
	while (*p) {
		const unsigned char *from = p;
		size_t n = 0;

		while (*p >= 0x20 && *p != '"' && *p != '\\' && *p != '<' && *p != 0x7f &&
		       (*p < 0x80 || ((n = utf8_len(p)) && !is_separator(p))))
			p += *p < 0x80 ? 1 : n;
		emit_bytes(e, from, (size_t)(p - from));
		if (!*p)
			break;
		n = utf8_len(p);
		if (*p == '"' || *p == '\\')
			emit_format(e, "\\%c", *p);
		else if (*p < 0x80)
			emit_format(e, "\\u%04x", *p);
		else
			emit_text(e, !n ? "\xef\xbf\xbd" : p[2] & 1 ? "\\u2029" : "\\u2028");
		p += n ? n : 1;
	}
	emit_bytes(e, "\"", 1);
}

void emit_xml(struct emit *e, const char *s, size_t max)
{
	const unsigned char *p = (const unsigned char *)s;
	size_t n;

	for (; *p && max; p += n ? n : 1) {
		n = utf8_len(p);
		if (n > max)
			return;
		max -= n ? n : 1;
		if (*p == '&' || *p == '<' || *p == '>' || *p == '"')
			emit_format(e, "&#%d;", *p);
		else if (!n || *p < 0x20 || *p == 0x7f ||
			 (p[0] == 0xef && p[1] == 0xbf && p[2] >= 0xbe)) /* no character of XML */
			emit_text(e, "\xef\xbf\xbd");
		else
			emit_bytes(e, p, n);
	}
}

void emit_key(struct emit *e, const char *key)
{
	emit_string(e, key);
	emit_bytes(e, ":", 1);
}

void emit_int(struct emit *e, int64_t v)
{
	char s[24], *p = s + sizeof(s);
	uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;

	do
		*--p = (char)('0' + u % 10);
	while (u /= 10);
	if (v < 0)
		*--p = '-';
	separate(e);
	emit_bytes(e, p, (size_t)(s + sizeof(s) - p));
}

void emit_null(struct emit *e)
{
	separate(e);
	emit_text(e, "null");
}

void emit_bool(struct emit *e, bool v)
{
	separate(e);
	emit_text(e, v ? "true" : "false");
}

static void emit_fixed(struct emit *e, int64_t v, uint64_t unit, int digits)
{
	uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;

	separate(e);
	emit_format(e, "%s%llu", v < 0 ? "-" : "", (unsigned long long)(u / unit));
	if (u % unit)
		emit_format(e, ".%0*llu", digits, (unsigned long long)(u % unit));
}

void emit_thousandths(struct emit *e, int64_t v)
{
	emit_fixed(e, v, 1000, 3);
}

void emit_millionths(struct emit *e, int64_t v)
{
	emit_fixed(e, v, 1000000, 6);
}

void emit_key_string(struct emit *e, const char *key, const char *s)
{
	emit_key(e, key);
	emit_string(e, s);
}

void emit_key_int(struct emit *e, const char *key, int64_t v)
{
	emit_key(e, key);
	emit_int(e, v);
}

/* ---- protobuf ---- */

void pb_uint(struct out *o, uint32_t field, uint64_t v)
{
	if (!v)
		return;
	out_varint(o, (uint64_t)field << 3);
	out_varint(o, v);
}

void pb_int(struct out *o, uint32_t field, int64_t v)
{
	pb_uint(o, field, (uint64_t)v);
}

void pb_bytes(struct out *o, uint32_t field, const void *p, size_t len)
{
	out_varint(o, (uint64_t)field << 3 | 2);
	out_varint(o, len);
	out_bytes(o, p, len);
}

void pb_text(struct out *o, uint32_t field, const char *s)
{
	pb_bytes(o, field, s, strlen(s));
}
