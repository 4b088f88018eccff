/* An epoch of what passes, as strobe itself stores it. */
#include "export/profile_internal.h"

#include <errno.h>
#include <stdlib.h>

int profile_strobe(const struct profile_set *x, struct emit *e)
{
	struct stacks *cut = stacks_cut(x->s, x->from_us, x->to_us);
	struct stacks_filter filter = *x->filter;
	struct profile_set any = *x;
	uint8_t *data = NULL;
	uint32_t n = 0;
	size_t len = 0;
	int r;

	if (!cut)
		return -ENOMEM;
	any.filter = &filter;
	for (uint32_t i = 0; i < cut->n_samples; i++) {
		filter.kind = (enum stacks_kind)cut->samples[i].kind;
		if (profile_passes(&any, cut, &cut->samples[i]))
			cut->samples[n++] = cut->samples[i];
	}
	cut->n_samples = n;
	r = epoch_encode(cut, &data, &len);
	if (r == 0)
		emit_bytes(e, data, len);
	free(data);
	stacks_free(cut);
	return r;
}
