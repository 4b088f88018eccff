#!/bin/sh
# History on disk as a user meets it: it outlives the agent and its log, one agent at a time keeps it, and
# what is no history, or of another version, is refused in words and left as it is.
. "$(dirname "$0")/cli_lib.sh"
run="$STROBE run --listen 127.0.0.1:0 --memory 8M --collectors load,strobe --rate 20"
disk="--history $dir/disk --history-size 16M"
oldest() { "$STROBE" get strobe.tick.count --raw --from -1h --points 3600 --csv --url "$url" 2>/dev/null | sed -n 2p | cut -d, -f5; }
samples() { "$STROBE" get strobe.tick.count --raw --from -1h --points 1 --csv --url "$url" 2>/dev/null | awk -F, 'NR > 1 {n += $6} END {print n + 0}'; }

# a second agent is refused, with the first one's number
# shellcheck disable=SC2086
start one $run --runtime-dir "$dir/one" $disk
one=$pid
enough() { [ "$(samples)" -gt 60 ]; }
until_ok 20 enough || fail "no samples"
# shellcheck disable=SC2086
timeout 20 $run --runtime-dir "$dir/two" $disk >out 2>"$dir/err.two"
[ $? -eq 1 ] && grep -q "pid $one) keeps its history" "$dir/err.two" || fail "a second agent on one ring"
rm -f out
ok

# killed, and the log in memory lost: all but the last seconds come back, before the new beginning
until_ok 5 sh -c "'$STROBE' status --json --url '$url' | grep -q '\"blocks\":[1-9]'" || fail "nothing was sealed"
sleep 2.2
was=$(samples) begin=$(oldest)
kill -9 "$one"
wait "$one" 2>/dev/null
rm -r "$dir/one"
# shellcheck disable=SC2086
start again $run --runtime-dir "$dir/again" $disk
back() { [ "$(samples)" -ge $((was - 50)) ]; }
until_ok 20 back || fail "of $was samples $(samples) came back"
[ "$(oldest | cut -d. -f1)" -le $(($(echo "$begin" | cut -d. -f1) + 2)) ] || fail "the beginning $begin is now $(oldest)"
"$STROBE" status --url "$url" | grep -q 'disk ring .* of [0-9]* MiB' || fail "status does not tell of the ring: $("$STROBE" status --url "$url")"
stop "$pid"
ok

# a newer version, and what is no history: refused, byte for byte as it was
for kind in newer foreign; do
	mkdir -p "$dir/$kind"
	cp "$dir/disk/history.strobe" "$dir/$kind/"
	case $kind in
	newer) for at in 8 4104; do printf '\011' | dd of="$dir/newer/history.strobe" bs=1 seek=$at conv=notrunc 2>/dev/null; done ;;
	foreign) head -c 100000 /dev/urandom >"$dir/foreign/history.strobe" ;;
	esac
	cp "$dir/$kind/history.strobe" "$dir/kept"
	# shellcheck disable=SC2086
	timeout 20 $run --runtime-dir "$dir/$kind.run" --history "$dir/$kind" --history-size 16M >/dev/null 2>"$dir/err.$kind"
	[ $? -eq 1 ] && grep -q 'left as it is' "$dir/err.$kind" || fail "$kind: $(cat "$dir/err.$kind")"
	cmp -s "$dir/kept" "$dir/$kind/history.strobe" || fail "$kind: the file was changed"
done
ok

# no room for it: the agent runs, with its history in memory, and says so
if mkdir "$dir/small" && mount -t tmpfs -o size=4m none "$dir/small" 2>/dev/null; then
	trap 'for p in $pids; do kill -9 "$p"; done 2>/dev/null; wait 2>/dev/null; umount "$dir/small" 2>/dev/null; rm -rf "$dir"' EXIT
	# shellcheck disable=SC2086
	start small $run --runtime-dir "$dir/small.run" --history "$dir/small/x" --history-size 16M
	grep -q 'history is kept in memory only: no room' "$dir/err.small" || fail "no room: $(cat "$dir/err.small")"
	until_ok 20 enough || fail "no samples without room"
	stop "$pid"
	umount "$dir/small"
	ok
fi

# wrong options
"$STROBE" run --history-size 32M 2>&1 | grep -q 'needs --history DIR' || fail "a size without a folder"
"$STROBE" run --history "$dir/x" --history-size 1M 2>&1 | grep -q 'at least 16M' || fail "a size too small"
ok
echo "$n passed, 0 failed"
