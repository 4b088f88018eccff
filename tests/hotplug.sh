#!/bin/sh
# run.sh: alone
# Interfaces, disks and CPUs that really come and go while the agent runs: they appear and disappear as
# instances without a restart, and their counters, which begin anew, make no spike.
: "${STROBE:?}"
[ "$(id -u)" -eq 0 ] || { echo "needs root"; exit 77; }
# A network namespace of its own, so that the host's interfaces are left alone.
if [ -z "${HOTPLUG_INSIDE:-}" ]; then
	HOTPLUG_INSIDE=1 exec unshare -n "$0" "$@"
fi
ip link set lo up
dir=$(mktemp -d)
passed=0 failed=0 loop= pid= cpu=
finish() {
	[ -z "$loop" ] || losetup -d "$loop" 2>/dev/null
	[ -z "$cpu" ] || echo 1 >"$cpu"
	[ -z "$pid" ] || { kill "$pid"; wait "$pid"; } 2>/dev/null
	rm -rf "$dir"
}
trap finish EXIT
trap 'exit 1' INT TERM

"$STROBE" run --listen 127.0.0.1:0 --runtime-dir "$dir/run" \
	--collectors cpu,disk,interface,softnet,interrupts >"$dir/out" 2>"$dir/err" &
pid=$!
i=0
until url=$(sed -n 's/^strobe: listening on //p' "$dir/out") && [ -n "$url" ]; do
	i=$((i + 1))
	[ $i -lt 100 ] || { cat "$dir/err"; exit 1; }
	sleep 0.1
done
api() {
	curl -sf -G -H "Authorization: Bearer ${url##*token=}" "${url%%#*}api/v1/query" "$@"
}
# csv METRIC INSTANCE FROM: rows of points with a sample
csv() {
	api -d "metric=$1" -d "instance=$2" -d "from=$3" -d points=100 -d format=csv
}
# Is there a sample of METRIC{INSTANCE} in the last second?
alive() {
	csv "$1" "$2" -1s 2>/dev/null | grep -q ",$2,\|\"$2\""
}
check() { # NAME CMD...
	name=$1
	shift
	n=0
	while [ $n -lt 40 ]; do
		if "$@"; then
			echo "ok      $name"
			passed=$((passed + 1))
			return
		fi
		sleep 0.1
		n=$((n + 1))
	done
	echo "FAILED  $name"
	failed=$((failed + 1))
}
gone() { ! alive "$@"; }
# No point of METRIC{INSTANCE} in the last 20 s above LIMIT (column max of the CSV).
below() {
	csv "$1" "$2" -20s | awk -F, -v limit="$3" '
		NR == 1 { for (i = 1; i <= NF; i++) if ($i == "max") col = i; next }
		col && $col + 0 > limit { bad = 1 }
		END { exit !(col && NR > 1) || bad }'
}

sleep 0.5
check "no veth at first" gone network.interface.in.bytes strobe0
ip link add strobe0 type veth peer name strobe1 && ip link set strobe0 up && ip link set strobe1 up
check "a new interface appears" alive network.interface.in.bytes strobe0
ip link del strobe0
check "a removed interface disappears" gone network.interface.in.bytes strobe0
ip link add strobe0 type veth peer name strobe1 && ip link set strobe0 up
check "the same name appears again" alive network.interface.in.bytes strobe0
check "no false spike of bytes" below network.interface.in.bytes strobe0 100000
ip link del strobe0

dd if=/dev/zero of="$dir/disk" bs=1M count=8 status=none
if loop=$(losetup -f --show "$dir/disk" 2>/dev/null); then
	dev=${loop#/dev/}
	dd if="$loop" of=/dev/null bs=64k status=none
	check "a new loop device appears" alive disk.dev.read_bytes "$dev"
	dd if="$loop" of=/dev/null bs=64k iflag=direct status=none 2>/dev/null
	losetup -d "$loop"
	loop=
	check "a detached loop device disappears" gone disk.dev.read_bytes "$dev"
else
	echo "skip    no loop device here"
fi

online=/sys/devices/system/cpu/cpu1/online
if [ -w $online ] && echo 0 2>/dev/null >$online; then
	cpu=$online
	check "an offline CPU disappears" gone kernel.percpu.cpu.idle cpu1
	check "the other goes on" alive kernel.percpu.cpu.idle cpu0
	for metric in network.softnet.percpu.processed kernel.percpu.intr; do
		check "$metric without it" gone $metric cpu1
	done
	check "softirqs without it" gone kernel.percpu.softirqs TIMER::cpu1
	echo 1 >$online
	cpu=
	check "the CPU comes back" alive kernel.percpu.cpu.idle cpu1
	sleep 0.5
	# idle time is at most one CPU's: 1000 ms a second, and a quantum (10 ms in 100 ms) on top
	check "no false spike of idle time" below kernel.percpu.cpu.idle cpu1 1250
	# Sums over CPUs keep the part of one that was away. A timer ticks at most 1,000 times a second on each.
	check "interrupts with it" alive kernel.percpu.intr cpu1
	check "softirqs with it" alive kernel.percpu.softirqs TIMER::cpu1
	! grep -q '^ *LOC:' /proc/interrupts ||
		check "no false spike of timer interrupts" below kernel.all.interrupts.total LOC 20000
	check "no false spike of timer softirqs" below kernel.all.softirqs.total TIMER 20000
	check "no false spike of packets" below network.softnet.processed "" 100000
else
	echo "skip    this machine cannot take a CPU offline"
fi
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
