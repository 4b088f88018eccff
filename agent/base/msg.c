#include "base/msg.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static _Atomic int max_level = MSG_INFO;

void msg_set_level(enum msg_level level)
{
	atomic_store_explicit(&max_level, (int)level, memory_order_relaxed);
}

void msg(enum msg_level level, const char *format, ...)
{
	char line[1024];
	int saved = errno, n = 0, m;
	va_list ap;

	if ((int)level > atomic_load_explicit(&max_level, memory_order_relaxed))
		return;
	if (getenv("JOURNAL_STREAM") || !isatty(STDERR_FILENO))
		n = snprintf(line, sizeof(line), "<%d>", (int)level);
	n += snprintf(line + n, sizeof(line) - (size_t)n, "strobe: ");
	errno = saved; /* for %m */
	va_start(ap, format);
	m = vsnprintf(line + n, sizeof(line) - (size_t)n - 1, format, ap);
	va_end(ap);
	if (m > 0)
		n += m;
	if (n > (int)sizeof(line) - 2)
		n = (int)sizeof(line) - 2;
	line[n++] = '\n';
	if (write(STDERR_FILENO, line, (size_t)n) < 0) {
		/* nobody listens: there is no one to tell */
	}
	errno = saved;
}
