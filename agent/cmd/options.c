#include "cmd/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

int option_wrong(const char *verb, int c, char **argv)
{
	fprintf(stderr, "strobe: %s: %s '%s'; 'strobe %s --help' lists the options\n", verb,
		c == '?' ? "there is no option" : "a value is missing after", argv[optind - 1],
		verb);
	return 2;
}

int option_size(const char *text, uint64_t *ret, char *err, size_t err_len)
{
	static const char *const unit[] = {"K", "M", "G"};
	char *end;
	uint64_t v;
	unsigned shift = 0;

	errno = 0;
	v = strtoull(text, &end, 10);
	for (unsigned i = 0; i < 3; i++)
		if (!strncasecmp(end, unit[i], 1)) {
			shift = 10 * (i + 1);
			end++;
			end += !strncasecmp(end, "iB", 2) ? 2 : !strncasecmp(end, "B", 1);
			break;
		}
	if (errno || end == text || *end || *text == '-' || v > UINT64_MAX >> shift) {
		snprintf(err, err_len, "'%s' is no size: write 64M, 1G or a number of bytes", text);
		return -EINVAL;
	}
	*ret = v << shift;
	return 0;
}

int option_number(const char *what, const char *text, uint32_t min, uint32_t max, uint32_t *ret,
		  char *err, size_t err_len)
{
	char *end;
	unsigned long v;

	errno = 0;
	v = strtoul(text, &end, 10);
	if (errno || end == text || *end || *text == '-' || v < min || v > max) {
		snprintf(err, err_len, "%s '%s': a whole number from %u to %u is wanted", what,
			 text, min, max);
		return -EINVAL;
	}
	*ret = (uint32_t)v;
	return 0;
}

int option_duration(const char *what, const char *text, uint64_t *ret_us, char *err, size_t err_len)
{
	static const struct {
		const char *name;
		double us;
	} units[] = {{"ms", 1e3},  {"s", 1e6},	 {"", 1e6},	{"m", 6e7},
		     {"min", 6e7}, {"h", 3.6e9}, {"d", 8.64e10}};
	char *end;
	double v = strtod(text, &end);

	for (size_t i = 0; end != text && i < sizeof(units) / sizeof(*units); i++)
		if (!strcmp(end, units[i].name)) {
			v *= units[i].us;
			if (!(v >= 1 && v <= 366 * 8.64e10))
				break;
			*ret_us = (uint64_t)v;
			return 0;
		}
	snprintf(err, err_len, "%s '%s': a length of time is wanted, as in 30s, 10m or 1h", what,
		 text);
	return -EINVAL;
}

int option_percent(const char *text, uint32_t *ret_ppm, char *err, size_t err_len)
{
	char *end;
	double v = strtod(text, &end);

	if (end == text || (*end && strcmp(end, "%") != 0) || !(v > 0 && v <= 100)) {
		snprintf(err, err_len, "'%s' is no share of a core: write 2 or 0.5 (percent)",
			 text);
		return -EINVAL;
	}
	*ret_ppm = (uint32_t)(v * 1e4 + 0.5);
	return 0;
}

/* The collector called name[len], or -1 with a list of all in err. */
static int find(const char *name, size_t len, char *err, size_t err_len)
{
	size_t at;

	for (size_t i = 0; i < n_collectors; i++)
		if (strlen(collectors[i]->name) == len && !strncmp(collectors[i]->name, name, len))
			return (int)i;
	at = (size_t)snprintf(err, err_len, "there is no collector '%.*s'; there are:", (int)len,
			      name);
	for (size_t i = 0; i < n_collectors && at < err_len; i++)
		at += (size_t)snprintf(err + at, err_len - at, " %s", collectors[i]->name);
	return -1;
}

int option_collectors(const char *text, bool *off, char *err, size_t err_len)
{
	bool picked = false, named[STATS_COLLECTORS_MAX] = {0},
	     left_out[STATS_COLLECTORS_MAX] = {0};

	if (!*text) {
		snprintf(err, err_len,
			 "--collectors: name some, as in cpu,disk, or leave some out: -process");
		return -EINVAL;
	}
	for (const char *p = text; *p;) {
		size_t len = strcspn(p, ",");
		bool minus = *p == '-';
		int i = find(p + minus, len - minus, err, err_len);

		if (i < 0)
			return -EINVAL;
		*(minus ? &left_out[i] : &named[i]) = true;
		picked |= !minus;
		p += len + (p[len] == ',');
	}
	for (size_t i = 0; i < n_collectors; i++)
		off[i] = left_out[i] ||
			 (picked && !named[i] && strcmp(collectors[i]->name, "strobe") != 0);
	return 0;
}

int option_periods(const char *text, uint32_t *period_ms, char *err, size_t err_len)
{
	for (const char *p = text; *p;) {
		size_t len = strcspn(p, ","), name = strcspn(p, "=");
		char number[16];
		int i, r;

		if (!name || name >= len || len - name > sizeof(number)) {
			snprintf(err, err_len,
				 "--period '%s': write COLLECTOR=MILLISECONDS, as in cpu=500",
				 text);
			return -EINVAL;
		}
		i = find(p, name, err, err_len);
		if (i < 0)
			return -EINVAL;
		snprintf(number, sizeof(number), "%.*s", (int)(len - name - 1), p + name + 1);
		r = option_number("--period", number, 10, 3600000, &period_ms[i], err, err_len);
		if (r < 0)
			return r;
		p += len + (p[len] == ',');
	}
	return 0;
}
