/*
 * One HTTP request: http.c takes and answers it, download.c sends what is made while it is sent.
 */
#ifndef STROBE_SERVE_REQUEST_H
#define STROBE_SERVE_REQUEST_H

#include "serve/api.h"

enum { REQUEST_ARGS_MAX = 300, REQUEST_CHUNK = 64 << 10, REQUEST_SEND_TIMEOUT_S = 20 };

enum endpoint {
	ENDPOINT_NONE,
	ENDPOINT_QUERY,
	ENDPOINT_STATUS,
	ENDPOINT_PAST, /* rank, held */
	ENDPOINT_CAPTURE,
	ENDPOINT_PROFILE
};

struct download;

struct request { /* of one connection; one at a time */
	struct server *server;
	struct lws *wsi;
	struct request *next; /* in server->waiting */
	enum endpoint pending;
	struct api_query query;
	struct download *download; /* being sent */
	char *args;		   /* what query points into */
	bool head, close;
	const uint8_t *data; /* the body: of an asset, or of `body` */
	size_t len, sent;
	struct buf body;
	struct job *answer; /* of which `body` was taken: its bytes count as long as it lives */
};

struct request_header {
	const char *name, *value; /* name with its colon */
};
/* Sends the head, and asks for turns to send r->data[r->len]. What lws callbacks return. */
int request_respond(struct request *, unsigned status, const char *mime,
		    const struct request_header *extra, size_t n_extra);
/* Answers with an error in words. What lws callbacks return: 0, or -1 (close). */
int request_refuse(struct request *, unsigned status, const char *error, const char *hint);
/* Answers with what stands in r->body. */
int request_respond_body(struct request *, unsigned status, const char *mime);
/* Reads the arguments into one allocation, NUL-ended each. The number of them, or -ENOMEM. */
int request_args(struct request *, char *args[REQUEST_ARGS_MAX]);

/* Hands the query thread a job, which is taken over; the request has its turn again when it is done.
 * 0; -EAGAIN: too many are waiting. Then request_job() gives it back, NULL: not yet. */
int request_wait(struct request *, struct job *, enum endpoint);
struct job *request_job(struct request *);

/* ---- http_profile.c ---- */

/* GET /api/v1/profile: queues a job. */
int request_profile(struct request *);
int request_profile_finish(struct request *, struct job *);
/* POST /api/v1/profile/burst. */
int request_burst(struct request *);

/* ---- static.c ---- */

struct asset;
/* Answers with a file of the page: compressed where the client takes that, or that it has not changed. */
int request_asset(struct request *, const struct asset *);

/* ---- download.c ---- */

/* GET /api/v1/capture?from=TIME&to=TIME: that range as a capture file (store/capture.h); without
 * them all that is held in full. from_us and to_us are the same as CLOCK_MONOTONIC; from_seq=N goes on
 * with frame N of the log, without the state before it, up to the newest. Answers, or sets
 * r->download. */
int download_begin(struct request *);
/* The socket takes more. */
int download_send(struct request *);
void download_free(struct request *);

#endif
