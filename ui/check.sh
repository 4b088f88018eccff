#!/bin/sh
# usage: check.sh BUILD [types|lint|unit]...   (all three by default)
# Types, style and unit tests of the dashboard.
set -eu
build=$1
shift
ui=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
[ -f "$ui/src/gen/strobe_pb.ts" ] && [ -d "$ui/node_modules" ] || "$ui/build.sh" "$build"
. "$ui/node.sh"
cd "$ui"
for what in ${*:-types lint unit}; do
	case $what in
	types) node node_modules/typescript/bin/tsc --noEmit ;;
	lint) node_modules/@biomejs/cli-linux-*/biome ci --colors=off . ;;
	unit) node node_modules/vitest/vitest.mjs run --reporter=dot ;;
	*) echo "check.sh: unknown check $what" >&2; exit 2 ;;
	esac
done
