#include "serve/client.h"

#include "base/cleanup.h"
#include "base/runtime.h"
#include "serve/buf.h"

#include <errno.h>
#include <jansson.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

enum { ANSWER_MAX = 256 << 20, HEAD_MAX = 64 << 10, TIMEOUT_S = 30 };

/* ---- which agent ---- */

static int parse_url(const char *url, struct client *c, char *err, size_t err_len)
{
	const char *hash = strchr(url, '#'), *end = hash ? hash : url + strlen(url);

	if (hash && strncmp(hash, "#token=", 7) == 0)
		snprintf(c->token, sizeof(c->token), "%s", hash + 7);
	snprintf(c->shown, sizeof(c->shown), "%.*s", (int)(end - url), url);
	if (strncmp(url, "unix:", 5) == 0 && end - url > 5) {
		snprintf(c->socket, sizeof(c->socket), "%.*s", (int)(end - url - 5), url + 5);
		return 0;
	}
	const char *host = strncmp(url, "http://", 7) == 0 ? url + 7 : NULL;
	size_t n = host ? strcspn(host, "/#?") : 0;
	const char *colon = host ? memrchr(host, ':', n) : NULL;

	if (!colon || colon == host || (size_t)(colon - host) >= sizeof(c->host) ||
	    n - (size_t)(colon - host) > 6) {
		snprintf(err, err_len,
			 "'%s' is no URL of an agent: expected http://127.0.0.1:PORT/#token=TOKEN",
			 c->shown);
		return -EINVAL;
	}
	bool brackets = host[0] == '[' && colon[-1] == ']';

	snprintf(c->host, sizeof(c->host), "%.*s", (int)(colon - host) - 2 * brackets,
		 host + brackets);
	snprintf(c->port, sizeof(c->port), "%.*s", (int)(n - (size_t)(colon - host) - 1),
		 colon + 1);
	return 0;
}

static bool is_loopback(const char *host)
{
	return !strcmp(host, "localhost") || !strcmp(host, "::1") ||
	       (!strncmp(host, "127.", 4) && strspn(host, "0123456789.") == strlen(host));
}

/* The token of the agent that the URL names, where it is one of this host and this user. */
static void borrow_token(struct client *c)
{
	struct runtime_agent agent;
	char listen[sizeof(c->socket) + 8];

	if (!c->socket[0] && !is_loopback(c->host))
		return;
	snprintf(listen, sizeof(listen), "%s:%s", c->socket[0] ? "unix" : "",
		 c->socket[0] ? c->socket : c->port);
	if (runtime_read_agent(NULL, listen, &agent) == 0)
		snprintf(c->token, sizeof(c->token), "%s", agent.token);
}

int client_find(const char *url, struct client *ret, char *err, size_t err_len)
{
	struct client c = {0};
	struct runtime_agent agent;
	const char *token = getenv("STROBE_TOKEN");

	if (!url || !*url)
		url = getenv("STROBE_URL");
	if (url && *url) {
		int r = parse_url(url, &c, err, err_len);

		if (r < 0)
			return r;
		if (!c.token[0] && token)
			snprintf(c.token, sizeof(c.token), "%s", token);
		if (!c.token[0])
			borrow_token(&c);
	} else if (runtime_read_agent(NULL, NULL, &agent) == 0) {
		int r = parse_url(agent.socket[0] ? "unix:/" : agent.url, &c, err, err_len);

		if (r < 0)
			return r;
		snprintf(c.socket, sizeof(c.socket), "%s", agent.socket);
		snprintf(c.token, sizeof(c.token), "%s", agent.token);
		snprintf(c.shown, sizeof(c.shown), "%s", agent.url);
	} else {
		snprintf(err, err_len,
			 "no running agent of this user was found: start one with 'strobe run', or "
			 "name one with --url "
			 "URL (the line that 'strobe run' printed) or STROBE_URL");
		return -ENOENT;
	}
	*ret = c;
	return 0;
}

/* ---- one request ---- */

static int dial(const struct client *c)
{
	_cleanup_close_ int fd = -1;
	struct timeval timeout = {.tv_sec = TIMEOUT_S};
	int r;

	if (c->socket[0]) {
		struct sockaddr_un un = {.sun_family = AF_UNIX};

		snprintf(un.sun_path, sizeof(un.sun_path), "%s", c->socket);
		fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		r = fd < 0 || connect(fd, (struct sockaddr *)&un, sizeof(un)) < 0 ? -errno : 0;
	} else {
		struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;

		if (getaddrinfo(c->host, c->port, &hints, &list) != 0)
			return -EHOSTUNREACH;
		r = -EHOSTUNREACH;
		for (struct addrinfo *a = list; a && r < 0; a = a->ai_next) {
			if (fd >= 0)
				close(fd);
			fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
			r = fd < 0 || connect(fd, a->ai_addr, a->ai_addrlen) < 0 ? -errno : 0;
		}
		freeaddrinfo(list);
	}
	if (r < 0)
		return r;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	return TAKE_FD(fd);
}

static int send_request(int fd, const struct client *c, const char *target)
{
	struct buf request = {0};
	int r = 0;

	buf_text(&request, "GET ");
	buf_text(&request, target);
	buf_text(&request, " HTTP/1.1\r\nHost: ");
	buf_text(&request, c->socket[0] || strchr(c->host, ':') ? "localhost" : c->host);
	if (!c->socket[0]) {
		buf_text(&request, ":");
		buf_text(&request, c->port);
	}
	buf_text(&request, "\r\nConnection: close\r\nAuthorization: Bearer ");
	buf_text(&request, c->token);
	buf_text(&request, "\r\n\r\n");
	if (request.failed)
		r = -ENOMEM;
	for (size_t sent = 0; r == 0 && sent < request.len;) {
		ssize_t n = send(fd, request.p + sent, request.len - sent, MSG_NOSIGNAL);

		if (n > 0)
			sent += (size_t)n;
		else if (errno != EINTR)
			r = -errno;
	}
	buf_done(&request);
	return r;
}

/* Some more of the answer: how many bytes, 0 at its end, -errno. */
static ssize_t receive(int fd, struct buf *answer)
{
	uint8_t *p = buf_room(answer, 64 << 10);
	ssize_t n;

	if (!p)
		return -ENOMEM;
	do
		n = recv(fd, p, 64 << 10, 0);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? -ETIMEDOUT : -errno;
	answer->len += (size_t)n;
	return n;
}

static int exchange(int fd, const struct client *c, const char *target, struct buf *answer)
{
	ssize_t n = send_request(fd, c, target);

	if (n < 0)
		return (int)n;
	do
		n = answer->len > ANSWER_MAX ? -EMSGSIZE : receive(fd, answer);
	while (n > 0);
	return (int)n;
}

/* The sentence of a refusal: its "error" and "hint". */
static void explain(const char *body, unsigned status, char *err, size_t err_len)
{
	json_t *o = json_loads(body, 0, NULL);
	const char *error = json_string_value(json_object_get(o, "error"));
	const char *hint = json_string_value(json_object_get(o, "hint"));

	if (error)
		snprintf(err, err_len, "%s%s%s", error, hint ? "; " : "", hint ? hint : "");
	else
		snprintf(err, err_len, "the agent answered with status %u", status);
	json_decref(o);
}

static void explain_errno(const struct client *c, int r, char *err, size_t err_len)
{
	snprintf(err, err_len, "%s: %s%s", c->shown, strerror(-r),
		 r == -ECONNREFUSED || r == -ENOENT
			 ? "; is the agent running? ('strobe run' starts it)"
			 : "");
}

int client_get(const struct client *c, const char *target, char **ret, char *err, size_t err_len)
{
	struct buf answer = {0};
	unsigned status = 0;
	_cleanup_close_ int fd = dial(c);
	int r = fd < 0 ? fd : exchange(fd, c, target, &answer);

	if (r < 0) {
		explain_errno(c, r, err, err_len);
		buf_done(&answer);
		return r;
	}
	buf_put(&answer, "", 1);
	char *text = (char *)answer.p, *body = answer.failed ? NULL : strstr(text, "\r\n\r\n");

	if (!body || sscanf(text, "HTTP/1.%*1[01] %3u", &status) != 1) {
		snprintf(err, err_len, "%s: this is no strobe agent", c->shown);
		buf_done(&answer);
		return -EPROTO;
	}
	body += 4;
	memmove(text, body, strlen(body) + 1);
	if (status == 200) {
		*ret = text; /* buf's memory is malloc's */
		return 0;
	}
	explain(text, status, err, err_len);
	buf_done(&answer);
	return status == 401 ? -EACCES : -EREMOTEIO;
}

/* ---- an answer that is read while it comes ---- */

struct client_stream {
	int fd;
	struct buf in; /* received and not read, from `at` on */
	size_t at;
	bool chunked, over;
	size_t left; /* of the chunk */
};

void client_stream_close(struct client_stream *s)
{
	if (!s)
		return;
	if (s->fd >= 0)
		close(s->fd);
	buf_done(&s->in);
	free(s);
}

static ssize_t more(struct client_stream *s)
{
	s->in.len -= s->at;
	if (s->in.len)
		memmove(s->in.p, s->in.p + s->at, s->in.len);
	s->at = 0;
	return receive(s->fd, &s->in);
}

/* Receives until `end` stands in what is unread: where. -EPIPE: the answer ended before. */
static ssize_t find(struct client_stream *s, const char *end)
{
	for (;;) {
		size_t unread = s->in.len - s->at;
		const uint8_t *p =
			unread ? memmem(s->in.p + s->at, unread, end, strlen(end)) : NULL;

		if (p)
			return p - s->in.p;
		ssize_t n = unread > HEAD_MAX ? -EPROTO : more(s);

		if (n <= 0)
			return n < 0 ? n : -EPIPE;
	}
}

/* Status and headers. 0; -EREMOTEIO and -EACCES with a sentence; -errno. */
static int read_head(struct client_stream *s, char *err, size_t err_len)
{
	ssize_t end = find(s, "\r\n\r\n");
	unsigned status = 0;

	if (end < 0)
		return (int)end;
	s->in.p[end] = '\0';
	if (sscanf((const char *)s->in.p, "HTTP/1.%*1[01] %3u", &status) != 1)
		return -EPROTO;
	s->chunked = strcasestr((const char *)s->in.p, "\r\ntransfer-encoding: chunked");
	s->at = (size_t)end + 4;
	if (status == 200)
		return 0;
	while (s->in.len < HEAD_MAX && receive(s->fd, &s->in) > 0)
		;
	buf_put(&s->in, "", 1);
	if (!s->in.failed)
		explain((const char *)s->in.p + s->at, status, err, err_len);
	return status == 401 ? -EACCES : -EREMOTEIO;
}

int client_stream_open(struct client_stream **ret, const struct client *c, const char *target,
		       char *err, size_t err_len)
{
	struct client_stream *s = calloc(1, sizeof(*s));
	int r = -ENOMEM;

	*err = '\0';
	if (s) {
		s->fd = dial(c);
		r = s->fd < 0 ? s->fd : send_request(s->fd, c, target);
	}
	if (r == 0)
		r = read_head(s, err, err_len);
	if (r == -EPROTO)
		snprintf(err, err_len, "%s: this is no strobe agent", c->shown);
	else if (r < 0 && !*err)
		explain_errno(c, r, err, err_len);
	if (r < 0)
		client_stream_close(s);
	else
		*ret = s;
	return r;
}

/* To the bytes of the next chunk; at the last one s->over. */
static int next_chunk(struct client_stream *s)
{
	ssize_t end = find(s, "\r\n");
	unsigned long n;
	char *after;

	if (end == (ssize_t)s->at) { /* what ends the chunk before */
		s->at += 2;
		end = find(s, "\r\n");
	}
	if (end < 0)
		return (int)end;
	s->in.p[end] = '\0';
	n = strtoul((const char *)s->in.p + s->at, &after, 16);
	if (after == (const char *)s->in.p + s->at || n > ANSWER_MAX)
		return -EPROTO;
	s->at = (size_t)end + 2;
	s->left = n;
	s->over = n == 0;
	return 0;
}

int client_stream_read(void *stream, void *to, size_t len)
{
	struct client_stream *s = stream;
	size_t n;

	while (s->chunked && !s->left && !s->over) {
		int r = next_chunk(s);

		if (r < 0)
			return r;
	}
	if (s->over || !len)
		return 0;
	if (s->at == s->in.len) {
		ssize_t r = more(s);

		if (r <= 0)
			return r == 0 && s->chunked ? -EPIPE : (int)r;
	}
	n = s->in.len - s->at;
	n = n < len ? n : len;
	n = n < INT32_MAX ? n : INT32_MAX;
	if (s->chunked) {
		n = n < s->left ? n : s->left;
		s->left -= n;
	}
	memcpy(to, s->in.p + s->at, n);
	s->at += n;
	return (int)n;
}

int client_escape(char *out, size_t out_size, const char *text)
{
	size_t n = strlen(out);

	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (n + 4 > out_size)
			return -ENOBUFS;
		if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
		    strchr("-._~", c))
			out[n++] = (char)c;
		else
			n += (size_t)snprintf(out + n, 4, "%%%02X", c);
		out[n] = '\0';
	}
	return 0;
}
