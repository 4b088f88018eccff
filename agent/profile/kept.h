/*
 * Trees and heat maps of epochs, with what is kept of sealed ones for the next question: of a tree the epoch's summary, of a
 * map its part. For profiles_each_memo(), and without it for profiles_each() and its like.
 */
#ifndef STROBE_PROFILE_KEPT_H
#define STROBE_PROFILE_KEPT_H

#include "profile/profiles.h"
#include "stacks/fold.h"

/* `arg` of what follows; fold or tasks may be NULL: not asked for. */
struct kept_fold {
	const struct fold_request *request;
	struct fold *fold;
	struct tasks *tasks;
};
int kept_fold_add(void *kept_fold, const struct stacks *);
extern const struct profiles_memo kept_sums; /* for requests of STACKS_CPU */

int kept_heat_add(void *heater, const struct stacks *);
/* key: heat_part_key() of its request, which stays the caller's. */
struct profiles_memo kept_heat_parts(const char *key);

#endif
