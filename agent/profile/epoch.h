/*
 * The stored form of a set of stacks (stacks.h): an epoch, the unit of the disk ring's profile records
 * and of a capture's PROFILE sections. Self-contained: all names are in it.
 *
 * (The format, byte by byte, stands here and is written by its implementation.)
 * The first 16 bytes are always: i64 from_us, i64 to_us of its own boot's CLOCK_MONOTONIC, little endian.
 */
#ifndef STROBE_PROFILE_EPOCH_H
#define STROBE_PROFILE_EPOCH_H

#include "profile/stacks.h"

enum { EPOCH_BYTES_MAX = 16 << 20, EPOCH_PLAIN_MAX = 64 << 20 };

struct epoch_head {
	int64_t from_us, to_us, real_off_us;
	char boot_id[40];
	uint32_t n_samples, hz;
};

/* *ret to free(). 0; -ENOMEM; -EMSGSIZE: larger than EPOCH_BYTES_MAX. */
int epoch_encode(const struct stacks *, uint8_t **ret, size_t *len);
/* 0; -EBADMSG: damaged; -EPROTONOSUPPORT: of a later version. */
int epoch_head(const uint8_t *data, size_t len, struct epoch_head *ret);
/* The same; -ENOMEM. Every index of the result is in range. */
int epoch_decode(const uint8_t *data, size_t len, struct stacks **ret);

#endif
