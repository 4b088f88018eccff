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

enum { ANSWER_MAX = 256 << 20, TIMEOUT_S = 30 };

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

static int exchange(int fd, const struct client *c, const char *target, struct buf *answer)
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
	while (r == 0) {
		uint8_t *p = buf_room(answer, 64 << 10);
		ssize_t n = p ? recv(fd, p, 64 << 10, 0) : -1;

		if (n == 0)
			break;
		if (n > 0)
			answer->len += (size_t)n;
		else if (!p || errno != EINTR)
			r = !p ? -ENOMEM : errno == EAGAIN ? -ETIMEDOUT : -errno;
		if (answer->len > ANSWER_MAX)
			r = -EMSGSIZE;
	}
	return r;
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

int client_get(const struct client *c, const char *target, char **ret, char *err, size_t err_len)
{
	struct buf answer = {0};
	unsigned status = 0;
	_cleanup_close_ int fd = dial(c);
	int r = fd < 0 ? fd : exchange(fd, c, target, &answer);

	if (r < 0) {
		snprintf(err, err_len, "%s: %s%s", c->shown, strerror(-r),
			 r == -ECONNREFUSED || r == -ENOENT
				 ? "; is the agent running? ('strobe run' starts it)"
				 : "");
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
