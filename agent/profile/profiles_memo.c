/* What readers made of sealed epochs, kept with them. */
#include <stdlib.h>
#include <string.h>

#include "profile/profiles_internal.h"

enum { MEMOS_MAX = 8 }; /* of one epoch */

static void drop(struct shelf *s, struct memo **at)
{
	struct memo *m = *at;

	*at = m->next;
	s->decoded_bytes -= m->bytes;
	m->release(m->made);
	free(m);
}

void memos_drop(struct shelf *s, struct held *h)
{
	while (h->memos)
		drop(s, &h->memos);
}

struct memo *memo_find(const struct held *h, const struct profiles_memo *want, int64_t shift_us)
{
	for (struct memo *m = h->memos; m; m = m->next)
		if (m->shift_us == shift_us && m->key_len == want->key_len &&
		    memcmp(m->key, want->key, want->key_len) == 0)
			return m;
	return NULL;
}

/* Those that mean nothing any more, and the oldest beyond those that are kept. */
static void tidy(struct shelf *s, struct held *h, int64_t shift_us)
{
	struct memo **oldest = NULL;
	unsigned n = 0;

	for (struct memo **m = &h->memos; *m;) {
		if ((*m)->shift_us != shift_us) {
			drop(s, m);
			continue;
		}
		if (!oldest || (*m)->used < (*oldest)->used)
			oldest = m;
		n++;
		m = &(*m)->next;
	}
	if (n >= MEMOS_MAX)
		drop(s, oldest);
}

void memo_keep(struct profiles *p, struct held *h, const struct profiles_memo *want, void *made,
	       size_t bytes, int64_t shift_us)
{
	struct memo *m = NULL;

	tidy(&p->shelf, h, shift_us);
	bytes += sizeof(*m) + want->key_len;
	if (!h->gone && shelf_make_room(p, bytes))
		m = malloc(sizeof(*m) + want->key_len);
	if (!m) {
		want->release(made);
		return;
	}
	*m = (struct memo){.next = h->memos,
			   .made = made,
			   .release = want->release,
			   .bytes = bytes,
			   .key_len = want->key_len,
			   .shift_us = shift_us,
			   .used = ++p->shelf.uses};
	memcpy(m->key, want->key, want->key_len);
	h->memos = m;
	p->shelf.decoded_bytes += bytes;
}

bool memos_drop_oldest(struct shelf *s)
{
	struct memo **oldest = NULL;

	for (size_t i = 0; i < s->n; i++)
		for (struct memo **m = &s->v[i]->memos; *m && !s->v[i]->refs; m = &(*m)->next)
			if ((*m)->used <= s->pass && (!oldest || (*m)->used < (*oldest)->used))
				oldest = m;
	if (oldest)
		drop(s, oldest);
	return oldest != NULL;
}
