#!/bin/sh
# The agent's CPU with everything and one live client, in parts, and its memory. Three agents run side by
# side, one without processes and profiler, one without the profiler; the client of the third comes and goes
# between the windows.
. "$(dirname "$0")/lib.sh"
windows=${WINDOWS:-3} seconds=${SECONDS_PER_WINDOW:-10}
here=$(dirname "$0")

"$STROBE" run --listen 127.0.0.1:0 --runtime-dir "$bench_tmp/core" --collectors=-process --no-profile >/dev/null 2>&1 &
core=$!
"$STROBE" run --listen 127.0.0.1:0 --runtime-dir "$bench_tmp/plain" --no-profile >/dev/null 2>&1 &
plain=$!
agent_start
all=$agent_pid
agent_pid="$core $plain $all"
sleep 4
percent() { # PID SECONDS
	c=$(cpu_us "$1")
	sleep "$2"
	echo "$c $(cpu_us "$1") $2" | awk '{printf "%.4f\n", ($2 - $1) / $3 / 1e4}'
}
for _ in $(seq "$windows"); do
	percent "$core" "$seconds" >"$bench_tmp/c" &
	waiter=$!
	percent "$plain" "$seconds" >"$bench_tmp/p" &
	second=$!
	percent "$all" "$seconds" >>"$bench_tmp/all"
	wait $waiter $second
	cat "$bench_tmp/c" >>"$bench_tmp/core.list"
	cat "$bench_tmp/p" >>"$bench_tmp/plain.list"
	node "$here/tool_drain.mjs" "${agent_url%%#*}" "${agent_url##*token=}" $((seconds + 3)) &
	drain=$!
	sleep 1.5
	percent "$all" "$seconds" >>"$bench_tmp/client"
	wait $drain
done
core_percent=$(median <"$bench_tmp/core.list") plain_percent=$(median <"$bench_tmp/plain.list")
all_percent=$(median <"$bench_tmp/all") client=$(median <"$bench_tmp/client")
echo "# $(ls -d /proc/[0-9]* | wc -l) processes on this host"
result cpu_core_percent "$core_percent" % 0.36
result cpu_processes_percent "$(echo "$plain_percent $core_percent" | awk '{print $1 - $2}')" % 0.35
result cpu_profiler_idle_percent "$(echo "$all_percent $plain_percent" | awk '{print $1 - $2}')" % 0.25
result cpu_wire_percent "$(echo "$client $all_percent" | awk '{print $1 - $2}')" % 0.1
result cpu_total_percent "$client" % 1.1
kill "$core" "$plain" "$all"
wait "$core" "$plain" "$all"
agent_pid=

# An hour's data, or as much as the log holds, arrives faster at 100 Hz.
memory=${MEMORY_MIB:-64}
agent_start --rate 100 --cpu-budget 100 --memory "${memory}M"
sleep "${RSS_SECONDS:-60}"
rss=$(awk '/^RssAnon|^RssShmem/ {s += $2} END {printf "%.1f", s / 1024}' "/proc/$agent_pid/status")
result agent_rss_mib "$rss" MiB $((memory + 8))
agent_stop
