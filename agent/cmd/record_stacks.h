/* The stacks that go into a capture beside its frames, stretch by stretch. */
#ifndef STROBE_CMD_RECORD_STACKS_H
#define STROBE_CMD_RECORD_STACKS_H

#include "cmd/capture_file.h"
#include "profile/profiles.h"
#include "serve/client.h"

struct record_stacks {
	int64_t next_us;	     /* what is before it was written; 0: nothing is wanted yet */
	bool off;		     /* there are none */
	const struct client *client; /* an agent to ask; or: */
	struct profiles *profiles;
};

/* Writes what there is up to to_us, by stretches of a few seconds; `last`: also a shorter one. 0, or what ended
 * the file. Trouble with the agent is no error: its stacks are missing then. */
int record_stacks_step(struct record_stacks *, int64_t to_us, bool last, struct capture_out *);

#endif
