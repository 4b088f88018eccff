#!/bin/bash
# One process that computes, reads, writes and waits, against pidstat over the whole of its work, and
# against its own /proc files; the number of processes against ps.
cd "$(dirname "$0")/../.." || exit 1
. tests/truth/lib.sh
need pidstat ps
agent_start --collectors process
seconds=10

# The target waits for a line, works for eight seconds, and waits until it is stopped.
mkfifo "$work/go"
cat >"$work/target" <<-'EOF'
	read -r _ <"$1/go"
	SECONDS=0
	while [ "$SECONDS" -lt 8 ]; do
		for ((i = 0; i < 5000; i++)); do :; done
		printf '%0262144d' 0 >"$1/written"
		while read -r -n 512 _; do break; done <"$1/written"
		read -r -t 0.01 _ <>"$1/never"
	done
	read -r _ <>"$1/never"
EOF
mkfifo "$work/never"
bash "$work/target" "$work" &
target=$!
load_pids=$target
sleep 1.5

# The lines "name value" of the target's files.
files() {
	awk '{ print "f_" $1, $2 }' "/proc/$target/io" | tr -d :
	awk '{ print "f_cpu", $1; print "f_delay", $2; print "f_runs", $3 }' "/proc/$target/schedstat"
	awk '/ctxt_switches/ { print "f_" $1, $2 }' "/proc/$target/status" | tr -d :
	sed 's/.*) //' "/proc/$target/stat" |
		awk '{ print "f_minflt", $8; print "f_utime", $12 * 10; print "f_stime", $13 * 10 }'
}

between a files
from=$(now)
pidstat -h -u -r -d -w -p "$target" "$seconds" 1 >"$work/pidstat" &
watcher=$!
sleep 0.7
echo go >"$work/go"
wait "$watcher"
to=$(now)
sleep 0.3
between b files

# What pidstat says are rates over its interval; times the interval they are what the target did.
awk -v s="$seconds" '
	/^#/ { for (i = 2; i <= NF; i++) name[i - 1] = $i; next }
	NF > 5 {
		for (i = 1; i < NF; i++) v[name[i]] = $i
		print "p_user", v["%usr"] * s * 10
		print "p_system", v["%system"] * s * 10
		print "p_wait", v["%wait"] * s * 1e7
		print "p_minflt", v["minflt/s"] * s
		print "p_written", v["kB_wr/s"] * s * 1024
		print "p_cancelled", v["kB_ccwr/s"] * s * 1024
		print "p_switches", v["cswch/s"] * s
		print "p_nonvoluntary", v["nvcswch/s"] * s
	}' "$work/pidstat" >"$work/tool.p"

status=0
compare <<-EOF || status=1
	f_rchar proc.io.rchar $target 1 0 moved
	f_wchar proc.io.wchar $target 1 0 moved
	f_syscr proc.io.syscr $target 1 0 moved
	f_syscw proc.io.syscw $target 1 0 moved
	f_read_bytes proc.io.read_bytes $target 1 0 counter
	f_write_bytes proc.io.write_bytes $target 1 0 moved
	f_cancelled_write_bytes proc.io.cancelled_write_bytes $target 1 0 counter
	f_cpu proc.schedstat.cpu_time $target 1 0 moved
	f_delay proc.schedstat.run_delay $target 1 0 moved
	f_runs proc.schedstat.pcount $target 1 0 moved
	f_minflt proc.psinfo.minflt $target 1 0 moved
	f_utime proc.psinfo.utime $target 1 10 moved
	f_stime proc.psinfo.stime $target 1 10 moved
	f_voluntary_ctxt_switches proc.psinfo.vctxsw $target 1 0 moved
	f_nonvoluntary_ctxt_switches proc.psinfo.nvctxsw $target 1 0 moved
EOF

# pidstat began a little after `from` and ended a little before `to`, both while the target waited.
sed 's/ .*/ 0/' "$work/tool.p" >"$work/tool.a"
cp "$work/tool.p" "$work/tool.b"
echo "$from $(add "$from" 0.4)" >"$work/when.a"
echo "$(add "$to" -0.3) $to" >"$work/when.b"
# pidstat counts waiting in ticks of 10 ms.
compare <<-EOF || status=1
	p_user proc.psinfo.utime $target 1 20 moved
	p_system proc.psinfo.stime $target 1 20 moved
	p_wait proc.schedstat.run_delay $target 1 10000000 moved
	p_minflt proc.psinfo.minflt $target 1 1 moved
	p_written proc.io.write_bytes $target 1 4096 moved
	p_cancelled proc.io.cancelled_write_bytes $target 1 4096 counter
	p_switches proc.psinfo.vctxsw $target 1 1 moved
	p_nonvoluntary proc.psinfo.nvctxsw $target 1 1 counter
EOF

# ps sees itself and what its shell needs besides; others come and go.
count() { echo "n_procs $(ps -e --no-headers | wc -l)"; }
between a count
sleep 0.5
between b count
compare <<-EOF || status=1
	n_procs proc.nprocs - 1 6 level
EOF
exit $status
