#include "serve/access.h"
#include "support.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

static const char token[] = "abcdefghijklmnopqrstuvwxyz_-0123";

START_TEST(tokens)
{
	char longest[ACCESS_TOKEN_MAX + 2];

	memset(longest, 'a', sizeof(longest));
	longest[ACCESS_TOKEN_MAX] = '\0';
	ck_assert(access_token_valid(longest));
	longest[ACCESS_TOKEN_MAX] = 'a';
	longest[ACCESS_TOKEN_MAX + 1] = '\0';
	ck_assert(!access_token_valid(longest));
	ck_assert(access_token_valid(token));
	ck_assert(!access_token_valid(NULL));
	ck_assert(!access_token_valid(""));
	ck_assert(!access_token_valid("short"));
	ck_assert(!access_token_valid("sixteen chars, no"));
	ck_assert(!access_token_valid("0123456789abcde\n"));
	ck_assert(access_token_equal(token, token, strlen(token)));
	for (size_t i = 0; i < strlen(token); i++) {
		char other[sizeof(token)];

		memcpy(other, token, sizeof(token));
		other[i] ^= 1;
		ck_assert(!access_token_equal(token, other, strlen(token)));
		ck_assert(!access_token_equal(token, token, i));
	}
	ck_assert(
		!access_token_equal(token, "abcdefghijklmnopqrstuvwxyz_-0123x", strlen(token) + 1));
	ck_assert(!access_token_equal(token, longest, strlen(longest)));
}
END_TEST

START_TEST(hosts)
{
	static const char *const good[] = {
		"localhost",   "localhost:9820", "127.0.0.1", "127.0.0.1:1",	     "[::1]",
		"[::1]:65535", "LocalHost:80",	 "127.0.0.2", "127.255.255.254:9820"};
	static const char *const bad[] = {"",
					  "localhost:",
					  "localhost:abc",
					  "localhost:123456",
					  "localhost.evil.com",
					  "evil.com",
					  "127.0.0.1.evil.com",
					  "128.0.0.1",
					  "127.1",
					  "127.0.0.1.",
					  "127.0.0.01:80",
					  "127.0.0.1:",
					  "localhost.",
					  "[::1]x",
					  "[::1]:",
					  "[::2]",
					  "[127.0.0.1]",
					  "0.0.0.0",
					  "::1",
					  "[::1",
					  "localhost:80:80",
					  " localhost",
					  "localhost ",
					  "localhost@evil.com",
					  "127.0.0.1:80@evil.com",
					  "127.0.0.1,evil.com"};

	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		ck_assert_msg(access_host_ok(good[i]), "%s", good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		ck_assert_msg(!access_host_ok(bad[i]), "%s", bad[i]);
	ck_assert(!access_host_ok(NULL));
}
END_TEST

START_TEST(origins)
{
	ck_assert(access_origin_ok(NULL, "localhost"));
	ck_assert(access_origin_ok("", "localhost"));
	ck_assert(access_origin_ok("http://localhost:9820", "localhost:9820"));
	ck_assert(access_origin_ok("http://LOCALHOST:9820", "localhost:9820"));
	ck_assert(!access_origin_ok("http://localhost:9821", "localhost:9820"));
	ck_assert(!access_origin_ok("https://localhost:9820", "localhost:9820"));
	ck_assert(!access_origin_ok("http://127.0.0.1:9820", "localhost:9820"));
	ck_assert(!access_origin_ok("null", "localhost:9820"));
	ck_assert(!access_origin_ok("http://evil.com", "localhost:9820"));
	ck_assert(!access_origin_ok("http://localhost:9820", NULL));
}
END_TEST

START_TEST(bearers_and_protocols)
{
	ck_assert(access_bearer_ok("Bearer abcdefghijklmnopqrstuvwxyz_-0123", token));
	ck_assert(access_bearer_ok("bearer  abcdefghijklmnopqrstuvwxyz_-0123", token));
	ck_assert(!access_bearer_ok("Bearer", token));
	ck_assert(!access_bearer_ok("Bearer ", token));
	ck_assert(!access_bearer_ok("Basic abcdefghijklmnopqrstuvwxyz_-0123", token));
	ck_assert(!access_bearer_ok("Bearer abcdefghijklmnopqrstuvwxyz_-0123 ", token));
	ck_assert(!access_bearer_ok(NULL, token));
	ck_assert(access_protocols_ok("strobe.v1, bearer.abcdefghijklmnopqrstuvwxyz_-0123", token));
	ck_assert(access_protocols_ok("strobe.v1,bearer.abcdefghijklmnopqrstuvwxyz_-0123", token));
	ck_assert(access_protocols_ok(", strobe.v1,,\tbearer.abcdefghijklmnopqrstuvwxyz_-0123,",
				      token));
	ck_assert(!access_protocols_ok(", http, strobe.v1, bearer.abcdefghijklmnopqrstuvwxyz_-0123",
				       token));
	ck_assert(
		!access_protocols_ok("bearer.abcdefghijklmnopqrstuvwxyz_-0123, strobe.v1", token));
	ck_assert(!access_protocols_ok("strobe.v1", token));
	ck_assert(!access_protocols_ok("strobe.v1, bearer.", token));
	ck_assert(!access_protocols_ok("strobe.v1, abcdefghijklmnopqrstuvwxyz_-0123", token));
	ck_assert(
		!access_protocols_ok("strobe.v1, bearer.abcdefghijklmnopqrstuvwxyz_-0124", token));
	ck_assert(!access_protocols_ok("", token));
	ck_assert(!access_protocols_ok(NULL, token));
}
END_TEST

START_TEST(addresses)
{
	struct sockaddr_storage a;
	const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)&a;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)&a;
	static const char *const foreign[] = {"0.0.0.0:80", "192.168.0.1:80", "[::]:80",
					      "10.0.0.1:0", "example.com:80", "128.0.0.1:80"};
	static const char *const malformed[] = {"",	      "9820",	       "127.0.0.1",
						"127.0.0.1:", "127.0.0.1:x",   "127.0.0.1:99999",
						"unix:",      "unix:relative", ":80"};
	char path[200] = "unix:/", err[300];
	socklen_t len;

	ck_assert_int_eq(access_listen_address("127.0.0.1:9820", &a, &len, err, sizeof(err)), 0);
	ck_assert_int_eq(in->sin_family, AF_INET);
	ck_assert_uint_eq(ntohs(in->sin_port), 9820);
	ck_assert_int_eq(access_listen_address("127.8.9.10:0", &a, &len, err, sizeof(err)), 0);
	ck_assert_int_eq(access_listen_address("localhost:1", &a, &len, err, sizeof(err)), 0);
	ck_assert_uint_eq(ntohl(in->sin_addr.s_addr), INADDR_LOOPBACK);
	ck_assert_int_eq(access_listen_address("[::1]:7", &a, &len, err, sizeof(err)), 0);
	ck_assert_int_eq(in6->sin6_family, AF_INET6);
	ck_assert_int_eq(access_listen_address("unix:/run/x.sock", &a, &len, err, sizeof(err)), 0);
	ck_assert_int_eq(a.ss_family, AF_UNIX);
	for (size_t i = 0; i < sizeof(foreign) / sizeof(*foreign); i++) {
		ck_assert_msg(access_listen_address(foreign[i], &a, &len, err, sizeof(err)) ==
				      -EINVAL,
			      "%s", foreign[i]);
		ck_assert_msg(strstr(err, "loopback") && strstr(err, "ssh -L"), "%s", err);
	}
	for (size_t i = 0; i < sizeof(malformed) / sizeof(*malformed); i++) {
		err[0] = '\0';
		ck_assert_msg(access_listen_address(malformed[i], &a, &len, err, sizeof(err)) ==
				      -EINVAL,
			      "%s", malformed[i]);
		ck_assert_uint_gt(strlen(err), 10);
	}
	memset(path + 6, 'x', 150);
	ck_assert_int_eq(access_listen_address(path, &a, &len, err, sizeof(err)), -EINVAL);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		tokens, hosts, origins, bearers_and_protocols, addresses,
	};

	return support_run("access", tests, sizeof(tests) / sizeof(*tests));
}
