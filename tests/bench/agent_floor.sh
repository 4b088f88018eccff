#!/bin/sh
# The agent's whole CPU at 10 Hz without processes and without a client, as a multiple of the floor:
# the same reads (taken from a trace of the agent itself) without parsing, both in the same windows.
. "$(dirname "$0")/lib.sh"
windows=${WINDOWS:-5} seconds=${SECONDS_PER_WINDOW:-12}
command -v strace >/dev/null || { echo "bench agent_floor_ratio skip (no strace)"; exit 0; }

agent_start --collectors=-process
sleep 3
# A plan of two seconds: which reads, in which tick.
timeout -s INT 2.3 strace -f -y -tt -e trace=pread64,read -p "$agent_pid" -o "$bench_tmp/trace" 2>/dev/null
awk '
	/pread64\(|read\(/ && /<\/(proc|sys)\// {
		split($2, t, ":"); now = t[1] * 3600 + t[2] * 60 + t[3]
		if (last == "" || now - last > 0.02) print "T"
		last = now
		path = $0; sub(/^[^<]*</, "", path); sub(/>.*/, "", path)
		sub(/^\/proc\/[0-9]+\/net/, "/proc/self/net", path)
		tail = $0; sub(/.*\.\.\., |.*", /, "", tail)   # "SIZE, OFFSET) = N"
		n = split(tail, a, /[,)] */)
		offset = /pread64/ ? a[2] : 0
		print "R", a[1] + 0, offset + 0, path
	}' "$bench_tmp/trace" >"$bench_tmp/plan"
reads=$(grep -c ^R "$bench_tmp/plan"); ticks=$(grep -c ^T "$bench_tmp/plan")
echo "# floor: $reads reads in $ticks ticks of the agent"
sleep 1
for _ in $(seq "$windows"); do
	c0=$(cpu_us "$agent_pid"); t0=$(now_us)
	floor=$("$B/bench/tool_floor" "$bench_tmp/plan" "$seconds" 10)
	c1=$(cpu_us "$agent_pid"); t1=$(now_us)
	echo "$c0 $c1 $t0 $t1 $floor" | awk '{
		agent = ($2 - $1) / (($4 - $3) / 1e5); print agent / $6, agent, $6 }'
done >"$bench_tmp/windows"
sed 's/^/# ratio, agent us a tick, floor us a tick: /' "$bench_tmp/windows"
ratio=$(cut -d' ' -f1 "$bench_tmp/windows" | median)
agent=$(cut -d' ' -f2 "$bench_tmp/windows" | median)
floor=$(cut -d' ' -f3 "$bench_tmp/windows" | median)
series=$(curl -sf -H "Authorization: Bearer ${agent_url##*token=}" "${agent_url%%#*}api/v1/status" |
	sed -n 's/.*"series": *\([0-9]*\).*/\1/p')
result agent_floor_us "$floor" us -
result agent_us_per_tick "$agent" us -
result agent_floor_ratio "$(printf %.2f "$ratio")" x 1.3
result agent_cpu_percent "$(echo "$agent" | awk '{printf "%.3f", $1 / 1000}')" % -
[ -n "$series" ] && result agent_ns_per_sample "$(echo "$agent $series" | awk '{printf "%.0f", $1 * 1000 / $2}')" ns -
