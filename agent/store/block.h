/*
 * A sealed block: what the log said between two points, turned into columns. Self-contained but for
 * the catalog, which it names by checksum. Immutable: memory, a ring on disk and capture files hold
 * the same bytes.
 *
 * Invariants
 *  - Lossless: every read of every group, its time to the microsecond, every value, absence, start
 *    and end of an instance. Of attributes the last value in the block is kept. (A read that the
 *    log says lies before the one before it is put at that one's time.)
 *  - A reader touches only the pages of what it asks for; each page has a crc32c and may be
 *    compressed. Damage is -EBADMSG for what lies in that page, never a wrong value.
 *  - A block tells rates on its own: it holds the time and the values of the read before its first.
 */
/* clang-format off */
/*
 * The format. The encoder, the decoder and the slow decoder of the tests are written from this.
 *
 * u8, u16, u32, u64 are little endian; v is a LEB128 varint, z a zigzag varint, w is v of zigzag + 1
 * (modulo 2^64, so that VALUE_ABSENT is 0); a string ends with a byte 0 and contains none. Arithmetic on
 * values is modulo 2^64. What is not used is 0. VALUE_ABSENT is a value like any other where nothing else
 * is said.
 *
 *  BLOCK     HEAD, DIRECTORY, the META pages, the VALUE pages; nothing between or after them.
 *  HEAD      u32 "SBK1", u16 version (1), u16 0, u32 bytes of the block, u32 bytes of the directory as
 *            stored, u32 as it is plain (0: it is stored plain), u32 crc32c of it as stored, u32
 *            catalog_crc, u32 n_groups, u64 first_seq, last_seq, from_us, to_us, real_off_us, n_samples,
 *            16 B log_id, 40 B boot_id, u32 bucket_us, u32 crc32c of what stands before it in HEAD
 *  DIRECTORY per group: v group number - the one before - 1 (the first: the number), v n_metrics, v
 *            n_attrs, v period_ms, v n_reads, v n_instances, v how many of them have cells, v bytes of its
 *            GROUP, v bytes of its ATTRS; then v n_ticks, v bytes of TICKS, v bytes of FRAMES, v META pages, v VALUE pages; then per
 *            page (META first): v bytes as stored, v bytes as plain (0: it is stored plain), of a VALUE
 *            page v cells; u32 crc32c of it as stored.
 *  page      at most 16384 bytes plain; compressed ones (and the directory) are zstd frames
 *
 * META is one row of bytes: TICKS, then GROUP of each group, then ATTRS of each group, then FRAMES; its
 * pages are 16384 bytes each, the last one has the rest.
 *
 *  TICKS     nothing when n_ticks is 0; else v t[0], v step, COLUMN of t[i] - t[0] - i * step: times
 *  GROUP     v time from the read before the block's first to it (0: no rate can be told), COLUMN of n_reads
 *            numbers, the first the tick of the first read, each further the tick - that of the read before;
 *            COLUMN of n_reads: time of the read - t of its tick; v n, n x v: reads but the first, across
 *            which no rate can be told though they are later than the one before: number - the one before -
 *            1 (before the first: 0); then the instances by slot, then by generation:
 *              v (slot - slot before) << 3 | flags (the first: slot), v gen, [ID: v id], [STARTED: v first read],
 *              [ENDED: v number of reads], string name
 *            flags: 1 STARTED in this block (else it was there before), 2 ENDED in this block (else it was
 *            there to the last read), 4 ID (else it is 0)
 *  ATTRS     per instance that has any: v number - the one before - 1 (before the first: -1), u8 bits (of
 *            attributes that are set), strings
 *  FRAMES    EVENT and CLOCK frames: v seq - first_seq (then: - the one before), v length, payload
 *  COLUMN    one ITEM of one cell
 *
 * A cell is one metric of one instance: a row of len values. Of an instance that was there before the block
 * the first is that of the read before (the base), then those of its n reads, so len is n + 1; of one that
 * STARTED len is n. Instances whose n is 0 have no cells. Cells stand in order of group, instance, metric.
 * VALUE pages are rows of ITEMs; one ITEM is in one page.
 *
 *  ITEM      u8 kind | count - 1 << 2: the next `count` cells
 *              kind 0 ZERO    all values are 0
 *              kind 1 CONST   count x w: all values of the cell
 *              kind 2 ABSENT  all values are absent
 *            or kind 3 CODED: u8 3 | codec << 2 | flags << 5, v length, and in that length (but for MATRIX) w the
 *              first value, [v length of a summary, it], and what the codec says up to its end
 *            flags: 1 it has a summary of its values, 2 it has one of its rates, 0 none
 *  codec 0 CHANGES: u8 p = b | unsigned << 3 | scale << 4, [scale: v scale], then changes up
 *            to the end. A change is u8 {bits 0 to b-1: low bits of the code, bits b to 6: gap, or all ones: v
 *            gap - that follows, bit 7: v code >> b follows (after the gap)}. gap: values between it and the
 *            change before (value 0) that stay the same. The value differs from the one before by scale (1)
 *            times code + 1 (unsigned), or the zigzag of it. b is 0..6.
 *  codec 1 CHANGES WITH ABSENCES: the same, but code 0 means: becomes absent when the value before was not,
 *            becomes 0 when it was; else the difference is scale times code (or the zigzag of it), to an
 *            absent value as to 0.
 *  codec 2 MATRIX: of all cells of an instance, which its first stands for. u8 b, then changes as in codec
 *            1 (no scale, zigzag) up to the end, over all values of the first cell, then all of the second,
 *            ...; before the first value of each cell stands 0, and the gap before the first change counts
 *            from the very first value.
 *  codec 3 RAW, 4 DELTA, 5 DELTA OF DELTA: v scale, then of the values but the first in runs
 *            of 128 (the last has the rest): z reference, u8 width (0..56), u8 n, n x (u8 number in the run, v
 *            high), ceil(count * width / 8) bytes: `width` bits of each, low bits first, and 0s. Residual = reference
 *            + bits (+ high << width). Residuals r[1..len-1]; value[i] = value[0] + scale * x[i], where x[i] is
 *            r[i] (RAW), x[i-1] + r[i] (DELTA), or x[i-1] + d[i] with d[i] = d[i-1] + r[i] (x[0] = d[0] = 0).
 *
 * A summary is of a cell without absent values. Per 128 reads of the group (the last: the rest) among
 * which the instance has reads, or rates:
 *  of values z first - (last of the 128 before; at first: the cell's first value), v first - smallest, v largest -
 *            first, z last - first, z sum of (value - first)
 *  of rates  v step of the first, v of the last, u8 number among the 128 of the smallest, v its step, u8 of the
 *            largest, v its step, v sum of the rates. A rate is rate_of(step, time) of rate.h. None is of the
 *            first read of an instance that STARTED, and of a read without time; no other step is negative.
 *
 * A rollup (bucket_us is not 0) is a block whose reads are buckets of that length. Its ticks are their
 * beginnings, multiples of bucket_us; where a GROUP has times of reads against their ticks, it has how many reads
 * lie in each bucket. Instances have no base, and STARTED only says that they are not in the group's first bucket.
 * An instance has two cells of its own and six for each of m metrics, so n_metrics is 2 + 6 * m: how many of the
 * bucket's reads cannot give a value (it was not there), and a rate (nor had the read a time, or one before it);
 * then of all metrics how many of the rest give none, of all the first value, then first - smallest, largest - first,
 * last - first, sum - number of values * first (the sum cut to 63 bits). Of counters, instead: how many of the rest
 * give no rate, codes of the first rate, the smallest, the largest, the last (of 8 bits), and code of the mean (10
 * bits) - code of what is read for the largest / number of rates (10 bits, a quotient of integers). Code of r with b
 * bits: (e << b) + (r >> e) with the least e that makes r >> e < 2 << b; it is read as the middle of what has that
 * code. Where there is no value, these five are those of the bucket before.
 */
/* clang-format on */
#ifndef STROBE_STORE_BLOCK_H
#define STROBE_STORE_BLOCK_H

#include "store/log.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	BLOCK_READS = 512, /* reads of the most often read group in a block, at most */
	BLOCK_MINI = 128,  /* reads a summary stands for */
	BLOCK_MINIS_MAX = (BLOCK_READS + BLOCK_MINI - 1) / BLOCK_MINI
};

struct block_head {
	uint8_t log_id[LOG_ID_LEN];
	char boot_id[40];
	uint64_t first_seq, last_seq; /* frames of that log the block stands for */
	uint64_t from_us, to_us;      /* CLOCK_MONOTONIC of that boot: first and last read held */
	int64_t real_off_us;	      /* wall clock - CLOCK_MONOTONIC, in force at to_us */
	uint32_t catalog_crc;	      /* crc32c of the CATALOG frame's payload */
	uint32_t n_groups;	      /* that have reads in it: their numbers may be larger */
	uint32_t bucket_us; /* 0; else it is a rollup and its reads are buckets of this length
			       (rollup.h reads them) */
	uint64_t n_samples; /* metrics * reads of all instances, absent values included: they are
			       told apart from all others, but no export prints them */
};

/* The head of `len` bytes that begin with a block. 0, -EBADMSG, -EPROTONOSUPPORT (a newer format). */
int block_head_read(const uint8_t *data, size_t len, struct block_head *ret);

struct block_instance {
	uint32_t slot, gen;
	uint64_t id;
	const char *name;
	const char *const *attrs; /* of the group's n_attrs, NULL where unset; NULL: it has none,
				     or block_attrs() was not asked yet */
	uint32_t first, n;	  /* it was there in reads [first, first + n) of the group */
	bool started, ended;	  /* in this block */
};
struct block_group {
	uint32_t group, n_metrics, n_attrs, period_ms; /* the period at the end of the block */
	uint32_t n_reads;
	const uint64_t *at_us; /* n_reads, never falling: when each was acquired */
	const uint64_t *dt_us; /* n_reads: since the read before, 0 where no rate may be told */
	uint32_t n_instances;
	const struct block_instance *instances; /* by slot, then by generation */
};

/* The same block with its pages compressed, malloc'ed into *ret: for blocks that are seldom looked at
 * and for disk. What is gained is some 20 %; reading a page then costs some 20 us more. 0, -EBADMSG,
 * -ENOMEM. */
int block_compress(const uint8_t *data, size_t len, uint8_t **ret, size_t *ret_len);

struct block; /* an opened block: one thread at a time */

/* `data` outlives it. Verifies the head and the directory. 0, -EBADMSG, -EPROTONOSUPPORT, -ENOMEM. */
int block_open(struct block **ret, const uint8_t *data, size_t len);
void block_close(struct block *); /* NULL is fine */
/* The same for a reader of many blocks, one after the other: keeps what compressed pages need from one
 * to the next, which costs as much to make as a page to read (zstd asks the CPU what it can, and that
 * is slow in a virtual machine). Zeroed at first; it belongs to the block until that is closed. */
struct block_tools {
	void *zstd;
	_Atomic uint64_t
		*checked; /* which pages of this data (bit i: page i) were found sound already
				    * and need no second look; NULL: nobody remembers */
};
int block_open_with(struct block **ret, const uint8_t *data, size_t len, struct block_tools *);
void block_tools_done(struct block_tools *);
const struct block_head *block_head(const struct block *);

/* The times and instances of a group; *ret is NULL when nothing was read of it. Kept until
 * block_close(). 0, -EBADMSG, -ENOMEM. */
int block_group(struct block *, uint32_t group, const struct block_group **ret);

/* Sets `attrs` of all instances of the group. 0, -EBADMSG, -ENOMEM. */
int block_attrs(struct block *, const struct block_group *);

/* All values of one metric of instance `i` of the group: instances[i].n of them into `values`
 * (VALUE_ABSENT where it could not be read), and the value of the read before the first into *base
 * (VALUE_ABSENT: it was not there). 0, -EBADMSG, -ENOMEM. */
int block_values(struct block *, const struct block_group *, uint32_t i, uint32_t metric,
		 int64_t *base, int64_t *values);

/* The same told by changes, where that is cheaper: `first` is the value of the read before when
 * has_base, else of the instance's first read; from value at[k] on (the first is number 0) it is
 * to[k]. 0; 1: there are more than BLOCK_CHANGES_MAX: block_values() is to be asked; -EBADMSG,
 * -ENOMEM. */
enum { BLOCK_CHANGES_MAX = 128 };
struct block_changes {
	bool has_base;
	uint32_t n;
	int64_t first, to[BLOCK_CHANGES_MAX];
	uint16_t at[BLOCK_CHANGES_MAX];
};
int block_changes(struct block *, const struct block_group *, uint32_t i, uint32_t metric,
		  struct block_changes *ret);

/* Reads [k * BLOCK_MINI, (k + 1) * BLOCK_MINI) of the group, of one metric of one instance: of a
 * counter's rates (rate.h, thousandths a second; `of_rates`), else of its values. What
 * block_values() would give, without decoding it. */
struct block_mini {
	uint32_t n; /* values, or rates, in it; 0: the rest means nothing */
	int64_t first, min, max, last;
	double sum;
};
/* Fills minis[0 .. ceil(n_reads / BLOCK_MINI)). 0, -EBADMSG, -ENOMEM. */
int block_minis(struct block *, const struct block_group *, uint32_t i, uint32_t metric,
		bool of_rates, struct block_mini minis[BLOCK_MINIS_MAX]);

/* EVENT and CLOCK frames of the block, oldest first: `each` gets their payloads as the log had them.
 * Stops at the first result that is not 0 and returns it. -EBADMSG. */
int block_frames(struct block *, int (*each)(void *arg, const struct frame *), void *arg);

#endif
