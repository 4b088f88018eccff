/*
 * For the tests of symbols: programs built on the spot, and what nm says of them.
 */
#ifndef STROBE_TESTS_SYMBOLS_LAB_H
#define STROBE_TESTS_SYMBOLS_LAB_H

#include "support.h"
#include "symbols/symbols.h"

#include <stdarg.h>

/* Runs a shell command; its exit status. */
static inline int lab_try(const char *format, ...)
{
	char cmd[2048];
	va_list ap;

	va_start(ap, format);
	vsnprintf(cmd, sizeof(cmd), format, ap);
	va_end(ap);
	return system(cmd);
}

#define lab_run(...) ck_assert_int_eq(lab_try(__VA_ARGS__), 0)

static inline bool lab_has(const char *program)
{
	return lab_try("command -v %s >/dev/null 2>&1", program) == 0;
}

static inline int lab_open(const char *dir, const char *name)
{
	char path[512];

	snprintf(path, sizeof(path), "%s%s%s", dir, dir[0] ? "/" : "", name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	ck_assert_msg(fd >= 0, "%s: %s", path, strerror(errno));
	return fd;
}

/* Opens the table of DIR/NAME; what symtab_open() returned. */
static inline int lab_symtab(struct symtab **ret, const char *dir, const char *name,
			     const char *debug_root)
{
	int fd = lab_open(dir, name), r;

	*ret = NULL;
	r = symtab_open(ret, fd, debug_root);
	close(fd);
	return r;
}

/* The first line of a command's output. */
static inline const char *lab_line(char *buf, size_t size, const char *format, ...)
{
	char cmd[2048];
	va_list ap;

	va_start(ap, format);
	vsnprintf(cmd, sizeof(cmd), format, ap);
	va_end(ap);
	FILE *f = popen(cmd, "r");

	buf[0] = 0;
	if (f && fgets(buf, (int)size, f))
		buf[strcspn(buf, "\n")] = 0;
	if (f)
		pclose(f);
	return buf;
}

/* Address of a symbol of a file that still has it. */
static inline uint64_t lab_address(const char *dir, const char *name, const char *symbol)
{
	char buf[64];

	lab_line(buf, sizeof(buf), "nm '%s/%s' | awk '$3 == \"%s\" { print $1 }'", dir, name,
		 symbol);
	ck_assert_msg(buf[0], "%s has no %s", name, symbol);
	return strtoull(buf, NULL, 16);
}

/* As it names the address, or "" */
static inline const char *lab_name(const struct symtab *t, uint64_t vaddr)
{
	static char buf[4096];

	return symtab_find(t, vaddr, buf, sizeof(buf), NULL) ? "" : buf;
}

static const char lab_program[] =
	"#include <stdlib.h>\n"
	"#include <stdio.h>\n"
	"volatile int sink;\n"
	"#define KEEP __attribute__((noinline, used))\n"
	/* Names of every language come out of a C compiler by asm labels. */
	"KEEP int cpp(void) __asm__(\"_ZN3lab6VectorIiLi3EE4pushERKi\");\n"
	"int cpp(void) { return sink += 1; }\n"
	"KEEP int rust(void) __asm__(\"_ZN3lab4rust17h0123456789abcdefE\");\n"
	"int rust(void) { return sink += 2; }\n"
	"KEEP int rust0(void) __asm__(\"_RNvC3lab5crate\");\n"
	"int rust0(void) { return sink += 3; }\n"
	"KEEP static int local(int x) { return sink += x; }\n"
	"KEEP int __with_bars(void) { return sink += 4; }\n"
	"int nice(void) __attribute__((alias(\"__with_bars\")));\n"
	"int soft(void) __attribute__((weak, alias(\"__with_bars\")));\n"
	"KEEP int weak_only(void) { return sink += 5; }\n"
	"int aa_soft(void) __attribute__((weak, alias(\"weak_only\")));\n"
	"__asm__(\".text\\n.globl outer\\n.type outer, @function\\nouter:\\n nop\\n nop\\n"
	"inner_label:\\n nop\\n .Lhidden: nop\\n$x: nop\\n nop\\n nop\\n nop\\n.size outer, . - "
	"outer\\n"
	".balign 64\\n .skip 64\\n"
	".globl unsized\\nunsized:\\n nop\\n nop\\n nop\\n ret\\n"
	".balign 64\\n"
	".globl after\\n.type after, @function\\nafter:\\n nop\\n ret\\n.size after, . - after\\n"
	".globl around\\n.type around, @function\\naround:\\n nop\\n nop\\n"
	".type within, @function\\nwithin:\\n nop\\n nop\\n.size within, . - within\\n"
	"nop\\n nop\\n ret\\n.size around, . - around\\n\");\n"
	"int outer(void), unsized(void), after(void), around(void);\n"
	"int main(int c, char **v)\n"
	"{\n"
	"	puts(c > 1 ? v[1] : \"\");\n"
	"	return cpp() + rust() + rust0() + local(c) + __with_bars() + weak_only() +\n"
	"	       outer() + unsized() + after() + around() + abs(atoi(\"1\"));\n"
	"}\n";

/* dir/prog, with its symbols. */
static inline void lab_build(const char *dir, const char *flags)
{
	support_put(dir, "prog.c", lab_program);
	lab_run("cc -O1 -g %s -o '%s/prog' '%s/prog.c'", flags, dir, dir);
}

/* Of dir/NAME, in hexadecimal. */
static inline const char *lab_build_id(char id[64], const char *dir, const char *name)
{
	return lab_line(id, 64, "readelf -n '%s/%s' 2>/dev/null | awk '/Build ID/ { print $3 }'",
			dir, name);
}

#endif
