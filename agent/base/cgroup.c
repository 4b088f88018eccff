#include "base/cgroup.h"

#include "base/parse.h"

#include <string.h>

size_t cgroup_parse(const char *text, char *out, size_t size)
{
	const char *best = "";
	size_t best_len = 0;
	int best_rank = 0;

	for (const char *p = text; *p; p = parse_line(p)) {
		size_t line = strcspn(p, "\n");
		const char *name = memchr(p, ':', line);
		const char *path =
			name ? memchr(name + 1, ':', line - (size_t)(name + 1 - p)) : NULL;

		if (!path)
			continue;
		path++;
		size_t len = line - (size_t)(path - p);
		bool bare = len <= 1;
		int rank = bare					  ? 1
			   : PARSE_STARTS(p, "0::")		  ? 4
			   : PARSE_STARTS(name, ":name=systemd:") ? 3
								  : 2;

		if (rank > best_rank) {
			best = path;
			best_len = len;
			best_rank = rank;
		}
	}
	if (best_len > size - 1)
		best_len = size - 1;
	memcpy(out, best, best_len);
	out[best_len] = 0;
	return best_len;
}
