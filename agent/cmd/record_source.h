/*
 * Where `strobe record` has its frames from: an agent that runs, asked once a second for what is new
 * (GET /api/v1/capture?from_seq=), or a sampler of its own. Messages go to stderr.
 *
 * Times are CLOCK_MONOTONIC of the host that is recorded.
 */
#ifndef STROBE_CMD_RECORD_SOURCE_H
#define STROBE_CMD_RECORD_SOURCE_H

#include "cmd/agent.h"
#include "cmd/capture_file.h"
#include "cmd/profiling.h"
#include "cmd/record_stacks.h"
#include "serve/client.h"

struct record_source {
	struct capture_meta meta; /* of the host */
	int64_t from_us;	  /* what is wanted of it; before its boot: negative */
	uint64_t to_us;		  /* UINT64_MAX: not known yet */
	uint64_t newest_us;	  /* all up to here is written */
	struct record_stacks stacks;
	/* an agent that runs */
	bool remote;
	struct client client;
	int64_t ahead_us;     /* its clock - ours */
	uint64_t next_seq;    /* 0: nothing has come yet */
	int64_t held_us;      /* from here on it has what was asked */
	uint64_t answered_us; /* our clock, when it last did */
	/* a sampler of our own */
	struct agent agent;
	struct threads threads;
	struct capture_cut *cut;
	struct profiling profiling;
	_Atomic bool failed;
};

/* Asks the agent what it is. 0 or -errno with a sentence in err. */
int record_from_agent(struct record_source *ret, const struct client *, char *err, size_t err_len);
/* Begins to sample. 0 or -errno, which was said. */
int record_from_sampler(struct record_source *ret, const struct agent_config *,
			uint32_t profile_hz);

/* The time there, now. */
uint64_t record_now_us(const struct record_source *);
/* Writes what is new, up to to_us. 0; -errno, which was said: it is over, or out->error is set. */
int record_step(struct record_source *, struct capture_out *out);
/* After the last step: the stacks up to the end. 0 or what ended the file. */
int record_finish(struct record_source *, struct capture_out *out);
/* All up to to_us is written. */
bool record_is_over(const struct record_source *);
void record_source_close(struct record_source *);

#endif
