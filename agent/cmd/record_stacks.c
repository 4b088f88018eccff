#include "cmd/record_stacks.h"

#include "base/msg.h"
#include "profile/range.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* An interrupted recording lacks the stacks of its last stretch; each repeats the names it needs. */
static const int64_t stretch_us = 5000000, stretch_max_us = 60000000;

static int read_all(struct client_stream *stream, uint8_t **ret, size_t *len)
{
	size_t cap = 1 << 16;
	uint8_t *p = malloc(cap);
	int r = p ? 1 : -ENOMEM;

	*len = 0;
	while (r > 0) {
		if (*len == cap) {
			uint8_t *more = cap < EPOCH_BYTES_MAX ? realloc(p, cap *= 2) : NULL;

			if (!more) {
				r = -EMSGSIZE;
				break;
			}
			p = more;
		}
		r = client_stream_read(stream, p + *len, cap - *len);
		if (r > 0)
			*len += (size_t)r;
	}
	if (r < 0)
		free(p);
	else
		*ret = p;
	return r;
}

static int ask_agent(const struct record_stacks *s, int64_t to_us, bool goes_on, uint8_t **ret,
		     size_t *len)
{
	struct client_stream *stream;
	char target[160], err[512];

	snprintf(target, sizeof(target),
		 "/api/v1/profile?format=strobe&from_us=%" PRId64 "&to_us=%" PRId64 "%s",
		 s->next_us, to_us, goes_on ? "&goes_on=1" : "");
	int r = client_stream_open(&stream, s->client, target, err, sizeof(err));

	if (r < 0) {
		msg(MSG_DEBUG, "no stacks: %s", err);
		return r;
	}
	r = read_all(stream, ret, len);
	client_stream_close(stream);
	return r;
}

int record_stacks_step(struct record_stacks *s, int64_t to_us, bool last, struct capture_out *out)
{
	int r = 0;

	while (!s->off && r >= 0 && to_us - s->next_us >= (last ? 1 : stretch_us)) {
		int64_t end_us =
			to_us - s->next_us > stretch_max_us ? s->next_us + stretch_max_us : to_us;
		uint8_t *data = NULL;
		size_t len = 0;
		bool goes_on = !last || end_us < to_us;
		int e = s->client ? ask_agent(s, end_us, goes_on, &data, &len)
				  : range_epoch(s->profiles, s->next_us, &end_us, goes_on, &data,
						&len);

		if (e == 0)
			r = capture_out_section(out, CAPTURE_PROFILE, data, len);
		free(data);
		s->next_us = end_us;
	}
	return r;
}
