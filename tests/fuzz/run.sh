#!/bin/sh
# run.sh [TARGET...] ($FUZZERS when none is named): fuzzes each for FUZZ_SECONDS (default 30), FUZZ_JOBS
# (default 2) at a time, from seeds made of the fixtures. One line a target and a closing "N passed, N
# failed". A FUZZ_SEED other than 0 (by chance) makes the run one that can be repeated. What crashed stays
# in FOLDER-OF-TARGET/crash/, to be given to the target as its argument.
# run.sh: beside
: "${FUZZ_SECONDS:=30}" "${FUZZ_JOBS:=2}" "${FUZZ_SEED:=0}"
[ $# -gt 0 ] || eval "set -- ${FUZZERS:-}"
[ $# -gt 0 ] || { echo "usage: run.sh TARGET..." >&2; exit 2; }
export ASAN_OPTIONS="${ASAN_OPTIONS:-detect_leaks=1:allocator_may_return_null=1}"
export UBSAN_OPTIONS="${UBSAN_OPTIONS:-print_stacktrace=1:halt_on_error=1}"
export FUZZ_SECONDS FUZZ_SEED

one() {
	target=$1 name=$(basename "$1") dir=$(dirname "$1")
	log=$dir/$name.log
	rm -rf "$dir/corpus/$name" "$dir/seeds/$name"
	mkdir -p "$dir/corpus/$name" "$dir/seeds/$name" "$dir/crash"
	FUZZ_SEEDS=$dir/seeds/$name "$target" >"$log" 2>&1 &&
		"$target" -max_total_time="$FUZZ_SECONDS" -seed="$FUZZ_SEED" -timeout=60 -rss_limit_mb=2048 -max_len=131072 \
		-print_final_stats=1 -artifact_prefix="$dir/crash/$name-" \
		"$dir/corpus/$name" "$dir/seeds/$name" >>"$log" 2>&1 </dev/null
	status=$?
	runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
	cov=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -n 1)
	if [ $status -eq 0 ] && [ "${runs:-0}" -gt 0 ]; then
		printf '  ok      fuzz %-16s %8s runs, %5s edges\n' "$name" "$runs" "$cov"
	else
		printf '  FAILED  fuzz %-16s exit %s\n' "$name" $status
		grep -E 'ERROR|SUMMARY|runtime error|Test unit written|^tests/fuzz|^ *#[0-9] ' "$log" | head -n 30 | sed 's/^/          /'
	fi >"$FUZZ_RESULTS/$name"
	cat "$FUZZ_RESULTS/$name"
	rm -rf "$dir/corpus/$name"
}

if [ "${FUZZ_ONE:-}" ]; then
	one "$1"
	exit
fi
FUZZ_RESULTS=$(mktemp -d) || exit 1
export FUZZ_RESULTS
trap 'rm -rf "$FUZZ_RESULTS"' EXIT
printf '%s\n' "$@" | FUZZ_ONE=1 xargs -n 1 -P "$FUZZ_JOBS" "$0"
failed=$(cat "$FUZZ_RESULTS"/* | grep -c FAILED)
passed=$(cat "$FUZZ_RESULTS"/* | grep -c '^  ok')
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -eq $# ]
