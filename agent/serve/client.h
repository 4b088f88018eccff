/*
 * How a verb talks to a running agent: finds it, sends one GET, takes the whole answer. Bounded in
 * time (30 s) and size (256 MiB).
 */
#ifndef STROBE_SERVE_CLIENT_H
#define STROBE_SERVE_CLIENT_H

#include <stddef.h>

struct client {
	char host[64], port[8]; /* or: */
	char socket[108];
	char token[256];
	char shown[256]; /* its URL without the token, for messages */
};

/* url: "http://HOST:PORT/#token=TOKEN" or "unix:/path#token=TOKEN"; NULL: $STROBE_URL, and without
 * it the running agent of this user. A token that is missing is taken from $STROBE_TOKEN, or from
 * the running agent when that is the one meant. 0, -ENOENT or -EINVAL with a sentence in err. */
int client_find(const char *url, struct client *ret, char *err, size_t err_len);

/* GET target ("/api/v1/status"). 0 and a NUL-ended body to free; -errno with a sentence in err:
 * what the agent answered when it refused (-EREMOTEIO, -EACCES for 401), or why it could not be
 * reached. */
int client_get(const struct client *, const char *target, char **ret, char *err, size_t err_len);

/* The same for an answer of any size that is read while it comes: client_stream_read() gives 1 to len
 * bytes, 0 at its end, -EPIPE where it was cut short, -ETIMEDOUT after 30 s without a byte, -errno. */
struct client_stream;
int client_stream_open(struct client_stream **ret, const struct client *, const char *target,
		       char *err, size_t err_len);
int client_stream_read(void *stream, void *to, size_t len);
void client_stream_close(struct client_stream *); /* NULL is fine */

/* Appends the percent-encoded text to the string at out (of size out_size). 0 or -ENOBUFS. */
int client_escape(char *out, size_t out_size, const char *text);

#endif
