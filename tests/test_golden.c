/*
 * Every collector of the registry, sampled twice on the captured tree tests/fixtures/host-a; what
 * comes out is compared with tests/golden/NAME.txt, line by line "metric{instance} stored-value",
 * "-" for absent. UPDATE=1 writes the files anew: then look at the difference before you commit it.
 */
#include "support.h"

#include <stdarg.h>

#define GOLDEN "tests/golden"

/* These look at the agent itself, not at the tree: only their names can be compared. */
static const char *const alive[] = {"strobe", NULL};

static bool is_alive(const char *name)
{
	for (size_t i = 0; alive[i]; i++)
		if (strcmp(alive[i], name) == 0)
			return true;
	return false;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

struct lines {
	char **line;
	size_t n;
};

static void add_line(struct lines *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void add_line(struct lines *l, const char *fmt, ...)
{
	va_list ap;

	l->line = realloc(l->line, (l->n + 1) * sizeof(*l->line));
	ck_assert_ptr_nonnull(l->line);
	va_start(ap, fmt);
	ck_assert_int_ge(vasprintf(&l->line[l->n++], fmt, ap), 0);
	va_end(ap);
}

static void add_instance(struct lines *l, const struct batch *b, uint32_t slot, bool names_only)
{
	const struct group *g = b->group;
	const char *name = b->inst[slot].name;

	for (uint32_t m = 0; m < b->n_metrics; m++) {
		int64_t v = b->rows[(size_t)slot * b->n_metrics + m];

		if (names_only)
			add_line(l, "%s{%s}", g->metrics[m].name, name);
		else if (v == VALUE_ABSENT)
			add_line(l, "%s{%s} -", g->metrics[m].name, name);
		else
			add_line(l, "%s{%s} %lld", g->metrics[m].name, name, (long long)v);
	}
	for (uint32_t k = 0; k < b->n_attrs && !names_only; k++)
		if (b->attrs[(size_t)slot * b->n_attrs + k][0])
			add_line(l, "%s{%s} %s: %s", g->name, name, g->attrs[k],
				 b->attrs[(size_t)slot * b->n_attrs + k]);
}

/* What the collector says of the tree, sorted; to be freed. */
static char *describe(const struct collector *c)
{
	struct rig r = {0};
	struct lines l = {0};
	size_t size = 1;
	char *text;

	support_host(&r.host, "host-a");
	int e = rig_open(&r, c);

	if (e)
		add_line(&l, "open: %s", strerror(-e));
	for (int pass = 0; pass < 2 && !e; pass++)
		e = rig_sample(&r);
	if (e < 0 && !l.n)
		add_line(&l, "sample: %s", strerror(-e));
	for (size_t g = 0; g < c->n_groups; g++)
		for (uint32_t s = 0; s < r.batches[g].n_slots; s++)
			if (r.batches[g].inst[s].live)
				add_instance(&l, &r.batches[g], s, is_alive(c->name));
	rig_close(&r);
	qsort(l.line, l.n, sizeof(*l.line), by_text);
	for (size_t i = 0; i < l.n; i++)
		size += strlen(l.line[i]) + 1;
	text = calloc(1, size);
	for (size_t i = 0, at = 0; i < l.n; i++) {
		at += (size_t)sprintf(text + at, "%s\n", l.line[i]);
		free(l.line[i]);
	}
	free(l.line);
	return text;
}

static char *read_text(const char *path)
{
	FILE *f = fopen(path, "r");
	char *text = NULL;
	size_t size = 0;

	if (!f)
		return NULL;
	if (getdelim(&text, &size, 0, f) < 0) {
		free(text);
		text = strdup("");
	}
	fclose(f);
	return text;
}

/* Fails with the first line that differs. */
static void compare(const char *name, const char *got, const char *want)
{
	while (*got && *want) {
		size_t g = strcspn(got, "\n"), w = strcspn(want, "\n");

		if (g != w || memcmp(got, want, g) != 0)
			break;
		got += g + (got[g] == '\n');
		want += w + (want[w] == '\n');
	}
	ck_assert_msg(!*got && !*want,
		      "%s: got \"%.*s\", " GOLDEN "/%s.txt has \"%.*s\" (UPDATE=1 accepts it)",
		      name, (int)strcspn(got, "\n"), got, name, (int)strcspn(want, "\n"), want);
}

START_TEST(says_what_it_said_before)
{
	const struct collector *c = collectors[_i];
	char path[256], *got = describe(c), *want;

	snprintf(path, sizeof(path), GOLDEN "/%s.txt", c->name);
	if (getenv("UPDATE")) {
		FILE *f = fopen(path, "w");

		ck_assert_ptr_nonnull(f);
		fputs(got, f);
		ck_assert_int_eq(fclose(f), 0);
	}
	want = read_text(path);
	ck_assert_msg(want != NULL, "%s: missing; run UPDATE=1 $B/tests/test_golden and look at it",
		      path);
	compare(c->name, got, want);
	free(got);
	free(want);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("golden");

	tcase_add_loop_test(tc, says_what_it_said_before, 0, (int)n_collectors);
	return support_run_case("golden", tc);
}
