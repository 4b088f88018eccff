#!/bin/sh
# Each CPU's times, page faults and pressure against the averages of mpstat and sar over 10 s, in which the
# machine computes, forks and writes.
cd "$(dirname "$0")/../.." || exit 1
. tests/truth/lib.sh
need mpstat sar
agent_start --collectors cpu,memory,pressure

t0=$(now)
mpstat -P ALL 10 1 >"$work/mpstat" &
tool_pids=$!
sar -B 10 1 >"$work/faults" &
tool_pids="$tool_pids $!"
sar -q PSI 10 1 >"$work/psi" 2>/dev/null &
tool_pids="$tool_pids $!"
sleep 0.15 # they have begun by then
echo "$t0 $(now)" >"$work/when.a"
sleep 0.4
timeout 8 sh -c 'while :; do :; done' &
load_pids=$!
timeout 8 sh -c 'while :; do /bin/true; done' &
load_pids="$load_pids $!"
timeout 8 nice sh -c 'while :; do :; done' &
load_pids="$load_pids $!"
for pid in $load_pids; do wait "$pid" || :; done
load_pids=
sleep 1
t0=$(now)
for pid in $tool_pids; do wait "$pid" || :; done
echo "$t0 $(now)" >"$work/when.b"

# mpstat's shares are of the ticks that a CPU was given, on a virtual machine a few less than 10 s: hence 50.
# Shares of 10 s as milliseconds or, for pressure, microseconds; rates as counts.
awk '/^Average:/ && $2 ~ /^[0-9]+$/ {
	split("usr nice sys iowait irq soft steal guest gnice idle", f, " ")
	for (i = 1; i <= 10; i++) print f[i] $2, $(i + 2) * 100
}' "$work/mpstat" >"$work/tool.b"
awk '/^Average:/ { print "pgfault", $4 * 10; print "majflt", $5 * 10; print "pgfree", $6 * 10 }' \
	"$work/faults" >>"$work/tool.b"
awk '/^Average:/ && $2 ~ /%/ { head = $5 $9; next }
	/^Average:/ {
		if (head ~ /scpu/) print "cpu_some", $5 * 1e5
		if (head ~ /sio/) { print "io_some", $5 * 1e5; print "io_full", $9 * 1e5 }
		if (head ~ /smem/) { print "mem_some", $5 * 1e5; print "mem_full", $9 * 1e5 }
	}' "$work/psi" >>"$work/tool.b"
sed 's/ .*/ 0/' "$work/tool.b" >"$work/tool.a"

{
	awk '$1 ~ /^usr/ {
		n = substr($1, 4)
		print "usr" n, "kernel.percpu.cpu.user", "cpu" n, 1, 50, "counter"
		print "nice" n, "kernel.percpu.cpu.nice", "cpu" n, 1, 50, "counter"
		print "sys" n, "kernel.percpu.cpu.sys", "cpu" n, 1, 50, "counter"
		print "iowait" n, "kernel.percpu.cpu.wait.total", "cpu" n, 1, 50, "counter"
		print "irq" n, "kernel.percpu.cpu.irq.hard", "cpu" n, 1, 50, "counter"
		print "soft" n, "kernel.percpu.cpu.irq.soft", "cpu" n, 1, 50, "counter"
		print "steal" n, "kernel.percpu.cpu.steal", "cpu" n, 1, 50, "counter"
		print "idle" n, "kernel.percpu.cpu.idle", "cpu" n, 1, 50, "counter"
	}' "$work/tool.b"
	echo "pgfault mem.vmstat.pgfault - 1 1 moved"
	echo "majflt mem.vmstat.pgmajfault - 1 1 counter"
	echo "pgfree mem.vmstat.pgfree - 1 1 moved"
	if grep -q scpu "$work/psi"; then # else a kernel without pressure information
		# sar prints hundredths of a percent: 1,000 us.
		echo "cpu_some kernel.all.pressure.cpu.some.total - 1 2000 moved"
		echo "io_some kernel.all.pressure.io.some.total - 1 2000 counter"
		echo "io_full kernel.all.pressure.io.full.total - 1 2000 counter"
		echo "mem_some kernel.all.pressure.memory.some.total - 1 2000 counter"
		echo "mem_full kernel.all.pressure.memory.full.total - 1 2000 counter"
	fi
} | compare
