#include "cmd/face.h"

#include "base/msg.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

int face_make_token(char ret[FACE_TOKEN_MAX])
{
	const char *env = getenv("STROBE_TOKEN");
	uint8_t random[16];

	if (env && *env) {
		if (strlen(env) >= FACE_TOKEN_MAX) {
			msg(MSG_ERROR, "STROBE_TOKEN is too long: at most 128 characters");
			return -EINVAL;
		}
		strcpy(ret, env);
		return 0;
	}
	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return -EIO;
	for (size_t i = 0; i < sizeof(random); i++)
		snprintf(ret + 2 * i, 3, "%02x", random[i]);
	return 0;
}

static void signal_thread(void *arg, unsigned number)
{
	sigset_t set;
	int sig;

	(void)number;
	end_signals(&set);
	sigwait(&set, &sig);
	server_stop(arg);
}

static void query_thread(void *arg, unsigned number)
{
	(void)number;
	while (server_query_step(arg) >= 0)
		;
}

int face_start(struct server *s, struct threads *t)
{
	int r = threads_start(t, "strobe-signals", signal_thread, s, 0);

	return r < 0 ? r : threads_start(t, "strobe-query", query_thread, s, 0);
}

void face_stop(struct server *s, struct threads *t)
{
	server_stop(s);
	if (t->n)
		pthread_kill(t->list[0].id, SIGTERM);
}

void face_announce(const struct server *s, const char *token)
{
	printf("strobe: listening on %s#token=%s\n", server_url(s), token);
	fflush(stdout);
}
