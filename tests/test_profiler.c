/* The profiler on this host, against a program whose shares, times and waits are known. */
#include "profiler_lab.h"
#include "profile_doubles.h"

START_TEST(shares_are_right)
{
	static const struct {
		const char *name;
		double share;
	} want[] = {{"spin_hot", 0.6}, {"spin_warm", 0.3}, {"spin_cool", 0.1}};
	struct lab l;
	struct spin spin;
	uint32_t n = 0, by[3] = {0};

	ck_assert_int_eq(lab_open(&l, 499, false), 0);
	spin_start(&spin, "shares", "2", NULL);
	spin_wait(&spin);
	lab_sleep(0.1);
	lab_stop(&l);
	struct stacks *s = lab_stacks(&l);

	for (uint32_t i = 0; i < s->n_samples; i++) {
		if (!spin_task(s, &s->samples[i], spin.pid))
			continue;
		n++;
		if (getenv("VERBOSE"))
			spin_print(s, &s->samples[i]);
		for (int k = 0; k < 3; k++)
			by[k] += spin_in(s, s->samples[i].node, spin_addr(&spin, want[k].name));
	}
	ck_assert_msg(n > 600, "%u samples of 2 s at 499 Hz", n);
	for (int k = 0; k < 3; k++) {
		double mean = n * want[k].share, sigma = sqrt(mean * (1 - want[k].share));

		ck_assert_msg(fabs(by[k] - mean) < 4 * sigma + 0.01 * n, "%s: %u of %u, want %.0f +- %.1f",
			      want[k].name, by[k], n, mean, sigma);
	}
	stacks_free(s);
	lab_close(&l);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("profiler");
	TCase *t = tcase_create("host");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_test(t, shares_are_right);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
