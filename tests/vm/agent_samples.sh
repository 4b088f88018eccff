#!/bin/sh
# The whole agent ($STROBE) samples this machine RUN_SECONDS (3) with all collectors, answers, and ends.
# Not among the tests of make check: it is for builds that run under an emulator.
set -u
: "${STROBE:=build/strobe}" "${RUN_SECONDS:=3}"
dir=$(mktemp -d) || exit 1
pid=
trap '[ -z "$pid" ] || kill -9 "$pid" 2>/dev/null; wait 2>/dev/null; rm -rf "$dir"' EXIT
unset STROBE_TOKEN STROBE_URL RUNTIME_DIRECTORY

fail() {
	echo "FAILED: $*"
	cat "$dir/err"
	exit 1
}

mkfifo "$dir/out"
"$STROBE" run --listen 127.0.0.1:0 --runtime-dir "$dir" --memory 16M >"$dir/out" 2>"$dir/err" &
pid=$!
exec 4<"$dir/out"
read -r line <&4 || fail "the agent ended without a line"
STROBE_URL=${line#strobe: listening on }
export STROBE_URL

sleep "$RUN_SECONDS" # it is the time sampled that is asked for

status=$("$STROBE" status --json) || fail "no status: $status"
number() {
	printf '%s\n' "$status" | grep -o "\"$1\": *[0-9]*" | head -n 1 | grep -o '[0-9]*$'
}
series=$(number series) missed=$(number missed_ticks)
[ "${series:-0}" -ge 200 ] || fail "${series:-no} series"

# ten a second (half of them do where the emulator is slow), and what the kernel counts moves
point=$("$STROBE" get kernel.all.pswitch --from "-${RUN_SECONDS}s" --points 1 --csv | sed 1d)
samples=$(echo "$point" | cut -d, -f6) highest=$(echo "$point" | cut -d, -f10)
[ "${samples:-0}" -ge $((RUN_SECONDS * 5)) ] || fail "too few samples in $RUN_SECONDS s: $point"
[ "${highest%.*}" -gt 0 ] || fail "no context switch seen: $point"
bad=$("$STROBE" collectors --json | tr '{' '\n' | grep '"failed"')
[ -z "$bad" ] || fail "failed collectors: $bad"

kill -TERM "$pid"
wait "$pid"
got=$?
pid=
[ "$got" -eq 0 ] || fail "status $got after SIGTERM"
echo "$series series, $samples samples of each in $RUN_SECONDS s, $missed ticks missed"
echo "100%: Checks: 5, Failures: 0, Errors: 0"
