/* Events of any stretch of the timeline. */
#ifndef STROBE_STORE_PAST_H
#define STROBE_STORE_PAST_H

#include "store/history.h"

/* Calls `each` for the events in [from_us, to_us), oldest first; seq 0: of another log than the running
 * one. Stops at the first result that is not 0 and returns it. 0; -ENOMEM, -ECANCELED. */
int past_events(struct history *, int64_t from_us, int64_t to_us,
		int (*each)(void *arg, uint64_t seq, int64_t at_us, const struct event_frame *),
		void *arg, const _Atomic bool *cancel);

#endif
