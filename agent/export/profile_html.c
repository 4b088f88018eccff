/* One page with all that it needs: the tree as JSON within it. */
#include "export/page.h"
#include "export/profile_internal.h"

#include <errno.h>
#include <string.h>

int profile_html(const struct fold_tree *t, const struct profile_about *about, struct emit *e)
{
	static const char mark[] = "<script type=\"application/json\" id=\"profile\">";
	const char *at = strstr(flame_page, mark);
	int r;

	if (!at || strncmp(at + sizeof(mark) - 1, "null", 4) != 0)
		return -EINVAL;
	at += sizeof(mark) - 1;
	emit_bytes(e, flame_page, (size_t)(at - flame_page));
	e->last = '['; /* JSON begins anew */
	r = profile_json(t, about, e);
	emit_text(e, at + 4);
	return r;
}
