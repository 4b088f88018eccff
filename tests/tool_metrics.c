/*
 * Prints every metric of this build: name, unit, semantics, "indom" or "singular", collector,
 * separated by tabs. For the scripts that hold the tables against other tools.
 */
#include "collectors/collector.h"

#include <stdio.h>

static const char *const semantics[] = {
	[SEM_COUNTER] = "counter", [SEM_INSTANT] = "instant", [SEM_DISCRETE] = "discrete"};

int main(void)
{
	for (size_t c = 0; c < n_collectors; c++)
		for (size_t g = 0; g < collectors[c]->n_groups; g++) {
			const struct group *grp = &collectors[c]->groups[g];

			for (uint32_t m = 0; m < grp->n_metrics; m++)
				printf("%s\t%s\t%s\t%s\t%s\n", grp->metrics[m].name,
				       grp->metrics[m].unit, semantics[grp->metrics[m].sem],
				       grp->indom ? "indom" : "singular", collectors[c]->name);
		}
	return 0;
}
