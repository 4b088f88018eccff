/*
 * Headers that decide who may talk to the agent, and --listen. What is accepted is held against a
 * second, simpler reading of the rules.
 */
#include "fuzz.h"

#include "serve/access.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <strings.h>
#include <sys/un.h>

#define TOKEN "0123456789abcdefXYZ"

static void fuzz_seeds(void)
{
	static const char *const seeds[] = {
		"localhost:9820",  "127.0.0.1",
		"[::1]:1",	   "http://localhost:9820",
		"Bearer " TOKEN,   "strobe.v1, bearer." TOKEN,
		", strobe.v1",	   "strobe.v1,\tbearer." TOKEN,
		"127.0.0.1:0",	   "unix:/run/strobe/sock",
		"[::1]:65535",	   "0.0.0.0:80",
		"localhost:99999", TOKEN,
	};

	for (size_t i = 0; i < sizeof(seeds) / sizeof(*seeds); i++) {
		char name[8];

		snprintf(name, sizeof(name), "%zu", i);
		fuzz_seed(name, seeds[i], strlen(seeds[i]));
	}
}

static bool ends_or_port(const char *p)
{
	return !*p || (*p == ':' && strspn(p + 1, "0123456789") == strlen(p + 1));
}

/* The part before a port is a loopback name, or four numbers of which the first is 127. */
static bool names_loopback(const char *host)
{
	static const char *const names[] = {"localhost", "[::1]"};
	unsigned b, c, d;
	int n = 0;

	for (size_t i = 0; i < 2; i++)
		if (strncasecmp(host, names[i], strlen(names[i])) == 0 &&
		    ends_or_port(host + strlen(names[i])))
			return true;
	return sscanf(host, "127.%3u.%3u.%3u%n", &b, &c, &d, &n) == 3 && n && b < 256 && c < 256 &&
	       d < 256 && ends_or_port(host + n);
}

static void check_listen(const char *text)
{
	struct sockaddr_storage addr;
	socklen_t len;
	char err[256] = "";

	if (access_listen_address(text, &addr, &len, err, sizeof(err))) {
		FUZZ_CHECK(err[0]);
		return;
	}
	if (addr.ss_family == AF_INET)
		FUZZ_CHECK(ntohl(((struct sockaddr_in *)&addr)->sin_addr.s_addr) >> 24 == 127);
	else if (addr.ss_family == AF_INET6)
		FUZZ_CHECK(IN6_IS_ADDR_LOOPBACK(&((struct sockaddr_in6 *)&addr)->sin6_addr));
	else
		FUZZ_CHECK(addr.ss_family == AF_UNIX &&
			   memchr(((struct sockaddr_un *)&addr)->sun_path, 0,
				  sizeof(((struct sockaddr_un *)0)->sun_path)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), origin[512];

	memcpy(text, data, size);
	text[size] = 0;
	if (access_host_ok(text))
		FUZZ_CHECK(names_loopback(text));
	if (access_origin_ok(text, "localhost:9820"))
		FUZZ_CHECK(!*text || strcasecmp(text, "http://localhost:9820") == 0);
	if (strlen(text) < 400) {
		snprintf(origin, sizeof(origin), "http://%s", text);
		FUZZ_CHECK(access_origin_ok(origin, text) || !access_host_ok(text));
	}
	if (access_bearer_ok(text, TOKEN))
		FUZZ_CHECK(strstr(text, TOKEN) && strncasecmp(text, "bearer ", 7) == 0);
	if (access_protocols_ok(text, TOKEN))
		FUZZ_CHECK(strstr(text, "bearer." TOKEN) &&
			   strncmp(text + strspn(text, ", \t"), "strobe.v1", 9) == 0);
	if (access_token_equal(TOKEN, text, strlen(text)))
		FUZZ_CHECK(strcmp(text, TOKEN) == 0);
	if (access_token_valid(text))
		FUZZ_CHECK(strlen(text) >= ACCESS_TOKEN_MIN && strlen(text) <= ACCESS_TOKEN_MAX);
	check_listen(text);
	free(text);
	return 0;
}
