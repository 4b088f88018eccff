/*
 * What the files of the ring share: the layout of its file, the object, and the way in for tests
 * that put another device underneath. Nobody else includes this.
 */
#ifndef STROBE_STORE_RING_INTERNAL_H
#define STROBE_STORE_RING_INTERNAL_H

#include "store/ring.h"

#include "base/crc32c.h"
#include "store/ring_io.h"

#include <pthread.h>

enum {
	RING_VERSION = 1,
	RING_UNIT = 4096,
	RING_PAGE = 16384,
	RING_SUPER_SIZE = 512,
	RING_JOURNAL_AT = 2 * RING_UNIT,
	RING_JOURNAL_MAX = 8 << 20,
	RING_SMALLEST = 32 << 10, /* what the format can do; users get RING_SIZE_MIN */
	RING_SUPER_US = 60000000, /* the superblock's hints are at most so old */
	RING_BOOT_LEN = 40,
	RING_PENDING = 255 /* type of a header whose record is being written */
};

#define RING_RECORD_MAGIC 0x63657272u /* "rrec" */
#define RING_SEQ_MAX (UINT64_MAX >> 1)

struct ring_super {
	char magic[8];
	uint32_t version, crc;
	uint64_t generation;
	uint8_t id[16];
	uint64_t size, journal_at, journal_size, records_at, records_size;
	uint64_t next_seq, oldest_seq, journal_tail, journal_head, laps, pid;
	uint8_t reserved[RING_SUPER_SIZE - 128];
};

struct ring_record {
	uint32_t magic, crc;
	uint64_t seq, oldest_seq; /* the oldest held once this one is written */
	uint64_t journal_tail;	  /* in force with this record */
	uint32_t type, len, table_crc, catalog_crc;
	uint8_t log_id[LOG_ID_LEN];
	char boot_id[RING_BOOT_LEN];
	uint64_t first_seq, last_seq, from_us, to_us;
	int64_t real_off_us;
	uint64_t n_samples;
	uint32_t n_groups, bucket_us;
	uint8_t reserved[32];
};

struct ring_frame {
	uint32_t len, crc; /* crc of what follows, seeded with len */
	uint64_t at, seq;
	uint8_t log_id[LOG_ID_LEN];
};

_Static_assert(sizeof(struct ring_super) == RING_SUPER_SIZE, "one sector");
_Static_assert(sizeof(struct ring_record) == 192, "as ring.h says");
_Static_assert(sizeof(struct ring_frame) == 40, "as ring.h says");

/* The directory's note of one record. */
struct ring_slot {
	uint64_t seq;
	uint32_t unit, len; /* the record begins at records_at + unit * RING_UNIT */
	uint8_t type;
	bool damaged;	/* found by ring_read(): not offered any more */
	uint16_t ident; /* of idents[] */
	uint32_t catalog_crc, n_groups, bucket_us;
	uint64_t first_seq, last_seq, from_us, to_us, n_samples;
	int64_t real_off_us;
};
struct ring_ident {
	uint8_t log_id[LOG_ID_LEN];
	char boot_id[RING_BOOT_LEN];
};
struct ring_catalog { /* of the catalogs held or named */
	uint32_t crc, n_copies, n_named;
	uint64_t newest_seq;
};
/* A stretch of the journal that begins with a CATALOG, or with the first frame of a log. */
struct ring_mark {
	uint64_t at, last_seq, sealed_seq; /* UINT64_MAX: forgotten */
	uint8_t log_id[LOG_ID_LEN];
};

struct ring {
	struct ring_io io;
	bool read_only;
	bool unordered; /* being filled before it gets its name: nothing need be durable yet */
	uint32_t seed;
	struct ring_super super; /* as last written or found */
	uint64_t super_us;
	bool super_due;

	pthread_mutex_t lock; /* over all down to the blank line; the writer alone changes them */
	struct ring_slot *slots; /* a ring of cap_slots, oldest at first_slot */
	uint32_t cap_slots, first_slot, n_slots;
	struct ring_ident *idents;
	uint32_t n_idents;
	struct ring_stats stats;

	struct ring_catalog *catalogs;
	uint32_t n_catalogs, cap_catalogs;
	uint64_t head, next_seq;	    /* where the next record goes, in the area; its seq */
	uint64_t spoiled;		    /* where a failed one may stand, + 1; 0: nowhere */
	uint64_t unsynced_at, unsynced_len; /* of the record that is not durable yet; len 0: none */
	bool dirty, sync_failed, deleted;

	struct ring_mark *marks;
	uint32_t n_marks, cap_marks;
	uint64_t journal_tail, durable_tail, journal_head, synced_head, found_head;
	uint8_t sealed_log[LOG_ID_LEN]; /* of the newest block, and its last frame */
	uint64_t sealed_seq;
	uint8_t *frame_buf;
	size_t cap_frame;
};

static inline uint64_t ring_record_lead(uint32_t len) /* bytes before its payload */
{
	return sizeof(struct ring_record) + ((uint64_t)len + RING_PAGE - 1) / RING_PAGE * 4;
}
static inline uint64_t ring_record_size(uint32_t len)
{
	return (ring_record_lead(len) + len + RING_UNIT - 1) / RING_UNIT * RING_UNIT;
}
static inline uint64_t ring_frame_size(size_t len)
{
	return sizeof(struct ring_frame) + ((len + 7) & ~(size_t)7);
}
static inline bool ring_wants_catalog(uint8_t type)
{
	return type == RING_BLOCK || type == RING_ROLLUP;
}
static inline struct ring_slot *ring_slot(const struct ring *r, uint32_t i) /* 0: the oldest */
{
	return &r->slots[(r->first_slot + i) & (r->cap_slots - 1)];
}

/* ---- ring_core.c ---- */

/* Writes both superblocks of a new ring of `size` bytes that reads as zeros. 0 or -errno. */
int ring_format(const struct ring_io *, uint64_t size);
/* Opens what is on the device; takes `io` over when it returns 0 (else the caller closes it). As
 * ring_open(). */
int ring_open_io(struct ring **ret, const struct ring_io *io, bool read_only, char *err,
		 size_t err_len);
/* The superblock in force: 0, -EBADMSG (no ring), -EPROTONOSUPPORT, -errno. */
int ring_super_read(const struct ring_io *, struct ring_super *ret);
int ring_super_write(struct ring *); /* with what holds now; not durable before a sync */
/* Syncs, and takes note of what is durable by that. 0, -errno; -ENOENT is durable as well. */
int ring_flush(struct ring *);
void ring_failed(struct ring *, int error); /* for stats.error; 0: all is fine */
int ring_write(struct ring *, const void *from, size_t len, uint64_t at);

/* ---- ring_record.c ---- */

uint32_t ring_record_crc(const struct ring *, const struct ring_record *, uint64_t at);
/* The header at `at` of the area: 1; 0: none there; -errno. */
int ring_record_read(const struct ring *, uint64_t at, struct ring_record *ret);
/* Verifies a record's table and pages while reading its payload into `to`. 0, -EBADMSG, -errno. */
int ring_record_payload(const struct ring *, uint64_t at, const struct ring_record *, void *to);
/* Writes a header of type RING_PENDING over what stands at `at`. */
int ring_record_spoil(struct ring *, uint64_t at);
/* ring_append() when the head is known. */
int ring_append_head(struct ring *, enum ring_type, const struct block_head *, const void *data,
		     size_t len);

/* ---- ring_dir.c: the directory ---- */

/* Adds the newest; under the lock once others can see the ring. 0 or -ENOMEM. */
int ring_dir_push(struct ring *, const struct ring_record *, uint64_t at);
int ring_dir_reserve(struct ring *); /* so that the next push cannot fail, but for a new ident */
int ring_dir_ident(struct ring *, const uint8_t *log_id, const char *boot_id); /* or -ENOMEM */
void ring_dir_pop_oldest(struct ring *);
/* Fills the table of catalogs and stats from the slots. 0 or -ENOMEM. */
int ring_dir_count(struct ring *);
const struct ring_slot *ring_dir_find(const struct ring *, uint64_t seq); /* NULL: not held */
struct ring_catalog *ring_dir_catalog(struct ring *, uint32_t crc);	  /* NULL: unknown */
void ring_dir_entry(const struct ring *, const struct ring_slot *, struct ring_entry *ret);

/* ---- ring_recover.c ---- */

int ring_recover(struct ring *); /* 0 or -errno; what is damaged is counted in stats.damaged */

/* ---- ring_journal.c ---- */

int ring_journal_recover(struct ring *); /* after ring_recover(); 0 or -errno */
/* The tail once a block of that log with that last frame is held. */
uint64_t ring_journal_tail_after(const struct ring *, const uint8_t *log_id, uint64_t last_seq);
void ring_journal_sealed(struct ring *, const uint8_t *log_id, uint64_t last_seq);

#endif
