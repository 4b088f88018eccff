#!/bin/sh
# Includes go one way through the rooms, and some rooms keep their hands off some things.
#
# usage: test_includes.sh [ROOT]
set -u
root=${1:-$(dirname "$0")/..}
rules='
base 0
store 1
collectors 1
stacks 2
symbols 2
unwind 2
sample 2
import 3
profile 3
export 4
serve 5
watch 5
cmd 6'

# FILE:LINE: room X includes Y, for each include that goes up or sideways.
directions() {
	(cd "$root" && find agent collectors -name '*.[ch]' | sort | xargs grep -Hn '^[[:space:]]*#[[:space:]]*include[[:space:]]*"') |
		awk -v rules="$rules" '
		BEGIN { n = split(rules, r, /[ \n]+/); for (i = 1; i < n; i++) if (r[i] != "" && r[i] !~ /^[0-9]/) rank[r[i]] = r[i + 1] }
		{
			split($0, at, ":")
			file = at[1]
			split(file, part, "/")
			room = part[1] == "agent" ? part[2] : part[1]
			if (file == "agent/main.c") room = "cmd"
			split($0, quoted, "\"")
			target = quoted[2]
			split(target, to, "/")
			sub(/^agent\//, "", target)
			if (target == "strobe.pb-c.h") { if (room != "serve") print file ":" at[2] ": the wire belongs to serve/"; next }
			if (!(to[1] in rank)) { print file ":" at[2] ": include \"" target "\" by its room: \"ROOM/NAME.h\""; next }
			if (!(room in rank)) { print file ": a room without a rank: add it to " "tests/test_includes.sh"; next }
			if (to[1] != room && rank[to[1]] >= rank[room])
				print file ":" at[2] ": " room " must not know " to[1] " (" target ")"
			# collectors/X.c and collectors/X/ share collectors/X/ with nobody
			own = part[2]
			sub(/\.c$/, "", own)
			if (room == "collectors" && to[1] == "collectors" && to[3] != "" && to[2] != own)
				print file ":" at[2] ": " target " belongs to another collector"
		}'
}

# PATTERN WHY PATH...: no line of these paths may match.
never() {
	pattern=$1 why=$2
	shift 2
	(cd "$root" && for p in "$@"; do [ -e "$p" ] && find "$p" -name '*.[ch]'; done | sort | xargs -r grep -nE -- "$pattern") |
		sed "s|\$|    <- $why|"
}

# Of these rooms only base/host opens what the kernel shows.
kernel='"/(proc|sys)[/"]|\b(host_file|kept_open|kept_read)[[:space:]]*\('

check() {
	directions
	never "$kernel" "only base/host and collectors read /proc and /sys" agent/store agent/sample agent/serve agent/export agent/watch
	never '\bpthread_create[[:space:]]*\(' "threads are created in agent/cmd/run.c" agent/base agent/store agent/sample agent/serve \
		agent/export agent/watch agent/stacks agent/symbols agent/unwind agent/import agent/profile collectors
	never '"base/msg\.h"|\b(printf|fprintf|puts|perror|syslog)[[:space:]]*\(' "collectors are silent: a reason goes into the report" collectors
	never '\b(fopen|fscanf|sscanf)[[:space:]]*\(' "collectors read kept files and scan by hand" collectors
	never '\b(system|popen)[[:space:]]*\(' "nothing is handed to a shell" agent collectors
}

found=$(check)
if [ -n "$found" ]; then
	printf '%s\n' "$found"
	exit 1
fi
[ $# -gt 0 ] && exit 0

# The rules must bite.
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT INT TERM
bites() { # FILE LINE
	mkdir -p "$dir/agent" "$dir/collectors" "$dir/$(dirname "$1")"
	printf '%s\n' "$2" >"$dir/$1"
	"$0" "$dir" >/dev/null && { echo "not refused: $1: $2"; exit 1; }
	rm -f "$dir/$1"
}
bites agent/base/x.c '#include "store/log.h"'
bites agent/store/x.h '#include "collectors/collector.h"'
bites agent/store/x.c '#include "serve/server.h"'
bites agent/sample/x.c '#include "serve/server.h"'
bites agent/serve/x.c '#include "cmd/cmd.h"'
bites agent/cmd/x.c '#include "strobe.pb-c.h"'
bites collectors/x.c '#include "store/log.h"'
bites collectors/x.c '#include "agent/serve/api.h"'
bites collectors/x.c '#include "collectors/process/procs.h"'
bites collectors/x/y.c '#include "y.h"'
bites collectors/x.c '	printf("ok\n");'
bites agent/serve/x.c '	fd = open("/proc/self/stat", 0);'
bites agent/serve/x.c '	r = kept_open(&f, h, ROOT_PROC, "stat");'
bites agent/serve/x.c '	pthread_create(&t, NULL, f, NULL);'
bites agent/cmd/x.c '	system("true");'
printf '%s\n' '#include "store/log.h"' >"$dir/agent/x.c"
mkdir -p "$dir/agent/cmd" && mv "$dir/agent/x.c" "$dir/agent/cmd/x.c"
"$0" "$dir" >/dev/null || { echo "cmd may know store"; exit 1; }
echo "includes: ok"
