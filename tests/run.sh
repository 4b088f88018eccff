#!/bin/sh
# Runs test programs and prints a line for each as it ends, the output of those that fail, and a closing
# line "N passed, N failed, N skipped". A program may report its own count ("Checks: ..." of Check, or a
# last line "N passed, N failed"); else it counts as one. Exit status 77 is a skip.
#
# A line of a test's source may say how it is run:
#   run.sh: alone     by itself, first: it measures latency or CPU, or wants a quiet host
#   run.sh: pair      two at a time (if RUN_JOBS allows), after those: its browser takes a CPU at times
#   run.sh: beside    beside the rest and nicer, with the CPU time that they leave
# The rest goes RUN_JOBS at a time (default 1), in the order given: those that take long come first.
#
# TEST_TIMEOUT: seconds for one program (default 600); then it and what it started is killed.
# TEST_TRIES: how often a program may be run until it passes (default 1). Many hold a live host against
# other tools and clocks, and a shared machine can stop for a second; a second try, by itself once the
# others are through, is said aloud. A fuzzer has one.
# TEST_LOGS: a folder that keeps what each program printed.

# One program, in a process of its own: its output goes to a file, and out in one piece.
one() {
	t=$1
	name=$(echo "$t" | tr / _)
	out=$RUN_RESULTS/$name.$$
	start=$(date +%s)
	timeout -k 10 "${TEST_TIMEOUT:-600}" "$t" >"$out" 2>&1 </dev/null &
	pid=$!
	trap 'kill $pid; wait $pid; exit 255' HUP INT TERM # 255: xargs starts no more
	echo $$ >"$RUN_RESULTS/pids/$$"
	wait $pid
	status=$?
	seconds=$(($(date +%s) - start))
	times >"$out.times" # not in a shell below this one, which has none of its own
	cpu=$(awk 'END { split($1, u, "[ms]"); split($2, s, "[ms]"); printf "%.0f", (u[1] + s[1]) * 60 + u[2] + s[2] }' "$out.times")
	[ -z "${TEST_LOGS:-}" ] || cp "$out" "$TEST_LOGS/$name.$RUN_TRY.log"
	[ $status -ne 124 ] && [ $status -ne 137 ] || echo "killed after $seconds s" >>"$out"
	report >"$out.report"
	flock "$RUN_RESULTS/lock" cat "$out.report"
	rm -f "$out" "$out.report" "$out.times" "$RUN_RESULTS/pids/$$"
}

# What is printed of one program; its figures go to the list.
report() {
	if [ $status -ne 0 ] && [ $status -ne 77 ] && [ "$RUN_TRY" -lt "$(tries_of "$t")" ]; then
		printf '  again   %-34s exit %s: %s\n' "$t" "$status" \
			"$(grep -E 'FAILED|not ok|differ|Error|killed after' "$out" | head -n 1 | cut -c1-120)"
		echo "$t" >>"$RUN_RESULTS/again"
		return
	fi
	own=$(sed -n -e 's/^[0-9]*%: Checks: \([0-9]*\), Failures: \([0-9]*\), Errors: \([0-9]*\)$/\1 \2 \3/p' \
		-e 's/^\([0-9]*\) passed, \([0-9]*\) failed.*$/P \1 \2/p' "$out" | tail -n 1)
	p=1 f=0 k=0
	case $own in
	P\ *) p=$(echo "$own" | cut -d' ' -f2) f=$(echo "$own" | cut -d' ' -f3) ;;
	?*) f=$(echo "$own" | awk '{print $2 + $3}') p=$(echo "$own" | awk '{print $1 - $2 - $3}') ;;
	esac
	if [ $status -eq 77 ]; then
		p=0 f=0 k=1
		printf '  skip    %-34s %s\n' "$t" "$(tail -n 1 "$out")"
	elif [ $status -ne 0 ]; then
		[ -n "$own" ] || p=0
		[ "$f" -gt 0 ] || f=1
		printf '  FAILED  %-34s exit %s after %s s\n' "$t" "$status" "$seconds"
		sed 's/^/          /' "$out"
	else
		printf '  ok      %-34s %4s checks %4s s, cpu %3s s\n' "$t" "$p" "$seconds" "$cpu"
	fi
	echo "$p $f $k $seconds $cpu $t" >>"$RUN_RESULTS/list"
}

tries_of() {
	case $1 in tests/fuzz/*) echo 1 ;; *) echo "${TEST_TRIES:-1}" ;; esac
}

# How a test wants to be run: alone, pair, beside, or nothing.
manner() {
	source=$1
	[ ! -f "tests/$(basename "$1").c" ] || source=tests/$(basename "$1").c
	sed -n 's/^.*run\.sh: \(alone\|pair\|beside\)\>.*/\1/p' "$source" | head -n 1
}

# pool JOBS TRY TEST...: $before, a command, is put before each.
pool() {
	jobs=$1 try=$2
	shift 2
	# shellcheck disable=SC2086
	[ $# -eq 0 ] || printf '%s\n' "$@" | RUN_TRY=$try xargs -n 1 -P "$jobs" $before "$self" &
	wait $! # where a signal is heard at once
}

# Those that failed, again, one by one.
again() {
	try=1
	while [ -s "$RUN_RESULTS/again" ]; do
		try=$((try + 1))
		cat "$RUN_RESULTS/again" >>"$RUN_RESULTS/second"
		list=$(cat "$RUN_RESULTS/again")
		: >"$RUN_RESULTS/again"
		# shellcheck disable=SC2086
		pool 1 $try $list
	done
}

if [ "${RUN_TRY:-}" ]; then
	one "$1"
	exit 0
fi
self=$0 before=
RUN_RESULTS=$(mktemp -d) || exit 1
export RUN_RESULTS
trap 'rm -rf "$RUN_RESULTS"' EXIT
mkdir "$RUN_RESULTS/pids"
: >"$RUN_RESULTS/lock"
# shellcheck disable=SC2046
trap 'kill $(cat "$RUN_RESULTS"/pids/* 2>/dev/null) 2>/dev/null; wait; exit 1' HUP INT TERM
[ -z "${TEST_LOGS:-}" ] || mkdir -p "$TEST_LOGS"
begin=$(date +%s)
alone='' pair='' beside='' rest=''
for t in "$@"; do
	case $(manner "$t") in
	alone) alone="$alone $t" ;;
	pair) pair="$pair $t" ;;
	beside) beside="$beside $t" ;;
	*) rest="$rest $t" ;;
	esac
done
# shellcheck disable=SC2086
pool 1 1 $alone
again
# shellcheck disable=SC2086
pool $((${RUN_JOBS:-1} < 2 ? 1 : 2)) 1 $pair
again
if [ "$beside" ]; then
	# shellcheck disable=SC2086
	(before='nice -n 10'; pool 2 1 $beside) &
fi
# shellcheck disable=SC2086
pool "${RUN_JOBS:-1}" 1 $rest
wait
again
echo "$(($(date +%s) - begin)) s; those that took longest:"
sort -rnk 4 "$RUN_RESULTS/list" | head -n 10 | awk '{ printf "  %4d s, cpu %3d s  %s\n", $4, $5, $6 }'
[ ! -s "$RUN_RESULTS/second" ] || echo "needed a second try: $(sort -u "$RUN_RESULTS/second" | tr '\n' ' ')"
awk -v want=$# '{ p += $1; f += $2; k += $3 } END {
	if (NR != want) { print want - NR " tests did not end"; f += want - NR }
	print p + 0 " passed, " f + 0 " failed, " k + 0 " skipped"; exit f > 0 }' "$RUN_RESULTS/list"
