#include "sample/notice.h"

#include "base/msg.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { INSTANCE_SHARE_US = 1000000, INSTANCE_BURST_US = 60000000 };

static void speak(struct notices *n, const struct notice *e)
{
	uint32_t at = atomic_load_explicit(&n->written, memory_order_relaxed);

	if (at - atomic_load_explicit(&n->printed, memory_order_acquire) >= NOTICES_MAX)
		return;
	n->spoken[at % NOTICES_MAX] = *e;
	atomic_store_explicit(&n->written, at + 1, memory_order_release);
}

void notice_add(struct notices *n, uint64_t mono_us, enum event_kind kind,
		enum event_severity severity, const char *source, const char *format, ...)
{
	struct notice *e;
	va_list ap;

	if (n->n_pending == NOTICES_MAX) {
		n->n_lost++;
		return;
	}
	e = &n->pending[n->n_pending++];
	e->mono_us = mono_us;
	e->kind = kind;
	e->severity = severity;
	snprintf(e->source, sizeof(e->source), "%s", source);
	va_start(ap, format);
	vsnprintf(e->text, sizeof(e->text), format, ap);
	va_end(ap);
	if (strcmp(source, "strobe") !=
	    0) /* of itself the agent speaks where it starts and stops */
		speak(n, e);
}

static bool instance_allowed(struct notices *n, uint64_t mono_us)
{
	if (n->allowance_us < mono_us)
		n->allowance_us = mono_us;
	if (n->allowance_us - mono_us >= INSTANCE_BURST_US)
		return false;
	n->allowance_us += INSTANCE_SHARE_US;
	return true;
}

void notice_instances(struct notices *n, uint64_t mono_us, const struct batch *b)
{
	for (uint32_t i = 0; i < b->n_ended; i++)
		if (instance_allowed(n, mono_us))
			notice_add(n, mono_us, EVENT_INSTANCE, SEVERITY_INFO, b->group->indom,
				   "%s is gone", b->inst[b->ended[i]].name);
	for (uint32_t i = 0; i < b->n_started; i++)
		if (instance_allowed(n, mono_us))
			notice_add(n, mono_us, EVENT_INSTANCE, SEVERITY_INFO, b->group->indom,
				   "%s has appeared", b->inst[b->started[i]].name);
}

void notice_print(struct notices *n)
{
	static const enum msg_level level[] = {MSG_INFO, MSG_WARN, MSG_ERROR};
	uint32_t at;

	if (atomic_flag_test_and_set_explicit(&n->printing, memory_order_acquire))
		return;
	at = atomic_load_explicit(&n->printed, memory_order_relaxed);
	while (at != atomic_load_explicit(&n->written, memory_order_acquire)) {
		const struct notice *e = &n->spoken[at % NOTICES_MAX];

		msg(level[e->severity], "%s: %s", e->source, e->text);
		atomic_store_explicit(&n->printed, ++at, memory_order_release);
	}
	atomic_flag_clear_explicit(&n->printing, memory_order_release);
}
