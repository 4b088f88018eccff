#include "serve/assets.h"

#include <stdlib.h>
#include <string.h>
#define ZLIB_CONST
#include <zlib.h>

const struct asset *asset_find(const char *path)
{
	if (strcmp(path, "/") == 0)
		path = "/index.html";
	for (size_t i = 0; i < strobe_n_assets; i++)
		if (strcmp(strobe_assets[i].path, path) == 0)
			return &strobe_assets[i];
	return NULL;
}

uint8_t *asset_inflate(const struct asset *a)
{
	uint8_t *out = malloc(a->len + 1);
	z_stream z = {.next_in = a->gz,
		      .avail_in = (uInt)a->gz_len,
		      .next_out = out,
		      .avail_out = (uInt)a->len + 1};

	if (!out || inflateInit2(&z, 16 + MAX_WBITS) != Z_OK) {
		free(out);
		return NULL;
	}
	int r = inflate(&z, Z_FINISH);

	inflateEnd(&z);
	if (r != Z_STREAM_END || z.total_out != a->len) {
		free(out);
		return NULL;
	}
	return out;
}
