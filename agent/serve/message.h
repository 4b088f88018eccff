/*
 * The messages of proto/strobe.proto that are no ticks, appended to a buffer as a whole
 * ServerMessage (message_*) or as a field of one that is being written (put_*).
 */
#ifndef STROBE_SERVE_MESSAGE_H
#define STROBE_SERVE_MESSAGE_H

#include "serve/buf.h"
#include "serve/jobs.h"
#include "serve/server.h"
#include "serve/wire.h"
#include "store/mirror.h"
#include "store/query.h"

/* Field numbers of ServerMessage. */
enum message_field {
	MESSAGE_HELLO = 1,
	MESSAGE_CATALOG,
	MESSAGE_BATCH,
	MESSAGE_ATTRS,
	MESSAGE_EVENTS,
	MESSAGE_RANGE,
	MESSAGE_GAP,
	MESSAGE_ERROR,
	MESSAGE_LEVEL,
	MESSAGE_PONG,
	MESSAGE_HELD,
	MESSAGE_RANK,
	MESSAGE_TOTALS,
	MESSAGE_TEXTS,
	MESSAGE_HEAT,
	MESSAGE_FLAME,
	MESSAGE_CHART,
	MESSAGE_LINES,
	MESSAGE_PROFILER
};

enum gap_reason { GAP_EVICTED = 1, GAP_SLOW, GAP_OTHER_LOG };
enum level_reason { LEVEL_AS_ASKED = 1, LEVEL_SLOW };

void message_hello(struct buf *, const struct server_config *, const struct mirror *);
/* Everything of the catalog but the texts; instances are left out where the message would pass
 * 512 KiB (they come with the reset rows anyhow). */
void message_catalog(struct buf *, const struct mirror *);
void message_texts(struct buf *, const struct mirror *);
void message_gap(struct buf *, uint64_t from_seq, uint64_t to_seq, uint64_t from_us, uint64_t to_us,
		 enum gap_reason);
void message_error(struct buf *, uint32_t req, uint32_t code, const char *text);
void message_level(struct buf *, uint32_t ticks, enum level_reason);
void message_pong(struct buf *, uint64_t id, uint64_t now_us);

void put_clock(struct buf *, uint32_t field, int64_t mono_us, int64_t real_off_us,
	       int64_t boot_off_us, uint32_t reason);
void put_attr_change(struct buf *, uint32_t field, const struct attr_frame *);
void put_event(struct buf *, uint32_t field, uint64_t seq, int64_t at_us,
	       const struct event_frame *);

/* One Range message with series *next.. of the result until it passes 256 KiB; moves *next. */
void message_range(struct buf *, uint32_t req, const struct query_request *,
		   const struct query_result *, size_t *next);

/* ---- message_past.c ---- */

/* The newest spans where not all fit into a message. */
void message_held(struct buf *, uint32_t req, const struct held_result *);
void message_rank(struct buf *, uint32_t req, const struct rank_result *);
/* As message_range(). */
void message_totals(struct buf *, uint32_t req, const struct totals_request *,
		    const struct totals_result *, size_t *next);
/* The answer to an EventsRequest; `events` are the fields of an EventList. */
void message_past_events(struct buf *, uint32_t req, const struct buf *events, bool left_out);

#endif
