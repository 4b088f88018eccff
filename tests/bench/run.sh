#!/bin/sh
# Runs every benchmark; each prints lines "bench NAME VALUE UNIT budget BUDGET pass|fail|info".
# With arguments: only those whose file name contains one of them.
cd "$(dirname "$0")/../.." || exit 1
data=../shared/data/host10hz.zst
status=0
for b in tests/bench/*.sh tests/bench/*.mjs "$B"/bench/bench_*; do
	case $b in */run.sh | */lib.sh | *.d) continue ;; esac
	[ -x "$b" ] || continue
	if [ $# -gt 0 ]; then
		pick=
		for want in "$@"; do case $b in *"$want"*) pick=1 ;; esac; done
		[ -n "$pick" ] || continue
	fi
	echo "# $(basename "$b")"
	"$b" "$data" || { status=1; echo "# $(basename "$b") failed"; }
done
exit $status
