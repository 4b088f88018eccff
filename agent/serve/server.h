/*
 * The agent's face: one libwebsockets loop that serves the dashboard's assets, the HTTP API and the
 * stream of proto/strobe.proto to any number of clients, on loopback or a unix socket only.
 *
 * Invariants
 *  - Reads the log through cursors; never writes it, and nothing here can delay the sampler.
 *  - Nothing waits for a client: what a client has not read stays in the log, not in memory.
 *  - Every request and upgrade passes access.c first.
 *
 * Life cycle: server_open; server_run on one thread, server_query_step in a loop on another;
 * server_stop from any thread; both threads joined; server_close.
 */
#ifndef STROBE_SERVE_SERVER_H
#define STROBE_SERVE_SERVER_H

#include "base/host.h"
#include "store/history.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct profiler;
struct profiles;
struct server;

struct server_config {
	const char *listen;	 /* "127.0.0.1:9820", "[::1]:0", "localhost:0" or "unix:/path" */
	const char *token;	 /* 16 to 96 characters of [A-Za-z0-9_-] */
	struct log *log;	 /* outlives the server */
	struct history *history; /* with that log; outlives the server */
	const struct host *host;
	uint32_t rate_hz;    /* ticks a second */
	uint64_t started_us; /* CLOCK_MONOTONIC of the agent's start */
	bool recoverable;    /* the log survives a crash of the agent */
	/* Of a capture: */
	const char *capture_name;  /* of its file; NULL: this is no capture */
	const char *kernel;	   /* uname -r of its host; NULL: of this one */
	uint64_t now_us;	   /* its end, where time stands still; 0: CLOCK_MONOTONIC */
	struct profiles *profiles; /* outlives the server; NULL: no stacks are held */
	struct profiler *profiler; /* that fills them; NULL: none runs */
	const char *no_profiler;   /* why, and what to do; outlives the server */
	bool untimed_profiles;	   /* nobody knows when their stacks were seen */
	const char
		*profile_unit; /* what their weights are where they are no times; NULL or "": us */
	size_t result_bytes;   /* for all results of queries together; 0: 64 MiB, the most */
};

/* Binds and listens; the strings of the config must outlive the server. 0; -EADDRINUSE, -EACCES,
 * -EINVAL (the address is no loopback address, the token is malformed) or another -errno, with a
 * sentence that says what to do in err[err_len]. */
int server_open(struct server **ret, const struct server_config *, char *err, size_t err_len);

/* "http://127.0.0.1:PORT/" with the port the kernel picked; "unix:/path". Valid until
 * server_close. */
const char *server_url(const struct server *);

/* The loop; returns 0 after server_stop, or -errno. */
int server_run(struct server *);

/* Any thread, not a signal handler: server_run returns and server_query_step ends. */
void server_stop(struct server *);

/* The body of the query thread: waits for a job, a minute at most, and runs it. 0; -ECANCELED: the
 * server was stopped, end the thread. */
int server_query_step(struct server *);

/* After both threads have ended. NULL is fine. */
void server_close(struct server *);

#endif
