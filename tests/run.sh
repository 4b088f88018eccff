#!/bin/sh
# Runs test programs one after another; prints the output of those that fail, and a closing line.
passed=0 failed=0
for t in "$@"; do
	if out=$("$t" 2>&1); then
		passed=$((passed + 1))
		printf '  ok      %-28s %s\n' "$(basename "$t")" "$(printf '%s\n' "$out" | grep -E '^[0-9]+%: Checks' | tail -n 1)"
	else
		failed=$((failed + 1))
		printf '  FAILED  %s\n%s\n' "$(basename "$t")" "$out"
	fi
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
