#include "serve/server.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/msg.h"
#include "base/stats.h"
#include "serve/access.h"
#include "serve/assets.h"
#include "serve/private.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/stat.h>

enum {
	BACKLOG = 64,
	FD_LIMIT = 2048,	/* of lws: connections and its own */
	CONNECTIONS_MAX = 1024, /* further ones are closed at once */
	ACCEPTS_A_TURN = 64,
	ACCEPT_PAUSE_US = 200000,
	NOTSENT_LOWAT = 16 << 10,
	SEND_BUFFER = 64 << 10 /* what waits in the kernel grows old and is of no use coarser */
};

/* On every response, also those that lws makes itself. */
static const struct lws_protocol_vhost_options security_headers[] = {
	{&security_headers[1], NULL, "content-security-policy:",
	 "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
	 "font-src 'self'; connect-src 'self'; worker-src 'self'; manifest-src 'self'; base-uri "
	 "'none'; "
	 "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; "
	 "trusted-types 'none'"},
	{&security_headers[2], NULL, "x-content-type-options:", "nosniff"},
	{&security_headers[3], NULL, "referrer-policy:", "no-referrer"},
	{&security_headers[4], NULL, "x-frame-options:", "DENY"},
	{&security_headers[5], NULL, "cross-origin-opener-policy:", "same-origin"},
	{NULL, NULL, "cross-origin-resource-policy:", "same-origin"},
};

struct server *server_of(struct lws *wsi)
{
	return lws_context_user(lws_get_context(wsi));
}

/* ---- listening ---- */

static int listen_on(struct server *s, char *err, size_t err_len)
{
	struct sockaddr_storage addr;
	socklen_t len;
	int one = 1, r = access_listen_address(s->config.listen, &addr, &len, err, err_len);

	if (r < 0)
		return r;
	_cleanup_close_ int fd =
		socket(addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0) {
		r = -errno;
		snprintf(err, err_len, "cannot open a socket: %s", strerror(-r));
		return r;
	}
	if (addr.ss_family == AF_UNIX) {
		const struct sockaddr_un *un = (const struct sockaddr_un *)(const void *)&addr;

		/* A socket nobody listens on is left over from a crash; a living one is not
		 * replaced. */
		if (connect(fd, (struct sockaddr *)&addr, len) == 0) {
			snprintf(err, err_len, "%s: another agent listens there", un->sun_path);
			return -EADDRINUSE;
		}
		struct stat st;

		/* Any other answer, such as that its queue is full, comes from a living one. */
		if (errno == ECONNREFUSED && lstat(un->sun_path, &st) == 0 && S_ISSOCK(st.st_mode))
			unlink(un->sun_path);
		fchmod(fd, 0600); /* bind creates the name with the mode of the socket */
	} else {
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	}
	if (bind(fd, (struct sockaddr *)&addr, len) < 0 || listen(fd, BACKLOG) < 0) {
		r = -errno;
		snprintf(err, err_len, "cannot listen on %s: %s%s", s->config.listen, strerror(-r),
			 r == -EADDRINUSE ? "; choose another port with --listen 127.0.0.1:PORT "
					    "(0: any free one)"
					  : "");
		return r;
	}
	getsockname(fd, (struct sockaddr *)&addr, &len);
	if (addr.ss_family == AF_UNIX) {
		strcpy(s->socket_path, ((struct sockaddr_un *)(void *)&addr)->sun_path);
		snprintf(s->url, sizeof(s->url), "unix:%s", s->socket_path);
	} else if (addr.ss_family == AF_INET6) {
		snprintf(s->url, sizeof(s->url), "http://[::1]:%u/",
			 ntohs(((struct sockaddr_in6 *)(void *)&addr)->sin6_port));
	} else {
		const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)&addr;
		uint32_t ip = ntohl(in->sin_addr.s_addr);

		snprintf(s->url, sizeof(s->url), "http://%u.%u.%u.%u:%u/", ip >> 24, ip >> 16 & 255,
			 ip >> 8 & 255, ip & 255, ntohs(in->sin_port));
	}
	s->listen_fd = TAKE_FD(fd);
	return 0;
}

/* Connections may take a quarter of the files this process may open: the rest is the
 * collectors'. */
static uint32_t connections_max(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) < 0 || l.rlim_cur / 4 > CONNECTIONS_MAX)
		return CONNECTIONS_MAX;
	return l.rlim_cur / 4 ? (uint32_t)l.rlim_cur / 4 : 1;
}

static void accept_some(struct server *s)
{
	uint32_t max = connections_max();
	int fd = 0, one = 1, lowat = NOTSENT_LOWAT, room = SEND_BUFFER;

	for (int n = 0; n < ACCEPTS_A_TURN; n++) {
		fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd < 0)
			break;
		if (s->n_wsi >= max) {
			close(fd);
			continue;
		}
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
		if (!s->socket_path[0]) {
			setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
			setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &lowat, sizeof(lowat));
		}
		lws_adopt_socket_vhost(s->vhost, fd); /* closes it on failure */
	}
	/* Without files or memory the listening socket stays readable: look again a little
	 * later. */
	if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)) {
		lws_rx_flow_control(s->listen_wsi, 0);
		lws_set_timer_usecs(s->listen_wsi, ACCEPT_PAUSE_US);
	}
}

/* ---- checks that every request and upgrade passes ---- */

unsigned server_check_request(struct lws *wsi)
{
	char host[128] = "", origin[160] = "";

	if (lws_hdr_copy(wsi, host, sizeof(host), WSI_TOKEN_HOST) < 0 || !access_host_ok(host))
		return HTTP_STATUS_FORBIDDEN;
	if (lws_hdr_copy(wsi, origin, sizeof(origin), WSI_TOKEN_ORIGIN) < 0 ||
	    !access_origin_ok(origin, host))
		return HTTP_STATUS_FORBIDDEN;
	return 0;
}

/* ---- messages ---- */

void out_begin(struct server *s)
{
	buf_clear(&s->out);
	if (buf_room(&s->out, OUT_HEAD))
		s->out.len = OUT_HEAD;
}

int out_send(struct server *s, struct lws *wsi, uint32_t field)
{
	struct buf *b = &s->out;

	if (b->failed)
		return -1;
	size_t body = b->len - OUT_HEAD, head = 1 + varint_size(body);
	uint8_t *p = b->p + OUT_HEAD - head;

	*p = (uint8_t)(field << 3 | PB_BYTES);
	varint_put(p + 1, body);
	int r = lws_write(wsi, p, head + body, LWS_WRITE_BINARY);

	STAT_ADD(bytes_sent, head + body);
	buf_trim(b, 256 << 10);
	return r < 0 ? -1 : 0;
}

int out_send_whole(struct server *s, struct lws *wsi, const uint8_t *message, size_t len)
{
	out_begin(s);
	buf_put(&s->out, message, len);
	if (s->out.failed)
		return -1;
	int r = lws_write(wsi, s->out.p + OUT_HEAD, len, LWS_WRITE_BINARY);

	STAT_ADD(bytes_sent, len);
	return r < 0 ? -1 : 0;
}

/* ---- the loop ---- */

static void on_log(struct server *s)
{
	uint64_t n;

	if (read(s->log_fd, &n, sizeof(n)) < 0 || !s->sessions)
		return;
	stream_advance(s);
	stream_wake(s);
}

static int fd_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
		       size_t len)
{
	struct server *s = server_of(wsi);
	uint64_t n;

	(void)user;
	(void)in;
	(void)len;
	if (reason == LWS_CALLBACK_TIMER)
		lws_rx_flow_control(wsi, 1);
	if (reason != LWS_CALLBACK_RAW_RX_FILE)
		return 0;
	if (wsi == s->listen_wsi) {
		accept_some(s);
	} else if (wsi == s->log_wsi) {
		on_log(s);
	} else if (read(s->wake_fd, &n, sizeof(n)) > 0) {
		stream_wake(s);
		http_wake(s);
	}
	return 0;
}

static const struct lws_protocols protocols[] = {
	{.name = "http",
	 .callback = http_callback,
	 .per_session_data_size = sizeof(void *),
	 .tx_packet_size = 1 << 20},
	{.name = "strobe.v1",
	 .callback = stream_callback,
	 .per_session_data_size = sizeof(void *),
	 .rx_buffer_size = 4096,
	 .tx_packet_size = 1 << 20},
	{.name = "strobe-fd", .callback = fd_callback},
	{.name = NULL},
};

static void on_lws_log(int level, const char *line)
{
	size_t len = strlen(line);

	while (len && line[len - 1] == '\n')
		len--;
	msg(level == LLL_ERR ? MSG_WARN : MSG_DEBUG, "libwebsockets: %.*s", (int)len, line);
}

static struct lws *adopt(struct server *s, int fd)
{
	return lws_adopt_descriptor_vhost(s->vhost, LWS_ADOPT_RAW_FILE_DESC,
					  (lws_sock_file_fd_type){.filefd = fd}, "strobe-fd", NULL);
}

static int open_context(struct server *s)
{
	struct lws_context_creation_info info = {
		.port = CONTEXT_PORT_NO_LISTEN_SERVER,
		.protocols = protocols,
		.headers = security_headers,
		.user = s,
		.gid = -1,
		.uid = -1,
		.max_http_header_data = 8192,
		.fd_limit_per_thread = FD_LIMIT,
		.timeout_secs = 20,
		.keepalive_timeout = 30,
		.pt_serv_buf_size = 64 << 10,
		.options = LWS_SERVER_OPTION_DISABLE_OS_CA_CERTS,
		.vhost_name = "strobe",
	};

	lws_set_log_level(LLL_ERR, on_lws_log);
	s->context = lws_create_context(&info);
	if (!s->context)
		return -ENOMEM;
	s->vhost = lws_get_vhost_by_name(s->context, "strobe");
	if (!s->vhost)
		return -ENOMEM;
	s->listen_wsi = adopt(s, s->listen_fd);
	s->log_fd = fcntl(log_eventfd(s->config.log), F_DUPFD_CLOEXEC, 0);
	s->log_wsi = adopt(s, s->log_fd);
	s->wake_wsi = adopt(
		s, fcntl(s->wake_fd, F_DUPFD_CLOEXEC, 0)); /* server_stop outlives the context */
	lws_set_log_level(0, on_lws_log); /* from here on it is clients that have it complain */
	return s->listen_wsi && s->log_wsi && s->wake_wsi ? 0 : -ENOMEM;
}

int server_open(struct server **ret, const struct server_config *config, char *err, size_t err_len)
{
	if (!access_token_valid(config->token)) {
		snprintf(err, err_len, "the token must be %d to %d characters of A-Z a-z 0-9 _ -",
			 ACCESS_TOKEN_MIN, ACCESS_TOKEN_MAX);
		return -EINVAL;
	}
	struct server *s = calloc(1, sizeof(*s));

	if (!s) {
		snprintf(err, err_len, "out of memory");
		return -ENOMEM;
	}
	s->config = *config;
	s->listen_fd = -1;
	s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	jobs_init(&s->jobs, config->history, s->wake_fd);
	s->jobs.now_us = config->now_us;
	if (config->result_bytes && config->result_bytes < s->jobs.budget)
		s->jobs.budget = config->result_bytes;
	tail_init(&s->tail, config->log);

	int r = s->wake_fd < 0 ? -errno : listen_on(s, err, err_len);

	if (r == 0) {
		r = open_context(s);
		if (r < 0)
			snprintf(err, err_len, "cannot start the server: %s", strerror(-r));
	}
	if (r < 0) {
		server_close(s);
		return r;
	}
	*ret = s;
	return 0;
}

const char *server_url(const struct server *s)
{
	return s->url;
}

int server_run(struct server *s)
{
	while (!atomic_load(&s->stop))
		if (lws_service(s->context, 0) < 0)
			return atomic_load(&s->stop) ? 0 : -EIO;
	return 0;
}

void server_stop(struct server *s)
{
	uint64_t one = 1;

	atomic_store(&s->stop, true);
	jobs_stop(&s->jobs);
	if (write(s->wake_fd, &one, sizeof(one)) < 0)
		return; /* full: it is readable anyhow */
}

int server_query_step(struct server *s)
{
	if (atomic_load(&s->stop))
		return -ECANCELED;
	return jobs_step(&s->jobs);
}

void server_close(struct server *s)
{
	if (!s)
		return;
	jobs_stop(&s->jobs);
	if (s->context)
		lws_context_destroy(s->context); /* closes the sessions, and what it adopted */
	else if (s->listen_fd >= 0)
		close(s->listen_fd);
	log_watch(s->config.log, false);
	if (s->socket_path[0])
		unlink(s->socket_path);
	tail_done(&s->tail);
	jobs_done(&s->jobs);
	buf_done(&s->out);
	for (size_t i = 0; s->plain && i < strobe_n_assets; i++)
		free(s->plain[i]);
	free(s->plain);
	if (s->wake_fd >= 0)
		close(s->wake_fd);
	free(s);
}
