#!/bin/sh
# The dashboard's types, style and unit tests.
top=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
out=$(NO_COLOR=1 "$top/ui/check.sh" "${B:-$top/build}" types lint unit 2>&1)
status=$?
[ $status -eq 0 ] || printf '%s\n' "$out"
passed=$(printf '%s\n' "$out" | sed -n 's/^ *Tests .*[^0-9]\([0-9]*\) passed.*/\1/p;s/^ *Tests  *\([0-9]*\) passed.*/\1/p' | head -n 1)
failed=$(printf '%s\n' "$out" | sed -n 's/^ *Tests  *\([0-9]*\) failed.*/\1/p')
echo "${passed:-0} passed, ${failed:-0} failed"
exit $status
