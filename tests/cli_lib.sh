# For the tests of the command line: a folder on tmpfs, agents of the test's own, stopped at its end.
# shellcheck shell=sh
set -u
: "${STROBE:=build/strobe}"
STROBE=$(realpath "$STROBE")
shm=/dev/shm
[ -d "$shm" ] && [ -w "$shm" ] || shm=${TMPDIR:-/tmp}
dir=$(mktemp -d "$shm/strobe-cli.XXXXXX") || exit 1
pids=
trap 'for p in $pids; do kill -CONT "$p"; kill -9 "$p"; done 2>/dev/null; wait 2>/dev/null; rm -rf "$dir"' EXIT
unset STROBE_TOKEN STROBE_URL RUNTIME_DIRECTORY
XDG_RUNTIME_DIR=$dir
export XDG_RUNTIME_DIR
n=0

fail() {
	echo "FAILED: $*"
	cat "$dir"/err* 2>/dev/null
	exit 1
}
ok() { n=$((n + 1)); }
# start NAME COMMAND...: $pid, $url (with its token)
start() {
	name=$1
	shift
	mkfifo "$dir/$name.fifo"
	"$@" >"$dir/$name.fifo" 2>"$dir/err.$name" &
	pid=$!
	pids="$pids $pid"
	exec 4<"$dir/$name.fifo"
	read -r line <&4 || fail "$name ended without a line"
	url=${line#strobe: listening on }
}
stop() {
	kill -TERM "$1"
	wait "$1" || fail "status $? after SIGTERM"
}
# until SECONDS COMMAND...: waits for it to succeed
until_ok() {
	left=$(($1 * 20))
	shift
	while [ $left -gt 0 ]; do
		"$@" >/dev/null 2>&1 && return 0
		left=$((left - 1))
		sleep 0.05
	done
	return 1
}
