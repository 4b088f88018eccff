/* The dashboard's files, packed into the binary by embed.sh, pre-gzipped. */
#ifndef STROBE_SERVE_ASSETS_H
#define STROBE_SERVE_ASSETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct asset {
	const char *path; /* "/index.html" */
	const char *mime;
	const char *etag; /* of the plain bytes, without quotes */
	const uint8_t *gz;
	size_t gz_len, len; /* len: inflated */
	bool immutable;	    /* its name holds a hash of its content */
};

extern const struct asset strobe_assets[]; /* sorted by path */
extern const size_t strobe_n_assets;

/* The asset for a request path ("/" is the index), or NULL. */
const struct asset *asset_find(const char *path);
/* Inflates into malloc'ed memory of asset->len bytes, the caller's to free; NULL: no memory. */
uint8_t *asset_inflate(const struct asset *);

#endif
