#include "cmd/ask.h"

#include "cmd/options.h"
#include "serve/client.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

int ask_options(const char *verb, const struct ask_option *o, size_t n, int argc, char **argv,
		bool *ret_help)
{
	struct option options[ASK_OPTIONS_MAX + 2] = {0};
	int c;

	if (n > ASK_OPTIONS_MAX)
		return 2;
	for (size_t i = 0; i < n; i++) {
		options[i] = (struct option){.name = o[i].name, .val = 256 + (int)i};
		options[i].has_arg = o[i].text ? required_argument : no_argument;
	}
	options[n] = (struct option){.name = "help", .val = 'h'};
	*ret_help = false;
	opterr = 0;
	while ((c = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
		if (c == '?' || c == ':')
			return option_wrong(verb, c, argv);
		if (c == 'h')
			*ret_help = true;
		else if (o[c - 256].text)
			*o[c - 256].text = optarg;
		else
			*o[c - 256].flag = true;
	}
	return 0;
}

int ask_add(char target[ASK_TARGET_MAX], const char *key, const char *value)
{
	size_t n = strlen(target);

	if (!value)
		return 0;
	if (n + strlen(key) + 3 > ASK_TARGET_MAX)
		return -ENOBUFS;
	strcat(target, n && target[n - 1] == '?' ? "" : "&");
	strcat(target, key);
	strcat(target, "=");
	return client_escape(target, ASK_TARGET_MAX, value);
}

int ask_agent(const char *url, const char *target, char **ret_body, char ret_shown[256])
{
	struct client client;
	char err[512];

	if (client_find(url, &client, err, sizeof(err)) < 0 ||
	    client_get(&client, target, ret_body, err, sizeof(err)) < 0) {
		fprintf(stderr, "strobe: %s\n", err);
		return 1;
	}
	if (ret_shown)
		memcpy(ret_shown, client.shown, sizeof(client.shown));
	return 0;
}

int ask_senseless(void)
{
	fprintf(stderr, "strobe: the agent's answer makes no sense; is it of this version (%s)?\n",
		STROBE_VERSION);
	return 1;
}
