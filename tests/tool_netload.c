/*
 * A network load of SECONDS (default 8) on 127.0.0.1 only, that moves what the counters of IP,
 * ICMP, TCP and UDP are for: bulk and short connections, refused ones, resets, a listener that does
 * not accept, datagrams to closed ports and into a full socket. About 15 MB/s; ends by itself.
 */
#include "base/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STEP_US = 5000, BLOCK = 64 * 1024, STUCK = 8 };

static void must(int r, const char *what)
{
	if (r < 0) {
		perror(what);
		exit(1);
	}
}

/* A bound socket of the type; *addr says where. */
static int bound(int type, struct sockaddr_in *addr)
{
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(*addr);

	must(fd, "socket");
	*addr = (struct sockaddr_in){.sin_family = AF_INET,
				     .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	must(bind(fd, (struct sockaddr *)addr, sizeof(*addr)), "bind");
	must(getsockname(fd, (struct sockaddr *)addr, &len), "getsockname");
	return fd;
}

static int dial(const struct sockaddr_in *addr, int flags)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);

	must(fd, "socket");
	if (connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) && errno != EINPROGRESS) {
		close(fd);
		return -1;
	}
	return fd;
}

/* A child that reads whatever one connection sends. */
static pid_t start_sink(int listener)
{
	pid_t pid = fork();

	must(pid, "fork");
	if (pid)
		return pid;
	static char buf[BLOCK];
	int fd = accept(listener, NULL, NULL);

	while (fd >= 0 && read(fd, buf, sizeof(buf)) > 0)
		;
	_exit(0);
}

struct load {
	struct sockaddr_in sink, busy, deaf, closed_tcp, closed_udp, open_udp, full_udp;
	int sink_fd, busy_fd, deaf_fd, open_udp_fd, full_udp_fd, udp_fd, bulk;
	int stuck[STUCK];
};

static void prepare(struct load *l)
{
	int tiny = 2048;

	l->sink_fd = bound(SOCK_STREAM, &l->sink);
	l->busy_fd = bound(SOCK_STREAM, &l->busy);
	l->deaf_fd = bound(SOCK_STREAM, &l->deaf);
	close(bound(SOCK_STREAM, &l->closed_tcp));
	close(bound(SOCK_DGRAM, &l->closed_udp));
	l->open_udp_fd = bound(SOCK_DGRAM, &l->open_udp);
	l->full_udp_fd = bound(SOCK_DGRAM, &l->full_udp);
	l->udp_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	must(l->udp_fd, "socket");
	must(setsockopt(l->full_udp_fd, SOL_SOCKET, SO_RCVBUF, &tiny, sizeof(tiny)), "SO_RCVBUF");
	must(listen(l->sink_fd, 4), "listen");
	must(listen(l->busy_fd, 16), "listen");
	must(listen(l->deaf_fd, 1), "listen");
}

/* One connection made, used and closed; every fourth is reset. */
static void short_connection(struct load *l, unsigned i)
{
	struct linger reset = {.l_onoff = 1, .l_linger = 0};
	int a = dial(&l->busy, 0), b = a < 0 ? -1 : accept4(l->busy_fd, NULL, NULL, SOCK_CLOEXEC);

	if (a >= 0 && b >= 0) {
		must((int)send(a, "hello", 5, MSG_NOSIGNAL), "send");
		if (i % 4 == 0)
			setsockopt(b, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	}
	if (b >= 0)
		close(b);
	if (a >= 0)
		close(a);
}

static void datagrams(struct load *l)
{
	static const char text[1200];
	char buf[1500];
	const struct sockaddr_in *to[] = {&l->open_udp, &l->full_udp, &l->full_udp};

	for (unsigned i = 0; i < sizeof(to) / sizeof(*to); i++)
		sendto(l->udp_fd, text, sizeof(text), MSG_DONTWAIT, (const struct sockaddr *)to[i],
		       sizeof(*to[i]));
	while (recv(l->open_udp_fd, buf, sizeof(buf), MSG_DONTWAIT) > 0)
		;
	/* Its refusal comes back to a socket of its own. */
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	must(fd, "socket");
	sendto(fd, text, 100, MSG_DONTWAIT, (const struct sockaddr *)&l->closed_udp,
	       sizeof(l->closed_udp));
	close(fd);
}

int main(int argc, char **argv)
{
	static const char block[BLOCK];
	double seconds = argc > 1 ? atof(argv[1]) : 8;
	struct load l = {0};
	pid_t sink;

	prepare(&l);
	sink = start_sink(l.sink_fd);
	l.bulk = dial(&l.sink, 0);
	must(l.bulk, "connect");
	for (int i = 0; i < STUCK; i++)
		l.stuck[i] = dial(&l.deaf, SOCK_NONBLOCK);
	uint64_t end_ns = clock_ns(CLOCK_MONOTONIC) + (uint64_t)(seconds * 1e9);

	for (unsigned i = 0; clock_ns(CLOCK_MONOTONIC) < end_ns; i++) {
		if (send(l.bulk, block, sizeof(block), MSG_NOSIGNAL) < 0)
			break;
		short_connection(&l, i);
		datagrams(&l);
		if (i % 4 == 0)
			dial(&l.closed_tcp, 0);
		usleep(STEP_US); /* the pace of the load */
	}
	close(l.bulk);
	waitpid(sink, NULL, 0);
	return 0;
}
