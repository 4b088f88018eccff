#include "serve/capture_meta.h"

#include "base/walltime.h"

#include "serve/json.h"

#include <errno.h>
#include <jansson.h>
#include <sys/utsname.h>
#include <time.h>

void capture_meta_of(struct capture_meta *m, const struct host *host, const struct log *log,
		     const char *kernel)
{
	struct utsname uts;

	*m = (struct capture_meta){.n_cpus = host->n_cpus,
				   .mem_total_bytes = host->mem_total_bytes};
	snprintf(m->version, sizeof(m->version), "%s", STROBE_VERSION);
	snprintf(m->host, sizeof(m->host), "%s", host->name);
	snprintf(m->machine_id, sizeof(m->machine_id), "%s", host->machine_id);
	snprintf(m->boot_id, sizeof(m->boot_id), "%s", host->boot_id);
	if (!kernel && uname(&uts) == 0)
		kernel = uts.release;
	snprintf(m->kernel, sizeof(m->kernel), "%s", kernel ? kernel : "");
	memcpy(m->log_id, log_id(log), LOG_ID_LEN);
}

void capture_file_name(char *ret, size_t size, const char *host, int64_t wall_us)
{
	time_t t = (time_t)(wall_us / 1000000);
	struct tm tm = {0};
	char at[24], name[65];

	snprintf(name, sizeof(name), "%s", *host ? host : "host");
	for (char *p = name; *p; p++)
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_",
			    *p))
			*p = '_';
	gmtime_r(&t, &tm);
	if (!strftime(at, sizeof(at), "%Y%m%dT%H%M%SZ", &tm))
		at[0] = '\0';
	snprintf(ret, size, "strobe-%s-%s.strobe", name, at);
}

/* ---- writing ---- */

static void put_time(struct buf *b, const char *key, const struct capture_meta *m, int64_t at_us)
{
	char text[WALLTIME_LEN];

	if (!at_us || !m->real_off_us)
		return;
	walltime_iso(text, at_us + m->real_off_us);
	json_key_text(b, key, text);
}

void capture_meta_put(struct buf *b, const struct capture_meta *m)
{
	char id[2 * LOG_ID_LEN + 1];

	for (int i = 0; i < LOG_ID_LEN; i++)
		snprintf(id + 2 * i, 3, "%02x", m->log_id[i]);
	json_open(b, '{');
	json_key_text(b, "version", m->version);
	json_key_text(b, "host", m->host);
	json_key_text(b, "machine_id", m->machine_id);
	json_key_text(b, "kernel", m->kernel);
	json_key_int(b, "n_cpus", m->n_cpus);
	json_key_int(b, "mem_total_bytes", (int64_t)m->mem_total_bytes);
	json_key_text(b, "boot_id", m->boot_id);
	json_key_text(b, "log_id", id);
	json_key_int(b, "rate_hz", m->rate_hz);
	json_key_int(b, "started_us", (int64_t)m->started_us);
	json_key_int(b, "from_us", m->from_us);
	json_key_int(b, "to_us", m->to_us);
	json_key_int(b, "now_us", (int64_t)m->now_us);
	json_key_int(b, "newest_us", (int64_t)m->newest_us);
	json_key_int(b, "real_off_us", m->real_off_us);
	put_time(b, "from", m, m->from_us);
	put_time(b, "to", m, m->to_us);
	if (m->command[0])
		json_key_text(b, "command", m->command);
	json_key(b, "marks");
	json_open(b, '[');
	for (uint32_t i = 0; i < m->n_marks; i++) {
		json_open(b, '{');
		json_key_int(b, "at_us", (int64_t)m->marks[i].at_us);
		json_key_text(b, "text", m->marks[i].text);
		json_close(b, '}');
	}
	json_close(b, ']');
	json_close(b, '}');
}

/* ---- reading ---- */

static void get_text(const json_t *o, const char *key, char *ret, size_t size)
{
	const char *s = json_string_value(json_object_get(o, key));

	snprintf(ret, size, "%s", s ? s : "");
}

/* 0 for what is negative, too. */
static uint64_t get_number(const json_t *o, const char *key, uint64_t max)
{
	json_int_t v = json_integer_value(json_object_get(o, key));

	return v < 0 ? 0 : (uint64_t)v > max ? max : (uint64_t)v;
}

static void get_log_id(const json_t *o, uint8_t ret[LOG_ID_LEN])
{
	const char *s = json_string_value(json_object_get(o, "log_id"));
	unsigned byte;

	for (size_t i = 0; s && strlen(s) == 2 * LOG_ID_LEN && i < LOG_ID_LEN; i++)
		ret[i] = sscanf(s + 2 * i, "%2x", &byte) == 1 ? (uint8_t)byte : 0;
}

int capture_meta_parse(const void *data, size_t len, struct capture_meta *m)
{
	json_t *o = json_loadb(data, len, JSON_REJECT_DUPLICATES, NULL), *mark;
	size_t i;

	*m = (struct capture_meta){0};
	if (!json_is_object(o)) {
		json_decref(o);
		return -EBADMSG;
	}
	get_text(o, "version", m->version, sizeof(m->version));
	get_text(o, "host", m->host, sizeof(m->host));
	get_text(o, "machine_id", m->machine_id, sizeof(m->machine_id));
	get_text(o, "boot_id", m->boot_id, sizeof(m->boot_id));
	get_text(o, "kernel", m->kernel, sizeof(m->kernel));
	get_text(o, "command", m->command, sizeof(m->command));
	get_log_id(o, m->log_id);
	m->rate_hz = (uint32_t)get_number(o, "rate_hz", 1000);
	m->n_cpus = (uint32_t)get_number(o, "n_cpus", UINT32_MAX);
	m->mem_total_bytes = get_number(o, "mem_total_bytes", INT64_MAX);
	m->started_us = get_number(o, "started_us", INT64_MAX);
	m->from_us = json_integer_value(json_object_get(o, "from_us"));
	m->to_us = json_integer_value(json_object_get(o, "to_us"));
	m->now_us = get_number(o, "now_us", INT64_MAX);
	m->newest_us = get_number(o, "newest_us", INT64_MAX);
	m->real_off_us = json_integer_value(json_object_get(o, "real_off_us"));
	json_array_foreach(json_object_get(o, "marks"), i, mark)
	{
		if (m->n_marks == CAPTURE_MARKS_MAX)
			break;
		m->marks[m->n_marks].at_us = get_number(mark, "at_us", INT64_MAX);
		get_text(mark, "text", m->marks[m->n_marks].text, sizeof(m->marks[0].text));
		m->n_marks++;
	}
	json_decref(o);
	return 0;
}
