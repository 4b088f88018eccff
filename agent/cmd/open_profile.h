/*
 * What `strobe open` serves of a profile without metrics (another tool's, or an epoch): its stacks, and a log that
 * holds nothing but their time. Messages go to stderr.
 */
#ifndef STROBE_CMD_OPEN_PROFILE_H
#define STROBE_CMD_OPEN_PROFILE_H

#include "cmd/flame_load.h"
#include "profile/profiles.h"
#include "store/log.h"

struct open_profile {
	struct flame_sets sets;
	char boot_id[37]; /* of all of them */
	uint16_t n_cpus;  /* 0: unknown */
	bool dated;	  /* else its wall clock begins at 0 */
};

/* Is it worth trying? By its first bytes; what is no regular file is taken to be one. */
bool open_profile_looks(const char *path);
/* event: as of flame_load_file(). 0, or -errno, which was said. Its times are above 0, and its wall clock is known or begins with it at 0. */
int open_profile_load(struct open_profile *ret, const char *path, const char *event);
void open_profile_done(struct open_profile *);
/* Whole seconds, as columns of the heat map are. */
uint64_t open_profile_end_us(const struct open_profile *);
/* Into an empty log of one segment, and into profiles. The same. */
int open_profile_fill(const struct open_profile *, const char *path, struct log *,
		      struct profiles *);

#endif
