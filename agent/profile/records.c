#include "profile/records.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <string.h>

/* IDENTIFIER, TID, TIME and CPU, in front of a sample; the same, the id last, behind everything else. */
enum { ID_WORDS = 4, ID_BYTES = ID_WORDS * 8, HEADER_BYTES = 8 };

struct reader {
	const uint8_t *p, *end;
	bool bad;
};

uint64_t record_sample_type(void)
{
	return PERF_SAMPLE_IDENTIFIER | PERF_SAMPLE_TID | PERF_SAMPLE_TIME | PERF_SAMPLE_CPU;
}

static uint64_t get_u64(struct reader *r)
{
	uint64_t v = 0;

	if ((size_t)(r->end - r->p) < sizeof(v)) {
		r->bad = true;
		return 0;
	}
	memcpy(&v, r->p, sizeof(v));
	r->p += sizeof(v);
	return v;
}

static void get_pair(struct reader *r, uint32_t *a, uint32_t *b)
{
	uint64_t v = get_u64(r);
	uint32_t pair[2];

	memcpy(pair, &v, sizeof(pair));
	*a = pair[0];
	*b = pair[1];
}

/* n bytes, or NULL. */
static const void *get_bytes(struct reader *r, uint64_t n)
{
	const void *p = r->p;

	if (n > (uint64_t)(r->end - r->p)) {
		r->bad = true;
		return NULL;
	}
	r->p += n;
	return p;
}

/* A text that ends inside the record. */
static const char *get_text(struct reader *r)
{
	const char *text = (const char *)r->p;

	if (!memchr(text, 0, (size_t)(r->end - r->p)))
		r->bad = true;
	r->p = r->end;
	return r->bad ? "" : text;
}

static int read_header(const void *data, size_t len, struct perf_event_header *h)
{
	if (len < HEADER_BYTES)
		return -EBADMSG;
	memcpy(h, data, sizeof(*h));
	return h->size != len || len % 8 || len < HEADER_BYTES + ID_BYTES ? -EBADMSG : 0;
}

/* Where the ids of a record lie: at its end. But kernels make KSYMBOL longer for each further event that it goes to, with
 * whatever lay in the ring: there they follow the name. */
static size_t ids_at(const struct perf_event_header *h, const uint8_t *data, size_t len)
{
	enum { NAME_AT = HEADER_BYTES + 16 };

	if (h->type == PERF_RECORD_KSYMBOL && len > NAME_AT + ID_BYTES) {
		size_t name = strnlen((const char *)data + NAME_AT, len - NAME_AT) + 1;
		size_t at = NAME_AT + (name + 7) / 8 * 8;

		if (at + ID_BYTES <= len)
			return at;
	}
	return len - ID_BYTES;
}

uint64_t record_time_ns(const void *data, size_t len)
{
	struct perf_event_header h;
	uint64_t time;

	if (read_header(data, len, &h) < 0)
		return 0;
	memcpy(&time,
	       (const uint8_t *)data + (h.type == PERF_RECORD_SAMPLE ? HEADER_BYTES + 16
								     : ids_at(&h, data, len) + 8),
	       sizeof(time));
	return time;
}

static void read_ids(struct record *rec, const struct perf_event_header *h, const uint8_t *data,
		     size_t len)
{
	bool sample = rec->type == PERF_RECORD_SAMPLE;
	size_t at = sample ? HEADER_BYTES : ids_at(h, data, len);
	struct reader r = {.p = data + at, .end = data + len};
	uint32_t unused;

	if (sample)
		rec->id = get_u64(&r);
	get_pair(&r, &rec->pid, &rec->tid);
	rec->time_ns = get_u64(&r);
	get_pair(&r, &rec->cpu, &unused);
	if (!sample)
		rec->id = get_u64(&r);
	rec->body = data + HEADER_BYTES + (sample ? ID_BYTES : 0);
	rec->body_end = data + (sample ? len : at);
}

static void read_mmap2(struct reader *r, struct record_mmap *m)
{
	uint32_t flags;

	get_pair(r, &m->pid, &m->tid);
	m->addr = get_u64(r);
	m->len = get_u64(r);
	m->file_off = get_u64(r);
	get_pair(r, &m->major, &m->minor);
	m->ino = get_u64(r);
	m->generation = get_u64(r);
	get_pair(r, &m->prot, &flags);
	m->path = get_text(r);
}

static void read_task(struct reader *r, struct record *rec)
{
	get_pair(r, &rec->task.pid, &rec->task.ppid);
	get_pair(r, &rec->task.tid, &rec->task.ptid);
}

int record_read(const void *data, size_t len, struct record *ret)
{
	struct perf_event_header h;
	struct record rec = {0};
	struct reader r;
	uint32_t flags;

	if (read_header(data, len, &h) < 0)
		return -EBADMSG;
	rec.type = h.type;
	rec.misc = h.misc;
	read_ids(&rec, &h, data, len);
	r = (struct reader){.p = rec.body, .end = rec.body_end};
	switch (h.type) {
	case PERF_RECORD_SAMPLE:
	case PERF_RECORD_THROTTLE:
	case PERF_RECORD_UNTHROTTLE:
	case PERF_RECORD_SWITCH:
		break;
	case PERF_RECORD_MMAP2:
		read_mmap2(&r, &rec.mmap);
		break;
	case PERF_RECORD_COMM:
		get_pair(&r, &rec.comm.pid, &rec.comm.tid);
		rec.comm.comm = get_text(&r);
		break;
	case PERF_RECORD_FORK:
	case PERF_RECORD_EXIT:
		read_task(&r, &rec);
		break;
	case PERF_RECORD_LOST:
		get_u64(&r); /* the event's id again */
		rec.lost = get_u64(&r);
		break;
	case PERF_RECORD_LOST_SAMPLES:
		rec.lost = get_u64(&r);
		break;
	case PERF_RECORD_KSYMBOL:
		rec.ksymbol.addr = get_u64(&r);
		get_pair(&r, &rec.ksymbol.len, &flags);
		rec.ksymbol.gone = flags >> 16 & PERF_RECORD_KSYMBOL_FLAGS_UNREGISTER;
		rec.ksymbol.name = get_text(&r);
		break;
	case PERF_RECORD_SWITCH_CPU_WIDE:
		get_pair(&r, &rec.other.pid, &rec.other.tid);
		break;
	default:
		*ret = rec;
		return -ENOTSUP;
	}
	if (r.bad)
		return -EBADMSG;
	*ret = rec;
	return 0;
}

/* Its size is of four bytes, and such that the next field is aligned again. */
static void read_raw(struct reader *r, struct record_sample *s)
{
	const uint8_t *start = r->p, *size = get_bytes(r, sizeof(uint32_t));
	uint32_t len = 0;

	if (size)
		memcpy(&len, size, sizeof(len));
	s->raw = get_bytes(r, len);
	s->raw_len = s->raw ? len : 0;
	if ((r->p - start) % 8)
		r->bad = true;
}

static void read_regs(struct reader *r, uint8_t n_regs, struct record_sample *s)
{
	uint64_t abi = get_u64(r);
	const uint64_t *regs;

	if (abi == PERF_SAMPLE_REGS_ABI_NONE)
		return;
	regs = get_bytes(r, n_regs * sizeof(uint64_t));
	if (regs && abi == PERF_SAMPLE_REGS_ABI_64) {
		s->regs = regs;
		s->n_regs = n_regs;
	}
}

/* The size that was asked for, the bytes, and how many of them were there: this last only where the size is not 0. */
static void read_stack(struct reader *r, struct record_sample *s)
{
	uint64_t size = get_u64(r), filled;

	if (!size)
		return;
	s->stack = get_bytes(r, size);
	filled = get_u64(r);
	if (filled > size)
		r->bad = true;
	s->stack_len = r->bad ? 0 : filled;
}

int record_read_sample(const struct record *rec, const struct record_format *f,
		       struct record_sample *ret)
{
	struct reader r = {.p = rec->body, .end = rec->body_end};
	struct record_sample s = {0};

	if (f->callchain) {
		uint64_t n = get_u64(&r);

		if (n > RECORD_IPS_MAX)
			return -EBADMSG;
		s.n_ips = n;
		s.ips = get_bytes(&r, n * sizeof(uint64_t));
	}
	if (f->raw)
		read_raw(&r, &s);
	if (f->regs_user)
		read_regs(&r, f->n_regs, &s);
	if (f->stack_user)
		read_stack(&r, &s);
	if (r.bad)
		return -EBADMSG;
	*ret = s;
	return 0;
}
