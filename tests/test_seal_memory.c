/* Memory that runs out at any moment: the sealer says so, and goes on when there is some again. */
#include "seal_lab.h"
#include "store/rollup.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
/* They bring allocators of their own. */
static long fail_in = -1;
static bool can_fail;
#else
static long fail_in = -1; /* allocations until one fails; < 0: none does */
static bool can_fail = true;

void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);

static bool fails(void)
{
	return fail_in >= 0 && fail_in-- == 0;
}

void *malloc(size_t n)
{
	return fails() ? NULL : __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
	return fails() ? NULL : __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
	return fails() ? NULL : __libc_realloc(p, n);
}
#endif

/* In the sink there is memory: it is the test's. */
static int take_paused(void *arg, struct sealed *s)
{
	long rest = fail_in;
	int r;

	fail_in = -1;
	r = take(arg, s);
	fail_in = rest;
	return r;
}

/* Every block says what was written, whichever allocation fails on the way. */
START_TEST(sealer_survives_lack_of_memory)
{
	struct lab *x = lab_open(64, 53);
	struct sealer_config c = {
		.log = x->log, .boot_id = "a-boot", .sink = take_paused, .arg = x};
	unsigned n_failed = 0;

	sealer_close(x->sealer);
	ck_assert_int_eq(sealer_open(&x->sealer, &c), 0);
	for (unsigned i = 0; i < 2500; i++) {
		int r;

		lab_tick(x);
		fail_in = can_fail && i % 5 ? (long)rnd(x, i % 2 ? 4 : 200) : -1;
		if (i % 41 == 0)
			r = sealer_flush(x->sealer);
		else
			r = sealer_step(x->sealer);
		fail_in = -1;
		ck_assert(r == 0 || r == 1 || r == -ENOMEM);
		n_failed += r == -ENOMEM;
	}
	step_all(x);
	assert_complete(x);
	ck_assert(!can_fail || n_failed > 100);
	lab_close(x);
}
END_TEST

static int drop(void *arg, struct sealed *s)
{
	++*(unsigned *)arg;
	free(s->data);
	return 0;
}

/* Opening, reading, compressing and rolling up fail whole, or succeed. */
START_TEST(readers_survive_lack_of_memory)
{
	struct lab *x = lab_open(64, 59);
	unsigned n_rollups = 0, n_failed = 0;
	struct rollup_config c = {.sink = drop, .arg = &n_rollups};
	struct mirror catalog;
	struct cursor cur;
	struct frame f;
	uint64_t from, to;

	for (unsigned i = 0; i < 300; i++)
		lab_tick(x);
	step_all(x);
	ck_assert_int_eq(sealer_flush(x->sealer), 0);
	mirror_init(&catalog);
	ck_assert_int_eq(cursor_open_seq(&cur, x->log, 1), 0);
	ck_assert_int_eq(cursor_next(&cur, &f, &from, &to), 1);
	ck_assert_int_eq(mirror_apply(&catalog, &f), 0);
	cursor_close(&cur);
	for (long k = 0; k < 400; k++) {
		struct rollup *rollup = NULL;
		uint8_t *small = NULL;
		struct block *b = NULL;
		size_t len;
		int r;

		fail_in = can_fail ? k : -1;
		r = block_compress(x->last, x->last_len, &small, &len);
		if (r == 0)
			r = block_open(&b, small, len);
		if (r == 0)
			r = rollup_open(&rollup, &c);
		if (r == 0)
			r = rollup_add(rollup, b, &catalog);
		if (r == 0)
			r = rollup_flush(rollup);
		fail_in = -1;
		ck_assert(r == 0 || r == -ENOMEM);
		n_failed += r == -ENOMEM;
		rollup_close(rollup);
		block_close(b);
		free(small);
	}
	ck_assert(!can_fail || (n_failed > 50 && n_rollups > 0));
	mirror_done(&catalog);
	lab_close(x);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {sealer_survives_lack_of_memory,
				      readers_survive_lack_of_memory};

	return support_run("seal_memory", tests, sizeof(tests) / sizeof(*tests));
}
