# For the benchmark scripts: an agent of their own, CPU of a process tree, medians, result lines.
# shellcheck shell=sh
set -u
: "${STROBE:?run through make bench}" "${B:?}"
bench_tmp=$(mktemp -d -p "$([ -w /dev/shm ] && echo /dev/shm || echo /tmp)") # on tmpfs, as in service
agent_pid=
bench_end() {
	[ -z "$agent_pid" ] || { kill $agent_pid 2>/dev/null; wait $agent_pid 2>/dev/null; }
	rm -rf "$bench_tmp"
}
trap bench_end EXIT
trap 'exit 1' INT TERM

# agent_start ARGS...: sets agent_pid and agent_url (with the token).
agent_start() {
	"$STROBE" run --listen 127.0.0.1:0 --runtime-dir "$bench_tmp/run" "$@" \
		>"$bench_tmp/out" 2>"$bench_tmp/err" &
	agent_pid=$!
	for _ in $(seq 100); do
		agent_url=$(sed -n 's/^strobe: listening on //p' "$bench_tmp/out")
		[ -n "$agent_url" ] && return 0
		kill -0 "$agent_pid" 2>/dev/null || break
		sleep 0.05
	done
	echo "the agent did not start:" >&2
	cat "$bench_tmp/err" >&2
	exit 1
}
agent_stop() {
	kill "$agent_pid" && wait "$agent_pid"
	agent_pid=
}
# CPU of all threads of a process so far, in microseconds (exact: schedstat counts ns).
cpu_us() {
	cat "/proc/$1"/task/*/schedstat 2>/dev/null | awk '{s += $1} END {printf "%d\n", s / 1000}'
}
now_us() { awk '{printf "%d\n", $1 * 1e6}' /proc/uptime; }
median() { sort -n | awk '{v[NR] = $1} END {print (NR % 2) ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2}'; }
# result NAME VALUE UNIT BUDGET: passes when VALUE <= BUDGET ("-": no budget).
result() {
	awk -v n="$1" -v v="$2" -v u="$3" -v b="$4" 'BEGIN {
		printf "bench %s %s %s budget %s %s\n", n, v, u, b, (b == "-") ? "info" : (v + 0 <= b + 0) ? "pass" : "fail" }'
}
