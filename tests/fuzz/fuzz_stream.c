/*
 * Clients of the stream that send anything, in any order, while ticks are written, segments are
 * reused and connections choke. libwebsockets is left out: the functions the stream calls are
 * below. Whatever the agent sends must be a ServerMessage.
 *
 * The input is a row of steps: a byte (bits 0 to 2 the step, bit 3 the client), and for MESSAGE two
 * bytes of length and the message.
 */
#include "store.h"

#include "profile/profiles.h"
#include "serve/private.h"

#include "strobe.pb-c.h"

#include <sys/eventfd.h>

enum step { CONNECT, MESSAGE, WRITEABLE, TICK, TICKS, CLOSE, CHOKE, QUERY };
enum { FUZZ_PID = 4711, CLIENTS = 2, STEPS_MAX = 400, MANY_TICKS = 12, MESSAGE_LIMIT = 1 << 20 };

struct client {
	void *session; /* what lws would keep for the connection */
	bool connected, choked, asked;
};

static struct server server;
static struct client clients[CLIENTS];
static struct feeder feeder;
static struct log *the_log;
static struct history *history;
static struct profiles *profiles;
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
	uint8_t bytes[8192];
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

/* Each question about stacks. */
static void add_profile(struct script *s, unsigned k)
{
	Strobe__V1__ProfileFilter filter = STROBE__V1__PROFILE_FILTER__INIT;
	Strobe__V1__TimeRange times[2] = {STROBE__V1__TIME_RANGE__INIT,
					  STROBE__V1__TIME_RANGE__INIT};
	Strobe__V1__TimeRange *range = &times[0], *base = &times[1];
	Strobe__V1__ProfilerRequest profiler = STROBE__V1__PROFILER_REQUEST__INIT;
	Strobe__V1__HeatRequest heat = STROBE__V1__HEAT_REQUEST__INIT;
	Strobe__V1__FlameRequest flame = STROBE__V1__FLAME_REQUEST__INIT;
	Strobe__V1__FlameChartRequest chart = STROBE__V1__FLAME_CHART_REQUEST__INIT;
	Strobe__V1__LinesRequest lines = STROBE__V1__LINES_REQUEST__INIT;
	Strobe__V1__ClientMessage m = STROBE__V1__CLIENT_MESSAGE__INIT;

	*range = (Strobe__V1__TimeRange){.base = range->base,
					 .from_us = FUZZ_FIRST_US + 1000000,
					 .to_us = FUZZ_FIRST_US + 2000000};
	*base = (Strobe__V1__TimeRange){
		.base = base->base, .from_us = FUZZ_FIRST_US, .to_us = FUZZ_FIRST_US + 1000000};
	filter.off_cpu = k == 1;
	filter.pid = k == 2 ? FUZZ_PID : 0;
	filter.tid = k == 2 ? FUZZ_PID + 1 : 0;
	filter.process = (char *)(uintptr_t)(k ? "" : "proc0");
	profiler.req = 9;
	m.of_case = STROBE__V1__CLIENT_MESSAGE__OF_PROFILER;
	m.profiler = &profiler;
	add_message(s, &m);
	heat.req = 10;
	heat.from_us = FUZZ_FIRST_US;
	heat.column_us = 1000000;
	heat.n_columns = 3;
	heat.by = (Strobe__V1__HeatBy)(k * 2);
	heat.n_rows = 50;
	heat.filter = &filter;
	heat.pattern = (char *)(uintptr_t) "f[1-3]$";
	m.of_case = STROBE__V1__CLIENT_MESSAGE__OF_HEAT;
	m.heat = &heat;
	add_message(s, &m);
	flame.req = 11;
	flame.n_ranges = flame.n_baseline = 1;
	flame.ranges = &range;
	flame.baseline = &base;
	flame.filter = &filter;
	flame.by_process = flame.by_thread = k == 0;
	flame.elided = k == 2;
	flame.tasks = 5;
	m.of_case = STROBE__V1__CLIENT_MESSAGE__OF_FLAME;
	m.flame = &flame;
	add_message(s, &m);
	add_step(s, QUERY);
	chart.req = 12;
	chart.from_us = FUZZ_FIRST_US;
	chart.to_us = range->to_us;
	chart.filter = &filter;
	m.of_case = STROBE__V1__CLIENT_MESSAGE__OF_CHART;
	m.chart = &chart;
	add_message(s, &m);
	lines.req = 13;
	lines.module = (char *)(uintptr_t) "/nowhere/a";
	lines.build_id = (char *)(uintptr_t) "00112233";
	lines.addr = 0x1000;
	m.of_case = STROBE__V1__CLIENT_MESSAGE__OF_LINES;
	m.lines = &lines;
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
		add_profile(&s, k);
		for (int i = 0; i < 12; i++)
			add_step(&s, i % 2 ? WRITEABLE : QUERY);
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

/* Three seconds of two threads and a few functions, on the CPU and off it; nothing here adds to them later. */
static void open_profiles(void)
{
	static const struct profiles_config config = {
		.memory_bytes = 4 << 20, .boot_id = "fuzz", .n_cpus = 2};
	struct stacks *s;

	FUZZ_CHECK(profiles_open(&profiles, &config) == 0);
	s = profiles_begin(profiles);
	FUZZ_CHECK(s);
	s->hz = 99;
	for (uint32_t i = 0; i < 300; i++) {
		char name[16];
		uint32_t node = 0;

		snprintf(name, sizeof(name), "proc%u", i % 2);
		struct stacks_task t = {.pid = FUZZ_PID,
					.tid = FUZZ_PID + i % 2,
					.comm = stacks_string(s, name, strlen(name)),
					.process = stacks_string(s, "proc0", 5),
					.cgroup = stacks_string(s, "/a/b", 4)};
		struct stacks_sample sample = {.at_us = FUZZ_FIRST_US + (int64_t)i * 10000,
					       .task = stacks_task(s, &t),
					       .weight_us = 10101,
					       .cpu = (uint16_t)(i % 2),
					       .kind = i % 5 ? STACKS_CPU : STACKS_OFF,
					       .flags = (uint8_t)(i % 5 ? 0 : i % 6 << 4)};

		for (uint32_t k = 0; k < 1 + i % 7; k++) {
			struct stacks_frame f = {.type = (uint8_t)(k % STACKS_TYPES),
						 .addr = 0x1000 + k * 16};

			snprintf(name, sizeof(name), "f%u", (i / 7 + k) % 9);
			f.name = stacks_string(s, name, strlen(name));
			f.module = stacks_module(s, "/nowhere/a", "00112233");
			node = stacks_node(s, node, stacks_frame(s, &f));
		}
		sample.node = node;
		FUZZ_CHECK(stacks_add(s, &sample) == 0);
	}
	profiles_end(profiles, FUZZ_FIRST_US + 3000000, 0);
}

static void begin(void)
{
	static const struct host host = {.name = "fuzz", .n_cpus = 2};

	if (!the_log) {
		the_log = fuzz_log(&feeder);
		open_profiles();
	}
	FUZZ_CHECK(log_reset(the_log) == 0);
	FUZZ_CHECK(history_open(&history, &(struct history_config){.log = the_log}) == 0);
	server = (struct server){
		.config = {.token = "0123456789abcdef",
			   .log = the_log,
			   .history = history,
			   .host = &host,
			   .profiles = profiles,
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
