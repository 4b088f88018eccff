/* What the files of the profiler share. Nobody else includes this but its tests. */
#ifndef STROBE_PROFILE_PROFILER_PRIVATE_H
#define STROBE_PROFILE_PROFILER_PRIVATE_H

#include "profile/namer.h"
#include "profile/offcpu.h"
#include "profile/offcpu_ebpf.h"
#include "profile/perf_ring.h"
#include "profile/profiler.h"
#include "profile/records.h"
#include "profile/task.h"
#include "unwind/module_private.h"
#include "unwind/space_private.h"
#include "unwind/unwind.h"

#include <linux/perf_event.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>

enum {
	PROFILER_POLL_US = 50000,	/* or as soon as a ring is half full: the kernel says so */
	PROFILER_CALM_POLL_US = 100000, /* when all rings fill more slowly: PROFILER_CALM_PERCENT */
	PROFILER_LAZY_POLL_US =
		250000, /* and nobody looks: what a round has to wake up is paid for less often */
	PROFILER_BURST_POLL_US = 10000, /* above PROFILER_DUMP_HZ_MAX */
	PROFILER_SETTLE_NS =
		1000000, /* younger records wait: others of that time may still be on their way */
	PROFILER_RING_BYTES = 512 << 10,
	PROFILER_RING_MIN_BYTES = 32 << 10,
	PROFILER_OFF_RING_BYTES = 2 << 20, /* of switches, as long as all take no more than: */
	PROFILER_OFF_RINGS_BYTES = 16 << 20,
	PROFILER_HURRY_PERCENT = 60, /* the next round comes sooner when a ring was that full, */
	PROFILER_FAST_PERCENT = 40,  /* or will be in PROFILER_CALM_POLL_US */
	PROFILER_CALM_PERCENT = 20,  /* no more than that in that time: not half in a lazy round */
	PROFILER_DUMP_BYTES = 8192,
	PROFILER_OFF_DUMP_BYTES = 4096,
	PROFILER_OFF_PENDING_MAX =
		1024, /* threads that stopped in a round, of those kept with a copy of their stack */
	PROFILER_OFF_UNWINDS_MAX = 192, /* a round, of stacks that are not as the last time */
	PROFILER_DUMP_HZ_MAX = 499, /* above, the copies of stacks go when a ring is that full: */
	PROFILER_DUMP_PERCENT = 75,
	PROFILER_DUMP_HZ_NEVER = 2500,
	PROFILER_SHED_US = 5000000,
	PROFILER_STACK_MAX = 127,
	PROFILER_TASKS_MAX = 8192,
	PROFILER_BURST_HZ_MAX = 4999,
	PROFILER_BURST_S_MAX = 600,
	PROFILER_CPUS_MAX = 1024,
	PROFILER_FRAMES_CACHED = 4096, /* of the kernel */
	PROFILER_STACKS_CACHED = 4096,
	PROFILER_PATHS = 8,
	PROFILER_KSYMS_MAX = 512,
	PROFILER_JIT_ROUNDS = 5, /* how long one with code that was made at run time is believed */
	PROFILER_VOTE_EVERY =
		32, /* of a stack that is known, so often all calls have a vote: for so many */
};

enum profiler_tier { TIER_ALL, TIER_ALL_USER, TIER_OWN };
enum profiler_event_kind { EVENT_SIDE, EVENT_TICK, EVENT_SWITCH, EVENT_WAIT };

/* What an id in a record stands for. */
struct profiler_id {
	uint64_t id; /* 0: an empty slot */
	uint32_t hz;
	uint8_t kind;
	bool dump;
	uint8_t closed; /* rounds since its event was closed; 0: it is open */
};
struct profiler_ids {
	struct profiler_id *slots;
	size_t size, n; /* slots, a power of two; used */
};
int profiler_ids_add(struct profiler_ids *, const struct profiler_id *);
const struct profiler_id *profiler_ids_find(const struct profiler_ids *, uint64_t id);
/* Of all events of that kind: they are closed, their last records may still come. */
void profiler_ids_close(struct profiler_ids *, enum profiler_event_kind);
void profiler_ids_close_one(struct profiler_ids *, uint64_t id);
/* Once a round: forgets what was closed two rounds ago. */
void profiler_ids_age(struct profiler_ids *);
void profiler_ids_done(struct profiler_ids *);

struct profiler_ring {
	struct perf_ring ring;
	/* Of the only event that writes here, where there is but one (.id is not 0). Needed for switches: where several
	 * programs count them, the kernel gives all their samples the id of the first. */
	struct profiler_id only;
	const void *next; /* the record to be merged next; NULL: none */
	size_t next_len;
	uint64_t next_ns;
};

/* Switches can flood their ring: it is not the one of ticks and side-band. */
struct profiler_cpu {
	uint32_t cpu;
	int side, tick, off;	       /* fds; ring is side's, tick writes into it. -1: none */
	struct profiler_ring ring;     /* .ring.page is NULL: not online */
	struct profiler_ring switches; /* likewise of off */
	bool hung_up;		       /* it went offline: nothing to wait for */
	uint64_t heard,
		enabled_ns; /* at the last look: bytes written to its rings; age of `side` */
	uint32_t silent;    /* looks since that rose */
};

/* Processes of ours that are watched (TIER_OWN), and their events. */
struct profiler_own;

/* A stack in p->ips, innermost first: the kernel's part, then the user's. */
struct profiler_chain {
	size_t n_kernel, n_user;
	bool truncated, whole;
	bool blocked; /* of a thread that does not run: counts for places only where nothing ran */
};

/* A frame of the kernel that was looked up, by address. */
struct profiler_frame {
	uint64_t addr;
	uint32_t epoch, frame;
	uint8_t class; /* enum stacks_class of kernel frames; STACKS_CLASSES: says nothing */
	bool schedule; /* where a thread of the kernel stops */
};

/* A whole stack that was looked up, by its addresses and what lies at them. */
struct profiler_stack {
	uint64_t key;
	uint32_t epoch, node;
	uint32_t until;	     /* round after which it is looked up again; UINT32_MAX: never */
	uint32_t leaf;	     /* its innermost frame that is not the kernel's */
	uint64_t leaf_addr;  /* there */
	uint8_t flags, seen; /* seen: since it was looked up */
};

/* The way to a node, the outermost frame first: the next stack of a process begins like its last one. */
struct profiler_path {
	uint32_t epoch, n;
	uint32_t frames[PROFILER_STACK_MAX + 1], nodes[PROFILER_STACK_MAX + 1];
};

struct profiler_kernel {
	uint64_t listed;	  /* the modules when symbols were read; 0: not known */
	int64_t look_us, read_us; /* the next look at them; the last reading */
	atomic_bool unknown;	  /* code was sampled that has no name */
	_Atomic(struct kernel_symbols *) next, old; /* for the capture thread; back from it */
	atomic_uint_least64_t next_ns;		    /* when reading `next` began */
};

struct profiler {
	struct profiler_config config;
	enum profiler_tier tier;
	bool exclude_kernel, dump, off_paused;
	uint32_t event_type;
	uint64_t event_config;
	uint64_t cycles_hz;  /* of reference cycles; of others not used */
	uint32_t hz, hz_max; /* now; what sysctl allows */
	int wake;	     /* eventfd: a burst or the end */
	atomic_bool stopped;

	struct profiler_cpu *cpus;
	struct profiler_ring **heap;
	struct pollfd *waits;  /* wake, and those of all rings */
	size_t n_cpus, n_heap; /* configured */
	uint64_t future_ns;    /* no record can be from later */
	struct profiler_ids ids;
	struct profiler_own *own;
	char online[256]; /* as the kernel lists them */

	struct modules *modules;
	struct spaces *spaces;
	struct tasks *tasks;
	struct kernel_symbols *kernel; /* capture thread */
	struct profiler_kernel kernel_modules;
	struct namer *namer;
	struct profiler_jits *jits;
	struct profiler_ksym *ksyms; /* PROFILER_KSYMS_MAX; NULL: none yet */
	size_t n_ksyms, next_ksym;

	struct stacks *stacks; /* while a round adds to it */
	const struct stacks *last_stacks;
	int64_t last_from_us;
	uint32_t last_n_frames, epoch;
	struct profiler_frame *kernel_frames;
	struct profiler_stack *stacks_cached;
	struct profiler_path paths[PROFILER_PATHS]; /* by pid */
	uint64_t seed;				    /* of their keys */
	uint32_t round;
	uint64_t ips[PROFILER_STACK_MAX + 1];	/* of the sample in hand */
	uint64_t addrs[PROFILER_STACK_MAX + 1]; /* in their files; 0: in none */
	uint32_t frames[PROFILER_STACK_MAX + 1];

	int64_t next_poll_us, next_second_us;
	struct offcpu_guard guard;
	uint64_t off_short_ns;
	struct offcpu_ebpf *ebpf; /* NULL: switches are seen by events */
	uint64_t off_kept;	  /* by it, up to off_kept_us */
	int64_t off_kept_us;
	struct task *pending[PROFILER_OFF_PENDING_MAX];
	size_t n_pending, n_off_unwinds;
	bool off_dump;
	int64_t shed_us, off_shed_us; /* when dump, off_dump went; 0: they did not */
	bool hurry, calm;
	int64_t read_us; /* the last round */

	struct profiler_state state;
	uint64_t capture_ns, capture_start_ns; /* CPU of the capture thread */
	uint64_t broken;
	bool last_read; /* what was in the rings at the end is taken */
	bool doubted;	/* records were lost in this second */

	pthread_mutex_t lock; /* of what follows */
	struct profiler_state published;
	uint32_t wanted_hz; /* of a burst; 0: none */
	int64_t wanted_until_us;
	atomic_uint_least64_t background_ns;
	int64_t next_profiles_us; /* background thread */
	bool niced;
	bool naming; /* there are more tables to open */
};

/* profiler_events.c: which events are opened, and why not others. */
/* Why perf_event_open gave `err` of `what`, and what to set (own: for own processes alone), in a sentence. */
void profiler_explain(const struct host *, bool own, int err, const char *what, char *ret,
		      size_t size);
/* How many CPUs there may ever be, at most PROFILER_CPUS_MAX: those that are added to a running machine, too. */
uint32_t profiler_cpus_possible(const struct host *);
int profiler_events_probe(struct profiler *, char *err, size_t err_len); /* sets the tier */
int profiler_events_open(struct profiler *);				 /* all rings and events */
void profiler_events_close(struct profiler *);
/* The ticks anew, at p->hz and with p->dump. */
void profiler_events_retick(struct profiler *);
/* The switches anew, with p->off_dump; and stopped, or going on. */
void profiler_events_reswitch(struct profiler *);
void profiler_events_switches(struct profiler *, bool on);
/* Once a second: CPUs that came or went. */
void profiler_events_hotplug(struct profiler *);
void profiler_attr_base(struct perf_event_attr *ret); /* what all events have in common */
void profiler_attr_side(struct perf_event_attr *ret);
void profiler_attr_switch(const struct profiler *, struct perf_event_attr *ret);
void profiler_attr_wait(const struct profiler *, struct perf_event_attr *ret);
/* An fd, disabled, writing into `into` (-1: a ring of its own), its id in p->ids; or -errno. */
int profiler_event_open(struct profiler *, struct perf_event_attr *, int32_t pid, uint32_t cpu,
			int into, enum profiler_event_kind);
int profiler_perf_open(const struct perf_event_attr *, int32_t pid,
		       uint32_t cpu); /* fd or -errno */
/* Whether n is in a list like "0-3,5". */
bool profiler_cpu_listed(const char *list, uint32_t n);
/* Adds a sentence to state.reason unless it is in it. */
void profiler_say(struct profiler *, const char *sentence);

/* profiler_tick.c: which event ticks, and how. */
/* The first that this tier may open: its fields in *p. 0 or -errno. */
int profiler_tick_choose(struct profiler *);
void profiler_attr_tick(const struct profiler *, struct perf_event_attr *ret);
/* How fast reference cycles are counted, from the page that an event maps; 0: it does not say. */
uint64_t profiler_tick_cycles_hz(const struct perf_event_mmap_page *);

/* profiler_own.c */
int profiler_own_open(struct profiler *);
void profiler_own_close(struct profiler *);
void profiler_own_scan(struct profiler *); /* once a second */
void profiler_own_reopen(struct profiler *);
void profiler_own_fork(struct profiler *, uint32_t pid, uint32_t ppid);

/* profiler_read.c: all records older than until_ns, in order of time. */
void profiler_read(struct profiler *, int64_t until_ns);
/* What is known of processes is read again before it is used: records were lost. */
void profiler_doubt(struct profiler *);

/* profiler_stack.c: a sample into p->stacks. */
void profiler_add_tick(struct profiler *, const struct record *, const struct profiler_id *);
/* The kernel's callchain into p->ips, in two parts. */
struct profiler_chain profiler_chain_split(struct profiler *, const uint64_t *ips, size_t n_ips);
/* Its user part becomes these, if they are the deeper. */
void profiler_chain_user(struct profiler *, struct profiler_chain *, const uint64_t *ips, size_t n,
			 enum unwind_end);
/* Its frames; adds to the trie and to `flags`. The node. */
uint32_t profiler_chain_node(struct profiler *, uint32_t pid, const struct profiler_chain *,
			     uint8_t *flags);
const struct profiler_frame *profiler_kernel_frame(struct profiler *, uint64_t ip);
/* Start of a round, stacks in hand: new caches for a new epoch. */
void profiler_stack_epoch(struct profiler *);

/* profiler_off.c: switches. */
void profiler_off_stack(struct profiler *, const struct record *, const struct profiler_id *);
void profiler_off_switch(struct profiler *, const struct record *);
/* A wait that is over, with its stack, of the program in the kernel. */
void profiler_off_wait(struct profiler *, const struct record *, const struct profiler_id *);
/* Once a round: counts of that program into p->state, and how long waits must be to be kept. */
void profiler_off_counts(struct profiler *, int64_t now_us);
/* The end of a round, before the rings move on: stacks of those that have not come back yet are unwound. */
void profiler_off_settle(struct profiler *);

/* profiler_ksym.c: code that was put into the kernel, or taken out, since its symbols were read: eBPF programs. */
struct profiler_ksym {
	uint64_t start, end, at_ns;
	char name[64]; /* "": it is gone */
};
void profiler_ksyms_add(struct profiler *, const struct record *);
const struct profiler_ksym *profiler_ksyms_find(const struct profiler *, uint64_t ip); /* or NULL */

/* What was told before is forgotten if it only says that code went: the kernel's symbols were read anew at that time. */
void profiler_ksyms_settle(struct profiler *, uint64_t at_ns);

/* profiler_kernel.c: the kernel's symbols, p->kernel, and anew when its modules are others. */
int profiler_kernel_open(struct profiler *, char *err,
			 size_t err_len); /* as kernel_symbols_open() */
void profiler_kernel_close(struct profiler *);
void profiler_kernel_adopt(struct profiler *); /* start of a round: those that were read anew */
void profiler_kernel_step(struct profiler *, int64_t now_us); /* background thread */

/* profiler_jit.c: perf maps. */
int profiler_jits_open(struct profiler_jits **ret, const struct host *, struct modules *,
		       uint64_t memory_bytes);
void profiler_jits_close(struct profiler_jits *);
/* Profiler's thread: name and start of the function at addr, if its map is there; asks for it if not. False: not
 * known (yet). */
bool profiler_jits_find(struct profiler_jits *, uint32_t pid, uint64_t addr, char *name,
			size_t size, uint64_t *ret_start);
void profiler_jits_exit(struct profiler_jits *, uint32_t pid);
void profiler_jits_step(struct profiler_jits *, int64_t now_us); /* background thread */

#endif
