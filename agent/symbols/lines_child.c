#include "symbols/lines.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/parse.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * DWARF is read in a process of its own. It comes from files that anybody may have made, and libdw reads beyond its
 * buffers in damaged ones, or without end; so it may, and the agent lives on. What the process says is text, checked:
 * a line "RESULT COUNT", then for each source line "LINE INLINED", "BEGINS OF", its function, its file.
 */
enum { ANSWER_MAX = 1 << 20, COUNT_MAX = 64, CPU_S = 20, WAIT_MS = 30000, FAILED_MAX = 4096 };
#define MEMORY_MORE (UINT64_C(1) << 30)

/* ---- in the process of its own ---- */

static void limit(void)
{
	struct rlimit none = {0}, cpu = {.rlim_cur = CPU_S, .rlim_max = CPU_S}, data;
	char buf[160] = "";
	const char *p = buf;
	int64_t pages = 0;
	_cleanup_close_ int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof(buf) - 1);

	/* The sixth is what the agent's own memory counts for already. */
	for (int i = 0; n > 0 && i < 6; i++)
		if (!parse_i64(&p, &pages))
			return;
	data.rlim_cur = data.rlim_max =
		(uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE) + MEMORY_MORE;
	setrlimit(RLIMIT_CORE, &none);
	setrlimit(RLIMIT_CPU, &cpu);
	if (n > 0)
		setrlimit(RLIMIT_DATA, &data);
}

static void be_alone(pid_t parent)
{
	static const int fatal[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGTERM, SIGXCPU};
	sigset_t none;

	for (size_t i = 0; i < sizeof(fatal) / sizeof(*fatal); i++)
		signal(fatal[i], SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	setpriority(PRIO_PROCESS, 0, 10);
	limit();
}

__attribute__((noreturn)) static void answer(int out, int fd, const char *debug_root,
					     const uint64_t *vaddrs, size_t n_vaddrs)
{
	struct symbol_line *l = NULL;
	size_t n = 0;
	int r = lines_read(fd, debug_root, vaddrs, n_vaddrs, &l, &n);

	dprintf(out, "%d %zu\n", r, n);
	for (size_t i = 0; i < n; i++)
		dprintf(out, "%d %d\n%d %u\n%s\n%s\n", l[i].line, l[i].inlined, l[i].begins,
			l[i].of, l[i].function, l[i].file);
	_exit(0);
}

/* ---- in the agent ---- */

/* All it says until it ends, NUL-ended; how much, or -errno. */
static ssize_t listen_to(int in, char *buf)
{
	uint64_t until_us = clock_mono_us() + WAIT_MS * UINT64_C(1000), now_us;
	size_t len = 0;

	while ((now_us = clock_mono_us()) < until_us) {
		struct pollfd p = {.fd = in, .events = POLLIN};
		int ready = poll(&p, 1, (int)((until_us - now_us) / 1000) + 1);

		if (ready <= 0)
			continue;
		ssize_t n = read(in, buf + len, ANSWER_MAX - len);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0) {
			buf[len] = 0;
			return (ssize_t)len;
		}
		len += n > 0 ? (size_t)n : 0;
		if (len == ANSWER_MAX)
			return -EFBIG;
	}
	return -ETIMEDOUT;
}

/* The text up to the end of the line, its own; NULL: there is no line. */
static char *take_line(const char **p)
{
	const char *end = strchr(*p, '\n');
	char *text = end ? strndup(*p, (size_t)(end - *p)) : NULL;

	if (text) {
		symbol_clean(text);
		*p = end + 1;
	}
	return text;
}

static bool take_numbers(const char **p, int64_t *a, int64_t *b)
{
	if (!parse_i64(p, a) || !parse_i64(p, b) || **p != '\n')
		return false;
	++*p;
	return true;
}

int lines_understand(const char *p, struct symbol_line **ret, size_t *ret_n)
{
	int64_t r, count, line, inlined, begins, of;
	size_t n = 0;

	if (!take_numbers(&p, &r, &count) || r > 0 || r < -FAILED_MAX || count < 0 ||
	    count > COUNT_MAX || (r == 0) != (count > 0))
		return -EBADMSG;
	if (r < 0)
		return (int)r;
	struct symbol_line *l = calloc((size_t)count, sizeof(*l));

	if (!l)
		return -ENOMEM;
	for (; n < (size_t)count; n++) {
		if (!take_numbers(&p, &line, &inlined) || line < 0 || line > INT32_MAX ||
		    !take_numbers(&p, &begins, &of) || begins < 0 || begins > INT32_MAX || of < 0 ||
		    of >= SYMBOL_LINES_MAX)
			break;
		l[n] = (struct symbol_line){.line = (int)line,
					    .begins = (int)begins,
					    .of = (unsigned)of,
					    .inlined = inlined != 0};
		l[n].function = take_line(&p);
		l[n].file = l[n].function ? take_line(&p) : NULL;
		if (!l[n].file) {
			n++;
			break;
		}
	}
	if (n < (size_t)count || !l[n - 1].file) {
		symbol_lines_free(l, n);
		return -EBADMSG;
	}
	*ret = l;
	*ret_n = n;
	return 0;
}

int symbol_lines(int fd, const char *debug_root, const uint64_t *vaddrs, size_t n_vaddrs,
		 struct symbol_line **ret, size_t *n)
{
	_cleanup_free_ char *buf = malloc(ANSWER_MAX + 1);
	pid_t self = getpid();
	int ends[2];

	if (!buf)
		return -ENOMEM;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	_cleanup_close_ int in = ends[0];
	pid_t pid = fork();

	if (pid == 0) {
		be_alone(self);
		answer(ends[1], fd, debug_root, vaddrs, n_vaddrs);
	}
	int r = pid < 0 ? -errno : 0;

	close(ends[1]);
	if (r < 0)
		return r;
	ssize_t len = listen_to(in, buf);

	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return len < 0 ? (int)len : lines_understand(buf, ret, n);
}

void symbol_lines_free(struct symbol_line *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(v[i].function);
		free(v[i].file);
	}
	free(v);
}
