/*
 * What several verbs read from the command line: sizes, the choice of collectors, their periods.
 * All return 0 or -EINVAL with a sentence in err[err_len] that says what is accepted.
 */
#ifndef STROBE_CMD_OPTIONS_H
#define STROBE_CMD_OPTIONS_H

#include "base/stats.h"
#include "collectors/collector.h"

enum { OPTIONS_ERROR_MAX = 1024 };

/* Says what is wrong with an option of `verb` after getopt_long() (":" leads its short options,
 * opterr is 0) gave c, '?' or ':'. The exit status, 2. */
int option_wrong(const char *verb, int c, char **argv);

/* "64M", "1G", "512MiB", bytes without a suffix. */
int option_size(const char *text, uint64_t *ret, char *err, size_t err_len);
/* A whole number in [min, max]. */
int option_number(const char *what, const char *text, uint32_t min, uint32_t max, uint32_t *ret,
		  char *err, size_t err_len);
/* "90s", "10m", "1.5h", "500ms"; without a unit seconds. More than 0, at most a year. */
int option_duration(const char *what, const char *text, uint64_t *ret_us, char *err,
		    size_t err_len);
/* Percent of a core ("2", "0.5") as millionths of a core. */
int option_percent(const char *text, uint32_t *ret_ppm, char *err, size_t err_len);

/* "cpu,disk" takes those (and strobe's own metrics), "-process" leaves out. off[n_collectors]. */
int option_collectors(const char *text, bool *off, char *err, size_t err_len);
/* "cpu=500" or "cpu=500,disk=1000": milliseconds, 10 to 3600000. period_ms[n_collectors]. */
int option_periods(const char *text, uint32_t *period_ms, char *err, size_t err_len);

#endif
