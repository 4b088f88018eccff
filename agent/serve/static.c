/* The files of the page: embedded, compressed, with their tags. */
#include "serve/assets.h"
#include "serve/request.h"

/* Inflated once, for clients without gzip: many slow ones must not hold a copy each. */
static const uint8_t *plain_asset(struct server *s, const struct asset *a)
{
	size_t i = (size_t)(a - strobe_assets);

	if (!s->plain)
		s->plain = calloc(strobe_n_assets, sizeof(*s->plain));
	if (s->plain && !s->plain[i])
		s->plain[i] = asset_inflate(a);
	return s->plain ? s->plain[i] : NULL;
}

int request_asset(struct request *r, const struct asset *a)
{
	char accept[256] = "", match[256] = "", etag[80];
	struct request_header extra[4];
	size_t n = 0;

	if (lws_hdr_copy(r->wsi, accept, sizeof(accept), WSI_TOKEN_HTTP_ACCEPT_ENCODING) < 0)
		accept[0] = '\0';
	if (lws_hdr_copy(r->wsi, match, sizeof(match), WSI_TOKEN_HTTP_IF_NONE_MATCH) < 0)
		match[0] = '\0';
	bool gzip = strstr(accept, "gzip") && !strstr(accept, "gzip;q=0");

	snprintf(etag, sizeof(etag), "\"%s%s\"", a->etag, gzip ? "-gz" : "");
	extra[n++] = (struct request_header){"etag:", etag};
	extra[n++] = (struct request_header){"vary:", "accept-encoding"};
	extra[n++] = (struct request_header){"cache-control:",
					     a->immutable ? "public, max-age=31536000, immutable"
							  : "no-cache"};
	if (strstr(match, etag) || strcmp(match, "*") == 0) {
		r->len = 0;
		return request_respond(r, HTTP_STATUS_NOT_MODIFIED, a->mime, extra, n);
	}
	if (gzip) {
		extra[n++] = (struct request_header){"content-encoding:", "gzip"};
		r->data = a->gz;
		r->len = a->gz_len;
	} else {
		r->data = plain_asset(r->server, a);
		r->len = a->len;
		if (!r->data)
			return -1;
	}
	return request_respond(r, HTTP_STATUS_OK, a->mime, extra, n);
}
