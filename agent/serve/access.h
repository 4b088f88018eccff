/*
 * Who may talk to the agent. Pure functions over header text; the callers collect it.
 *
 *  - The agent listens on loopback addresses and unix sockets (mode 0600) only.
 *  - Host must name the loopback, with any port (a tunnel's differs): a page of another site that
 *    points its own name at 127.0.0.1 (DNS rebinding) fails here.
 *  - Origin, where a browser sends one, must be http:// + Host: a page of another site, or of
 *    another port of localhost, fails here.
 *  - Data needs the token, compared in constant time.
 */
#ifndef STROBE_SERVE_ACCESS_H
#define STROBE_SERVE_ACCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

enum { ACCESS_TOKEN_MIN = 16, ACCESS_TOKEN_MAX = 96 };

/* 16 to 96 characters of [A-Za-z0-9_-]: it must fit into a URL and a WebSocket subprotocol. */
bool access_token_valid(const char *token);

/* Time does not depend on where they differ. */
bool access_token_equal(const char *token, const char *given, size_t given_len);

/* "localhost", an address in 127.0.0.0/8 or "[::1]", each with or without ":port". */
bool access_host_ok(const char *host);

/* origin NULL or "": none was sent, fine. */
bool access_origin_ok(const char *origin, const char *host);

/* The value of Authorization: "Bearer TOKEN". */
bool access_bearer_ok(const char *authorization, const char *token);

/* The value of Sec-WebSocket-Protocol: strobe.v1 first, and bearer.TOKEN. */
bool access_protocols_ok(const char *protocols, const char *token);

/* Parses --listen. 0 and an address of `len` bytes; -EINVAL with a sentence when it is malformed,
 * not a loopback address, or too long a path. */
int access_listen_address(const char *listen, struct sockaddr_storage *ret, socklen_t *len,
			  char *err, size_t err_len);

#endif
