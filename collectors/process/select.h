/*
 * Which processes are instances: all while they fit, else the busiest, with hysteresis; the rest is
 * counted in "others".
 *
 * A process takes an instance's place when it is twice as busy and the other has had its place for
 * 3 seconds; the place changes hands over two passes, as a freed slot is given away in the next.
 */
#ifndef STROBE_COLLECTORS_PROCESS_SELECT_H
#define STROBE_COLLECTORS_PROCESS_SELECT_H

#include "base/batch.h"
#include "collectors/process/attrs.h"
#include "collectors/process/procs.h"

struct select {
	uint32_t *of_slot; /* entry of each live slot; PROCS_MAX cells */
	bool adopted;	   /* instances of an earlier run were matched with processes */
};

/* 0 or -ENOMEM. */
int select_open(struct select *);
void select_close(struct select *);

/* After a pass of the source: ends, starts and writes the rows of the group "process". */
void select_pass(struct select *, struct procs *, struct attrs *, struct batch *);

#endif
