/*
 * What the files of serve/ share of one server. All of it belongs to the server's thread but the
 * job queue, which has a lock of its own.
 */
#ifndef STROBE_SERVE_PRIVATE_H
#define STROBE_SERVE_PRIVATE_H

#include "base/clock.h"
#include "serve/jobs.h"
#include "serve/server.h"
#include "serve/tail.h"

#include <libwebsockets.h>
#include <stdatomic.h>
#include <sys/un.h>

/* Room in front of a message: what lws wants, and the tag and length that wrap it. */
enum { OUT_HEAD = LWS_PRE + 16 };

enum { DOWNLOADS_MAX = 4 };

struct session;
struct request;

struct server {
	struct server_config config;
	struct lws_context *context;
	struct lws_vhost *vhost;
	int listen_fd, wake_fd, log_fd; /* adopted by lws once they have a wsi */
	struct lws *listen_wsi, *wake_wsi, *log_wsi;
	char url[sizeof(struct sockaddr_un) + 32];
	char socket_path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	_Atomic bool stop;
	struct tail tail;
	struct buf out; /* the message being made; one at a time */
	uint32_t n_wsi; /* that lws has: connections and a few of its own */
	struct session *sessions;
	uint32_t n_sessions;
	struct jobs jobs;
	struct request *waiting; /* HTTP requests that wait for a job */
	unsigned n_downloads;	 /* captures being sent */
	uint8_t **plain;	 /* inflated assets, one each; NULL: not asked for yet */
};

/* ---- stream.c: the WebSocket side ---- */

int stream_callback(struct lws *, enum lws_callback_reasons, void *user, void *in, size_t len);
/* New items or finished jobs: asks each session with something to send for its turn. */
void stream_wake(struct server *);
/* Brings the tail up to the newest frame. Where it lost some, so have the sessions: they resume
 * from the log, behind a Gap. */
void stream_advance(struct server *);

/* ---- http.c: requests ---- */

int http_callback(struct lws *, enum lws_callback_reasons, void *user, void *in, size_t len);
/* Jobs are finished: the requests that wait for one get their turn. */
void http_wake(struct server *);

/* ---- server.c ---- */

struct server *server_of(struct lws *);
/* The time that is "now" to clients. */
static inline uint64_t server_now_us(const struct server *s)
{
	return s->config.now_us ? s->config.now_us : clock_mono_us();
}
/* Host and Origin of the request, and its method. 0, or the HTTP status to refuse it with. */
unsigned server_check_request(struct lws *);
/* Starts the message to come in server->out; the bytes of its body follow. */
void out_begin(struct server *);
/* Wraps what was written since out_begin into field `field` of a ServerMessage and sends it.
 * 0 or -1 (the connection must close). */
int out_send(struct server *, struct lws *, uint32_t field);
/* Sends one whole message. */
int out_send_whole(struct server *, struct lws *, const uint8_t *message, size_t len);

#endif
