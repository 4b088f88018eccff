#include "collectors/process/parse.h"

#include "base/metric.h"
#include "base/parse.h"

#include <errno.h>
#include <string.h>

enum { FIRST_NUMBER = 4, LAST_NUMBER = 39 }; /* fields of stat, counted from 1 */

/* Counts and times of a process; the kernel's are far below, and sums of these cannot overflow. */
static bool plausible(int64_t v)
{
	return v >= 0 && v < INT64_C(1) << 48;
}

int parse_proc_stat(const char *text, size_t len, struct proc_stat *ret)
{
	static const char letters[] = "RSDZTtIXP";
	const char *open = memchr(text, '(', len), *close = memrchr(text, ')', len), *p;
	int64_t f[LAST_NUMBER + 1];
	const char *letter;

	if (!open || !close || close < open || close[1] != ' ' || !close[2])
		return -EBADMSG;
	p = close + 3;
	for (int i = FIRST_NUMBER; i <= LAST_NUMBER; i++)
		if (!parse_i64(&p, &f[i]))
			return -EBADMSG;
	if (*p != ' ' && *p != '\n') /* cut within the last number */
		return -EBADMSG;
	if (!plausible(f[10]) || !plausible(f[12]) || !plausible(f[14]) || !plausible(f[15]) ||
	    !plausible(f[20]) || !plausible(f[22]) || !plausible(f[24]))
		return -EBADMSG;
	*ret = (struct proc_stat){
		.ppid = f[4],
		.flags = f[9],
		.minflt = f[10],
		.majflt = f[12],
		.utime = f[14],
		.stime = f[15],
		.priority = f[18],
		.nice = f[19],
		.threads = f[20],
		.start = f[22],
		.vsize = f[23],
		.rss = f[24],
		.exit_signal = f[38],
		.processor = f[39],
	};
	/* "1" stands for an address one may not see. */
	ret->exec_mark = f[26] > 1 ? f[26] ^ f[28] : 0;
	letter = memchr(letters, close[2], sizeof(letters) - 1);
	ret->state = letter ? letter - letters : STATE_NONE;
	size_t n = (size_t)(close - open - 1);

	ret->comm_len = (uint32_t)(n < COMM_MAX ? n : COMM_MAX - 1);
	memcpy(ret->comm, open + 1, ret->comm_len);
	return 0;
}

int parse_proc_io(const char *text, struct proc_io *ret)
{
	static const struct {
		const char *name;
		size_t len, at;
	} fields[] = {
#define FIELD(f) {#f ":", sizeof(#f ":") - 1, offsetof(struct proc_io, f)}
		FIELD(rchar),
		FIELD(wchar),
		FIELD(syscr),
		FIELD(syscw),
		FIELD(read_bytes),
		FIELD(write_bytes),
		FIELD(cancelled_write_bytes),
#undef FIELD
	};
	enum { N = sizeof(fields) / sizeof(fields[0]) };
	unsigned next = 0, found = 0;

	for (unsigned i = 0; i < N; i++)
		*(int64_t *)(void *)((char *)ret + fields[i].at) = VALUE_ABSENT;
	for (const char *p = text; *p; p = parse_line(p)) {
		unsigned i = next;

		/* The lines come in this order; tried from where the last one was found. */
		while (i < N && strncmp(p, fields[i].name, fields[i].len) != 0)
			i++;
		if (i == N)
			continue;
		const char *q = p + fields[i].len;

		if (parse_i64(&q, (int64_t *)(void *)((char *)ret + fields[i].at)))
			found++;
		next = i + 1;
	}
	return found ? 0 : -EBADMSG;
}

/* The number after "\nNAME:", searched from *p, which is moved to it; VALUE_ABSENT without one. */
static int64_t line_number(const char **p, const char *name, size_t len)
{
	const char *q = strstr(*p, name);
	int64_t v;

	if (!q)
		return VALUE_ABSENT;
	q += len;
	*p = q;
	return parse_i64(&q, &v) ? v : VALUE_ABSENT;
}
#define LINE(p, name) line_number((p), "\n" name ":", sizeof("\n" name ":") - 1)

int parse_proc_status(const char *text, struct proc_status *ret)
{
	const char *p = text;

	/* The name is the first line and has its newlines escaped, so no process can forge a
	 * field. */
	ret->uid = LINE(&p, "Uid");
	ret->swap_kb = LINE(&p, "VmSwap");
	ret->vctxsw = LINE(&p, "voluntary_ctxt_switches");
	ret->nvctxsw = LINE(&p, "nonvoluntary_ctxt_switches");
	if (ret->swap_kb == VALUE_ABSENT &&
	    ret->vctxsw != VALUE_ABSENT) /* else it may be cut off */
		ret->swap_kb = 0;
	return ret->uid == VALUE_ABSENT ? -EBADMSG : 0;
}

int parse_proc_peek(const char *text, struct proc_peek *ret)
{
	const char *p = text, *state = strstr(text, "\nState:\t");

	if (!state || !state[strlen("\nState:\t")])
		return -EBADMSG;
	ret->state = state[strlen("\nState:\t")];
	ret->ppid = LINE(&p, "PPid");
	ret->vsize_kb = LINE(&p, "VmSize");
	ret->threads = LINE(&p, "Threads");
	if (ret->ppid == VALUE_ABSENT || ret->vsize_kb == VALUE_ABSENT ||
	    ret->threads == VALUE_ABSENT)
		return -EBADMSG;
	return 0;
}

int parse_proc_schedstat(const char *text, struct proc_schedstat *ret)
{
	const char *p = text;
	struct proc_schedstat s;

	if (!parse_i64(&p, &s.cpu_ns) || !parse_i64(&p, &s.delay_ns) || !parse_i64(&p, &s.count))
		return -EBADMSG;
	*ret = s;
	return 0;
}

enum { PID_MOST = 1 << 22 }; /* proc(5): pid_max is never more */

int parse_loadavg(const char *text, int64_t *ret_tasks, int64_t *ret_last_pid)
{
	const char *slash = strchr(text, '/'), *p = slash ? slash + 1 : "";
	int64_t tasks, last;

	if (!parse_i64(&p, &tasks) || !parse_i64(&p, &last) || tasks < 0 || last < 0 ||
	    last > PID_MOST)
		return -EBADMSG;
	*ret_tasks = tasks;
	*ret_last_pid = last;
	return 0;
}

static size_t copy_out(char *out, size_t size, const char *s, size_t len)
{
	if (len > size - 1)
		len = size - 1;
	memcpy(out, s, len);
	out[len] = 0;
	return len;
}

static bool ends_in(const char *s, size_t len, const char *tail)
{
	size_t n = strlen(tail);

	return len > n && memcmp(s + len - n, tail, n) == 0;
}

/* Start of 64 hex digits within a component (the id of a container), or NULL. */
static const char *container_id(const char *s, size_t len)
{
	size_t run = 0;

	for (size_t i = 0; i < len; i++) {
		bool hex = parse_is_digit(s[i]) || (s[i] >= 'a' && s[i] <= 'f');

		run = hex ? run + 1 : 0;
		if (run == 64)
			return s + i - 63;
	}
	return NULL;
}

size_t parse_unit(const char *path, char *out, size_t size)
{
	size_t end = strlen(path);
	const char *last = path;
	size_t last_len = 0;

	while (end) {
		const char *slash = memrchr(path, '/', end);
		const char *s = slash ? slash + 1 : path;
		size_t len = end - (size_t)(s - path);
		const char *id = container_id(s, len);

		if (id)
			return copy_out(out, size, id, 12);
		if (ends_in(s, len, ".service") || ends_in(s, len, ".scope"))
			return copy_out(out, size, s, len);
		if (!last_len) {
			last = s;
			last_len = len;
		}
		end = slash ? (size_t)(slash - path) : 0;
	}
	return copy_out(out, size, last, last_len);
}
