/* Which frames a regular expression matches. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "profile/heat_internal.h"

int matcher_open(struct matcher *m, const char *pattern, bool ignore_case, char *err,
		 size_t err_len)
{
	int r;

	*m = (struct matcher){0};
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
	if (!m->known[i])
		m->known[i] = regexec(&m->regex, name, 0, NULL, 0) == 0 ? 2 : 1;
	return m->known[i] == 2;
}

/* By frame of the set; to free(). NULL: no memory. */
static uint8_t *match_frames(struct matcher *m, const struct stacks *s)
{
	uint8_t *frames = malloc(s->n_frames);
	char buf[4096];

	for (uint32_t i = 0; frames && i < s->n_frames; i++) {
		int r = match_name(m, stacks_frame_name(s, i, buf, sizeof(buf)));

		if (r < 0) {
			free(frames);
			return NULL;
		}
		frames[i] = r > 0;
	}
	return frames;
}

int matcher_begin(struct matcher *m, const struct stacks *s)
{
	uint8_t *frames = match_frames(m, s);

	free(m->nodes);
	m->nodes = malloc(s->n_nodes);
	if (!frames || !m->nodes) {
		free(frames);
		return -ENOMEM;
	}
	m->nodes[0] = 0;
	for (uint32_t i = 1; i < s->n_nodes; i++)
		m->nodes[i] = m->nodes[s->nodes[i].parent] | frames[s->nodes[i].frame];
	free(frames);
	return 0;
}
