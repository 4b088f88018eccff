/*
 * Integer scanning for /proc text. All take a cursor into NUL-ended text (kept_file.data) and never
 * read past the NUL.
 */
#ifndef STROBE_BASE_PARSE_H
#define STROBE_BASE_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline bool parse_is_digit(char c)
{
	return (unsigned char)(c - '0') < 10;
}

/* Past spaces and tabs. */
static inline const char *parse_blank(const char *p)
{
	while (*p == ' ' || *p == '\t')
		p++;
	return p;
}

/* Past the current word. */
static inline const char *parse_word(const char *p)
{
	while (*p && *p != ' ' && *p != '\t' && *p != '\n')
		p++;
	return p;
}

/* To the start of the next line, or to the NUL. */
static inline const char *parse_line(const char *p)
{
	const char *e = strchr(p, '\n');

	return e ? e + 1 : p + strlen(p);
}

/* Skips blanks, reads a decimal number (with '-' where there is one) modulo 2^64 and moves *p past
 * it. False, *p unchanged: no digit there. */
static inline bool parse_i64(const char **p, int64_t *ret)
{
	const char *q = parse_blank(*p);
	bool neg = *q == '-';
	uint64_t v = 0;

	q += neg;
	if (!parse_is_digit(*q))
		return false;
	do
		v = v * 10 + (uint64_t)(*q++ - '0');
	while (parse_is_digit(*q));
	*p = q;
	*ret = (int64_t)(neg ? 0 - v : v);
	return true;
}

/* "12.34" as 1234 with frac = 2: missing digits count as 0, further ones are cut. False as
 * above. */
static inline bool parse_fixed(const char **p, unsigned frac, int64_t *ret)
{
	const char *q = *p;
	int64_t whole;

	if (!parse_i64(&q, &whole))
		return false;
	uint64_t v = (uint64_t)whole;
	bool point = *q == '.' && parse_is_digit(q[1]);

	q += point;
	for (; frac; frac--) {
		v *= 10;
		if (point && parse_is_digit(*q))
			v += (uint64_t)(*q++ - '0');
	}
	while (point && parse_is_digit(*q))
		q++;
	*p = q;
	*ret = (int64_t)v;
	return true;
}

/* Hexadecimal without a prefix. False, *p unchanged: no hex digit there. */
static inline bool parse_hex(const char **p, uint64_t *ret)
{
	const char *q = parse_blank(*p);
	uint64_t v = 0;
	bool any = false;

	for (;; q++, any = true) {
		char c = *q;

		if (parse_is_digit(c))
			v = v << 4 | (uint64_t)(c - '0');
		else if ((unsigned char)((c | 32) - 'a') < 6)
			v = v << 4 | (uint64_t)((c | 32) - 'a' + 10);
		else
			break;
	}
	if (!any)
		return false;
	*p = q;
	*ret = v;
	return true;
}

/* Writes v in decimal, without a NUL; up to 10 bytes. The bytes written. */
static inline size_t parse_put_u32(char *out, uint32_t v)
{
	char digits[10];
	size_t n = 0;

	do
		digits[n++] = (char)('0' + v % 10);
	while (v /= 10);
	for (size_t i = 0; i < n; i++)
		out[i] = digits[n - 1 - i];
	return n;
}

/* Does p start with the literal? */
#define PARSE_STARTS(p, lit) (strncmp((p), "" lit, sizeof(lit) - 1) == 0)

#endif
