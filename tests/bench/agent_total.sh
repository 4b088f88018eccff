#!/bin/sh
# The agent's CPU with everything and one live client, in parts, and its memory. Two agents run side by
# side, one without processes; the client comes and goes between the windows.
. "$(dirname "$0")/lib.sh"
windows=${WINDOWS:-3} seconds=${SECONDS_PER_WINDOW:-10}
here=$(dirname "$0")

"$STROBE" run --listen 127.0.0.1:0 --runtime-dir "$bench_tmp/core" --collectors=-process >/dev/null 2>&1 &
core=$!
agent_start
all=$agent_pid
agent_pid="$core $all"
sleep 4
percent() { # PID SECONDS
	c=$(cpu_us "$1")
	sleep "$2"
	echo "$c $(cpu_us "$1") $2" | awk '{printf "%.4f\n", ($2 - $1) / $3 / 1e4}'
}
for _ in $(seq "$windows"); do
	percent "$core" "$seconds" >"$bench_tmp/c" &
	waiter=$!
	percent "$all" "$seconds" >>"$bench_tmp/all"
	wait $waiter
	cat "$bench_tmp/c" >>"$bench_tmp/core.list"
	node "$here/tool_drain.mjs" "${agent_url%%#*}" "${agent_url##*token=}" $((seconds + 3)) &
	drain=$!
	sleep 1.5
	percent "$all" "$seconds" >>"$bench_tmp/client"
	wait $drain
done
core_percent=$(median <"$bench_tmp/core.list") all_percent=$(median <"$bench_tmp/all") client=$(median <"$bench_tmp/client")
echo "# $(ls -d /proc/[0-9]* | wc -l) processes on this host"
result cpu_core_percent "$core_percent" % 0.36
result cpu_processes_percent "$(echo "$all_percent $core_percent" | awk '{print $1 - $2}')" % 0.35
result cpu_wire_percent "$(echo "$client $all_percent" | awk '{print $1 - $2}')" % 0.1
result cpu_total_percent "$client" % 1.1
kill "$core" "$all"
wait "$core" "$all"
agent_pid=

# An hour's data, or as much as the log holds, arrives faster at 100 Hz.
memory=${MEMORY_MIB:-64}
agent_start --rate 100 --cpu-budget 100 --memory "${memory}M"
sleep "${RSS_SECONDS:-60}"
rss=$(awk '/^RssAnon|^RssShmem/ {s += $2} END {printf "%.1f", s / 1024}' "/proc/$agent_pid/status")
result agent_rss_mib "$rss" MiB $((memory + 8))
agent_stop
