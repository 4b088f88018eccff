#!/bin/sh
# The command line of the agent: verbs, options, one line on stdout, agent.json, a second agent, a restart.
set -u
: "${STROBE:=build/strobe}"
dir=$(mktemp -d) || exit 1
pids=
trap 'for p in $pids; do kill -9 "$p" 2>/dev/null; done; wait 2>/dev/null; rm -rf "$dir"' EXIT
unset STROBE_TOKEN RUNTIME_DIRECTORY
n=0

fail() {
	echo "FAILED: $*"
	cat "$dir"/err* 2>/dev/null
	exit 1
}
# says STATUS WORDS ARGUMENT...: the exit status and a part of what is said
says() {
	want=$1 words=$2
	shift 2
	out=$("$STROBE" "$@" 2>&1 </dev/null)
	got=$?
	[ "$got" -eq "$want" ] || fail "strobe $*: status $got, not $want: $out"
	case $out in *"$words"*) n=$((n + 1)) ;; *) fail "strobe $*: no '$words' in: $out" ;; esac
}
# start NAME ARGUMENT...: runs an agent; $pid; its stdout in $dir/NAME
start() {
	name=$1
	shift
	[ "$1" = sh ] || set -- "$STROBE" run "$@"
	mkfifo "$dir/$name.fifo"
	"$@" >"$dir/$name.fifo" 2>"$dir/err.$name" &
	pid=$!
	pids="$pids $pid"
	exec 4<"$dir/$name.fifo"
	read -r line <&4 || fail "$name ended without a line"
	printf '%s\n' "$line" >"$dir/$name"
}
# stop PID: a clean end, and nothing more on stdout
stop() {
	kill -TERM "$1"
	rest=$(cat <&4)
	wait "$1"
	got=$?
	[ "$got" -eq 0 ] || fail "status $got after SIGTERM"
	[ -z "$rest" ] || fail "more than one line: $rest"
	n=$((n + 1))
}

says 0 "strobe $(cat agent/VERSION)" --version
says 0 "strobe VERB --help" --help
says 2 "--off-cpu-by takes ebpf, events or auto" run --off-cpu-by magic
says 2 "off-cpu-min-us" run --off-cpu-min-us 0
says 2 "did you mean 'strobe collectors'" colectors
says 2 "--help" frobnicate
says 0 "--cpu-budget" run --help
says 2 "from 1 to 100" run --rate 101
says 2 "from 1 to 100" --rate 0
says 2 "there are: cpu disk" run --collectors cpu,nonesuch
says 2 "COLLECTOR=MILLISECONDS" run --period cpu
says 2 "at least 8M" run --memory 4M
says 2 "64M, 1G" run --memory much
says 2 "no option '--bogus'" run --bogus
says 2 "missing after '--rate'" run --rate
says 2 "127.0.0.1:9820" run --listen nowhere
says 2 "name some" run --collectors=
says 2 "from 10 to 3600000" run --period cpu=5
says 2 "write 2 or 0.5" run --cpu-budget none
says 1 "/nonexistent" run --proc /nonexistent
for verb in run status get collectors metrics; do
	says 0 "usage: strobe $verb" "$verb" --help
	says 2 "'strobe $verb --help' lists the options" "$verb" --bogus
done
says 2 "missing after '--url'; 'strobe get --help'" get --url
says 2 "takes no argument 'x'" collectors x
says 2 "takes no argument 'x'" run x
says 2 "one PATTERN" metrics a b
says 1 "loopback" run --listen 192.0.2.1:80 --runtime-dir "$dir"
says 0 "kernel.percpu.cpu.user" metrics 'kernel.percpu.cpu.us*'
says 0 '"unit"' metrics --json strobe.tick
says 1 "no metric matches" metrics nonesuch.at.all
says 0 "memory" collectors
says 0 '"state"' collectors --json
[ -z "$(ls "$dir")" ] || fail "a start that failed left something: $(ls -R "$dir")"

start one --listen 127.0.0.1:0 --runtime-dir "$dir" --memory 16M
one=$pid
url=$(sed -n 's/^strobe: listening on \(http:\/\/127.0.0.1:[0-9]*\/\)#token=[0-9a-f]\{32\}$/\1/p' "$dir/one")
[ -n "$url" ] || fail "not the line: $(cat "$dir/one")"
json=$dir/auto/agent.json
[ "$(stat -c %a "$json")" = 600 ] || fail "agent.json may be read by others"
grep -q "\"url\": \"$url\"" "$json" || fail "agent.json has another url: $(cat "$json")"
grep -q "\"pid\": $one" "$json" || fail "agent.json has another pid"
id=$(sed -n 's/.*"log_id": "\(.*\)".*/\1/p' "$json")
port=${url%/}
port=${port##*:}

# another on the same port is told where the first one is; on port 0 it runs beside it
says 1 "already running here: $url#token=" run --listen "127.0.0.1:$port" --runtime-dir "$dir"
mkdir "$dir/elsewhere"
XDG_RUNTIME_DIR=$dir says 1 "127.0.0.1:$port" run --listen "127.0.0.1:$port" --runtime-dir "$dir/elsewhere"
exec 5<&4
start two --listen 127.0.0.1:0 --runtime-dir "$dir" --memory 16M --collectors cpu
[ -f "$dir/auto-2/agent.json" ] || fail "the second agent has no place of its own"
stop "$pid"
[ ! -e "$dir/auto-2/agent.json" ] || fail "agent.json is still there after a clean end"
exec 4<&5

# killed at once, it goes on with the same log
kill -9 "$one"
wait "$one" 2>/dev/null
[ -e "$json" ] || fail "nothing left of the killed agent"
start three --listen 127.0.0.1:0 --runtime-dir "$dir" --memory 16M
grep -q "found .* of an earlier run" "$dir/err.three" || fail "it did not find its log again"
grep -q "\"log_id\": \"$id\"" "$json" || fail "another log_id after the restart"
stop "$pid"

# a token of one's own; no place for a file: still runs, and says so
mkdir "$dir/shared" && chmod 0777 "$dir/shared"
STROBE_TOKEN=0123456789abcdefghij
export STROBE_TOKEN
start four --listen 127.0.0.1:0 --runtime-dir "$dir/shared" --memory 16M --rate 100
grep -q '#token=0123456789abcdefghij$' "$dir/four" || fail "not the token that was set"
grep -q "others may write there" "$dir/err.four" || fail "a folder of everyone was taken"
grep -q "no crash recovery" "$dir/err.four" || fail "no word of the log in memory"
stop "$pid"
unset STROBE_TOKEN

# few files: it says so
start few sh -c 'ulimit -n 60; exec "$0" "$@"' "$STROBE" run --listen 127.0.0.1:0 --runtime-dir "$dir" --memory 16M \
	--collectors cpu
grep -q "only 60 files may be open.*ulimit -n" "$dir/err.few" || fail "no word of the limit of files"
stop "$pid"

# without privileges
if [ "$(id -u)" -eq 0 ] && command -v setpriv >/dev/null; then
	mkdir "$dir/other" && chown 65534 "$dir/other" && chmod 0711 "$dir"
	real=$STROBE
	STROBE=$dir/plain
	printf '#!/bin/sh\nexec setpriv --reuid 65534 --regid 65534 --clear-groups --no-new-privs "%s" "$@"\n' \
		"$(realpath "$real")" >"$STROBE"
	chmod 0755 "$STROBE"
	if "$STROBE" --version >/dev/null 2>&1; then
		start five --listen 127.0.0.1:0 --runtime-dir "$dir/other" --memory 16M
		stop "$pid"
	fi
fi
echo "100%: Checks: $n, Failures: 0, Errors: 0"
