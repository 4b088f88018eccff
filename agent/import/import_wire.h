/* Protobuf messages read field by field; nothing reads past the end. */
#ifndef STROBE_IMPORT_IMPORT_WIRE_H
#define STROBE_IMPORT_IMPORT_WIRE_H

#include "base/varint.h"

#include <stddef.h>

struct wire {
	const uint8_t *p, *end;
	bool bad;
};

struct field {
	uint32_t number, type;
	uint64_t v;	  /* of type 0, 1, 5 */
	struct wire body; /* of type 2 */
};

static inline bool next_field(struct wire *w, struct field *f)
{
	uint64_t tag, len;

	if (w->bad || w->p == w->end)
		return false;
	w->bad = true;
	if (!varint_get(&w->p, w->end, &tag) || tag >> 3 == 0 || tag >> 3 > 1 << 29)
		return false;
	*f = (struct field){.number = (uint32_t)(tag >> 3), .type = tag & 7};
	switch (f->type) {
	case 0:
		w->bad = !varint_get(&w->p, w->end, &f->v);
		break;
	case 1:
	case 5:
		len = f->type == 1 ? 8 : 4;
		w->bad = (size_t)(w->end - w->p) < len;
		w->p += w->bad ? 0 : len;
		break;
	case 2:
		w->bad = !varint_get(&w->p, w->end, &len) || (size_t)(w->end - w->p) < len;
		if (!w->bad) {
			f->body = (struct wire){w->p, w->p + len, false};
			w->p += len;
		}
		break;
	default:
		break;
	}
	return !w->bad;
}

/* One value of a repeated field that may be packed. */
static inline bool next_value(struct field *f, uint64_t *ret)
{
	if (f->type == 0) {
		*ret = f->v;
		f->type = 7; /* once */
		return true;
	}
	return f->type == 2 && f->body.p < f->body.end && varint_get(&f->body.p, f->body.end, ret);
}

#endif
