/* JSON written by hand into a buffer; commas come by themselves. */
#ifndef STROBE_SERVE_JSON_H
#define STROBE_SERVE_JSON_H

#include "serve/buf.h"

#include <math.h>
#include <stdio.h>

static inline void json_sep(struct buf *b)
{
	char c = b->len ? (char)b->p[b->len - 1] : '[';

	if (!b->failed && c != '[' && c != '{' && c != ':')
		buf_put(b, ",", 1);
}

static inline void json_open(struct buf *b, char bracket)
{
	json_sep(b);
	buf_put(b, &bracket, 1);
}

static inline void json_close(struct buf *b, char bracket)
{
	buf_put(b, &bracket, 1);
}

/* Bytes that are not valid in a string become escapes; the rest is taken for UTF-8. */
static inline void json_text(struct buf *b, const char *s)
{
	char esc[8];

	json_sep(b);
	buf_put(b, "\"", 1);
	for (; s && *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c == '"' || c == '\\') {
			buf_put(b, "\\", 1);
			buf_put(b, s, 1);
		} else if (c < 0x20 || c == 0x7f) {
			snprintf(esc, sizeof(esc), "\\u%04x", c);
			buf_text(b, esc);
		} else {
			buf_put(b, s, 1);
		}
	}
	buf_put(b, "\"", 1);
}

static inline void json_key(struct buf *b, const char *key)
{
	json_text(b, key);
	buf_put(b, ":", 1);
}

static inline void json_int(struct buf *b, int64_t v)
{
	char s[24];

	json_sep(b);
	snprintf(s, sizeof(s), "%lld", (long long)v);
	buf_text(b, s);
}

/* The shortest of 15 or 17 digits that reads back the same. */
static inline void json_double(struct buf *b, double v)
{
	char s[32];

	json_sep(b);
	if (!isfinite(v)) {
		buf_text(b, "null");
		return;
	}
	snprintf(s, sizeof(s), "%.15g", v);
	if (strtod(s, NULL) != v)
		snprintf(s, sizeof(s), "%.17g", v);
	buf_text(b, s);
}

static inline void json_bool(struct buf *b, bool v)
{
	json_sep(b);
	buf_text(b, v ? "true" : "false");
}

static inline void json_key_int(struct buf *b, const char *key, int64_t v)
{
	json_key(b, key);
	json_int(b, v);
}

static inline void json_key_double(struct buf *b, const char *key, double v)
{
	json_key(b, key);
	json_double(b, v);
}

static inline void json_key_text(struct buf *b, const char *key, const char *v)
{
	json_key(b, key);
	json_text(b, v);
}

#endif
