#!/bin/sh
# Interrupts by source and CPU, softirqs by type and CPU against mpstat's averages over 10 s, in which the machine
# computes, writes and talks on loopback; memory of NUMA nodes against numastat's source in /sys.
cd "$(dirname "$0")/../.." || exit 1
. tests/truth/lib.sh
need mpstat
netload=${B:-build}/tests/tool_netload
[ -x "$netload" ] || { echo "no $netload: make $netload" >&2; exit 1; }
agent_start --collectors interrupts

t0=$(now)
# One run for each table: with all at once its sums of interrupts are those of softirqs.
tool_pids=
for table in SUM CPU SCPU; do
	mpstat -I $table -P ALL 10 1 >"$work/mpstat.$table" &
	tool_pids="$tool_pids $!"
done
sleep 0.15 # they have begun by then
echo "$t0 $(now)" >"$work/when.a"
sleep 0.4
timeout 8 sh -c 'while :; do /bin/true; done' &
load_pids=$!
"$netload" 8 &
load_pids="$load_pids $!"
for pid in $load_pids; do wait "$pid" || :; done
load_pids=
sleep 1
t0=$(now)
for pid in $tool_pids; do wait "$pid" || :; done
echo "$t0 $(now)" >"$work/when.b"

# Rates over 10 s as counts: source_SOURCE (all CPUs together), soft_TYPE_CPU, type_TYPE, intr_CPU.
awk '
	/^Average:/ && $2 == "CPU" { n = NF; for (i = 3; i <= NF; i++) { head[i] = $i; sub(/\/s$/, "", head[i]) } next }
	/^Average:/ && head[3] == "intr" { if ($2 != "all") count["intr_" $2] = $3 * 10; next }
	/^Average:/ {
		for (i = 3; i <= n; i++) {
			if (head[3] == "HI") { count["soft_" head[i] "_" $2] = $i * 10; count["type_" head[i]] += $i * 10 }
			else count["source_" head[i]] += $i * 10
		}
	}
	END { for (k in count) print k, count[k] }' "$work"/mpstat.* | sort >"$work/tool.b"
sed 's/ .*/ 0/' "$work/tool.b" >"$work/tool.a"

# The instance of a source begins with its number.
curl -sG -H "Authorization: Bearer $agent_token" -d metric=kernel.all.interrupts.total -d from=-10s -d to=now \
	-d points=1 -d rate=0 -d format=csv "$agent_url/api/v1/query" |
	awk -F , 'NR > 1 { split($2, w, ":"); print w[1], $2 }' >"$work/sources"

# Hundredths of a rate over 10 s, on each CPU: 0.1, and mpstat's 10 s are some milliseconds off.
awk -v sources="$work/sources" '
	BEGIN { while ((getline line < sources) > 0) { split(line, w, " "); name[w[1]] = substr(line, length(w[1]) + 2) } }
	{ split($1, w, "_"); key = $1; sub(/^[a-z]*_/, "", key) }
	/^intr_/ { print $1, "kernel.percpu.intr", "cpu" key, 1, 1, "moved" }
	/^type_/ { print $1, "kernel.all.softirqs.total", key, 1, 1, "counter" }
	/^soft_/ { cpu = key; sub(/.*_/, "", cpu); sub(/_[0-9]*$/, "", key)
		print $1, "kernel.percpu.softirqs", key "::cpu" cpu, 1, 1, "counter" }
	/^source_/ && key in name && name[key] !~ / / { print $1, "kernel.all.interrupts.total", name[key], 1, 1, "counter" }
' "$work/tool.b" >"$work/map"
lines=$(wc -l <"$work/map")
[ "$lines" -ge 20 ] || { echo "only $lines figures to compare"; cat "$work"/mpstat.*; exit 1; }
compare <"$work/map"
