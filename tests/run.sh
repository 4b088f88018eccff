#!/bin/sh
# Runs test programs one after another, prints the output of those that fail and a closing line
# "N passed, N failed, N skipped". A program may report its own count ("Checks: ..." of Check, or a
# last line "N passed, N failed"); else it counts as one. Exit status 77 is a skip.
# TEST_TIMEOUT: seconds for one program (default 600).
# TEST_TRIES: how often a program may be run until it passes (default 1). Many hold a live host against
# other tools and clocks, and a shared machine can stop for a second; a second try is said aloud. A fuzzer
# has one.
passed=0 failed=0 skipped=0 again=
out=$(mktemp) || exit 1
trap 'rm -f "$out"' EXIT
for t in "$@"; do
	start=$(date +%s)
	tries=1
	case $t in tests/fuzz/*) ;; *) tries=${TEST_TRIES:-1} ;; esac
	while :; do
		timeout -k 10 "${TEST_TIMEOUT:-600}" "$t" >"$out" 2>&1 </dev/null
		status=$?
		tries=$((tries - 1))
		[ $status -ne 0 ] && [ $status -ne 77 ] && [ $tries -gt 0 ] || break
		printf '  again   %-34s exit %s: %s\n' "$t" "$status" \
			"$(grep -E 'FAILED|not ok|differ|Error' "$out" | head -n 1 | cut -c1-120)"
		again="$again $t"
	done
	seconds=$(($(date +%s) - start))
	own=$(sed -n -e 's/^[0-9]*%: Checks: \([0-9]*\), Failures: \([0-9]*\), Errors: \([0-9]*\)$/\1 \2 \3/p' \
		-e 's/^\([0-9]*\) passed, \([0-9]*\) failed.*$/P \1 \2/p' "$out" | tail -n 1)
	p=1 f=0
	case $own in
	P\ *) p=$(echo "$own" | cut -d' ' -f2) f=$(echo "$own" | cut -d' ' -f3) ;;
	?*) f=$(echo "$own" | awk '{print $2 + $3}') p=$(echo "$own" | awk '{print $1 - $2 - $3}') ;;
	esac
	if [ $status -eq 77 ]; then
		skipped=$((skipped + 1))
		printf '  skip    %-34s %s\n' "$t" "$(tail -n 1 "$out")"
		continue
	fi
	if [ $status -ne 0 ] && [ "$f" -eq 0 ]; then
		f=1
		[ -n "$own" ] || p=0
	fi
	passed=$((passed + p)) failed=$((failed + f))
	if [ $status -ne 0 ]; then
		printf '  FAILED  %-34s exit %s after %s s\n' "$t" "$status" "$seconds"
		sed 's/^/          /' "$out"
	else
		printf '  ok      %-34s %4s checks %4s s\n' "$t" "$p" "$seconds"
	fi
done
[ -z "$again" ] || echo "needed a second try:$again"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
