/* Which frames a regular expression matches. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "stacks/heat_internal.h"

/* Patterns come from clients, and the stacks that are being written are locked while names are matched. */
enum { COST_MAX = 250, DEPTH_MAX = 32, NAME_MAX_BYTES = 500, SPENT_MAX_NS = 400000000 };

/* ---- what a pattern costs: regcomp() writes out what repeats ---- */

struct costs {
	const char *p;
	uint32_t sum[DEPTH_MAX], last[DEPTH_MAX]; /* of each open group; of what can be repeated */
	unsigned depth;
	bool right;
};

static void add_cost(struct costs *c, uint32_t n)
{
	c->last[c->depth] = n;
	c->sum[c->depth] += n;
	if (c->sum[c->depth] > COST_MAX)
		c->right = false;
}

static void repeat(struct costs *c, uint32_t times)
{
	uint32_t last = c->last[c->depth];

	c->sum[c->depth] -= last;
	if (times > COST_MAX)
		c->right = false;
	else
		add_cost(c, times ? last * times : 1);
}

static void close_group(struct costs *c)
{
	if (!c->depth) {
		add_cost(c, 1);
		return;
	}
	c->depth--;
	add_cost(c, c->sum[c->depth + 1] + 1);
}

static void open_group(struct costs *c)
{
	if (c->depth + 1 == DEPTH_MAX) {
		c->right = false;
		return;
	}
	c->depth++;
	c->sum[c->depth] = c->last[c->depth] = 0;
}

/* "[...]", with ']' first in it and "[:class:]". */
static void skip_brackets(struct costs *c)
{
	const char *p = c->p + 1;

	p += *p == '^';
	p += *p == ']';
	while (*p && *p != ']') {
		const char *end = NULL;

		if (*p == '[' && p[1] && strchr(":.=", p[1]))
			end = strchr(p + 2, p[1]);
		p = end && end[1] == ']' ? end + 2 : p + 1;
	}
	c->p = *p ? p : p - 1;
	add_cost(c, 1);
}

static void repeat_times(struct costs *c)
{
	unsigned long from, to;
	char *end;

	if (!isdigit((unsigned char)c->p[1]) && c->p[1] != ',') {
		add_cost(c, 1);
		return;
	}
	from = to = strtoul(c->p + 1, &end, 10);
	if (*end == ',')
		to = isdigit((unsigned char)end[1]) ? strtoul(end + 1, &end, 10) : from + 1;
	if (from > COST_MAX || to > COST_MAX)
		c->right = false;
	else
		repeat(c, (uint32_t)(to > from ? to : from));
	while (c->p[1] && *c->p != '}')
		c->p++;
}

/* No back-references either: they are matched by trying. */
static bool is_cheap(const char *pattern)
{
	struct costs c = {.p = pattern, .right = true};

	for (; *c.p && c.right; c.p++) {
		if (*c.p == '\\' && c.p[1]) {
			c.p++;
			c.right = !isdigit((unsigned char)*c.p);
			add_cost(&c, 1);
		} else if (*c.p == '[') {
			skip_brackets(&c);
		} else if (*c.p == '(') {
			open_group(&c);
		} else if (*c.p == ')') {
			close_group(&c);
		} else if (*c.p == '+') {
			repeat(&c, 2);
		} else if (*c.p == '{') {
			repeat_times(&c);
		} else if (!strchr("*?|", *c.p)) {
			add_cost(&c, 1);
		}
	}
	return c.right;
}

/* ---- matching ---- */

int matcher_open(struct matcher *m, const char *pattern, bool ignore_case, char *err,
		 size_t err_len)
{
	int r;

	*m = (struct matcher){0};
	if (!is_cheap(pattern)) {
		snprintf(err, err_len,
			 "this pattern is too much work: fewer and smaller repetitions, no "
			 "back-references");
		return -EBADMSG;
	}
	r = regcomp(&m->regex, pattern, REG_EXTENDED | REG_NOSUB | (ignore_case ? REG_ICASE : 0));
	if (r == REG_ESPACE)
		return -ENOMEM;
	if (r) {
		if (err_len)
			regerror(r, &m->regex, err, err_len);
		return -EBADMSG;
	}
	m->is_open = true;
	m->names = stacks_new();
	if (!m->names) {
		matcher_close(m);
		return -ENOMEM;
	}
	return 0;
}

void matcher_close(struct matcher *m)
{
	if (m->is_open)
		regfree(&m->regex);
	stacks_free(m->names);
	free(m->known);
	free(m->nodes);
	*m = (struct matcher){0};
}

static uint64_t spent_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static bool matches(struct matcher *m, const char *name)
{
	uint64_t begun_ns = spent_ns();
	char start[NAME_MAX_BYTES + 1];
	bool yes;

	if (strlen(name) > NAME_MAX_BYTES) {
		memcpy(start, name, NAME_MAX_BYTES);
		start[NAME_MAX_BYTES] = '\0';
		name = start;
	}
	yes = regexec(&m->regex, name, 0, NULL, 0) == 0;
	m->spent_ns += spent_ns() - begun_ns;
	return yes;
}

static int match_name(struct matcher *m, const char *name)
{
	uint32_t i = stacks_string(m->names, name, strlen(name));

	if (stacks_failed(m->names))
		return -ENOMEM;
	if (i >= m->cap) {
		uint32_t cap = (i + 1) * 2;
		uint8_t *grown = realloc(m->known, cap);

		if (!grown)
			return -ENOMEM;
		memset(grown + m->cap, 0, cap - m->cap);
		m->known = grown;
		m->cap = cap;
	}
	if (!m->known[i] && m->spent_ns > SPENT_MAX_NS)
		return -ETIME;
	if (!m->known[i])
		m->known[i] = matches(m, name) ? 2 : 1;
	return m->known[i] == 2;
}

/* By frame of the set, in *ret, to free(). As matcher_begin(). */
static int match_frames(struct matcher *m, const struct stacks *s, uint8_t **ret)
{
	uint8_t *frames = malloc(s->n_frames);
	char buf[4096];

	for (uint32_t i = 0; frames && i < s->n_frames; i++) {
		int r = match_name(m, stacks_frame_name(s, i, buf, sizeof(buf)));

		if (r < 0) {
			free(frames);
			return r;
		}
		frames[i] = r > 0;
	}
	*ret = frames;
	return frames ? 0 : -ENOMEM;
}

int matcher_begin(struct matcher *m, const struct stacks *s)
{
	uint8_t *frames;
	int r = match_frames(m, s, &frames);

	if (r < 0)
		return r;
	free(m->nodes);
	m->nodes = malloc(s->n_nodes);
	if (!m->nodes) {
		free(frames);
		return -ENOMEM;
	}
	m->nodes[0] = 0;
	for (uint32_t i = 1; i < s->n_nodes; i++)
		m->nodes[i] = m->nodes[s->nodes[i].parent] | frames[s->nodes[i].frame];
	free(frames);
	return 0;
}
