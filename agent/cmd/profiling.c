#include "cmd/profiling.h"

#include "base/clock.h"
#include "base/msg.h"
#include "base/stats.h"
#include "cmd/keep.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

/* Not the lowest priority: on a host that is busy with other things it would hardly run, and just then stacks need
 * their tables and names. */
enum { OFF_CPU_MIN_US = 1000, NICE = 5, MMAP_BYTES = 128 << 10 };

static const uint64_t tell_us = 1000000, trim_us = 10000000;

static void name_frames(void *arg, struct stacks *s, bool all)
{
	const struct profiling *p = arg;

	if (p->profiler)
		profiler_name(p->profiler, s, all);
}

static int open_profiles(struct profiling *p, const struct profiling_config *c)
{
	char copy_dir[4096];
	struct profiles_config pc = {
		.memory_bytes = keep_profile_bytes(c->memory_bytes),
		.dir = c->place && *c->place ? c->place : NULL,
		.ring = p->ring,
		.boot_id = c->host->boot_id,
		.history = c->history,
		.real_off_us = clock_real_off_us(),
		.n_cpus = (uint16_t)c->host->n_cpus,
		.name = name_frames,
		.name_arg = p,
	};
	struct profiles_stats held;
	int r;

	if (p->ring &&
	    snprintf(copy_dir, sizeof(copy_dir), "%s/profile", c->dir) < (int)sizeof(copy_dir))
		pc.copy_dir = copy_dir;
	r = profiles_open(&p->profiles, &pc);
	if (r == 0) {
		profiles_stats(p->profiles, &held);
		if (held.damaged)
			msg(MSG_WARN,
			    "%llu stretches of stacks of an earlier run are damaged: what is whole "
			    "of them is kept",
			    (unsigned long long)held.damaged);
	}
	if (r < 0)
		msg(MSG_ERROR, "stacks cannot be kept: %s", strerrordesc_np(-r));
	return r;
}

int profiling_open(struct profiling *p, const struct profiling_config *c)
{
	int r = 0;

	*p = (struct profiling){0};
	mallopt(M_MMAP_THRESHOLD, MMAP_BYTES); /* else it grows, and freed arrays leave holes */
	mallopt(M_TRIM_THRESHOLD, 2 * MMAP_BYTES);
	if (c->dir)
		r = keep_open_ring(c->dir, "profile", keep_profile_ring_bytes(c->size_bytes),
				   &p->ring);
	if (r == 0)
		r = open_profiles(p, c);
	if (r < 0)
		return r;
	if (!c->hz) {
		snprintf(p->reason, sizeof(p->reason), "the profiler is off: --no-profile");
		return 0;
	}
	const struct profiler_config fc = {.host = c->host,
					   .profiles = p->profiles,
					   .hz = c->hz,
					   .off_cpu = c->off_cpu,
					   .off_cpu_min_us = c->off_cpu_min_us ? c->off_cpu_min_us
									       : OFF_CPU_MIN_US,
					   .off_cpu_by = c->off_cpu_by,
					   .memory_bytes = keep_table_bytes(c->memory_bytes)};

	r = profiler_open(&p->profiler, &fc, p->reason, sizeof(p->reason));
	if (r < 0) {
		p->profiler = NULL;
		if (!p->reason[0])
			snprintf(p->reason, sizeof(p->reason), "perf_event_open: %s",
				 strerrordesc_np(-r));
		msg(MSG_NOTICE, "no profiles: %s", p->reason);
	}
	return 0;
}

static void capture_thread(void *arg, unsigned number)
{
	struct profiling *p = arg;

	(void)number;
	while (profiler_step(p->profiler) != -ECANCELED)
		;
}

/* Once when it begins, once when it is over. */
static void say_trouble(int error, int *said)
{
	if (error == *said)
		return;
	if (error)
		msg(MSG_WARN, "the newest stacks are not on disk: %s", strerrordesc_np(-error));
	else
		msg(MSG_NOTICE, "stacks are written to disk again");
	*said = error;
}

static void tell(const struct profiling *p, int *said)
{
	struct profiler_state s;
	struct profiles_stats held;

	profiler_state(p->profiler, &s);
	profiles_stats(p->profiles, &held);
	say_trouble(held.error, said);
	STAT_SET(profiler_hz, s.hz);
	STAT_SET(profiler_samples, s.samples);
	STAT_SET(profiler_lost, s.lost);
	STAT_SET(profiler_shallow, s.shallow);
	STAT_SET(profiler_cpu_ns, s.cpu_ns);
	STAT_SET(profiler_memory_bytes, held.memory_bytes + s.table_bytes);
	STAT_SET(profiler_disk_bytes, held.disk_bytes);
	STAT_SET(profiler_oldest_us, held.oldest_us == INT64_MAX ? 0 : held.oldest_us);
	STAT_SET(profiler_sealed_samples, held.samples);
	STAT_SET(profiler_sealed_bytes, held.sample_bytes);
}

static void background_thread(void *arg, unsigned number)
{
	const struct profiling *p = arg;
	uint64_t next_us = 0, trim_next_us = 0;
	int said = 0;

	(void)number;
	setpriority(PRIO_PROCESS, 0, NICE); /* of this thread alone */
	while (profiler_background_step(p->profiler) != -ECANCELED) {
		if (clock_mono_us() < next_us)
			continue;
		tell(p, &said);
		next_us = clock_mono_us() + tell_us;
		if (next_us < trim_next_us)
			continue;
		malloc_trim(0); /* tables, names and epochs come and go in all arenas */
		trim_next_us = next_us + trim_us;
	}
}

int profiling_start(struct profiling *p, struct threads *t)
{
	int r;

	if (!p->profiler)
		return 0;
	r = threads_start(t, "strobe-profiler", capture_thread, p, 0);
	return r < 0 ? r : threads_start(t, "strobe-names", background_thread, p, 0);
}

void profiling_stop(struct profiling *p)
{
	if (p->profiler)
		profiler_stop(p->profiler);
}

void profiling_finish(struct profiling *p)
{
	if (p->profiles)
		profiles_finish(p->profiles);
}

void profiling_close(struct profiling *p)
{
	profiles_close(p->profiles); /* names by the profiler */
	profiler_close(p->profiler);
	ring_close(p->ring);
}
