#!/bin/sh
# selftest.sh [TARGET...] ($PLANTED when none is named): each has a fault planted in it (plant.sh) that it
# must find within FUZZ_SECONDS (default 30). Prints how long each took and a closing "N passed, N failed".
: "${FUZZ_SECONDS:=30}"
export ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=halt_on_error=1
[ $# -gt 0 ] || eval "set -- ${PLANTED:-}"
[ $# -gt 0 ] || { echo "usage: selftest.sh TARGET..." >&2; exit 2; }
passed=0 failed=0
for target in "$@"; do
	dir=$target.run
	rm -rf "$dir"
	mkdir -p "$dir/corpus" "$dir/seeds"
	FUZZ_SEEDS=$dir/seeds "$target" >"$dir/log" 2>&1
	start=$(date +%s)
	"$target" -max_total_time="$FUZZ_SECONDS" -timeout=20 -max_len=131072 -artifact_prefix="$dir/" \
		"$dir/corpus" "$dir/seeds" >>"$dir/log" 2>&1 </dev/null
	status=$?
	seconds=$(($(date +%s) - start))
	what=$(grep -oE 'AddressSanitizer: [a-zA-Z-]+|runtime error: [a-z -]+' "$dir/log" | head -n 1)
	if [ $status -ne 0 ] && [ -n "$what" ]; then
		printf '  ok      planted %-14s found after %s s (%s)\n' "$(basename "$target")" $seconds "$what"
		passed=$((passed + 1))
	else
		printf '  FAILED  planted %-14s not found in %s s (exit %s)\n' "$(basename "$target")" $seconds $status
		failed=$((failed + 1))
	fi
	rm -rf "$dir/corpus"
done
echo "$passed passed, $failed failed"
[ $failed -eq 0 ] && [ $passed -eq $# ]
