/* What the two halves of the decoder of epochs share. Nobody else includes this. */
#ifndef STROBE_STACKS_EPOCH_UNPACK_H
#define STROBE_STACKS_EPOCH_UNPACK_H

#include "stacks/epoch_internal.h"

struct in {
	const uint8_t *p, *end;
	bool bad;
};

struct unpack {
	struct in in;
	uint32_t version;
	struct stacks *s;
	uint64_t n[N_COUNTS];
	uint32_t named;		       /* strings that were, "" among them */
	uint32_t *streams;	       /* ends of their parts of the samples */
	struct stacks_sample *samples; /* stream after stream */
};

static inline uint64_t get(struct in *in)
{
	uint64_t v = 0;

	if (!varint_get(&in->p, in->end, &v))
		in->bad = true;
	return v;
}

static inline int64_t get_signed(struct in *in)
{
	return zigzag_decode(get(in));
}

static inline uint8_t get_byte(struct in *in)
{
	if (in->p == in->end) {
		in->bad = true;
		return 0;
	}
	return *in->p++;
}

/* `before` moved by a signed one; bad and 0 where that is not below n. */
static inline uint32_t get_moved(struct in *in, uint32_t before, uint64_t n)
{
	uint64_t v = (uint64_t)before + (uint64_t)get_signed(in);

	if (v >= n) {
		in->bad = true;
		return 0;
	}
	return (uint32_t)v;
}

static inline int64_t get_time(struct in *in, int64_t before_us)
{
	uint64_t v = (uint64_t)before_us + (uint64_t)get_signed(in);

	if (v + EPOCH_TIME_MAX > 2 * (uint64_t)EPOCH_TIME_MAX) {
		in->bad = true;
		return 0;
	}
	return (int64_t)v;
}

static inline uint32_t get_u32(struct in *in, uint32_t before)
{
	return get_moved(in, before, (uint64_t)UINT32_MAX + 1);
}

/* Columns 8 to 10, when the others are read; u->streams and u->samples have room. 0, -EBADMSG,
 * -ENOMEM. */
int epoch_get_samples(struct unpack *);

#endif
