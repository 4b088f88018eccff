#!/bin/sh
# IP, ICMP, TCP, UDP, sockets and the CPUs' packet queues against nstat, ss and the kernel's table over 10 s in
# which programs on loopback talk, are refused, reset and dropped.
cd "$(dirname "$0")/../.." || exit 1
. tests/truth/lib.sh
need nstat ss
netload=${B:-build}/tests/tool_netload
[ -x "$netload" ] || { echo "no $netload: make $netload" >&2; exit 1; }
agent_start --collectors tcpip,sockets,softnet

# The lines "name value" of all tools.
tools() {
	nstat -asz | awk 'NF >= 2 && $1 !~ /^#/ { print $1, $2 }'
	ss -s | awk '
		/^TCP:/ { gsub(/[(),]/, " "); for (i = 1; i < NF; i++) if ($i ~ /^(orphaned|timewait)$/) print "ss_" $i, $(i + 1) }
		$1 ~ /^(RAW|UDP|TCP|FRAG)$/ { print "ss_" $1, $3; print "ss_" $1 "6", $4 }'
	while read -r processed dropped squeezed _ _ _ _ _ _ rps limited _ cpu _; do
		[ -n "$cpu" ] || break # an older kernel does not say which CPU a line is of
		cpu=$((0x$cpu))
		echo "processed_$cpu $((0x$processed))"
		echo "dropped_$cpu $((0x$dropped))"
		echo "squeezed_$cpu $((0x$squeezed))"
		echo "rps_$cpu $((0x$rps))"
		echo "limited_$cpu $((0x$limited))"
	done </proc/net/softnet_stat
}

between a tools
start=$(date +%s)
sleep 0.5
"$netload" 8 &
load_pids=$!
wait "$load_pids"
load_pids=
sleep 1
between b tools
echo "window: $(($(date +%s) - start)) s"

# The load must show in these.
moved="IpInReceives IpInDelivers IpOutRequests IpExtInOctets IpExtOutOctets IcmpInMsgs IcmpInDestUnreachs
	IcmpOutMsgs TcpActiveOpens TcpPassiveOpens TcpAttemptFails TcpEstabResets TcpInSegs TcpOutSegs
	TcpRetransSegs TcpOutRsts TcpExtListenDrops TcpExtListenOverflows TcpExtTCPTimeouts TcpExtTCPSynRetrans
	TcpExtTCPAbortOnClose TcpExtTCPOrigDataSent UdpInDatagrams UdpNoPorts UdpInErrors UdpRcvbufErrors
	UdpOutDatagrams"

{
	# A field's name in nstat is that of the section and its own in one word.
	"$strobe" metrics network | awk -v moved="$moved" '
		BEGIN { n = split(moved, m, /[ \t\n]+/); for (i = 1; i <= n; i++) must[m[i]] = 1 }
		NF == 1 { name = $1 }
		$1 == "from" && $2 ~ /^\/proc\/net\/(snmp|snmp6|netstat)$/ {
			key = $3 $4
			kind = key in must ? "moved" : key == "TcpCurrEstab" ? "level" : "counter"
			print key, name, "-", 1, kind == "level" ? 2 : 0, kind
		}' | while read -r key rest; do
		! grep -q "^$key " "$work/tool.a" || echo "$key $rest" # a kernel need not have every field
	done
	cat <<-EOF2
	ss_TCP      network.sockstat.tcp.inuse  - 1 4 level
	ss_UDP      network.sockstat.udp.inuse  - 1 2 level
	ss_RAW      network.sockstat.raw.inuse  - 1 1 level
	ss_FRAG     network.sockstat.frag.inuse - 1 1 level
	ss_orphaned network.sockstat.tcp.orphan - 1 2 level
	ss_timewait network.sockstat.tcp.tw     - 1 8 level
	EOF2
	sed -n 's/^processed_\([0-9]*\) .*/\1/p' "$work/tool.a" | while read -r n; do
		echo "processed_$n network.softnet.percpu.processed        cpu$n 1 0 counter"
		echo "dropped_$n   network.softnet.percpu.dropped          cpu$n 1 0 counter"
		echo "squeezed_$n  network.softnet.percpu.time_squeeze     cpu$n 1 0 counter"
		echo "rps_$n       network.softnet.percpu.received_rps     cpu$n 1 0 counter"
		echo "limited_$n   network.softnet.percpu.flow_limit_count cpu$n 1 0 counter"
	done
} >"$work/map"
lines=$(wc -l <"$work/map")
[ "$lines" -ge 100 ] || { echo "only $lines figures to compare"; exit 1; }
compare <"$work/map"
