#!/bin/sh
# An agent with a day behind it: what it keeps in memory, what a day costs to look at, and whether the
# sampler's ticks begin as they do at rest while queries run one after the other and the ring is written.
. "$(dirname "$0")/lib.sh"
hours=${HOURS:-24} seconds=${JITTER_SECONDS:-20} memory=64
"$B/bench/tool_day" "$bench_tmp/ring" "$hours" || exit 1
agent_start --memory "${memory}M" --history "$bench_tmp/ring" --history-size 1G
url=${agent_url%%#*} token=${agent_url##*token=}
get() { curl -sf -H "Authorization: Bearer $token" "${url}api/v1/$1"; }
ms() { curl -sf -o /dev/null -w '%{time_total}\n' -H "Authorization: Bearer $token" "${url}api/v1/$1" | awk '{print $1 * 1000}'; }
sleep 3
echo "# $(get status | sed 's/.*"history"://; s/}.*/}/')"
# lateness of the newest N seconds, one value a tick: the N-th percentile
lateness() { # SECONDS PERCENT
	get "query?metric=strobe.tick.lateness&from=-$1s&to=now&points=$(($1 * 20))&format=csv" | awk -F, 'NR > 1 {print $11}' |
		sort -n | awk -v p="$2" '{v[NR] = $1} END {print v[int((NR - 1) * p / 100) + 1]}'
}
sleep "$seconds"
idle=$(lateness "$seconds" 99)
day="from=-${hours}h&to=now&points=2000"
i=0 end=$(($(date +%s) + seconds))
while [ "$(date +%s)" -lt "$end" ]; do
	get "query?metric=kernel.percpu.cpu.user&$day" >/dev/null
	get 'rank?from=-40m&to=-30m' >/dev/null
	i=$((i + 1))
done
busy=$(lateness "$seconds" 99)
echo "# $i rounds of queries in $seconds s"
result tick_lateness_idle_p99 "$idle" us -
result tick_lateness_busy_p99 "$busy" us "$(awk -v i="$idle" 'BEGIN {print (2 * i > 1000) ? 2 * i : 1000}')"
for _ in 1 2 3 4 5; do ms "query?metric=kernel.percpu.cpu.user&instance=cpu1&$day"; done | median >"$bench_tmp/day"
result query_24h_1_series_disk_ms "$(cat "$bench_tmp/day")" ms -
for _ in 1 2 3 4 5; do ms "query?metric=kernel.percpu.cpu.user&instance=cpu1&$day&approx=1"; done | median >"$bench_tmp/day"
result query_24h_chart_disk_ms "$(cat "$bench_tmp/day")" ms -
result "memory_${hours}h_mib" "$(awk '/^RssAnon|^RssShmem/ {s += $2} END {printf "%.1f", s / 1024}' "/proc/$agent_pid/status")" MiB $((memory + 8))
agent_stop
