/*
 * Bytes on their way to a profile_out, in large writes; JSON and protobuf into them.
 *
 * Invariants
 *  - After the first error nothing is written any more; emit_end() tells it.
 *  - JSON is safe within <script>: neither '<' nor a line separator stands in it; what is no UTF-8 becomes U+FFFD.
 */
#ifndef STROBE_EXPORT_EMIT_H
#define STROBE_EXPORT_EMIT_H

#include "export/profile.h"
#include "store/out.h"

enum { EMIT_BYTES = 32 << 10 };

struct emit {
	const struct profile_out *out;
	int error;
	char last; /* byte written, by which JSON knows whether a comma is due */
	size_t len;
	uint8_t buf[EMIT_BYTES];
};

struct emit *emit_begin(const struct profile_out *); /* NULL: no memory */
int emit_end(struct emit *);			     /* frees it; 0 or the first error */
void emit_fail(struct emit *, int r);

void emit_bytes(struct emit *, const void *data, size_t len);
void emit_text(struct emit *, const char *);
void emit_format(struct emit *, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- JSON; commas come by themselves ---- */

void emit_open(struct emit *, char bracket);
void emit_close(struct emit *, char bracket);
void emit_string(struct emit *, const char *);
void emit_key(struct emit *, const char *);
void emit_int(struct emit *, int64_t);
void emit_null(struct emit *);
void emit_bool(struct emit *, bool);
/* us as milliseconds, or as seconds: "1234.567" */
void emit_thousandths(struct emit *, int64_t);
void emit_millionths(struct emit *, int64_t);
void emit_key_string(struct emit *, const char *key, const char *);
void emit_key_int(struct emit *, const char *key, int64_t);

/* Text of XML, of at most so many bytes, whole characters; what may not stand there becomes U+FFFD. */
void emit_xml(struct emit *, const char *, size_t max);

/* ---- protobuf, into a row of bytes ---- */

void pb_uint(struct out *, uint32_t field, uint64_t); /* 0 is not written */
void pb_int(struct out *, uint32_t field, int64_t);
void pb_bytes(struct out *, uint32_t field, const void *, size_t len);
void pb_text(struct out *, uint32_t field, const char *); /* also "" */

#endif
