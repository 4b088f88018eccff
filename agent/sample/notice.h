/*
 * What the sampler has to tell: events for the log, and the same on stderr. The sampler puts them
 * in and appends them to the log itself; another thread prints them, because the sampler waits for
 * nobody.
 */
#ifndef STROBE_SAMPLE_NOTICE_H
#define STROBE_SAMPLE_NOTICE_H

#include "base/batch.h"
#include "store/frame.h"

#include <stdatomic.h>

enum { NOTICES_MAX = 64, NOTICE_SOURCE_MAX = 64, NOTICE_TEXT_MAX = 224 };

struct notice {
	uint64_t mono_us;
	enum event_kind kind;
	enum event_severity severity;
	char source[NOTICE_SOURCE_MAX], text[NOTICE_TEXT_MAX];
};

struct notices {
	struct notice pending[NOTICES_MAX]; /* for the log; sampler only */
	uint32_t n_pending;
	uint32_t n_lost;       /* found no place in `pending`, since the start */
	uint64_t allowance_us; /* instance events: the time until which their share is used up */

	struct notice spoken[NOTICES_MAX]; /* ring to the printing thread; what finds it full is not
					      printed */
	_Atomic uint32_t written, printed;
	atomic_flag printing;
};

/* Sampler. Texts are cut to fit. */
void notice_add(struct notices *, uint64_t mono_us, enum event_kind, enum event_severity,
		const char *source, const char *format, ...) __attribute__((format(printf, 6, 7)));
/* Sampler. An event for each instance that came or went in this pass, at most 60 a minute. */
void notice_instances(struct notices *, uint64_t mono_us, const struct batch *);

/* Any other thread: prints what has come since. */
void notice_print(struct notices *);

#endif
