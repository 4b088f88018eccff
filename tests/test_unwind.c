/*
 * Walks of this process's own stacks: registers by getcontext(), the stack as it is, the mappings by /proc. What must
 * come out is known: the same return addresses that the compiler's own runtime finds, down to the thread's entry.
 */
#include "support.h"

#include "unwind/module_private.h"
#include "unwind/space_private.h"
#include "unwind/unwind.h"

#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <ucontext.h>
#include <unwind.h>

enum { DEEP = 256, STACK_COPY = 256 << 10 };

static struct lab {
	struct host host;
	struct modules *modules;
	struct spaces *spaces;
	struct space *space;
	uint64_t ips[DEEP];
	size_t n;
	enum unwind_end end;
	void *reference[DEEP];
	int n_reference;
	/* as they were captured */
	uint64_t regs[UNWIND_REGS_MAX];
	uint8_t stack[STACK_COPY];
	size_t stack_len;
	bool emulated; /* signal frames are not the kernel's */
} lab;

static void settle(void)
{
	while (modules_step(lab.modules, 0) > 0)
		;
}

/* Under an emulator the mappings of this program are in /proc/self/maps only. */
static void map_self(void)
{
	FILE *f = fopen("/proc/self/maps", "r");
	uint32_t pid = (uint32_t)getpid();
	unsigned long from, to, off, ino;
	unsigned dev_major, dev_minor;
	char line[1024], perms[8], path[512];

	lab.emulated = true;
	spaces_exec(lab.spaces, pid);
	while (fgets(line, sizeof(line), f)) {
		path[0] = 0;
		if (sscanf(line, "%lx-%lx %7s %lx %x:%x %lu %511s", &from, &to, perms, &off,
			   &dev_major, &dev_minor, &ino, path) >= 7 &&
		    perms[2] == 'x')
			spaces_mmap(lab.spaces, pid,
				    &(struct space_mmap){.start = from,
							 .len = to - from,
							 .file_off = off,
							 .dev = makedev(dev_major, dev_minor),
							 .ino = ino,
							 .path = path,
							 .executable = true});
	}
	fclose(f);
	lab.space = spaces_get(lab.spaces, pid);
	for (uint32_t i = 0; i < lab.space->maps->n; i++)
		if (lab.space->maps->at[i].module)
			module_want(lab.space->maps->at[i].module);
}

static void find_self(void)
{
	lab.space = spaces_get(lab.spaces, (uint32_t)getpid());
	if (!lab.space || !space_find(lab.space, (uint64_t)(uintptr_t)map_self))
		map_self();
	ck_assert_ptr_nonnull(lab.space);
}

static void lab_open(void)
{
	struct modules_config c = {.host = &lab.host, .memory_bytes = 32 << 20};

	ck_assert_int_eq(host_open(&lab.host, NULL, NULL, NULL), 0);
	ck_assert_int_eq(modules_open(&lab.modules, &c), 0);
	lab.modules->build_us_per_s = 1000000;
	ck_assert_int_eq(spaces_open(&lab.spaces, &lab.host, lab.modules), 0);
	find_self();
	settle();
}

static void lab_close(void)
{
	spaces_close(lab.spaces);
	modules_close(lab.modules);
	host_close(&lab.host);
}

/* perf's registers from a context, in the order of the mask. */
static size_t take_regs(const ucontext_t *u, uint64_t *to)
{
#ifdef __aarch64__
	for (unsigned i = 0; i < 31; i++)
		to[i] = u->uc_mcontext.regs[i];
	to[31] = u->uc_mcontext.sp;
	to[32] = u->uc_mcontext.pc;
	return 33;
#else
	static const int order[] = {REG_RAX, REG_RBX, REG_RCX, REG_RDX, REG_RSI, REG_RDI,
				    REG_RBP, REG_RSP, REG_RIP, REG_R8,	REG_R9,	 REG_R10,
				    REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};

	for (size_t i = 0; i < 17; i++)
		to[i] = (uint64_t)u->uc_mcontext.gregs[order[i]];
	return 17;
#endif
}

static uint64_t stack_pointer(const ucontext_t *u)
{
#ifdef __aarch64__
	return u->uc_mcontext.sp;
#else
	return (uint64_t)u->uc_mcontext.gregs[REG_RSP];
#endif
}

/* How much there is above an address: to the end of its mapping. */
static size_t stack_above(uint64_t sp)
{
	FILE *f = fopen("/proc/self/maps", "r");
	unsigned long from, to;
	char line[512];
	size_t n = 0;

	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "%lx-%lx", &from, &to) == 2 && sp >= from && sp < to)
			n = to - sp;
	fclose(f);
	return n < STACK_COPY ? n : STACK_COPY;
}

/* Also what lies between variables, where memcpy() may not read under AddressSanitizer. */
__attribute__((no_sanitize("address"))) static void copy_stack(uint64_t sp)
{
	const volatile uint64_t *from = (const volatile uint64_t *)sp;

	for (size_t i = 0; i < lab.stack_len / 8; i++) {
		uint64_t v = from[i];

		memcpy(lab.stack + 8 * i, &v, 8);
	}
}

static void walk(size_t stack_len, size_t max)
{
	struct unwind_state s = {.regs = lab.regs,
				 .n_regs = (size_t)__builtin_popcountll(unwind_regs_mask()),
				 .stack = lab.stack,
				 .stack_len = stack_len};

	lab.n = unwind_user(lab.space, &s, lab.ips, max, &lab.end);
}

static void from_context(const ucontext_t *u)
{
	ck_assert_uint_eq(take_regs(u, lab.regs), (size_t)__builtin_popcountll(unwind_regs_mask()));
	lab.stack_len = stack_above(stack_pointer(u));
	copy_stack(stack_pointer(u));
	walk(lab.stack_len, DEEP);
}

static _Unwind_Reason_Code on_frame(struct _Unwind_Context *c, void *arg)
{
	(void)arg;
	if (lab.n_reference == DEEP)
		return _URC_END_OF_STACK;
	lab.reference[lab.n_reference++] = (void *)_Unwind_GetIP(c);
	return _URC_NO_REASON;
}

/* From the caller on, as the compiler's runtime sees it. */
__attribute__((always_inline)) static inline void take_reference(void)
{
	lab.n_reference = 0;
	_Unwind_Backtrace(on_frame, NULL);
}

__attribute__((noinline)) static int capture(int n)
{
	ucontext_t u;

	getcontext(&u);
	from_context(&u);
	take_reference();
	return n;
}

/* ours[1...] are reference[1...]: the first is in capture() itself. */
static void same_as_reference(void)
{
	ck_assert_int_eq(lab.end, UNWIND_WHOLE);
	ck_assert_int_ge(lab.n_reference, 4);
	/* The runtime stops at the entry, before or after it. */
	ck_assert_int_ge((int)lab.n, lab.n_reference - 1);
	ck_assert_int_le((int)lab.n, lab.n_reference + 1);
	for (size_t i = 1; i < lab.n && (int)i < lab.n_reference; i++)
		ck_assert_msg(lab.ips[i] == (uint64_t)lab.reference[i], "frame %zu: %llx, not %p",
			      i, (unsigned long long)lab.ips[i], lab.reference[i]);
}

__attribute__((noinline)) static int recurse(int n)
{
	volatile char pad[64];

	pad[0] = (char)n;
	return (n ? recurse(n - 1) : capture(n)) + pad[0];
}

__attribute__((noinline)) static int with_alloca(int n)
{
	volatile char *p = __builtin_alloca((size_t)n * 16 + 16);

	p[0] = 1;
	return capture(n) + p[0];
}

/* Its frame is realigned: the CFA is in memory. */
__attribute__((noinline)) static int realigned(int n)
{
	volatile char wide[256] __attribute__((aligned(64)));
	volatile char *p = __builtin_alloca((size_t)n * 16 + 16);

	wide[0] = 1;
	p[0] = wide[0];
	return with_alloca(n) + p[0] + wide[0];
}

START_TEST(deep_recursion)
{
	lab_open();
	recurse(100);
	same_as_reference();
	ck_assert_uint_gt(lab.n, 103);
	lab_close();
}
END_TEST

START_TEST(frames_of_unknown_size)
{
	lab_open();
	realigned(7);
	same_as_reference();
	lab_close();
}
END_TEST

static int compare_ints(const void *a, const void *b)
{
	static bool done;

	if (!done)
		capture(0);
	done = true;
	return *(const int *)a - *(const int *)b;
}

START_TEST(through_the_c_library)
{
	int v[4] = {4, 3, 2, 1};

	lab_open();
	qsort(v, 4, sizeof(v[0]), compare_ints);
	same_as_reference();
	lab_close();
}
END_TEST

static void *in_thread(void *arg)
{
	recurse(5);
	return arg;
}

START_TEST(a_thread_ends_at_its_entry)
{
	pthread_t t;

	lab_open();
	ck_assert_int_eq(pthread_create(&t, NULL, in_thread, NULL), 0);
	pthread_join(t, NULL);
	/* Its stack was mapped later, its code was not. */
	ck_assert_int_eq(lab.end, UNWIND_WHOLE);
	same_as_reference();
	lab_close();
}
END_TEST

/* ---- signals ---- */

static volatile int signals;

static void on_signal(int signal)
{
	capture(0);
	signals = signal; /* after it: no tail call */
}

static void on_fault(int signal, siginfo_t *info, void *context)
{
	ucontext_t *u = context;

	(void)signal;
	(void)info;
	from_context(u);
	take_reference();
	for (int i = 0; i < lab.n_reference; i++) /* without the handler's own frames */
		if ((uint64_t)lab.reference[i] == lab.ips[0]) {
			lab.n_reference -= i;
			memmove(lab.reference, lab.reference + i,
				(size_t)lab.n_reference * sizeof(lab.reference[0]));
			break;
		}
#ifdef __aarch64__
	u->uc_mcontext.pc += 4;
#else
	u->uc_mcontext.gregs[REG_RIP] += 2; /* of ud2 */
#endif
}

__attribute__((noinline)) static int raises(int n)
{
	volatile char pad[100];

	pad[0] = (char)n;
	raise(SIGUSR1);
	return n + pad[0];
}

START_TEST(through_a_signal_handler)
{
	lab_open();
	signal(SIGUSR1, on_signal);
	raises(1);
	ck_assert_int_eq(signals, SIGUSR1);
	if (!lab.emulated)
		same_as_reference();
	lab_close();
}
END_TEST

__attribute__((noinline)) static int faults(int n)
{
	volatile char pad[40];

	pad[0] = (char)n;
#ifdef __aarch64__
	__asm__ volatile("udf #0");
#else
	__asm__ volatile("ud2");
#endif
	return pad[0];
}

START_TEST(from_the_middle_of_a_function)
{
	struct sigaction a = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};

	lab_open();
	sigaction(SIGILL, &a, NULL);
	faults(3);
	same_as_reference();
	lab_close();
}
END_TEST

START_TEST(a_handler_on_its_own_stack)
{
	static uint8_t other[64 << 10];
	struct sigaction a = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK};
	stack_t s = {.ss_sp = other, .ss_size = sizeof(other)};

	lab_open();
	ck_assert_int_eq(sigaltstack(&s, NULL), 0);
	sigaction(SIGUSR1, &a, NULL);
	raises(1);
	/* The interrupted function is known, its callers are on the stack that was not copied. */
	if (!lab.emulated) {
		ck_assert(lab.end == UNWIND_SHORT || lab.end == UNWIND_NO_RULE);
		ck_assert_uint_ge(lab.n, 4);
	}
	for (size_t i = 1; i < lab.n; i++)
		ck_assert_uint_eq(lab.ips[i], (uint64_t)lab.reference[i]);
	lab_close();
}
END_TEST

/* ---- code without a table ---- */

#ifdef __x86_64__
static int hook(int n)
{
	return capture(n);
}

static bool passes(uint64_t ip)
{
	bool seen = false;

	for (size_t i = 0; i < lab.n; i++)
		seen |= lab.ips[i] == ip;
	return seen;
}

START_TEST(code_made_at_run_time)
{
	/* push rbp; mov rbp, rsp; call rdi; pop rbp; ret */
	static const uint8_t code[] = {0x55, 0x48, 0x89, 0xe5, 0xff, 0xd7, 0x5d, 0xc3};
	uint8_t *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int (*jit)(int (*)(int));

	ck_assert_ptr_ne(p, MAP_FAILED);
	memcpy(p, code, sizeof(code));
	memcpy(&jit, &p, sizeof(jit));
	lab_open();
	ck_assert(space_has_jit(lab.space));
	jit(hook);
	ck_assert_int_eq(lab.end, UNWIND_WHOLE);
	ck_assert_msg(passes((uint64_t)(p + 6)), "the frame of the code is missing");
	lab_close();
	munmap(p, 4096);
}
END_TEST

START_TEST(code_that_was_mapped_later)
{
	static const uint8_t code[] = {0x55, 0x48, 0x89, 0xe5, 0xff, 0xd7, 0x5d, 0xc3};
	int (*jit)(int (*)(int));
	uint8_t *p;

	lab_open();
	p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memcpy(p, code, sizeof(code));
	mprotect(p, 4096, PROT_READ | PROT_EXEC); /* no record tells of this */
	memcpy(&jit, &p, sizeof(jit));
	jit(hook);
	ck_assert_int_eq(lab.end, UNWIND_WHOLE);
	ck_assert_msg(passes((uint64_t)(p + 6)), "the frame of the code is missing");
	lab_close();
	munmap(p, 4096);
}
END_TEST
#endif

START_TEST(before_there_are_tables)
{
	struct modules_config c = {.host = &lab.host, .memory_bytes = 32 << 20};

	ck_assert_int_eq(host_open(&lab.host, NULL, NULL, NULL), 0);
	ck_assert_int_eq(modules_open(&lab.modules, &c), 0);
	lab.modules->build_us_per_s = 1000000;
	ck_assert_int_eq(spaces_open(&lab.spaces, &lab.host, lab.modules), 0);
	find_self();
	recurse(3);
#ifdef __x86_64__ /* elsewhere frame pointers lead all the way */
	ck_assert_int_ne(lab.end, UNWIND_WHOLE);
#endif
	settle();
	recurse(3);
	same_as_reference();
	lab_close();
}
END_TEST

/* ---- bounds ---- */

START_TEST(a_short_copy_gives_the_upper_part)
{
	uint64_t whole[DEEP];
	size_t n_whole, n_last = 0;

	lab_open();
	recurse(30);
	n_whole = lab.n;
	memcpy(whole, lab.ips, sizeof(whole));
	for (size_t len = 0; len <= lab.stack_len; len += len < 8000 ? 8 : 977) {
		uint8_t *copy = malloc(len ? len : 1); /* a byte too far is an error under ASan */
		struct unwind_state s = {.regs = lab.regs,
					 .n_regs = (size_t)__builtin_popcountll(unwind_regs_mask()),
					 .stack = copy,
					 .stack_len = len};

		memcpy(copy, lab.stack, len);
		lab.n = unwind_user(lab.space, &s, lab.ips, DEEP, &lab.end);
		free(copy);
		ck_assert_uint_ge(lab.n, n_last);
		ck_assert_uint_le(lab.n, n_whole);
		ck_assert(memcmp(whole, lab.ips, lab.n * sizeof(whole[0])) == 0);
		ck_assert_int_eq(lab.end, lab.n == n_whole ? UNWIND_WHOLE : UNWIND_SHORT);
		n_last = lab.n;
	}
	ck_assert_uint_gt(n_last, 30);
	for (size_t max = 0; max < n_whole; max++) {
		walk(lab.stack_len, max);
		ck_assert_uint_eq(lab.n, max);
		ck_assert_int_eq(lab.end, UNWIND_FULL);
	}
	lab_close();
}
END_TEST

START_TEST(garbage_ends)
{
#ifdef __aarch64__
	enum { SP = 31 };
#else
	enum { SP = 7 };
#endif
	unsigned seed = 3;

	lab_open();
	recurse(30);
	for (unsigned i = 0; i < 30000; i++) {
		uint64_t *words = (uint64_t *)lab.stack;
		size_t len = (size_t)rand_r(&seed) % 4096;

		for (unsigned k = 0; k < 20; k++) {
			uint64_t at = (unsigned)rand_r(&seed) % 512,
				 to = (unsigned)rand_r(&seed) % 512;

			/* Pointers into the stack and into code make it go on. */
			words[at] = k % 2 ? lab.regs[SP] + 8 * to : lab.ips[to % 30];
		}
		lab.regs[i % 17] ^=
			i % 5 ? (uint64_t)rand_r(&seed) % 128 : (uint64_t)rand_r(&seed) << 31;
		walk(len, DEEP);
		ck_assert_uint_ge(lab.n, 1);
		ck_assert_uint_le(lab.n, DEEP);
		if (i % 50 == 0)
			recurse(30);
	}
	lab_close();
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		deep_recursion,
		frames_of_unknown_size,
		through_the_c_library,
		a_thread_ends_at_its_entry,
		through_a_signal_handler,
		from_the_middle_of_a_function,
		a_handler_on_its_own_stack,
#ifdef __x86_64__
		code_made_at_run_time,
		code_that_was_mapped_later,
#endif
		before_there_are_tables,
		a_short_copy_gives_the_upper_part,
		garbage_ends,
	};

	return support_run("unwind", tests, sizeof(tests) / sizeof(tests[0]));
}
