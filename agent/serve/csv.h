/* Fields of CSV (RFC 4180). */
#ifndef STROBE_SERVE_CSV_H
#define STROBE_SERVE_CSV_H

#include "serve/buf.h"

/* In quotes where it needs them. */
static inline void csv_text(struct buf *b, const char *s)
{
	if (!s[strcspn(s, ",\"\r\n")]) {
		buf_text(b, s);
		return;
	}
	buf_text(b, "\"");
	for (; *s; s++) {
		if (*s == '"')
			buf_text(b, "\"");
		buf_put(b, s, 1);
	}
	buf_text(b, "\"");
}

#endif
