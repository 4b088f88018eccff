#!/bin/sh
# The life of an agent: found without an address, killed and started again on the same log, stopped and
# continued, slowed down by its budget, without a tmpfs. No false peak and no invented point anywhere.
. "$(dirname "$0")/cli_lib.sh"
# value METRIC: the newest one
value() { "$STROBE" get "$1" --raw --url "$url" | awk 'END {print $2}'; }
# lives TENTHS: it has run so long
lives() {
	up=$("$STROBE" status --json --url "$url" | sed -n 's/.*"uptime_s": *\([0-9]*\)\.\([0-9]\).*/\1\2/p')
	[ "${up:-0}" -ge "$1" ]
}
# The time all CPUs together spend grows by 1 s a second each, whatever they do: any jump is a lie.
cpu_metrics="kernel.all.cpu.user kernel.all.cpu.nice kernel.all.cpu.sys kernel.all.cpu.idle
kernel.all.cpu.wait.total kernel.all.cpu.irq.hard kernel.all.cpu.irq.soft kernel.all.cpu.steal"
# peaks FROM POINTS: "LARGEST LONGEST-GAP": CPU seconds a second; seconds without a point
peaks() {
	# shellcheck disable=SC2086
	"$STROBE" get $cpu_metrics --from "$1" --points "$2" --csv --url "$url" | awk -F, '
		NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
		$at["avg"] != "" { sum[$at["t"]] += $at["avg"] }
		END { for (t in sum) { if (sum[t] > most) most = sum[t]; print t | "sort -n >\"'"$dir"'/times\"" }
		      close("sort -n >\"'"$dir"'/times\"")
		      while ((getline t < "'"$dir"'/times") > 0) { if (last && t - last > gap) gap = t - last; last = t }
		      printf "%.2f %.1f\n", most / 1000, gap }'
}
cpus=$(grep -c '^cpu[0-9]' /proc/stat)
# no_peak WHAT FROM POINTS GAP SLACK: at most 1.6 CPU seconds a second and CPU (ticks are 10 ms), a gap of GAP s, or
# as much shorter as points are long
no_peak() {
	got=$(peaks "$2" "$3")
	echo "$got $cpus $4 $5" | awk '{exit !($1 > 0.5 * $3 && $1 <= 1.6 * $3 && $2 > $4 - $5 && $2 < $4 + 1.5)}' ||
		fail "$1: CPU seconds a second, longest gap: $got ($cpus CPUs, a gap of $4 s wanted)"
	ok
}

ms() { date +%s%3N; }
seconds() { awk "BEGIN { printf \"%.1f\", $1 / 1000 }"; }
# said_gap: the length of the last one that the agent has said
said_gap() { sed -n 's/.*nothing was recorded for \([0-9.]*\) s.*/\1/p' "$dir/err.two" | tail -n 1; }
# within GOT LOW HIGH
within() { awk "BEGIN { exit !(${1:--1} >= $2 && ${1:--1} <= $3) }"; }
# no_peaks WHAT FROM-MS GAP: since then, however long ago that is by now
no_peaks() {
	from=$(($2 / 1000)) span=$(($(date +%s) + 1 - $2 / 1000))
	no_peak "$1, a point a tick" "$from" $((span * 10)) "$3" 0.6
	no_peak "$1, few points" "$from" $((span + 1)) "$3" 1.2
}

# killed and started again
start one "$STROBE" run --listen 127.0.0.1:0 --memory 16M
port=${url%%/#*}
port=${port##*:}
until_ok 10 lives 25 || fail "no ticks"
"$STROBE" status | grep -q "127.0.0.1:$port" || fail "status does not find the agent"
"$STROBE" get kernel.all.load | grep -q "1 minute" || fail "get does not find the agent"
ok
was=$(grep log_id "$dir/strobe/auto/agent.json")
from=$(ms)
kill -9 "$pid"
wait "$pid" 2>/dev/null
"$STROBE" status >/dev/null 2>&1 && fail "status finds a dead agent"
sleep 2
least=$(($(ms) - from))
start two "$STROBE" run --listen 127.0.0.1:0 --memory 16M
gap=$(($(ms) - from))
until_ok 10 lives 12 || fail "no ticks after the restart"
[ "$was" = "$(grep log_id "$dir/strobe/auto/agent.json")" ] || fail "another log_id after the restart"
within "$(said_gap)" "$(seconds $((least - 200)))" "$(seconds $((gap + 400)))" || fail "a gap of $least to $gap ms is said to be $(said_gap) s"
no_peaks restart $((from - 2000)) "$(said_gap)"

# stopped for three seconds
before=$(value strobe.tick.missed)
from=$(ms)
kill -STOP "$pid"
sleep 3
kill -CONT "$pid"
gap=$(($(ms) - from))
missed() { [ "$(value strobe.tick.missed)" -ge $((before + gap / 100 - 2)) ]; }
until_ok 5 missed || fail "missed ticks: $(value strobe.tick.missed) after $before, not $((gap / 100 - 1)) or so more"
[ "$(value strobe.tick.missed)" -le $((before + gap / 100 + 5)) ] || fail "too many missed ticks: $(value strobe.tick.missed) after $before, in $gap ms"
event() { within "$(said_gap)" "$(seconds $((gap - 200)))" "$(seconds $((gap + 400)))"; }
until_ok 5 event || fail "of a gap of $gap ms: $(grep 'ticks missed' "$dir/err.two")"
then=$(value strobe.tick.count)
ticked() { [ "$(value strobe.tick.count)" -ge $((then + 8)) ]; }
until_ok 5 ticked || fail "no ticks after SIGCONT"
no_peaks SIGSTOP $((from - 1500)) "$(said_gap)"
stop "$pid"
[ ! -e "$dir/strobe/auto/agent.json" ] || fail "agent.json is left after a clean end"
[ "$(du -k "$dir/strobe/auto/log" | cut -f1)" -le 4200 ] || fail "a stopped agent's log takes memory it never used: $(du -k "$dir/strobe/auto/log")"
ok

# a budget that cannot hold: the dearest are slowed down, what the user set is not
start three "$STROBE" run --listen 127.0.0.1:0 --memory 16M --cpu-budget 0.02 --period load=100
reduced() { "$STROBE" status | grep -q "reduced.*Hz, budget of 0.02 % of a core reached"; }
until_ok 15 reduced || fail "nothing is reduced: $("$STROBE" status)"
"$STROBE" status | grep -Eq '^load +ok +100 ms' || fail "the user's period was stretched: $("$STROBE" status)"
grep -q 'is read every .* ms: the CPU budget is used up' "$dir/err.three" || fail "no event of the budget"
stop "$pid"
start four "$STROBE" run --listen 127.0.0.1:0 --memory 16M --collectors=cpu,load --cpu-budget 50
until_ok 5 lives 10
"$STROBE" status | grep -Eq '^cpu +ok +100 ms' || fail "still reduced: $("$STROBE" status)"
"$STROBE" status | grep -Eq '^disk +off .*left out by --collectors' || fail "disk is not off"
stop "$pid"
ok

# no tmpfs anywhere: it runs, says so, and is found
if [ "$(id -u)" -eq 0 ] && unshare -m true 2>/dev/null && [ "$(stat -f -c %T "${TMPDIR:-/tmp}")" != tmpfs ]; then
	disk=$(mktemp -d)
	# shellcheck disable=SC2016
	start five unshare -m sh -c 'mount --bind "$0" /dev/shm && mount --bind "$0" /run &&
		XDG_RUNTIME_DIR=$0 exec "$1" run --listen 127.0.0.1:0 --memory 16M' "$disk" "$STROBE"
	grep -q "no crash recovery" "$dir/err.five" || fail "no word of the log in memory"
	XDG_RUNTIME_DIR=$disk "$STROBE" status | grep -q "recoverable *not after a crash" ||
		fail "the agent without a tmpfs is not found, or does not say so: $(ls -R "$disk")"
	stop "$pid"
	rm -rf "$disk"
	ok
fi
echo "100%: Checks: $n, Failures: 0, Errors: 0"
