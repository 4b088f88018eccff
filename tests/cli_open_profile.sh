#!/bin/sh
# strobe open of profiles without metrics: other tools' files and epochs are served with all their samples, times
# stand for the file's own, and what is no profile is refused in words.
fixtures=$(realpath "$(dirname "$0")/fixtures/profiles")
. "$(dirname "$0")/cli_lib.sh"
cd "$dir" || exit 1

# total FILE: of folded stacks
total() { awk '{n += $NF} END {print n + 0}' "$1"; }
# serves NAME FILE WORDS [BY]: what it says; and the same stacks by the page's way as of the file
serves() {
	start "$1" "$STROBE" open "$2"
	grep -q "$3" "err.$1" || fail "open $2 does not say '$3': $(cat "err.$1")"
	"$STROBE" flame "$2" --folded --by "${4:-process}" | sort >want 2>/dev/null
	"$STROBE" flame --url "$url" --from -1000d --folded --by "${4:-process}" 2>err.flame | sort >got
	[ -s want ] && cmp -s want got || fail "open $2: $(diff want got | head -n 5)"
	"$STROBE" status --json --url "$url" >status || fail "status of $2"
	ok
}

serves perf "$fixtures/perf.txt" "54 samples in 0.4 s; there are no metrics"
# a part of it by time: what the map selects
"$STROBE" flame --url "$url" --from -900ms --to -800ms --folded >part
[ "$(total part)" -gt 5 ] && [ "$(total part)" -lt 40 ] || fail "100 of 378 ms have $(total part) of 54 samples"
ok
stop "$pid"
serves gz "$fixtures/perf.txt.gz" "54 samples"
stop "$pid"
"$STROBE" flame "$fixtures/perf.txt" --strobe -o an.epoch || fail "--strobe"
serves epoch an.epoch "54 samples in 0.4 s"
stop "$pid"
serves node "$fixtures/node.cpuprofile" "100 samples in 0.3 s"
stop "$pid"
# without times there is all of it, or nothing
serves go "$fixtures/go.cpu.pb.gz" "25 samples; there are no metrics" none
stop "$pid"
printf 'a;b;c 12\na;d 3\n' >x.folded
start folded "$STROBE" open x.folded
[ "$("$STROBE" flame --url "$url" --from -1000d --folded | grep -c 'a;b;c 12\|a;d 3')" -eq 2 ] || fail "folded"
ok
stop "$pid"
# standard input
mkfifo pipe
cat "$fixtures/perf.txt" >pipe &
start piped "$STROBE" open pipe
grep -q "54 samples" err.piped || fail "a pipe"
ok
stop "$pid"
# a file of this moment, where perf may be used
if perf record -q -e cpu-clock -F 999 -g -o now.data -- sh -c 'i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done' >perf.log 2>&1 &&
	perf script -i now.data >now.txt 2>/dev/null && [ -s now.txt ]; then
	serves now now.txt "samples in"
	stop "$pid"
fi
# what is none
printf 'PERFILE2 and so on\n' >perf.data
out=$("$STROBE" open perf.data 2>&1) && fail "perf.data was served"
case $out in *"perf script -i"*) ok ;; *) fail "perf.data: $out" ;; esac
head -c 5000 /dev/urandom >noise
out=$("$STROBE" open noise 2>&1) && fail "noise was served"
case $out in *"no capture of strobe"*) ok ;; *) fail "noise: $out" ;; esac
echo "$n passed, 0 failed"
