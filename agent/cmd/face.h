/* The server of a verb with its threads and its token: what `strobe run` and `strobe open` share. */
#ifndef STROBE_CMD_FACE_H
#define STROBE_CMD_FACE_H

#include "cmd/threads.h"
#include "serve/server.h"

enum { FACE_TOKEN_MAX = 129 };

/* $STROBE_TOKEN, or a random one. 0 or -errno, which was logged. */
int face_make_token(char ret[FACE_TOKEN_MAX]);
/* Starts the thread that ends the server at a signal, and that of its queries. 0 or -errno. */
int face_start(struct server *, struct threads *);
/* Ends both; the first thread of `threads` is the one face_start() began with. */
void face_stop(struct server *, struct threads *);
/* The line that says where it listens. */
void face_announce(const struct server *, const char *token);

#endif
