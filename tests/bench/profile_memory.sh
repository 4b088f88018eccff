#!/bin/sh
# An agent that profiles node, a compiler and ten thousand short processes a minute, and is asked for what it has:
# what it keeps in memory. PROFILE_SECONDS: how long (120).
. "$(dirname "$0")/lib.sh"
seconds=${PROFILE_SECONDS:-120} memory=64
loads=
load_end() {
	[ -z "$loads" ] || kill $loads 2>/dev/null
	loads=
	bench_end
}
trap load_end EXIT
command -v node >/dev/null || { echo "bench profile_rss_mib skip (no node)"; exit 0; }

agent_start --memory "${memory}M"
url=${agent_url%%#*} token=${agent_url##*token=}
get() { curl -s -o /dev/null -H "Authorization: Bearer $token" "${url}api/v1/$1"; }
end=$(($(date +%s) + seconds))
cat >"$bench_tmp/x.js" <<'JS'
const end = Date.now() + 1000 * Number(process.argv[2]);
while (Date.now() < end) {
  const f = new Function('n', `let s = ${Math.random()}; for (let i = 0; i < n; i++) s += JSON.stringify({ i, s }).length % 7; return s;`);
  for (let i = 0; i < 20; i++) f(2000);
}
JS
node --perf-basic-prof --no-logfile-per-isolate --logfile="$bench_tmp/node.log" "$bench_tmp/x.js" "$seconds" &
loads=$!
# A source that keeps cc1 busy for seconds.
awk 'BEGIN { for (i = 0; i < 3000; i++) printf "int f%d(int *p, int n) { int s = %d; for (int i = 0; i < n; i++) s += p[i] * p[(i * %d) %% n]; return s; }\n", i, i, i + 1 }' >"$bench_tmp/x.c"
(while [ "$(date +%s)" -lt "$end" ]; do ${CC:-cc} -O2 -c -o "$bench_tmp/x.o" "$bench_tmp/x.c"; done) &
loads="$loads $!"
# 10,000 a minute.
(while [ "$(date +%s)" -lt "$end" ]; do
	for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25; do /bin/true; done
	sleep 0.1
done) &
loads="$loads $!"
rss() { awk '/^RssAnon|^RssShmem/ {s += $2} END {printf "%.1f\n", s / 1024}' "/proc/$agent_pid/status"; }
while [ "$(date +%s)" -lt "$end" ]; do
	sleep 5
	get 'profile?from=-60s&format=html'
	get 'profile?from=-30s&format=strobe'
	rss >>"$bench_tmp/rss"
done
sleep 2
rss >>"$bench_tmp/rss"
echo "# $(tr '\n' ' ' <"$bench_tmp/rss")"
curl -s -H "Authorization: Bearer $token" "${url}api/v1/status" | sed -n 's/.*"profiler": *{\([^}]*\)}.*/# \1/p'
result profile_rss_mib "$(sort -n "$bench_tmp/rss" | tail -1)" MiB $((memory + 8))
agent_stop
