#include "serve/access.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/un.h>

static bool is_token_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '-';
}

bool access_token_valid(const char *token)
{
	size_t n = 0;

	for (; token && token[n]; n++)
		if (!is_token_char(token[n]))
			return false;
	return n >= ACCESS_TOKEN_MIN && n <= ACCESS_TOKEN_MAX;
}

bool access_token_equal(const char *token, const char *given, size_t given_len)
{
	size_t len = strlen(token);
	volatile uint8_t diff = len != given_len;

	for (size_t i = 0; i < ACCESS_TOKEN_MAX; i++) {
		uint8_t a = (uint8_t)(i < len ? token[i] : 0),
			b = (uint8_t)(i < given_len ? given[i] : 0);

		diff = (uint8_t)(diff | (a ^ b));
	}
	return diff == 0;
}

static bool is_port(const char *p)
{
	size_t n = strspn(p, "0123456789");

	return n >= 1 && n <= 5 && !p[n];
}

/* 127.0.0.0/8 in full, as it is written by browsers. */
static bool is_loopback_v4(const char *host, size_t len)
{
	char text[INET_ADDRSTRLEN];
	struct in_addr in;

	if (len >= sizeof(text))
		return false;
	memcpy(text, host, len);
	text[len] = '\0';
	return inet_pton(AF_INET, text, &in) == 1 && ntohl(in.s_addr) >> 24 == 127;
}

bool access_host_ok(const char *host)
{
	if (!host)
		return false;
	size_t n = *host == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":");

	if (n > strlen(host) || (host[n] && (host[n] != ':' || !is_port(host + n + 1))))
		return false;
	return (n == 9 && strncasecmp(host, "localhost", n) == 0) ||
	       (n == 5 && memcmp(host, "[::1]", n) == 0) || is_loopback_v4(host, n);
}

bool access_origin_ok(const char *origin, const char *host)
{
	if (!origin || !*origin)
		return true;
	return host && strncasecmp(origin, "http://", 7) == 0 && strcasecmp(origin + 7, host) == 0;
}

bool access_bearer_ok(const char *authorization, const char *token)
{
	if (!authorization || strncasecmp(authorization, "Bearer ", 7) != 0)
		return false;
	const char *given = authorization + 7 + strspn(authorization + 7, " ");

	return access_token_equal(token, given, strlen(given));
}

bool access_protocols_ok(const char *protocols, const char *token)
{
	/* RFC 9110, 5.6.1: a list may have empty elements, which count for nothing. */
	static const char *const between = ", \t";
	bool version = false, bearer = false;

	protocols += protocols ? strspn(protocols, between) : 0;
	for (bool first = true; protocols && *protocols; first = false) {
		size_t n = strcspn(protocols, between);

		if (first && n == 9 && strncmp(protocols, "strobe.v1", n) == 0)
			version = true;
		if (n > 7 && strncmp(protocols, "bearer.", 7) == 0 &&
		    access_token_equal(token, protocols + 7, n - 7))
			bearer = true;
		protocols += n;
		protocols += strspn(protocols, between);
	}
	return version && bearer;
}

static int unix_address(const char *path, struct sockaddr_storage *ret, socklen_t *len, char *err,
			size_t err_len)
{
	struct sockaddr_un *un = (struct sockaddr_un *)(void *)ret;
	size_t n = strlen(path);

	if (n == 0 || path[0] != '/' || n >= sizeof(un->sun_path)) {
		snprintf(err, err_len,
			 "--listen unix:PATH needs an absolute path of at most %zu bytes",
			 sizeof(un->sun_path) - 1);
		return -EINVAL;
	}
	un->sun_family = AF_UNIX;
	memcpy(un->sun_path, path, n + 1);
	*len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + 1);
	return 0;
}

static int malformed(const char *listen, char *err, size_t err_len)
{
	snprintf(err, err_len,
		 "--listen %s: expected ADDRESS:PORT such as 127.0.0.1:9820, or unix:/path",
		 listen);
	return -EINVAL;
}

int access_listen_address(const char *listen, struct sockaddr_storage *ret, socklen_t *len,
			  char *err, size_t err_len)
{
	struct sockaddr_in *in = (struct sockaddr_in *)(void *)ret;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)(void *)ret;
	char host[64];

	memset(ret, 0, sizeof(*ret));
	if (strncmp(listen, "unix:", 5) == 0)
		return unix_address(listen + 5, ret, len, err, err_len);
	const char *colon = strrchr(listen, ':');

	if (!colon || !is_port(colon + 1) || strtoul(colon + 1, NULL, 10) > 65535 ||
	    (size_t)(colon - listen) >= sizeof(host))
		return malformed(listen, err, err_len);
	uint16_t port = htons((uint16_t)strtoul(colon + 1, NULL, 10));

	memcpy(host, listen, (size_t)(colon - listen));
	host[colon - listen] = '\0';
	if (strcmp(host, "localhost") == 0)
		strcpy(host, "127.0.0.1");
	if (strcmp(host, "[::1]") == 0) {
		in6->sin6_family = AF_INET6;
		in6->sin6_port = port;
		in6->sin6_addr = in6addr_loopback;
		*len = sizeof(*in6);
		return 0;
	}
	if (inet_pton(AF_INET, host, &in->sin_addr) == 1 &&
	    ntohl(in->sin_addr.s_addr) >> 24 == 127) {
		in->sin_family = AF_INET;
		in->sin_port = port;
		*len = sizeof(*in);
		return 0;
	}
	snprintf(err, err_len,
		 "--listen %s: strobe listens on loopback only for now (TLS comes later); keep "
		 "127.0.0.1:9820 and "
		 "reach it from elsewhere with: ssh -L 9820:127.0.0.1:9820 HOST",
		 listen);
	return -EINVAL;
}
