/* What the files of the held profiles share. Nobody else includes this. */
#ifndef STROBE_PROFILE_PROFILES_INTERNAL_H
#define STROBE_PROFILE_PROFILES_INTERNAL_H

#include "profile/profiles.h"
#include "store/out.h"

#include <pthread.h>
#include <stdatomic.h>

/* Two epochs wait at most; after a kill the open one is found beside them. */
enum {
	WAIT_MAX = 2,
	PENDING_MAX = 3,
	LOG_FILES = PENDING_MAX + 1,
	BOOT_LEN = 40,
	BATCH_MAX = 32 << 20
};

/* ---- profiles_log.c: what was added since an epoch began, outside of this process ---- */

struct crash_log {
	int dir_fd, fd; /* -1: none, or failed until the next epoch */
	uint64_t len;	/* of what is whole */
	struct out buf;
	uint32_t *names, cap_names; /* of the frames that are in it, as it has them */
	uint32_t n_strings, n_modules, n_frames, n_nodes, n_tasks, n_samples, n_notes;
	int64_t at_us; /* of the last sample */
	int64_t to_us; /* of the epoch, as it was written last */
	bool renamed;  /* names may have been given to frames that are in it */
};

/* ---- profiles_copy.c: the same on a disk, a little later ---- */

struct log_copy {
	int dir_fd, fd;	 /* -1: none */
	uint64_t number; /* of the epoch that is in it; 0: an earlier agent's */
	uint64_t len;
	uint64_t next_us;
	int error; /* of the last time */
};

enum { BATCH_HEAD = 8, FILE_MAX = 256 << 20, ALONE_US = 1000000 };
/* Where a frame's places follow: of its bits (above EPOCH_MISSED), and of those with its new name. */
enum { LOG_PLACES = 16, LOG_NAME_PLACES = 2 };

enum batch_count {
	BATCH_STRINGS,
	BATCH_MODULES,
	BATCH_FRAMES,
	BATCH_NODES,
	BATCH_TASKS,
	BATCH_SAMPLES,
	BATCH_NOTES,
	BATCH_RENAMED,
	N_BATCH
};

void crash_log_name(unsigned file, char name[32]);
void crash_log_open(struct crash_log *, const char *dir); /* NULL: none */
void crash_log_close(struct crash_log *);
/* File 0 is the open epoch's; others are of epochs that wait. Of an earlier agent: 0, -ENOENT, -EBADMSG
 * (nothing of it can be read), -errno. */
int crash_log_load(struct crash_log *, unsigned file, struct stacks **ret, bool *damaged);
/* What is whole of a file; *damaged: set where more of it should be. As crash_log_load(). */
int crash_log_read(int fd, struct stacks **ret, bool *damaged);
void crash_log_begin(struct crash_log *, const struct stacks *); /* file 0 anew */
void crash_log_add(struct crash_log *, const struct stacks *);	 /* what is new in it */
/* Of another boot: what only that boot could name keeps no name. */
void profiles_forbid_names(struct stacks *);
/* File 0 becomes that one. */
void crash_log_set_aside(struct crash_log *, unsigned file);
void crash_log_remove(struct crash_log *, unsigned file);

/* ---- profiles_held.c: sealed epochs ---- */

/* What a reader made of an epoch, see profiles.h. */
struct memo {
	struct memo *next;
	void *made, (*release)(void *);
	size_t bytes, key_len;
	int64_t shift_us; /* that the epoch had */
	uint64_t used;	  /* as of struct held */
	uint8_t key[];
};
struct held {
	struct epoch_head head;
	uint64_t id; /* rises with the order in which they came */
	uint32_t boot;
	uint8_t *data; /* NULL: in a file, or only on disk */
	uint32_t len;
	uint64_t kept;		 /* number of its file (profiles_keep.c); 0: none */
	struct ring_entry entry; /* seq 0: not on disk */
	struct stacks *decoded;	 /* NULL: not cached */
	int64_t decoded_shift_us;
	struct memo *memos;
	uint64_t used;	 /* when it was looked at last, as a count */
	unsigned refs;	 /* by readers; goes only at 0 */
	uint64_t number; /* that it had before it was sealed; 0: none */
	bool damaged, gone;
	bool unwritten; /* to be tried again */
};
struct boot {
	char id[BOOT_LEN];
	int64_t first_us, last_us, real_off_us; /* of the newest epoch */
	int64_t shift_us;
};
struct shelf {
	int dir_fd;	    /* where files are kept, the crash log's; -1: nowhere */
	uint64_t next_kept; /* the highest number of a file */
	struct held **v;    /* in order of time */
	size_t n, cap;
	struct boot *boots; /* in order of appearance */
	size_t n_boots;
	uint64_t next_id, uses;
	uint64_t
		pass; /* uses when the reading that is under way began: what it has used since stays */
	uint64_t bytes, decoded_bytes, disk_bytes; /* decoded: and memos */
	uint64_t samples, sample_bytes, damaged;
};

struct pending {
	struct stacks *stacks; /* NULL: none */
	unsigned file;	       /* of the crash log; 0: none */
	uint64_t number;
};

struct profiles {
	struct profiles_config c;
	char boot_id[BOOT_LEN];

	pthread_mutex_t open_lock; /* over the open epoch and its log */
	struct stacks *open;
	struct crash_log log;
	struct log_copy copy; /* of the background thread */
	uint32_t hz;

	pthread_mutex_t pending_lock; /* over what waits; held while it is named */
	struct pending pending[PENDING_MAX];
	_Atomic unsigned n_pending;
	uint64_t open_number; /* of the open epoch: rises; changed with both locks held */

	pthread_mutex_t lock; /* over what follows; held for moments */
	struct shelf shelf;
	int64_t real_off_us; /* now */
	int64_t open_from_us;
	uint64_t open_bytes, pending_bytes, dropped;
	int error;

	pthread_mutex_t read_lock;  /* one profiles_each() at a time */
	_Atomic int64_t watched_us; /* when the newest was asked for last; 0: never */
};

static inline uint64_t quarter(const struct profiles *p)
{
	return p->c.memory_bytes / 4;
}

/* profiles.c: the open epoch waits to be sealed from here on, and another begins. With the open lock held. */
void open_epoch_end(struct profiles *);

/* All with p->lock held, but shelf_read(). */
void shelf_done(struct shelf *);
void shelf_place_boots(struct profiles *);
/* Takes data over when it returns 0. entry: where it is on disk, NULL: nowhere. *ret, if asked for, with a
 * reference. 0 or -ENOMEM. */
int shelf_add(struct profiles *, const struct epoch_head *, uint8_t *data, uint32_t len,
	      const struct ring_entry *entry, struct held **ret);
void shelf_shrink(struct profiles *); /* to what memory_bytes allows */
void shelf_evicted(struct profiles *,
		   uint64_t seq); /* records before that one are not on disk any more */
/* The first after `after` (NULL: of all) that overlaps [from_us, to_us), or with `reach` has a
 * stretch that does, and has no number up to `done`; with a reference. */
struct held *shelf_next(struct profiles *, const struct held *after, int64_t from_us, int64_t to_us,
			bool reach, uint64_t done);
void shelf_release(struct profiles *, struct held *);
int64_t shelf_oldest_us(struct profiles *);
/* As profiles_next_us(), of the shelf alone. */
int64_t shelf_next_us(const struct profiles *, int64_t from_us, int64_t to_us);
/* Its stacks on the timeline: p->lock not held, a reference is. They are the held's if *cached, which they may become if
 * `keep`, else to be freed. 0, -EBADMSG, -ENOMEM, -errno. */
int shelf_read(struct profiles *, struct held *, bool keep, struct stacks **ret, bool *cached);

/* Room for so many bytes more of what can be made again, by dropping such of it as this pass has not used. Not always
 * there is. */
bool shelf_make_room(struct profiles *, size_t bytes);
int64_t shelf_shift(const struct profiles *, const struct held *);

/* ---- profiles_memo.c, with p->lock held ---- */

struct memo *memo_find(const struct held *, const struct profiles_memo *, int64_t shift_us);
/* Takes `made` over in any case: it is kept if there is room. */
void memo_keep(struct profiles *, struct held *, const struct profiles_memo *, void *made,
	       size_t bytes, int64_t shift_us);
void memos_drop(struct shelf *, struct held *);
bool memos_drop_oldest(struct shelf *); /* false: there was none that could go */

/* Is there one of that boot that begins then? */
bool shelf_has(const struct profiles *, const char *boot_id, int64_t from_us);

void log_copy_open(struct log_copy *, const char *dir); /* NULL: none */
void log_copy_close(struct log_copy *);
int log_copy_load(struct log_copy *, struct stacks **ret, bool *damaged); /* as crash_log_load() */
int log_copy_step(struct profiles *); /* when it is time. 0 or -errno */
void log_copy_remove(struct log_copy *);

/* ---- profiles_keep.c ---- */

/* 0 and the number of the file; -ENOENT: there is no folder; -errno. The background thread's. */
int keep_write(struct shelf *, const uint8_t *data, size_t len, uint64_t *number);
int keep_read(const struct shelf *, uint64_t number, uint8_t *data,
	      size_t len); /* 0, -EBADMSG, -errno */
void keep_remove(const struct shelf *, uint64_t number);
int keep_take_all(struct profiles *); /* what an earlier agent kept; when opening. 0, -ENOMEM */

/* ---- profiles_ring.c ---- */

int ring_take_all(struct profiles *); /* what the ring has; when opening */
int ring_put(struct profiles *, struct held *);

#endif
