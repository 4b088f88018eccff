#include "store/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "store/log_internal.h"

enum { LOG_VERSION = 2, MIN_SEGMENTS = 4, MAX_SEGMENTS = 1 << 16 };

struct file_header {
	char magic[8];
	uint32_t version, segment_size, n_segments, crc;
	uint8_t id[LOG_ID_LEN];
	char boot_id[40];
};

static const char FILE_MAGIC[8] = "strobelg";

static uint32_t header_crc(struct file_header h)
{
	h.crc = 0;
	return crc32c(0, &h, sizeof(h));
}

/* ---- writing ---- */

void log_publish_oldest(struct log *l, uint32_t next)
{
	uint32_t oldest = NO_SEGMENT;

	for (uint32_t s = 0; s < l->n_segments; s++)
		if (s != next && l->epochs[s] &&
		    (oldest == NO_SEGMENT || l->epochs[s] < l->epochs[oldest]))
			oldest = s;
	if (oldest == NO_SEGMENT)
		return;
	atomic_store(&l->oldest, log_load(log_header(l, oldest, WORD_FIRST_SEQ)));
	atomic_store(&l->oldest_us, log_load(log_header(l, oldest, WORD_FIRST_US)));
}

/* An empty one is taken again; else a free one; else the oldest. */
static uint32_t pick_segment(const struct log *l)
{
	uint32_t best = NO_SEGMENT;

	if (l->current != NO_SEGMENT && !l->used[l->current])
		return l->current;
	for (uint32_t s = 0; s < l->n_segments; s++)
		if (s != l->current && (best == NO_SEGMENT || l->epochs[s] < l->epochs[best]))
			best = s;
	return best;
}

void log_next_segment(struct log *l, uint64_t first_mono_us)
{
	uint32_t s = pick_segment(l), before = l->current;

	log_publish_oldest(l, s);
	log_store(log_header(l, s, WORD_EPOCH), 0);
	FENCE(memory_order_release);
	l->epoch++;
	log_store(log_header(l, s, WORD_MAGIC), SEGMENT_MAGIC);
	log_store(log_header(l, s, WORD_FIRST_SEQ), l->next_seq);
	log_store(log_header(l, s, WORD_FIRST_US), first_mono_us);
	log_store(log_header(l, s, WORD_CRC),
		  log_segment_crc(l->epoch, l->next_seq, first_mono_us));
	log_store(log_word(l, s, SEGMENT_HEADER_SIZE), 0);
	atomic_store_explicit(log_header(l, s, WORD_EPOCH), l->epoch, memory_order_release);
	if (before != NO_SEGMENT && before != s)
		atomic_store_explicit(log_word(l, before, l->offset), SEGMENT_END,
				      memory_order_release);
	atomic_fetch_sub(&l->bytes_held, l->used[s]);
	l->used[s] = 0;
	l->epochs[s] = l->epoch;
	l->current = s;
	l->offset = SEGMENT_HEADER_SIZE;
	if (!atomic_load(&l->oldest))
		log_publish_oldest(l, NO_SEGMENT);
}

static void store_payload(_Atomic uint64_t *to, const uint8_t *from, size_t len)
{
	uint64_t v;

	for (; len >= 8; from += 8, len -= 8) {
		memcpy(&v, from, 8);
		log_store(to++, v);
	}
	if (len) {
		v = 0;
		memcpy(&v, from, len);
		log_store(to, v);
	}
}

int64_t log_append(struct log *l, const void *payload, size_t len)
{
	uint64_t seq = l->next_seq;
	size_t size = log_frame_size(len), at = l->offset;
	uint32_t crc;

	if (!len || len > LOG_FRAME_MAX)
		return -EMSGSIZE;
	if (l->current == NO_SEGMENT || !log_frame_fits(at, len))
		return -EAGAIN;
	crc = log_frame_crc(l->epoch, seq, payload, len);
	log_store(log_word(l, l->current, at + size), 0);
	store_payload(log_word(l, l->current, at + FRAME_HEADER_SIZE), payload, len);
	log_store(log_word(l, l->current, at + 8), seq);
	atomic_store_explicit(log_word(l, l->current, at), (uint64_t)len | (uint64_t)crc << 32,
			      memory_order_release);
	log_store(log_newest_word(l), seq);
	l->offset = at + size;
	l->used[l->current] += size;
	l->next_seq = seq + 1;
	atomic_store_explicit(&l->newest, seq, memory_order_release);
	atomic_fetch_add_explicit(&l->bytes_held, size, memory_order_relaxed);
	atomic_fetch_add_explicit(&l->bytes_total, size, memory_order_relaxed);
	return (int64_t)seq;
}

void log_wake(struct log *l)
{
	if (atomic_load_explicit(&l->watched, memory_order_relaxed))
		eventfd_write(l->event_fd, 1);
}

void log_skip(struct log *l)
{
	l->next_seq++;
}

bool log_segment_empty(const struct log *l)
{
	return l->current == NO_SEGMENT || !l->used[l->current];
}

size_t log_segment_room(const struct log *l)
{
	size_t left = LOG_SEGMENT_SIZE - l->offset;

	if (l->current == NO_SEGMENT || left < FRAME_HEADER_SIZE + SEGMENT_END_SIZE)
		return 0;
	return left - FRAME_HEADER_SIZE - SEGMENT_END_SIZE;
}

/* ---- for any thread ---- */

const uint8_t *log_id(const struct log *l)
{
	return l->id;
}

uint64_t log_newest(const struct log *l)
{
	return atomic_load_explicit(&l->newest, memory_order_acquire);
}

uint64_t log_oldest(const struct log *l)
{
	uint64_t newest = log_newest(l), oldest = atomic_load(&l->oldest);

	return newest && oldest <= log_newest(l) ? oldest : 0;
}

uint64_t log_oldest_us(const struct log *l)
{
	return log_oldest(l) ? atomic_load(&l->oldest_us) : 0;
}

uint64_t log_bytes_held(const struct log *l)
{
	return atomic_load(&l->bytes_held);
}

uint64_t log_bytes_total(const struct log *l)
{
	return atomic_load(&l->bytes_total);
}

uint64_t log_capacity(const struct log *l)
{
	return (uint64_t)l->n_segments * LOG_SEGMENT_SIZE;
}

bool log_is_persistent(const struct log *l)
{
	return l->persistent;
}

int log_eventfd(const struct log *l)
{
	return l->event_fd;
}

void log_watch(struct log *l, bool on)
{
	atomic_store(&l->watched, on);
}

/* ---- opening ---- */

int log_reset(struct log *l)
{
	struct file_header h = {.version = LOG_VERSION, .segment_size = LOG_SEGMENT_SIZE};

	for (uint32_t s = 0; s < l->n_segments; s++)
		log_store(log_header(l, s, WORD_EPOCH), 0);
	if (l->fixed_id)
		memcpy(l->id, l->fixed_id, sizeof(l->id));
	else if (getrandom(l->id, sizeof(l->id), 0) != (ssize_t)sizeof(l->id))
		return -EIO;
	memcpy(h.magic, FILE_MAGIC, sizeof(h.magic));
	memcpy(h.id, l->id, sizeof(h.id));
	memcpy(h.boot_id, l->boot_id, sizeof(h.boot_id));
	h.n_segments = l->n_segments;
	h.crc = header_crc(h);
	memcpy(l->map, &h, sizeof(h));
	log_store(log_newest_word(l), 0);
	memset(l->epochs, 0, l->n_segments * sizeof(*l->epochs));
	memset(l->used, 0, l->n_segments * sizeof(*l->used));
	l->current = NO_SEGMENT;
	l->next_seq = 1;
	atomic_store(&l->newest, 0);
	atomic_store(&l->oldest, 0);
	atomic_store(&l->oldest_us, 0);
	atomic_store(&l->bytes_held, 0);
	return 0;
}

/* Why the file cannot be continued, in words, or NULL; its log_id goes to l->id. */
static const char *refuse_file(struct log *l)
{
	struct file_header h;
	struct stat st;

	if (fstat(l->fd, &st) < 0 || st.st_size == 0)
		return "";
	if (pread(l->fd, &h, sizeof(h), 0) != (ssize_t)sizeof(h) ||
	    memcmp(h.magic, FILE_MAGIC, sizeof(h.magic)) != 0)
		return "it was not a log of strobe";
	if (h.version != LOG_VERSION)
		return "it was written by another version";
	if (h.crc != header_crc(h))
		return "its header was damaged";
	if (h.segment_size != LOG_SEGMENT_SIZE || h.n_segments != l->n_segments ||
	    (uint64_t)st.st_size != l->map_len)
		return "it had another size";
	if (strncmp(h.boot_id, l->boot_id, sizeof(h.boot_id)) != 0)
		return "it was of an earlier boot";
	memcpy(l->id, h.id, sizeof(l->id));
	return NULL;
}

static int lock_file(struct log *l, const struct log_config *c, char *err, size_t err_len)
{
	struct stat st;
	char path[4096];
	int r;

	snprintf(path, sizeof(path), "%s/log", c->dir);
	l->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (l->fd < 0 || fstat(l->fd, &st) < 0) {
		r = -errno;
		snprintf(err, err_len, "cannot open %s: %s", path, strerror(-r));
		return r;
	}
	if (!S_ISREG(st.st_mode) || st.st_uid != geteuid()) {
		snprintf(err, err_len, "%s is not a file of this user: remove it", path);
		return -EPERM;
	}
	if (flock(l->fd, LOCK_EX | LOCK_NB) < 0) {
		r = errno == EWOULDBLOCK ? -EBUSY : -errno;
		snprintf(err, err_len,
			 r == -EBUSY ? "another strobe agent is using %s: stop it, or give "
				       "this one a runtime directory of its own"
				     : "cannot lock %s",
			 path);
		return r;
	}
	if ((st.st_mode & 07777) != 0600 && fchmod(l->fd, 0600) < 0)
		return -errno;
	return 0;
}

/* All pages exist afterwards, so that no store into the mapping can fail. */
static int allocate(struct log *l, bool fresh, const char *dir, char *err, size_t err_len)
{
	int r = 0;

	if (fresh && ftruncate(l->fd, 0) < 0)
		return -errno;
	do
		r = fallocate(l->fd, 0, 0, (off_t)l->map_len) < 0 ? -errno : 0;
	while (r == -EINTR);
	if (r < 0) {
		if (fresh && ftruncate(l->fd, 0) < 0)
			r = -errno;
		snprintf(err, err_len,
			 "no room for a log of %zu MiB in %s: %s; free some or set a smaller "
			 "--memory",
			 l->map_len >> 20, dir ? dir : "memory", strerror(-r));
		return r;
	}
	l->map =
		mmap(NULL, l->map_len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, l->fd, 0);
	if (l->map == MAP_FAILED) {
		l->map = NULL;
		snprintf(err, err_len, "cannot map a log of %zu MiB: %s", l->map_len >> 20,
			 strerror(errno));
		return -ENOMEM;
	}
	return 0;
}

static int open_file(struct log *l, const struct log_config *c, bool *ret_fresh, char *err,
		     size_t err_len)
{
	const char *why = "";
	int r;

	if (!c->dir) {
		l->fd = memfd_create("strobe-log", MFD_CLOEXEC);
		if (l->fd < 0) {
			r = -errno;
			snprintf(err, err_len, "cannot make a log in memory: %s", strerror(-r));
			return r;
		}
	} else {
		r = lock_file(l, c, err, err_len);
		if (r < 0)
			return r;
		why = refuse_file(l);
		if (!why && c->create_fresh)
			why = "a fresh log was asked for";
		l->persistent = true;
	}
	*ret_fresh = why != NULL;
	if (why && *why)
		snprintf(err, err_len, "%s/log was not continued: %s", c->dir, why);
	return allocate(l, *ret_fresh, c->dir, err, err_len);
}

static int open_into(struct log *l, const struct log_config *c, enum log_state *ret_state,
		     char *err, size_t err_len)
{
	uint64_t n = c->size_bytes / LOG_SEGMENT_SIZE;
	bool fresh = true;
	int r;

	l->n_segments = (uint32_t)(n < MIN_SEGMENTS   ? MIN_SEGMENTS
				   : n > MAX_SEGMENTS ? MAX_SEGMENTS
						      : n);
	l->map_len = FILE_HEADER_SIZE + (size_t)l->n_segments * LOG_SEGMENT_SIZE;
	snprintf(l->boot_id, sizeof(l->boot_id), "%s", c->boot_id ? c->boot_id : "");
	l->epochs = calloc(l->n_segments, sizeof(*l->epochs));
	l->used = calloc(l->n_segments, sizeof(*l->used));
	l->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (!l->epochs || !l->used || l->event_fd < 0)
		return l->event_fd < 0 ? -errno : -ENOMEM;
	r = open_file(l, c, &fresh, err, err_len);
	if (r < 0)
		return r;
	if (!fresh && !log_recover(l)) {
		snprintf(err, err_len, "%s/log was not continued: it held no whole frame", c->dir);
		fresh = true;
	}
	if (fresh) {
		l->fixed_id = c->log_id;
		r = log_reset(l);
		l->fixed_id = NULL;
		if (r < 0)
			return r;
	}
	*ret_state = fresh ? LOG_NEW : LOG_CONTINUED;
	return 0;
}

int log_open(struct log **ret, const struct log_config *c, enum log_state *ret_state, char *err,
	     size_t err_len)
{
	struct log *l = calloc(1, sizeof(*l));
	int r;

	snprintf(err, err_len, "%s", "");
	if (!l)
		return -ENOMEM;
	l->fd = l->event_fd = -1;
	l->current = NO_SEGMENT;
	l->next_seq = 1;
	r = open_into(l, c, ret_state, err, err_len);
	if (r < 0) {
		if (!*err)
			snprintf(err, err_len, "cannot open the log: %s", strerror(-r));
		log_close(l);
		return r;
	}
	*ret = l;
	return 0;
}

/* Memory of segments that were never written goes back; the next log_open() allocates it again. */
static void release_unused(const struct log *l)
{
	for (uint32_t s = 0; s < l->n_segments; s++)
		if (!l->epochs[s] &&
		    fallocate(l->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			      FILE_HEADER_SIZE + (off_t)s * LOG_SEGMENT_SIZE, LOG_SEGMENT_SIZE) < 0)
			return; /* not every file system can */
}

void log_close(struct log *l)
{
	if (!l)
		return;
	if (l->map) {
		munmap(l->map, l->map_len);
		release_unused(l);
	}
	if (l->fd >= 0)
		close(l->fd);
	if (l->event_fd >= 0)
		close(l->event_fd);
	free(l->epochs);
	free(l->used);
	free(l);
}
