/* What mirror.c and mirror_catalog.c share. Nobody else includes this. */
#ifndef STROBE_STORE_MIRROR_INTERNAL_H
#define STROBE_STORE_MIRROR_INTERNAL_H

#include "store/mirror.h"

/* Replaces the catalog when the frame's version is another one; instances and values start anew. 0,
 * -EBADMSG or -ENOMEM with the mirror unchanged. */
int mirror_apply_catalog(struct mirror *, const struct frame *);
void mirror_free_groups(struct mirror_group *, uint32_t n);

#endif
