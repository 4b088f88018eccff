/*
 * What the verbs that ask a running agent have in common: their options, the target of the request and
 * the way to the agent.
 */
#ifndef STROBE_CMD_ASK_H
#define STROBE_CMD_ASK_H

#include <stdbool.h>
#include <stddef.h>

#define ASK_URL_HELP                                                                               \
	"  --url URL             http://127.0.0.1:PORT/#token=TOKEN; default STROBE_URL, else "    \
	"this user's agent\n\n"

/* An option "--name": one of the two is set. */
struct ask_option {
	const char *name;
	const char **text; /* takes a value */
	bool *flag;
};
enum { ASK_OPTIONS_MAX = 16, ASK_TARGET_MAX = 16 << 10 };

/* Reads the options of `verb`, --help (or -h) among them: *ret_help; the first argument is argv[optind]
 * then. 0, or 2 when it was said what is wrong. */
int ask_options(const char *verb, const struct ask_option *, size_t n, int argc, char **argv,
		bool *ret_help);

/* Appends "key=value" to the target ("/api/v1/query?"), escaped; value NULL: nothing. 0 or -ENOBUFS. */
int ask_add(char target[ASK_TARGET_MAX], const char *key, const char *value);

/* GET of the agent at url (client.h); *ret_shown, if wanted, gets what the agent is called to people. 0
 * and a body to free, or 1 when it was said why not. */
int ask_agent(const char *url, const char *target, char **ret_body, char ret_shown[256]);

/* That an answer could not be read. Returns 1. */
int ask_senseless(void);

#endif
