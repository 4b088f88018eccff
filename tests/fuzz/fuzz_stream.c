/*
 * Clients of the stream that send anything, in any order, while ticks are written, segments are
 * reused and connections choke. libwebsockets is left out: the functions the stream calls are
 * below. Whatever the agent sends must be a ServerMessage.
 *
 * The input is a row of steps: a byte (bits 0 to 2 the step, bit 3 the client), and for MESSAGE two
 * bytes of length and the message.
 */
#include "store.h"

#include "serve/private.h"

#include "strobe.pb-c.h"

#include <sys/eventfd.h>

enum step { CONNECT, MESSAGE, WRITEABLE, TICK, TICKS, CLOSE, CHOKE, QUERY };
enum { CLIENTS = 2, STEPS_MAX = 400, MANY_TICKS = 12, MESSAGE_LIMIT = 1 << 20 };

struct client {
	void *session; /* what lws would keep for the connection */
	bool connected, choked, asked;
};

static struct server server;
static struct client clients[CLIENTS];
static struct feeder feeder;
static struct log *the_log;
static struct history *history;
static unsigned n_ticks;

static struct client *client_of(struct lws *wsi)
{
	return (struct client *)(void *)wsi;
}

static struct lws *wsi_of(struct client *c)
{
	return (struct lws *)(void *)c;
}

/* ---- in place of libwebsockets ---- */

struct lws_context *lws_get_context(const struct lws *wsi)
{
	(void)wsi;
	return NULL;
}

void *lws_context_user(struct lws_context *context)
{
	(void)context;
	return &server;
}

int lws_callback_on_writable(struct lws *wsi)
{
	client_of(wsi)->asked = true;
	return 1;
}

int lws_send_pipe_choked(struct lws *wsi)
{
	return client_of(wsi)->choked;
}

int lws_frame_is_binary(struct lws *wsi)
{
	(void)wsi;
	return 1;
}

int lws_is_final_fragment(struct lws *wsi)
{
	(void)wsi;
	return 1;
}

size_t lws_remaining_packet_payload(struct lws *wsi)
{
	(void)wsi;
	return 0;
}

void lws_close_reason(struct lws *wsi, enum lws_close_status status, unsigned char *buf, size_t len)
{
	(void)wsi;
	FUZZ_CHECK(status >= 1000 && len <= 123 && memchr(buf, 0, len + 1));
}

void lws_set_timeout(struct lws *wsi, enum pending_timeout reason, int secs)
{
	(void)wsi;
	(void)reason;
	(void)secs;
}

int lws_write(struct lws *wsi, unsigned char *buf, size_t len, enum lws_write_protocol protocol)
{
	struct client *c = client_of(wsi);
	Strobe__V1__ServerMessage *m = strobe__v1__server_message__unpack(NULL, len, buf);

	FUZZ_CHECK(c->connected && protocol == LWS_WRITE_BINARY && len <= MESSAGE_LIMIT);
	FUZZ_CHECK(m && m->of_case != STROBE__V1__SERVER_MESSAGE__OF__NOT_SET);
	memset(buf - LWS_PRE, 0xa5, LWS_PRE); /* lws writes its header there */
	strobe__v1__server_message__free_unpacked(m, NULL);
	return (int)len;
}

/* ---- steps ---- */

static int call(struct client *c, enum lws_callback_reasons reason, void *in, size_t len)
{
	return stream_callback(wsi_of(c), reason, &c->session, in, len);
}

static void hang_up(struct client *c)
{
	if (c->connected)
		call(c, LWS_CALLBACK_CLOSED, NULL, 0);
	FUZZ_CHECK(!c->session);
	*c = (struct client){0};
}

static void take_turn(struct client *c)
{
	if (!c->connected || !c->asked)
		return;
	c->asked = false;
	if (call(c, LWS_CALLBACK_SERVER_WRITEABLE, NULL, 0) < 0)
		hang_up(c);
}

static void receive(struct client *c, const uint8_t *data, size_t len)
{
	if (!c->connected)
		return;
	/* A block of exactly this size: a byte too far is an error. */
	uint8_t *copy = malloc(len ? len : 1);

	memcpy(copy, data, len);
	int r = call(c, LWS_CALLBACK_RECEIVE, copy, len);

	free(copy);
	if (r < 0)
		hang_up(c);
}

/* A new segment after many ticks: the oldest of the four is soon written over. */
static void tick(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		fuzz_tick(&feeder, n_ticks++);
	if (n == MANY_TICKS)
		feeder_segment(&feeder);
	stream_advance(&server);
	stream_wake(&server);
}

static void query(void)
{
	if (server.jobs.waiting)
		jobs_step(&server.jobs);
	stream_wake(&server);
}

static void do_step(enum step step, struct client *c)
{
	switch (step) {
	case CONNECT:
		if (!c->connected) {
			c->connected = true;
			if (call(c, LWS_CALLBACK_ESTABLISHED, NULL, 0) < 0)
				hang_up(c);
		}
		break;
	case WRITEABLE:
		take_turn(c);
		break;
	case TICK:
		tick(1);
		break;
	case TICKS:
		tick(MANY_TICKS);
		break;
	case CLOSE:
		hang_up(c);
		break;
	case CHOKE:
		c->choked = !c->choked;
		break;
	case QUERY:
		query();
		break;
	case MESSAGE:
		break;
	}
}

/* ---- seeds: what a dashboard does ---- */

struct script {
	uint8_t bytes[4096];
	size_t len;
};

static void add_step(struct script *s, enum step step)
{
	s->bytes[s->len++] = (uint8_t)step;
}

static void add_message(struct script *s, const Strobe__V1__ClientMessage *m)
{
	size_t len = strobe__v1__client_message__get_packed_size(m);

	add_step(s, MESSAGE);
	s->bytes[s->len++] = (uint8_t)len;
	s->bytes[s->len++] = (uint8_t)(len >> 8);
	s->len += strobe__v1__client_message__pack(m, s->bytes + s->len);
}

static void add_subscribe(struct script *s, uint32_t level, uint64_t seq)
{
	static uint8_t id[LOG_ID_LEN];
	Strobe__V1__GroupSub g[3], *list[3];
	Strobe__V1__Subscribe sub = STROBE__V1__SUBSCRIBE__INIT;
	Strobe__V1__ClientMessage m = STROBE__V1__CLIENT_MESSAGE__INIT;

	for (uint32_t i = 0; i < 3; i++) {
		strobe__v1__group_sub__init(&g[i]);
		g[i].group = i;
		g[i].level = i ? level : 1;
		list[i] = &g[i];
	}
	sub.n_groups = 3;
	sub.groups = list;
	sub.window_us = 5000000;
	sub.seq = seq;
	if (seq) {
		sub.log_id.data = id;
		sub.log_id.len = sizeof(id);
	}
	m.of_case = STROBE__V1__CLIENT_MESSAGE__OF_SUBSCRIBE;
	m.subscribe = &sub;
	add_message(s, &m);
}

static void add_range(struct script *s)
{
	Strobe__V1__Selector one = STROBE__V1__SELECTOR__INIT, *list = &one;
	Strobe__V1__RangeRequest range = STROBE__V1__RANGE_REQUEST__INIT;
	Strobe__V1__ClientMessage m = STROBE__V1__CLIENT_MESSAGE__INIT;

	one.metric = (char *)(uintptr_t) "t.count";
	range.req = 7;
	range.from_us = FUZZ_FIRST_US;
	range.to_us = FUZZ_FIRST_US + 3000000;
	range.points = 10;
	range.n_series = 1;
	range.series = &list;
	m.of_case = STROBE__V1__CLIENT_MESSAGE__OF_RANGE;
	m.range = &range;
	add_message(s, &m);
}

static void fuzz_seeds(void)
{
	static const uint32_t levels[] = {1, 2, 10};
	Strobe__V1__Ping ping = STROBE__V1__PING__INIT;
	Strobe__V1__TextsRequest texts = STROBE__V1__TEXTS_REQUEST__INIT;
	Strobe__V1__ClientMessage m = STROBE__V1__CLIENT_MESSAGE__INIT;

	for (unsigned k = 0; k < 3; k++) {
		struct script s = {.len = 0};
		char name[8];

		add_step(&s, TICK);
		add_step(&s, CONNECT);
		for (int i = 0; i < 2; i++)
			add_step(&s, WRITEABLE);
		add_subscribe(&s, levels[k], 0);
		for (int i = 0; i < 12; i++)
			add_step(&s, i % 3 ? WRITEABLE : TICK);
		add_range(&s);
		add_step(&s, QUERY);
		m.of_case = STROBE__V1__CLIENT_MESSAGE__OF_PING;
		m.ping = &ping;
		add_message(&s, &m);
		m.of_case = STROBE__V1__CLIENT_MESSAGE__OF_TEXTS;
		m.texts = &texts;
		add_message(&s, &m);
		for (int i = 0; i < 4; i++)
			add_step(&s, WRITEABLE);
		add_step(&s, TICKS);
		add_subscribe(&s, levels[k], 3);
		add_step(&s, WRITEABLE);
		snprintf(name, sizeof(name), "%u", k);
		fuzz_seed(name, s.bytes, s.len);
	}
}

/* ---- the run of one input ---- */

static void begin(void)
{
	static const struct host host = {.name = "fuzz", .n_cpus = 2};

	if (!the_log)
		the_log = fuzz_log(&feeder);
	FUZZ_CHECK(log_reset(the_log) == 0);
	FUZZ_CHECK(history_open(&history, &(struct history_config){.log = the_log}) == 0);
	server = (struct server){
		.config = {.token = "0123456789abcdef",
			   .log = the_log,
			   .history = history,
			   .host = &host,
			   .rate_hz = 10},
	};
	tail_init(&server.tail, the_log);
	FUZZ_CHECK(jobs_init(&server.jobs, history, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) == 0);
	tick(1);
}

static void end(void)
{
	for (unsigned i = 0; i < 50; i++) {
		query();
		for (unsigned k = 0; k < CLIENTS; k++) {
			clients[k].choked = false;
			take_turn(&clients[k]);
		}
	}
	for (unsigned k = 0; k < CLIENTS; k++)
		hang_up(&clients[k]);
	FUZZ_CHECK(!server.n_sessions && !server.sessions);
	close(server.jobs.wake_fd);
	jobs_done(&server.jobs);
	history_close(history);
	tail_done(&server.tail);
	buf_done(&server.out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	begin();
	for (unsigned i = 0; size && i < STEPS_MAX; i++) {
		enum step step = (enum step)(data[0] & 7);
		struct client *c = &clients[data[0] >> 3 & 1];

		data++;
		size--;
		if (step == MESSAGE && size >= 2) {
			size_t len = (size_t)data[0] | (size_t)data[1] << 8;

			len = len > size - 2 ? size - 2 : len;
			receive(c, data + 2, len);
			data += 2 + len;
			size -= 2 + len;
		} else {
			do_step(step, c);
		}
	}
	end();
	return 0;
}
