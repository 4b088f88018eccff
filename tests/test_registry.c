/* What every collector's tables promise: the catalog, the reference page and the UI rely on it. */
#include "support.h"

static const char *const units[] = {"byte",  "Kbyte", "millisec",    "microsec", "nanosec",
				    "sec",   "count", "count / sec", "%",	 "1",
				    "bit/s", "page",  NULL};

static bool is_one_of(const char *s, const char *const *list)
{
	while (*list && strcmp(*list, s) != 0)
		list++;
	return *list != NULL;
}

static void check_metric(const struct metric *m)
{
	size_t len = strlen(m->help);

	ck_assert_msg(m->mul > 0 && m->div > 0, "%s: mul/div", m->name);
	ck_assert_msg(m->quantum >= 0, "%s: quantum", m->name);
	ck_assert_msg(is_one_of(m->unit, units), "%s: unit %s", m->name, m->unit);
	ck_assert_msg(m->source && *m->source, "%s: source", m->name);
	ck_assert_msg(len > 4 && strchr(".?", m->help[len - 1]), "%s: help is no sentence: %s",
		      m->name, m->help);
	ck_assert_msg(strspn(m->name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789_.") == strlen(m->name),
		      "%s: name", m->name);
	ck_assert_msg(!m->names || m->sem != SEM_COUNTER, "%s: a counter has no words", m->name);
}

START_TEST(tables_are_complete)
{
	const struct collector *c = collectors[_i];

	ck_assert_msg(c->name && c->help && c->n_groups && c->open && c->sample && c->close, "%s",
		      c->name);
	ck_assert_msg(!c->n_workers == !c->work, "%s: workers without work", c->name);
	ck_assert_msg(!c->n_workers == !c->wake, "%s: workers that nobody wakes", c->name);
	for (size_t g = 0; g < c->n_groups; g++) {
		const struct group *grp = &c->groups[g];

		ck_assert_msg(grp->n_metrics && grp->n_metrics <= GROUP_METRICS_MAX, "%s",
			      grp->name);
		ck_assert_msg(grp->indom ? grp->max_instances > 1 : grp->max_instances == 1, "%s",
			      grp->name);
		for (uint32_t m = 0; m < grp->n_metrics; m++)
			check_metric(&grp->metrics[m]);
	}
}
END_TEST

START_TEST(names_are_unique)
{
	const char *seen[4096], *groups[256];
	size_t n = 0, n_groups = 0;

	for (size_t c = 0; c < n_collectors; c++)
		for (size_t g = 0; g < collectors[c]->n_groups; g++) {
			const struct group *grp = &collectors[c]->groups[g];

			for (size_t i = 0; i < n_groups; i++)
				ck_assert_str_ne(groups[i], grp->name);
			groups[n_groups++] = grp->name;
			for (uint32_t m = 0; m < grp->n_metrics; m++) {
				for (size_t i = 0; i < n; i++)
					ck_assert_str_ne(seen[i], grp->metrics[m].name);
				seen[n++] = grp->metrics[m].name;
			}
		}
	ck_assert_uint_gt(n, 100);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("registry");

	tcase_add_loop_test(tc, tables_are_complete, 0, (int)n_collectors);
	tcase_add_test(tc, names_are_unique);
	return support_run_case("registry", tc);
}
