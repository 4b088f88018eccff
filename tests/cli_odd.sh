#!/bin/sh
# Odd surroundings: signals ignored by the parent, standard files closed, a runtime directory that
# vanishes, a tmpfs that is full, things of the wrong kind where files are expected.
. "$(dirname "$0")/cli_lib.sh"
count() { "$STROBE" get strobe.tick.count --raw --url "$url" 2>/dev/null | awk 'END {print int($2)}'; }
ticks() { # it goes on
	was=$(count)
	more() { [ "$(count)" -gt "$((was + 3))" ]; }
	until_ok 10 more
}
run="$STROBE run --listen 127.0.0.1:0 --memory 8M --collectors cpu,strobe"

# nohup: what the parent ignores does not end it; without that a hangup does
# shellcheck disable=SC2016,SC2086
start nohup sh -c 'trap "" HUP; exec "$@"' sh $run --runtime-dir "$dir/nohup"
kill -HUP "$pid"
ticks || fail "a hangup that was to be ignored ended the agent"
stop "$pid"
# shellcheck disable=SC2086
start hangup $run --runtime-dir "$dir/hangup"
kill -HUP "$pid"
wait "$pid" || fail "status $? after SIGHUP"
ok

# closed standard files: none of its own files gets their numbers
# shellcheck disable=SC2086
STROBE_TOKEN=0123456789abcdef $run --runtime-dir "$dir/closed" <&- >&- 2>&- &
pid=$!
pids="$pids $pid"
until_ok 10 test -s "$dir/closed/auto/agent.json" || fail "no agent with closed standard files"
for fd in 0 1 2; do
	[ "$(readlink "/proc/$pid/fd/$fd")" = /dev/null ] || fail "descriptor $fd is $(readlink "/proc/$pid/fd/$fd")"
done
stop "$pid"
ok

# the directory goes away while it runs
# shellcheck disable=SC2086
start vanish $run --runtime-dir "$dir/vanish"
rm -r "$dir/vanish"
ticks || fail "no ticks without the runtime directory"
stop "$pid"
ok

# the tmpfs fills up while it runs, and is full when it starts again
if [ "$(id -u)" -eq 0 ] && unshare -m true 2>/dev/null; then
	mkdir "$dir/mount"
	# shellcheck disable=SC2016
	start full unshare -m sh -c 'mount -t tmpfs -o size=24m none "$0" && { cat /dev/zero >"$0/fill" 2>/dev/null & wait; } &&
		rm "$0/fill" && exec "$@"' "$dir/mount" $run --runtime-dir "$dir/mount/strobe"
	cat /dev/zero 2>/dev/null >"/proc/$pid/root$dir/mount/fill"
	ticks || fail "no ticks on a full tmpfs"
	stop "$pid"
	# shellcheck disable=SC2016
	start none unshare -m sh -c 'mount -t tmpfs -o size=24m none "$0" && { cat /dev/zero >"$0/fill" 2>/dev/null & wait; }
		exec "$@"' "$dir/mount" $run --runtime-dir "$dir/mount/strobe"
	grep -q "No space left on device" "$dir/err.none" || fail "no word of the full tmpfs"
	ticks || fail "no ticks with the log in memory"
	stop "$pid"
	ok
fi

# no file where a file should be: clients do not wait for it
mkdir -p "$dir/strobe/auto" && chmod 0700 "$dir/strobe" "$dir/strobe/auto"
mkfifo "$dir/strobe/auto/agent.json"
timeout 10 "$STROBE" status >/dev/null 2>"$dir/err.fifo"
[ $? -eq 1 ] || fail "a pipe for agent.json: status $?"
ok
for kind in fifo link folder; do
	mkdir -p "$dir/$kind/auto" && chmod 0700 "$dir/$kind" "$dir/$kind/auto"
	case $kind in
	fifo) mkfifo "$dir/$kind/auto/log" ;;
	link) echo precious >"$dir/precious" && ln -s "$dir/precious" "$dir/$kind/auto/log" ;;
	folder) mkdir "$dir/$kind/auto/log" ;;
	esac
	# shellcheck disable=SC2086
	start "log-$kind" $run --runtime-dir "$dir/$kind"
	grep -q "no crash recovery" "$dir/err.log-$kind" || fail "a $kind for the log: no word of it"
	stop "$pid"
done
[ "$(cat "$dir/precious")" = precious ] || fail "a file behind a link was written"
ok
echo "100%: Checks: $n, Failures: 0, Errors: 0"
