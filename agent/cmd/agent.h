/*
 * A host being sampled into a log: what `strobe run` and `strobe record` have in common. Messages
 * go to stderr.
 *
 * Life cycle: agent_open_host; the caller opens agent->log; agent_open_sampler; agent_start; ...;
 * agent_stop; threads_join; agent_close.
 */
#ifndef STROBE_CMD_AGENT_H
#define STROBE_CMD_AGENT_H

#include "cmd/threads.h"
#include "sample/sampler.h"

struct agent_config {
	const char *proc, *sys, *cgroup; /* NULL: this host's */
	uint32_t rate_hz, budget_ppm;
	const bool *off;
	const uint32_t *period_ms;
};

struct agent {
	struct host host;
	struct log *log;
	struct sampler *sampler;
	void (*failed)(void *arg); /* the sampler has stopped by itself */
	void *failed_arg;
};

/* Zeroes *ret. 0 or -errno. Allows more open files, too. */
int agent_open_host(struct agent *ret, const struct agent_config *);
/* continued: agent->log holds what an earlier run wrote. */
int agent_open_sampler(struct agent *, const struct agent_config *, bool continued);
/* Starts its threads. 0 or -errno. */
int agent_start(struct agent *, struct threads *);
void agent_stop(struct agent *);
/* After its threads have ended. What was never opened is fine. */
void agent_close(struct agent *);

/* What the sampler may spend of one core unless told otherwise. */
uint32_t agent_budget_ppm(uint32_t rate_hz);

#endif
