#!/bin/busybox sh
# /init of the guest of tests/vm/guest.sh: an agent on two CPUs, of which the second goes and comes back while both are busy,
# again and again; an agent that starts while it is away; a third CPU that was not there when the machine started.
/bin/busybox --install -s /bin
mount -t proc p /proc
mount -t sysfs s /sys
mount -t devtmpfs d /dev
mount -t tmpfs t /run
mount -t tmpfs t /tmp
ip link set lo up
export PATH=/bin HOME=/tmp STROBE_TOKEN=aaaaaaaaaaaaaaaaaaaa
passed=0 failed=0 agent= url=
cpu1=/sys/devices/system/cpu/cpu1/online

start() { # NAME [OPTION...]
	name=$1
	shift
	strobe run --listen 127.0.0.1:9820 --runtime-dir "/run/$name" --cpu-budget 100 "$@" >/tmp/out 2>/tmp/err &
	agent=$!
	url=
	for _ in $(seq 300); do
		url=$(sed -n 's/^strobe: listening on //p' /tmp/out)
		[ -z "$url" ] || break
		sleep 0.2
	done
	export STROBE_URL=$url
}
stop() {
	kill "$agent"
	wait "$agent"
}
spin() { # CPU: a loop that may run there only, until the CPU goes
	taskset "$((1 << $1))" sh -c 'while :; do :; done' &
	spins="${spins:-} $!"
}
calm() {
	for p in ${spins:-}; do kill -9 "$p"; wait "$p"; done 2>/dev/null
	spins=
}
# samples CPU FROM [OPTION...]: how many
samples() {
	c=$1 f=$2
	shift 2
	strobe flame --cpu "$c" --from "$f" "$@" 2>/dev/null | awk '{n += $NF} END {print n + 0}'
}
has_samples() { [ "$(samples "$@")" -ge 5 ]; }
no_samples() { [ "$(samples "$@")" -eq 0 ]; }
has_metric() { strobe get "$1" --instance "$2" --from -1s --points 1 --csv 2>/dev/null | grep -q "$2"; }
no_metric() { ! has_metric "$@"; }
alive() { kill -0 "$agent" && strobe status >/tmp/status 2>&1; }
healthy() { # no collector has failed, nobody has complained, but of ticks that this slow machine was late for
	! strobe collectors --json | tr '{' '\n' | grep '"failed"' && ! grep -E '^<[0-4]>' /tmp/err | grep -v 'ticks missed\|CPU budget'
}
quiet() { ! dmesg | grep -E 'BUG:|Oops|general protection|segfault'; }
below() { # METRIC INSTANCE LIMIT: no point of the last 30 s above it
	strobe get "$1" --instance "$2" --from -30s --points 100 --csv | awk -F, -v limit="$3" '
		NR == 1 { for (i = 1; i <= NF; i++) if ($i == "max") col = i; next }
		col && $col + 0 > limit { print; bad = 1 }
		END { exit !(col && NR > 1) || bad }'
}
check() { # NAME COMMAND...: within half a minute (all is emulated)
	name=$1
	shift
	for _ in $(seq 60); do
		if "$@" >/tmp/said 2>&1; then
			echo "ok      $name"
			passed=$((passed + 1))
			return
		fi
		sleep 0.5
	done
	echo "FAILED  $name"
	sed 's/^/        /' /tmp/said /tmp/err | head -n 20
	failed=$((failed + 1))
}

echo "note    $(uname -r), CPUs $(cat /sys/devices/system/cpu/online) of $(cat /sys/devices/system/cpu/possible)"
start a
spin 0
spin 1
check "an agent runs" alive
check "samples of the first CPU" has_samples 0 -5s
check "samples of the second" has_samples 1 -5s
check "stretches off the second" has_samples 1 -10s --off-cpu
check "its metrics" has_metric kernel.percpu.cpu.user cpu1

echo 0 >$cpu1
check "it goes: no metric of it" no_metric kernel.percpu.cpu.user cpu1
check "no sample of it" no_samples 1 -1s
check "the other is sampled" has_samples 0 -1s
for m in kernel.percpu.intr network.softnet.percpu.processed; do
	check "$m without it" no_metric $m cpu1
done
check "the agent is well without it" healthy
check "and alive" alive

echo 1 >$cpu1
spin 1
check "it comes back: samples of it" has_samples 1 -2s
check "stretches off it" has_samples 1 -2s --off-cpu
check "its metrics again" has_metric kernel.percpu.cpu.user cpu1
check "interrupts of it again" has_metric kernel.percpu.intr cpu1
check "no false spike of its time" below kernel.percpu.cpu.user cpu1 1500

for _ in 1 2 3 4 5 6 7 8; do
	echo 0 >$cpu1
	sleep 0.3
	echo 1 >$cpu1
	sleep 0.4
done
calm
spin 1
check "after eight times more: samples" has_samples 1 -2s
check "metrics" has_metric kernel.percpu.cpu.user cpu1
check "a burst, and it goes in it" sh -c "wget -q -O- --post-data= --header='Authorization: Bearer $STROBE_TOKEN' \
	'http://127.0.0.1:9820/api/v1/profile/burst?hz=499&seconds=3' && echo 0 >$cpu1 && sleep 1 && echo 1 >$cpu1"
spin 1
check "samples after that" has_samples 1 -2s
check "the agent is well" healthy
check "and alive" alive
check "no fault of the kernel's" quiet
stop
calm

echo 0 >$cpu1
start b
check "an agent that starts while it is away" alive
check "samples of the first" sh -c 'taskset 1 timeout 2 sh -c "while :; do :; done"; exit 0'
check "nothing of the second" no_samples 1 -5s
echo 1 >$cpu1
spin 1
check "samples when it is there" has_samples 1 -2s
check "metrics when it is there" has_metric kernel.percpu.cpu.user cpu1

echo "WANT a CPU"
new=
for _ in $(seq 60); do
	new=$(ls -d /sys/devices/system/cpu/cpu2 2>/dev/null)
	[ -z "$new" ] || break
	sleep 0.5
done
if [ -n "$new" ]; then
	echo 1 >$new/online 2>/dev/null
	spin 2
	check "a CPU that was not there at boot: samples" has_samples 2 -2s
	check "its stretches off it" has_samples 2 -5s --off-cpu
	check "its metrics" has_metric kernel.percpu.cpu.user cpu2
else
	echo "note    this kernel took no third CPU"
fi
check "the agent is well at the end" healthy
stop
calm

# A CPU without a sample is looked at, and no event of it opened again: it is idle, not gone.
start c --no-off-cpu --profile-hz 1
check "an agent on a machine at rest" alive
mount -t tracefs t /sys/kernel/tracing 2>/dev/null
opens=/sys/kernel/tracing/events/syscalls/sys_enter_perf_event_open/enable
if [ -w $opens ]; then
	sleep 3
	echo 1 >$opens
	sleep 25
	check "nothing is opened again" sh -c '! grep -m 5 sys_perf_event_open /sys/kernel/tracing/trace'
	echo 0 >$cpu1
	sleep 1.5
	echo 1 >$cpu1
	check "until a CPU was away" grep -q sys_perf_event_open /sys/kernel/tracing/trace
else
	echo "note    no events of system calls in this kernel"
fi
stop
[ $? -eq 0 ] && echo "ok      and ends in order" && passed=$((passed + 1)) || { echo "FAILED  its end"; failed=$((failed + 1)); }
. /modules.sh
echo "$passed passed, $failed failed"
sync
poweroff -f
