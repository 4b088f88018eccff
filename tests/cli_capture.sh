#!/bin/sh
# Captures on the command line: recorded from an agent, by record itself, killed in the middle, cut,
# damaged, on a full disk; opened and exported, with the agent's own figures.
. "$(dirname "$0")/cli_lib.sh"
cd "$dir" || exit 1

# says STATUS WORDS ARGUMENT...: the exit status and a part of what is said
says() {
	want=$1 words=$2
	shift 2
	out=$("$STROBE" "$@" 2>&1 </dev/null)
	got=$?
	[ "$got" -eq "$want" ] || fail "strobe $*: status $got, not $want: $out"
	case $out in *"$words"*) ok ;; *) fail "strobe $*: no '$words' in: $out" ;; esac
}
# field N LINE-PATTERN FILE: figure N of the summary line
seconds() { sed -n 's/.*: \([0-9.]*\) s, .* bytes a sample$/\1/p' "$1"; }
between() { awk -v v="${1:-x}" -v lo="$2" -v hi="$3" 'BEGIN {exit !(v + 0 >= lo && v + 0 <= hi)}'; }
# open_capture NAME FILE: serves it; $pid, $url
open_capture() { start "$1" "$STROBE" open "$2"; }
# rows FILE [ARGUMENT...]: of an export, metric,instance,value
rows() {
	file=$1
	shift
	"$STROBE" export "$file" "$@" 2>/dev/null | sed 1d
}

# ---- wrong use, with words
for verb in record open export; do
	says 0 "usage: strobe $verb" "$verb" --help
	says 2 "'strobe $verb --help' lists the options" "$verb" --bogus
done
says 2 "saves the past" record --last 5s --for 5s
says 2 "saves the past" record --last 5s -- true
says 2 "what the agent has" record --last 5s --rate 5
says 2 "not both" record --for 5s -- true
says 2 "as in 30s, 10m or 1h" record --for soon
says 2 "as in 30s, 10m or 1h" record --last -5s
says 2 "from 1 to 100" record --rate 1000
says 2 "there are: cpu disk" record --collectors nonesuch
says 2 "stands behind --" record sleep 1
says 2 "one FILE" open
says 2 "one FILE" open a b
says 2 "which FILE" export
says 2 "no such --format" export x --format xml
says 2 "--rate is 0 or 1" export x --rate 2
says 1 "No such file" open none.strobe
says 1 "No such file" export none.strobe
alone() { ! "$STROBE" status >/dev/null 2>&1; } # no agent of another runs here
alone && says 1 "no running agent" record --last 5s -o never.strobe
says 1 "refused" record --url http://127.0.0.1:1/ -o never.strobe
[ ! -e never.strobe ] || fail "a recording that did not begin left a file"
head -c 100 /dev/urandom >noise
says 1 "no capture of strobe" open noise
: >empty
says 1 "cut short before anything" export empty
says 1 "Is a directory" open "$dir"

# ---- an agent, and what record makes of it
start agent "$STROBE" run --listen 127.0.0.1:0 --memory 16M --cpu-budget 80
agent=$pid agent_url=$url
STROBE_URL=$url
export STROBE_URL
ticked() { [ "$("$STROBE" get strobe.tick.count --raw --url "$agent_url" | awk 'END {print int($2)}')" -ge "$1" ]; }
until_ok 10 ticked 25 || fail "no ticks"
"$STROBE" record -o for.strobe --for 3s 2>for.err || fail "record --for: $(cat for.err)"
grep -q 'recording .* from the agent at http' for.err || fail "$(cat for.err)"
between "$(seconds for.err)" 2.7 3.1 || fail "not three seconds: $(cat for.err)"
[ "$(stat -c %a for.strobe)" = 600 ] || fail "others may read a capture"
ok

# every sample that the agent has in a range inside, also as rates: exported, and served
range() { # of the newest tick but some: unix seconds, whole
	"$STROBE" export for.strobe --metric strobe.tick.count | awk -F, 'NR == 5 {print $2} NR == 24 {print $2}'
}
# shellcheck disable=SC2046
set -- $(range)
from=$1 to=$2
metrics="kernel.percpu.cpu.user kernel.all.load mem.util.free strobe.tick.count proc.psinfo.utime proc.psinfo.rss
kernel.all.pswitch network.interface.in.bytes"
# of_agent RATE: metric,instance,value in the order of time
of_agent() {
	for m in $metrics; do
		# shellcheck disable=SC2086
		"$STROBE" get $m --from "$from" --to "$to" --points 95 $1 --csv --url "$agent_url" 2>/dev/null |
			awk -F, 'NR > 1 { if ($6 != 1) print "twice" ; print $5 "," $1 "," $2 "," $11 }'
	done | sort -t, -k2,3 -k1,1n -s | cut -d, -f2-
}
of_file() {
	for m in $metrics; do
		rows for.strobe --metric "$m" --from "$from" --to "$to" --rate "$1" | cut -d, -f2-4,6
	done | sort -t, -k2,3 -k1,1n -s | cut -d, -f2- | awk -F, '{printf "%s,%s,%.15g\n", $1, $2, $3}'
}
of_agent "" | awk -F, '{printf "%s,%s,%.15g\n", $1, $2, $3}' >want
of_file 1 >got
[ "$(wc -l <want)" -gt 100 ] || fail "the agent has only $(wc -l <want) rates"
cmp -s want got || fail "rates differ: $(diff want got | head -5)"
of_agent --raw | awk -F, '{printf "%s,%s,%.15g\n", $1, $2, $3}' >want
of_file 0 >got
cmp -s want got || fail "raw values differ: $(diff want got | head -5)"
ok
query() { # URL
	for m in $metrics; do
		"$STROBE" get "$m" --from "$from" --to "$to" --points 40 --csv --url "$1" 2>/dev/null
	done
}
query "$agent_url" >want
open_capture served for.strobe
grep -q "for.strobe: .* at 10 Hz" err.served || fail "open does not say what it has: $(cat err.served)"
query "$url" >got
[ "$(wc -l <want)" -gt 100 ] || fail "the agent has only $(wc -l <want) points"
cmp -s want got || fail "a served capture says something else: $(diff want got | head -5)"
"$STROBE" status --url "$url" | grep -q "^capture *for.strobe" || fail "status does not say that it is a capture"
"$STROBE" status --json --url "$url" | grep -q "\"host\":\"$(uname -n)\"" || fail "another host"
first=$("$STROBE" get strobe.tick.count --raw --url "$url")
sleep 1
[ "$first" = "$("$STROBE" get strobe.tick.count --raw --url "$url")" ] || fail "time goes on in a capture"
curl -s -H "Authorization: Bearer ${url#*#token=}" -o again.strobe "${url%%#*}api/v1/capture" &&
	rows again.strobe --rate 0 | sort >got && rows for.strobe --rate 0 | sort >want
cmp -s want got || fail "a capture of a capture is another: $(diff want got | head -5)"
[ "$(curl -s -o /dev/null -w '%{http_code}' "${url%%#*}api/v1/capture")" = 401 ] || fail "a capture without a token"
stop "$pid"
ok

# the past; more of it than there is
"$STROBE" record -o last.strobe --last 2s 2>last.err || fail "record --last: $(cat last.err)"
between "$(seconds last.err)" 1.7 2.1 || fail "not two seconds: $(cat last.err)"
"$STROBE" record -o all.strobe --last 5h 2>all.err || fail "$(cat all.err)"
grep -q 'remembers only the last' all.err || fail "no word of how far the log goes back: $(cat all.err)"
ok

# a command: its status, its marks, its time and a second on either side
"$STROBE" record -o command.strobe -- sh -c 'echo out; sleep 1; exit 7' >command.out 2>command.err
[ $? -eq 7 ] || fail "the command's status is lost: $(cat command.err)"
[ "$(cat command.out)" = out ] || fail "the command's output: $(cat command.out)"
between "$(seconds command.err)" 2.7 3.3 || fail "not its second and two more: $(cat command.err)"
open_capture command command.strobe
events() { # of the served file
	"$STROBE" export command.strobe --metric strobe.tick.count >/dev/null || return 1
	grep -q 'of: sh -c echo out' err.command
}
events || fail "the command is not told: $(cat err.command)"
stop "$pid"
"$STROBE" record -o killed.strobe -- sh -c 'kill -TERM $$' 2>/dev/null
[ $? -eq 143 ] || fail "status of a command that was killed"
says 127 "cannot start /nonexistent" record -o none.strobe -- /nonexistent
[ ! -e none.strobe ] || fail "a command that cannot be started leaves a file"
ok

# a signal ends it cleanly
"$STROBE" record -o ended.strobe 2>ended.err &
recorder=$!
pids="$pids $recorder"
until_ok 5 test -s ended.strobe
sleep 1.5
kill -TERM $recorder
wait $recorder || fail "status $? after SIGTERM: $(cat ended.err)"
between "$(seconds ended.err)" 1 3 || fail "$(cat ended.err)"
[ -z "$("$STROBE" export ended.strobe 2>&1 >/dev/null)" ] || fail "not whole: $("$STROBE" export ended.strobe 2>&1 >/dev/null)"
ok

# killed in the middle: readable up to its last second
"$STROBE" record -o torn.strobe 2>/dev/null &
recorder=$!
pids="$pids $recorder"
size() { stat -c %s torn.strobe; }
until_ok 5 test -s torn.strobe
sleep 3.4
before=$("$STROBE" get strobe.tick.count --raw --url "$agent_url" | awk 'END {print int($2)}')
kill -9 $recorder
wait $recorder 2>/dev/null
says 0 "was cut short: it is readable up to" export torn.strobe --metric strobe.tick.count --rate 0
last=$(rows torn.strobe --metric strobe.tick.count --rate 0 | awk -F, 'END {print int($6)}')
[ "$last" -ge $((before - 12)) ] || fail "up to tick $last, not nearly $before"
open_capture torn torn.strobe
grep -q 'cut short' err.torn || fail "open does not say that it was cut"
[ "$("$STROBE" get strobe.tick.count --raw --url "$url" | awk 'END {print int($2)}')" -eq "$last" ] || fail "served up to another tick"
stop "$pid"
ok

# cut and damaged copies: less, never something else (without stacks: they would be the end of the file)
"$STROBE" record -o for.strobe --no-profile --for 3s 2>for.err || fail "record --no-profile: $(cat for.err)"
rows for.strobe --rate 0 | sort >whole
n_whole=$(wc -l <whole)
bytes=$(stat -c %s for.strobe)
for part in 10 35 60 85 95; do
	head -c $((bytes * part / 100)) for.strobe >part.strobe
	rows part.strobe --rate 0 | sort >some
	[ -z "$(comm -13 whole some)" ] || fail "cut at $part %: $(comm -13 whole some | head -3)"
	[ "$(wc -l <some)" -lt "$n_whole" ] || fail "cut at $part % lost nothing"
	cp for.strobe part.strobe
	printf '\252' | dd of=part.strobe bs=1 seek=$((bytes * part / 100)) conv=notrunc 2>/dev/null
	cmp -s for.strobe part.strobe && continue
	"$STROBE" export part.strobe --rate 0 2>part.err | sed 1d | sort >some
	grep -q 'damaged' part.err || fail "damage at $part % is not told: $(cat part.err)"
	[ -z "$(comm -13 whole some)" ] || fail "damage at $part %: $(comm -13 whole some | head -3)"
done
ok
cp for.strobe newer.strobe
printf '\002' | dd of=newer.strobe bs=1 seek=8 conv=notrunc 2>/dev/null
says 1 "damaged" open newer.strobe

# a full disk: the file is kept, and says so
if mkdir full && mount -t tmpfs -o size=$((bytes / 4096 * 4))k none full 2>/dev/null; then
	trap 'for p in $pids; do kill -CONT "$p"; kill -9 "$p"; done 2>/dev/null; wait 2>/dev/null; umount "$dir/full" 2>/dev/null; rm -rf "$dir"' EXIT
	"$STROBE" record -o full/x.strobe --for 60s 2>full.err
	[ $? -eq 1 ] || fail "a full disk: status is not 1: $(cat full.err)"
	grep -q 'the disk is full; what was recorded until now' full.err || fail "a full disk: $(cat full.err)"
	[ "$(rows full/x.strobe --metric strobe.tick.count | wc -l)" -gt 2 ] || fail "nothing is kept on a full disk"
	rm full/x.strobe
	says 5 "the disk is full" record -o full/y.strobe -- sh -c 'sleep 4; exit 5'
	umount full
	ok
fi
says 1 "the disk is full; nothing was recorded" record -o /dev/full --for 1s
(
	ulimit -f $((bytes / 512))
	"$STROBE" record -o limit.strobe --for 30s 2>limit.err
	[ $? -eq 1 ] && grep -q 'File too large; what was' limit.err
) || fail "a limit of the file's size: $(cat limit.err)"
ok

# the agent dies and comes back with its log: the recording goes on
"$STROBE" record -o through.strobe --for 8s 2>through.err &
recorder=$!
pids="$pids $recorder"
until_ok 5 test -s through.strobe
sleep 1.5
kill -9 "$agent"
wait "$agent" 2>/dev/null
port=${agent_url%%/#*}
STROBE_TOKEN=${agent_url#*#token=}
export STROBE_TOKEN
sleep 0.6
mv "$dir/strobe/auto" "$dir/strobe/${port##*:}"
start back "$STROBE" run --listen "127.0.0.1:${port##*:}" --memory 16M
unset STROBE_TOKEN
wait $recorder || fail "a recording through a restart: status $?: $(cat through.err)"
between "$(seconds through.err)" 7.4 8.2 || fail "a recording through a restart: $(cat through.err)"
rows through.strobe --metric strobe.tick.count --rate 0 | awk -F, '{print $2}' |
	awk 'NR > 1 && $1 - last > 0.35 {n++} {last = $1} END {exit n != 1}' || fail "not one gap for one restart"
stop "$pid"
ok

unset STROBE_URL
# without an agent: samples by itself, also faster, also a choice
"$STROBE" record -o own.strobe --for 1500ms --rate 50 --collectors cpu 2>own.err || fail "$(cat own.err)"
grep -q 'a sampler of its own' own.err || fail "$(cat own.err)"
between "$(seconds own.err)" 1.3 1.6 || fail "$(cat own.err)"
between "$(rows own.strobe --metric kernel.all.cpu.idle --rate 0 | wc -l)" 55 76 ||
	fail "not 50 Hz: $(rows own.strobe --metric kernel.all.cpu.idle --rate 0 | wc -l)"
[ -z "$(rows own.strobe --metric mem.util.free)" ] || fail "a collector that was left out"
if alone; then
	"$STROBE" record -o alone.strobe --for 1s 2>alone.err || fail "$(cat alone.err)"
	grep -q 'a sampler of its own' alone.err || fail "$(cat alone.err)"
fi
"$STROBE" record -o own.strobe --rate 11 -- sh -c 'sleep 1; exit 4' 2>own.err
[ $? -eq 4 ] || fail "the command's status without an agent: $(cat own.err)"
between "$(seconds own.err)" 2.7 3.3 || fail "$(cat own.err)"
[ -z "$(ls -d strobe/*/agent.json 2>/dev/null)" ] || fail "record left an agent.json"
ok

# what only the disk has: blocks of an earlier agent, and the log of this one
start early "$STROBE" run --listen 127.0.0.1:0 --runtime-dir "$dir/early" --history "$dir/ring" --history-size 32M --memory 16M
sleep 5
to=$(date +%s)
from=$((to - 4))
to=$((to - 1))
query "$url" >want
[ "$(wc -l <want)" -gt 150 ] || fail "the early agent has only $(wc -l <want) points"
stop "$pid"
start late "$STROBE" run --listen 127.0.0.1:0 --runtime-dir "$dir/late" --history "$dir/ring" --history-size 32M --memory 16M
sleep 2
"$STROBE" record -o old.strobe --last 1h --url "$url" 2>old.err || fail "$(cat old.err)"
curl -s -H "Authorization: Bearer ${url#*#token=}" -o part.strobe "${url%%#*}api/v1/capture?from=$from&to=$to"
stop "$pid"
between "$(seconds old.err)" 6.5 30 || fail "record --last of two runs: $(cat old.err)"
for file in old part; do
	open_capture "$file" $file.strobe
	query "$url" >got
	cmp -s want got || fail "$file: blocks say something else: $(diff want got | head -5)"
	stop "$pid"
	rows $file.strobe --metric mem.util.free --from "$from" --to "$to" | cut -d, -f6 >got
	grep '^mem.util.free' want | awk -F, '$6 == 1 {print $11}' >some
	[ -s some ] || fail "no points of one sample"
	grep -vxF -f got some && fail "$file: samples of blocks are missing"
done
ok

# text: a header, quoting, JSON
says 0 "time,t,metric,instance,unit,value" export own.strobe --metric kernel.all.load
says 1 "no metric matches 'nonesuch'" export own.strobe --metric nonesuch
says 2 "is no time" export own.strobe --from yesterday
"$STROBE" export own.strobe --rate 0 2>/dev/null | awk -F, 'NR > 1 { if ($2 < last) bad++; last = $2 } END { exit bad != 0 || NR < 1000 }' ||
	fail "not in the order of time"
"$STROBE" export own.strobe --format jsonl --metric 'kernel.all.*' | head -n 200 >lines
if command -v node >/dev/null; then
	node -e 'const l = require("fs").readFileSync("lines", "utf8").trim().split("\n").map(JSON.parse);
		if (l.length < 100 || l.some((o) => typeof o.value !== "number" || !o.metric || !o.unit || isNaN(Date.parse(o.time)))) process.exit(1)' ||
		fail "not JSON lines: $(head -n 2 lines)"
fi
"$STROBE" export own.strobe >/dev/full 2>/dev/null
[ $? -eq 1 ] || fail "export to a full disk"
ok
echo "100%: Checks: $n, Failures: 0, Errors: 0"
