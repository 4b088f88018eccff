#include "cmd/open_profile.h"

#include "base/cleanup.h"
#include "base/msg.h"
#include "stacks/epoch.h"
#include "store/capture_log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	HEAD = 64 << 10,
	SECOND_US = 1000000,
	FIRST_US = SECOND_US,
	TICK_US = 500000,
	TICKS_MAX = 5000
};

/* ---- which file is one ---- */

static bool epoch_looks(const uint8_t *head, size_t len)
{
	/* Its checksum is of all of it: here only the magic. */
	return len > 104 && memcmp(head + 16, "epoc", 4) == 0;
}

bool open_profile_looks(const char *path)
{
	_cleanup_free_ uint8_t *head = malloc(HEAD);
	_cleanup_close_ int fd = -1;
	enum import_format format;
	struct stat st;
	ssize_t n;

	if (strcmp(path, "-") == 0)
		return true;
	if (!head || stat(path, &st) < 0 || S_ISDIR(st.st_mode))
		return false;
	if (!S_ISREG(st.st_mode))
		return true;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : pread(fd, head, HEAD, 0);
	if (n <= 0 || (n >= 8 && memcmp(head, "strobecp", 8) == 0))
		return false;
	return epoch_looks(head, (size_t)n) || import_looks_like(head, (size_t)n, &format) ||
	       (n > 8 && memcmp(head, "PERFILE2", 8) == 0);
}

/* ---- its time ---- */

static uint16_t count_cpus(const struct stacks *s)
{
	uint16_t n = s->n_cpus;

	for (uint32_t i = 0; s->has_cpu && i < s->n_samples; i++)
		if (s->samples[i].cpu >= n && s->samples[i].cpu < UINT16_MAX)
			n = s->samples[i].cpu + 1;
	return n;
}

int open_profile_load(struct open_profile *p, const char *path, const char *event)
{
	struct flame_sets *f = &p->sets;
	int r;

	*p = (struct open_profile){0};
	r = flame_load_file(f, path, IMPORT_ANY, event);
	if (r < 0)
		return r;
	p->dated = f->real_off_us != 0;
	if (f->from_us < FIRST_US || !p->dated)
		flame_sets_move(f, FIRST_US - f->from_us);
	if (!p->dated)
		f->real_off_us = -f->from_us;
	snprintf(p->boot_id, sizeof(p->boot_id), "00000000-0000-0000-0000-000000000000");
	for (size_t i = 0; i < f->n; i++) {
		uint16_t n = count_cpus(f->sets[i]);

		/* All are on one clock by now. */
		snprintf(f->sets[i]->boot_id, sizeof(f->sets[i]->boot_id), "%s", p->boot_id);
		f->sets[i]->real_off_us = f->real_off_us;
		p->n_cpus = n > p->n_cpus ? n : p->n_cpus;
	}
	return 0;
}

uint64_t open_profile_end_us(const struct open_profile *p)
{
	return ((uint64_t)p->sets.to_us + SECOND_US - 1) / SECOND_US * SECOND_US;
}

void open_profile_done(struct open_profile *p)
{
	flame_sets_done(&p->sets);
}

/* ---- the log: ticks without values, from the beginning to the end ---- */

static int put_tick(struct capture_fill *fill, uint64_t mono_us, uint64_t tick)
{
	struct frame_writer w;
	uint8_t buf[64];
	int64_t len;

	frame_tick_begin(&w, buf, sizeof(buf), mono_us, tick);
	len = frame_tick_end(&w);
	if (len >= 0)
		len = log_append(fill->log, buf, (size_t)len);
	return len < 0 ? (int)len : 0;
}

static int fill_log(const struct open_profile *p, struct log *log)
{
	uint64_t from_us = (uint64_t)p->sets.from_us, to_us = (uint64_t)p->sets.to_us;
	uint64_t step_us = (to_us - from_us) / TICKS_MAX, tick = 1;
	struct capture_fill fill;
	uint8_t catalog[64];
	int len = frame_catalog(catalog, sizeof(catalog), 1, NULL, 0), r;

	if (len < 0)
		return len;
	capture_fill_init(&fill, log);
	r = capture_fill_empty(&fill, catalog, (size_t)len, from_us, p->sets.real_off_us);
	if (step_us < TICK_US)
		step_us = TICK_US;
	for (uint64_t us = from_us; us < to_us && r >= 0; us += step_us)
		r = put_tick(&fill, us, tick++);
	if (r >= 0)
		r = put_tick(&fill, to_us, tick);
	capture_fill_done(&fill);
	return r < 0 ? r : 0;
}

/* ---- its stacks ---- */

/* What is too much for one epoch goes into two. */
static int add_stacks(struct profiles *profiles, const struct stacks *s)
{
	int64_t middle_us = s->from_us + (s->to_us - s->from_us) / 2;
	uint8_t *data;
	size_t len;
	int r = epoch_encode(s, &data, &len);

	if (r == 0) {
		r = profiles_take(profiles, data, len);
		if (r < 0)
			free(data);
		return r;
	}
	if (r != -EMSGSIZE || !s->has_time || middle_us == s->from_us)
		return r;
	struct stacks *halves[2] = {stacks_cut(s, s->from_us, middle_us),
				    stacks_cut(s, middle_us, s->to_us)};

	r = halves[0] && halves[1] ? 0 : -ENOMEM;
	if (r == 0)
		stacks_leave_to_next(halves[0], middle_us);
	for (size_t i = 0; i < 2; i++) {
		if (r == 0)
			r = add_stacks(profiles, halves[i]);
		stacks_free(halves[i]);
	}
	return r;
}

int open_profile_fill(const struct open_profile *p, const char *path, struct log *log,
		      struct profiles *profiles)
{
	int r = fill_log(p, log);

	for (size_t i = 0; i < p->sets.n && r == 0; i++)
		r = add_stacks(profiles, p->sets.sets[i]);
	if (r < 0)
		msg(MSG_ERROR, "%s cannot be served: %s", path,
		    r == -EMSGSIZE ? "it has more stacks than are shown at once; take a part of it"
				   : strerrordesc_np(-r));
	return r;
}
