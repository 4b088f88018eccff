#include "symbols/symbols.h"

#include <setjmp.h>
#include <string.h>

#include <libiberty/demangle.h>

/* Longer names are shown as they are, and what is longer demangled is not waited for. */
enum { MANGLED_MAX = 8 << 10, DEMANGLED_MAX = 64 << 10 };

struct output {
	char *buf;
	size_t size, len, printed;
	jmp_buf enough;
};

/* A few hundred bytes of a mangled name can stand for gigabytes, and a demangler can be stopped only by leaving
 * it. At most one identifier's buffer is lost then, of a name that is an attack. */
static void put(const char *text, size_t len, void *arg)
{
	struct output *o = arg;
	size_t room = o->size - 1 - o->len, n = len < room ? len : room;

	if (n) /* of nothing, text may be NULL */
		memcpy(o->buf + o->len, text, n);
	o->len += n;
	o->buf[o->len] = 0;
	o->printed += len;
	if (o->printed > DEMANGLED_MAX)
		longjmp(o->enough, 1);
}

static bool demangle(const char *name, struct output *o)
{
	if (setjmp(o->enough))
		return true;
	/* A legacy Rust name is a C++ name with a hash at its end. */
	if (rust_demangle_callback(name, DMGL_NO_OPTS, put, o))
		return true;
	o->len = o->printed = 0;
	o->buf[0] = 0;
	return name[1] == 'Z' && cplus_demangle_v3_callback(name, DMGL_NO_OPTS, put, o);
}

/* As much as fits of a UTF-8 text, no character cut in two. */
static void copy(const char *from, char *to, size_t size)
{
	size_t len = strlen(from);

	if (len >= size)
		len = size - 1;
	memcpy(to, from, len);
	to[len] = 0;
}

/* Not in the middle of a character. */
static void trim(char *s, size_t size)
{
	size_t len = strlen(s), at = len;

	if (len + 1 < size)
		return;
	while (at && (s[at - 1] & 0xc0) == 0x80)
		at--;
	if (!at || !(s[at - 1] & 0x80))
		return;
	unsigned char lead = (unsigned char)s[at - 1];
	size_t want = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;

	if (len - (at - 1) < want)
		s[at - 1] = 0;
}

/* Length of the UTF-8 character at s; 0: it is none. */
static size_t utf8_len(const unsigned char *s)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t n = s[0] >= 0xf0 && s[0] < 0xf8	 ? 4
		   : s[0] >= 0xe0 && s[0] < 0xf0 ? 3
		   : s[0] >= 0xc0 && s[0] < 0xe0 ? 2
						 : 0;
	uint32_t v = n ? s[0] & (0x7fu >> n) : 0;

	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		v = v << 6 | (s[i] & 0x3f);
	}
	return n && v >= least[n] && v <= 0x10ffff && (v < 0xd800 || v > 0xdfff) ? n : 0;
}

void symbol_clean(char *name)
{
	for (unsigned char *s = (unsigned char *)name; *s;) {
		size_t n = *s >= ' ' && *s < 0x7f ? 1 : utf8_len(s);

		if (!n)
			*s = '?';
		s += n ? n : 1;
	}
}

void symbol_demangle(const char *name, char *buf, size_t size)
{
	struct output o = {.buf = buf, .size = size};

	if (!size)
		return;
	buf[0] = 0;
	bool mangled =
		name[0] == '_' && (name[1] == 'Z' || name[1] == 'R') && strlen(name) < MANGLED_MAX;

	if (!mangled || !demangle(name, &o) || !buf[0])
		copy(name, buf, size);
	trim(buf, size);
	symbol_clean(buf);
}
