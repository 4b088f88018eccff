#include "profile/profiler.h"

#include "base/clock.h"
#include "profile/profiler_private.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* At 19 the background would starve on a busy host, and stacks would stay shallow just when they matter; and a capture
 * that waits for the CPU loses samples. */
enum {
	SECOND_US = 1000000,
	BACKGROUND_MS = 200, /* while somebody looks */
	BACKGROUND_LAZY_MS = 500,
	PROFILES_US = 150000, /* names no more often than that */
	BACKGROUND_NICE = 10,
	CAPTURE_NICE = -10
};

/* ---- life ---- */

void profiler_say(struct profiler *p, const char *sentence)
{
	char *reason = p->state.reason;
	size_t len = strlen(reason), size = sizeof(p->state.reason);

	if (!sentence[0] || strstr(reason, sentence))
		return;
	snprintf(reason + len, size - len, "%s%s", len ? "; " : "", sentence);
}

static int open_helpers(struct profiler *p)
{
	const struct profiler_config *c = &p->config;
	struct modules_config mc = {.host = c->host, .memory_bytes = c->memory_bytes / 2};
	struct namer_config nc = {.host = c->host, .memory_bytes = c->memory_bytes / 2};
	char err[160] = "";
	int r;

	if (p->tier != TIER_ALL_USER && !p->exclude_kernel &&
	    profiler_kernel_open(p, err, sizeof(err)) < 0)
		profiler_say(p, err);
	r = modules_open(&p->modules, &mc);
	if (r < 0)
		return r;
	r = spaces_open(&p->spaces, c->host, p->modules);
	if (r < 0)
		return r;
	nc.modules = p->modules;
	nc.kernel = p->kernel;
	r = namer_open(&p->namer, &nc);
	if (r < 0)
		return r;
	r = profiler_jits_open(&p->jits, c->host, p->modules, c->memory_bytes / 2);
	return r < 0 ? r : tasks_open(&p->tasks, c->host, PROFILER_TASKS_MAX);
}

static int prepare(struct profiler *p)
{
	p->kernel_frames = calloc(PROFILER_FRAMES_CACHED, sizeof(*p->kernel_frames));
	p->stacks_cached = calloc(PROFILER_STACKS_CACHED, sizeof(*p->stacks_cached));
	if (getrandom(&p->seed, sizeof(p->seed), GRND_NONBLOCK) < 0)
		p->seed = (uintptr_t)p;
	p->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (p->wake < 0)
		return -errno;
	return p->kernel_frames && p->stacks_cached ? 0 : -ENOMEM;
}

static int open_events(struct profiler *p, char *err, size_t err_len)
{
	int r = profiler_events_open(p);

	if (r == -EPERM)
		snprintf(err, err_len,
			 "profiling: no memory may be locked for it: raise "
			 "sysctl kernel.perf_event_mlock_kb, or the limit of locked "
			 "memory (LimitMEMLOCK)");
	else if (r < 0)
		snprintf(err, err_len, "profiling: cannot open events on any CPU: %s",
			 strerrordesc_np(-r));
	if (r < 0 || p->tier != TIER_OWN)
		return r;
	r = profiler_own_open(p);
	if (r == 0)
		profiler_own_scan(p);
	return r;
}

static void publish(struct profiler *p);

/* The program in the kernel, where it may be. */
static void open_off(struct profiler *p)
{
	char why[128] = "eBPF needs every CPU", text[192];
	int r = p->tier == TIER_ALL ? 0 : -EACCES;

	p->state.off_cpu = p->config.off_cpu && !p->exclude_kernel;
	p->state.off_tier = "";
	if (p->config.off_cpu && p->exclude_kernel)
		profiler_say(p, "blocking stacks: need kernel stacks");
	if (!p->state.off_cpu)
		return;
	p->state.off_min_us = p->config.off_cpu_min_us;
	p->state.off_tier = "context-switch events";
	if (p->config.off_cpu_by == PROFILER_OFF_BY_EVENTS)
		return;
	if (r == 0)
		r = offcpu_ebpf_open(&p->ebpf, p->config.host, p->config.off_cpu_min_us,
				     p->config.off_cpu_by == PROFILER_OFF_BY_INTERRUPT, why,
				     sizeof(why));
	if (r == 0) {
		p->state.off_tier = "eBPF";
		return;
	}
	p->state.off_cpu = p->config.off_cpu_by == PROFILER_OFF_BY_ANY;
	if (p->tier == TIER_OWN && p->state.off_cpu)
		return; /* what it wants is said of everything else already */
	if (!p->state.off_cpu)
		p->state.off_tier = "";
	snprintf(text, sizeof(text), "%s: %s",
		 p->state.off_cpu ? "off-CPU by context-switch events" : "no off-CPU", why);
	profiler_say(p, text);
}

static int start(struct profiler *p, char *err, size_t err_len)
{
	int r = prepare(p);

	if (r == 0)
		r = profiler_events_probe(p, err, err_len);
	if (r < 0)
		return r;
	if (p->hz > p->hz_max)
		p->hz = p->hz_max;
	p->state.base_hz = p->hz;
	open_off(p);
	r = open_helpers(p);
	if (r == 0)
		r = open_events(p, err, err_len);
	publish(p);
	return r;
}

int profiler_open(struct profiler **ret, const struct profiler_config *config, char *err,
		  size_t err_len)
{
	struct profiler *p = calloc(1, sizeof(*p));
	int r;

	if (!p)
		return -ENOMEM;
	err[0] = 0;
	p->config = *config;
	p->hz = config->hz;
	p->hz_max = PROFILER_BURST_HZ_MAX;
	p->n_cpus = profiler_cpus_possible(config->host);
	p->dump = p->off_dump = true;
	p->wake = -1;
	pthread_mutex_init(&p->lock, NULL);
	r = start(p, err, err_len);
	if (r < 0) {
		if (!err[0])
			snprintf(err, err_len, "profiling: %s", strerrordesc_np(-r));
		profiler_close(p);
		return r;
	}
	*ret = p;
	return 0;
}

void profiler_close(struct profiler *p)
{
	if (!p)
		return;
	profiler_own_close(p);
	profiler_events_close(p);
	offcpu_ebpf_close(p->ebpf);
	profiler_ids_done(&p->ids);
	profiler_jits_close(p->jits);
	tasks_close(p->tasks);
	namer_close(p->namer);
	if (p->spaces)
		spaces_close(p->spaces);
	modules_close(p->modules);
	profiler_kernel_close(p);
	if (p->wake >= 0)
		close(p->wake);
	free(p->kernel_frames);
	free(p->stacks_cached);
	free(p->ksyms);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

/* ---- the capture thread ---- */

static void set_rate(struct profiler *p, uint32_t hz)
{
	if (hz == p->hz)
		return;
	p->hz = hz;
	p->dump = hz <= PROFILER_DUMP_HZ_NEVER; /* a ring would be full before it is read */
	p->shed_us = 0;
	p->state.hz = hz;
	profiler_events_retick(p);
	stacks_note(p->stacks, &(struct stacks_note){.at_us = (int64_t)clock_mono_us(),
						     .n = hz,
						     .kind = STACKS_HZ});
}

static void follow_burst(struct profiler *p, int64_t now_us)
{
	uint32_t hz = p->state.base_hz;

	pthread_mutex_lock(&p->lock);
	if (p->wanted_hz && now_us >= p->wanted_until_us)
		p->wanted_hz = 0;
	if (p->wanted_hz)
		hz = p->wanted_hz;
	p->state.burst_until_us = p->wanted_hz ? p->wanted_until_us : 0;
	pthread_mutex_unlock(&p->lock);
	set_rate(p, hz);
}

static void each_second(struct profiler *p, int64_t now_us)
{
	struct modules_stats stats;

	if (now_us < p->next_second_us)
		return;
	p->next_second_us = now_us + SECOND_US;
	profiler_events_hotplug(p);
	if (p->own)
		profiler_own_scan(p);
	if (p->off_paused)
		profiler_events_switches(p, true);
	if (p->shed_us && now_us - p->shed_us > PROFILER_SHED_US) {
		p->shed_us = 0;
		p->dump = true;
		profiler_events_retick(p);
	}
	if (p->off_shed_us && now_us - p->off_shed_us > PROFILER_SHED_US) {
		p->off_shed_us = 0;
		p->off_dump = true;
		profiler_events_reswitch(p);
	}
	if (p->doubted)
		profiler_doubt(p);
	p->doubted = false;
	spaces_sweep(p->spaces, now_us);
	modules_stats(p->modules, &stats);
	p->state.n_modules = (uint32_t)stats.n_modules;
	p->state.n_tables = (uint32_t)stats.n_tables;
	p->state.table_bytes = stats.table_bytes;
	p->state.n_spaces = (uint32_t)spaces_count(p->spaces);
}

static void count_broken(struct profiler *p)
{
	uint64_t broken = 0;

	for (size_t i = 0; i < p->n_cpus; i++)
		broken += p->cpus[i].ring.ring.broken + p->cpus[i].switches.ring.broken;
	if (broken > p->broken)
		p->state.lost += broken - p->broken;
	p->broken = broken;
}

static void publish(struct profiler *p)
{
	p->state.hz = p->hz;
	p->state.cpu_ns = p->capture_ns + atomic_load(&p->background_ns);
	pthread_mutex_lock(&p->lock);
	p->published = p->state;
	pthread_mutex_unlock(&p->lock);
}

/* All before until_us; INT64_MAX: all there is. */
static void round_of(struct profiler *p, int64_t until_us)
{
	int64_t now_us = (int64_t)clock_mono_us();
	bool all = until_us == INT64_MAX;

	p->stacks = profiles_begin(p->config.profiles);
	profiler_stack_epoch(p);
	profiler_kernel_adopt(p);
	if (!p->stacks->hz)
		p->stacks->hz = p->hz;
	profiler_read(p, all ? INT64_MAX : until_us * 1000);
	follow_burst(p, now_us);
	p->last_n_frames = p->stacks->n_frames;
	p->stacks = NULL;
	/* What is later than that belongs to the next epoch, if this one ends here. */
	profiles_end(p->config.profiles, all ? (int64_t)clock_mono_us() + 1 : until_us,
		     clock_real_off_us());
	each_second(p, now_us);
	count_broken(p);
	profiler_off_counts(p, now_us);
	p->capture_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID) - p->capture_start_ns;
	publish(p);
}

/* What the kernel wakes us for: rings that are half full, each under the event that they belong to. */
static nfds_t list_waits(struct profiler *p)
{
	nfds_t n = 0;

	p->waits[n++] = (struct pollfd){.fd = p->wake, .events = POLLIN};
	for (size_t i = 0; i < p->n_cpus; i++) {
		const struct profiler_cpu *c = &p->cpus[i];
		bool on = c->ring.ring.page && !c->hung_up;

		p->waits[n++] = (struct pollfd){.fd = on ? c->side : -1, .events = POLLIN};
		p->waits[n++] = (struct pollfd){.fd = on ? c->off : -1, .events = POLLIN};
	}
	return n;
}

/* Switches are many, and of those that wait copies lie in the ring. */
static bool has_switches(const struct profiler *p)
{
	for (size_t i = 0; i < p->n_cpus; i++)
		if (p->cpus[i].off >= 0 && p->cpus[i].switches.only.kind == EVENT_SWITCH)
			return true;
	return false;
}

static int64_t pace_us(const struct profiler *p, int64_t now_us)
{
	if (p->hurry || p->hz > PROFILER_DUMP_HZ_MAX)
		return PROFILER_BURST_POLL_US;
	if (!p->calm)
		return PROFILER_POLL_US;
	return has_switches(p) || profiles_are_watched(p->config.profiles, now_us)
		       ? PROFILER_CALM_POLL_US
		       : PROFILER_LAZY_POLL_US;
}

/* Until it is time for the next round, a ring fills, a burst was asked for, or the end. */
static void wait_for_round(struct profiler *p)
{
	nfds_t n = list_waits(p);
	int64_t now_us = (int64_t)clock_mono_us();
	int64_t poll_us = pace_us(p, now_us);
	uint64_t unused;

	p->next_poll_us += poll_us;
	if (p->next_poll_us < now_us || p->next_poll_us > now_us + poll_us)
		p->next_poll_us = now_us + poll_us;
	if (poll(p->waits, n, (int)((p->next_poll_us - now_us + 999) / 1000)) <= 0)
		return;
	for (size_t i = 1; i < n; i++)
		if (p->waits[i].revents & (POLLHUP | POLLERR | POLLNVAL))
			p->cpus[(i - 1) / 2].hung_up = true;
	if (p->waits[0].revents && read(p->wake, &unused, sizeof(unused)) < 0)
		return; /* it is counted as read either way */
}

int profiler_step(struct profiler *p)
{
	if (!p->capture_start_ns) {
		p->capture_start_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
		setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid),
			    CAPTURE_NICE); /* if permitted */
	}
	if (!atomic_load(&p->stopped))
		wait_for_round(p);
	if (!atomic_load(&p->stopped)) {
		round_of(p, (int64_t)clock_mono_us() - PROFILER_SETTLE_NS / 1000);
		return 0;
	}
	if (!p->last_read)
		round_of(p, INT64_MAX);
	p->last_read = true;
	return -ECANCELED;
}

/* ---- the background thread ---- */

static int background_wait_ms(struct profiler *p)
{
	if (p->naming)
		return 0;
	return profiles_are_watched(p->config.profiles, (int64_t)clock_mono_us())
		       ? BACKGROUND_MS
		       : BACKGROUND_LAZY_MS;
}

int profiler_background_step(struct profiler *p)
{
	uint64_t start_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	int64_t now_us;

	if (!p->niced)
		setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), BACKGROUND_NICE);
	p->niced = true;
	if (atomic_load(&p->stopped))
		return -ECANCELED;
	modules_step(p->modules, background_wait_ms(p));
	p->naming = namer_step(p->namer) > 0;
	now_us = (int64_t)clock_mono_us();
	profiler_jits_step(p->jits, now_us);
	profiler_kernel_step(p, now_us);
	while (namer_step(p->namer) > 0 && !atomic_load(&p->stopped))
		;
	if (now_us >= p->next_profiles_us) {
		profiles_step(p->config.profiles);
		p->next_profiles_us = now_us + PROFILES_US;
		p->naming = true; /* it may want files */
	}
	atomic_fetch_add(&p->background_ns, clock_ns(CLOCK_THREAD_CPUTIME_ID) - start_ns);
	return 0;
}

/* ---- any thread ---- */

static void wake(struct profiler *p)
{
	uint64_t one = 1;

	if (write(p->wake, &one, sizeof(one)) < 0)
		return; /* it is awake already: the counter is full */
}

void profiler_stop(struct profiler *p)
{
	atomic_store(&p->stopped, true);
	wake(p);
	modules_wake(p->modules);
}

int profiler_burst(struct profiler *p, uint32_t hz, uint32_t seconds)
{
	int64_t until_us = (int64_t)clock_mono_us() + (int64_t)seconds * SECOND_US;
	int r = 0;

	if (!hz || hz > PROFILER_BURST_HZ_MAX || !seconds || seconds > PROFILER_BURST_S_MAX)
		return -EINVAL;
	pthread_mutex_lock(&p->lock);
	if (p->wanted_hz && (int64_t)clock_mono_us() < p->wanted_until_us) {
		r = -EBUSY;
	} else {
		p->wanted_hz = hz < p->hz_max ? hz : p->hz_max;
		p->wanted_until_us = until_us;
	}
	pthread_mutex_unlock(&p->lock);
	if (r == 0)
		wake(p);
	return r;
}

void profiler_state(struct profiler *p, struct profiler_state *ret)
{
	pthread_mutex_lock(&p->lock);
	*ret = p->published;
	pthread_mutex_unlock(&p->lock);
}

void profiler_name(void *profiler, struct stacks *s, bool all)
{
	struct profiler *p = profiler;

	/* What lies in a module that was just loaded gets its name in a moment. */
	namer_await_kernel(p->namer, atomic_load(&p->kernel_modules.unknown));
	namer_name(p->namer, s, all);
}

struct namer *profiler_namer(struct profiler *p)
{
	return p->namer;
}
