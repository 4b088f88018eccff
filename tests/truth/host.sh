#!/bin/sh
# CPU, scheduler, memory, paging, disks, interfaces, load and files against vmstat, iostat, ip, uptime and
# sysctl over 10 s in which the machine computes, forks, reads and writes a disk and sends over loopback.
cd "$(dirname "$0")/../.." || exit 1
. tests/truth/lib.sh
need vmstat iostat ip sysctl dd socat
agent_start --collectors cpu,memory,disk,interface,load,files

# The lines "name value" of all tools.
tools() {
	vmstat -s | awk '
		/non-nice user cpu/ { print "user", $1 }
		/ nice user cpu/ && !/non-nice/ { print "nice", $1 }
		/system cpu/ { print "sys", $1 }
		/idle cpu/ { print "idle", $1 }
		/IO-wait cpu/ { print "iowait", $1 }
		/ IRQ cpu/ { print "irq", $1 }
		/softirq cpu/ { print "softirq", $1 }
		/stolen cpu/ { print "steal", $1 }
		/K paged in/ { print "pgpgin", $1 }
		/K paged out/ { print "pgpgout", $1 }
		/pages swapped in/ { print "pswpin", $1 }
		/pages swapped out/ { print "pswpout", $1 }
		/ interrupts/ { print "intr", $1 }
		/context switches/ { print "ctxt", $1 }
		/ forks/ { print "forks", $1 }
		/total memory/ { print "mem_total", $1 }
		/free memory/ { print "mem_free", $1 }
		/ active memory/ { print "mem_active", $1 }
		/inactive memory/ { print "mem_inactive", $1 }
		/buffer memory/ { print "mem_buffer", $1 }
		/total swap/ { print "swap_total", $1 }'
	vmstat -d | awk -v d="$disk" '$1 == d {
		print "d_reads", $2; print "d_rmerged", $3; print "d_rsectors", $4; print "d_rms", $5
		print "d_writes", $6; print "d_wmerged", $7; print "d_wsectors", $8; print "d_wms", $9 }'
	iostat -d -k "$disk" | awk -v d="$disk" '$1 == d { print "io_rkb", $6; print "io_wkb", $7 }'
	for i in lo $nic; do
		ip -s link show "$i" | awk -v i="$i" '
			/RX:/ { getline; print i "_rbytes", $1; print i "_rpackets", $2; print i "_rerrors", $3 }
			/TX:/ { getline; print i "_tbytes", $1; print i "_tpackets", $2; print i "_terrors", $3
				print i "_colls", $6 }'
	done
	uptime | sed 's/.*average: *//; s/,//g' | awk '{ print "load1", $1; print "load5", $2; print "load15", $3 }'
	sysctl -n fs.file-nr | awk '{ print "files", $1; print "files_max", $3 }'
	sysctl -n fs.inode-nr | awk '{ print "inodes", $1 }'
}

# The load begins after the window did, and ends before it does.
run_load() {
	sleep 0.5
	timeout 9 sh -c 'while :; do :; done' &
	load_pids=$!
	timeout 9 sh -c 'while :; do /bin/true; done' &
	load_pids="$load_pids $!"
	file=$(mktemp "${B:-build}/strobe-truth.XXXXXX")
	dd if=/dev/zero of="$file" bs=1M count=96 oflag=direct 2>/dev/null ||
		dd if=/dev/zero of="$file" bs=1M count=96 conv=fsync 2>/dev/null
	dd if="$file" of=/dev/null bs=64k iflag=direct 2>/dev/null || :
	rm -f "$file"
	# To a port that nobody listens on: sent and received all the same.
	head -c 64M /dev/zero | timeout 9 socat -u -b 1400 - UDP-DATAGRAM:127.0.0.1:9 2>/dev/null || :
	for pid in $load_pids; do wait "$pid" || :; done
	load_pids=
	sync
	sleep 0.5
}

disk=$(lsblk -ndo NAME,TYPE,SIZE -b 2>/dev/null | awk '$2 == "disk" && $3 > 0 { print $1; exit }')
nic=$(ip -o link show up | awk -F ': ' '$2 != "lo" { sub(/@.*/, "", $2); print $2; exit }')
# The load must show where it went to.
case $(findmnt -nvo SOURCE -T .) in
	/dev/"$disk"*) on_disk=moved ;;
	*) on_disk=counter ;;
esac

between a tools
start=$(date +%s)
run_load
between b tools
echo "window: $(($(date +%s) - start)) s, disk ${disk:-none}, interfaces lo $nic"

{
	cat <<-EOF
	user     kernel.all.cpu.user       - 0.1 2 moved
	nice     kernel.all.cpu.nice       - 0.1 2 counter
	sys      kernel.all.cpu.sys        - 0.1 2 moved
	idle     kernel.all.cpu.idle       - 0.1 2 counter
	iowait   kernel.all.cpu.wait.total - 0.1 2 counter
	irq      kernel.all.cpu.irq.hard   - 0.1 2 counter
	softirq  kernel.all.cpu.irq.soft   - 0.1 2 counter
	steal    kernel.all.cpu.steal      - 0.1 2 counter
	intr     kernel.all.intr           - 1 0 moved
	ctxt     kernel.all.pswitch        - 1 0 moved
	forks    kernel.all.sysfork        - 1 0 moved
	pgpgin   mem.vmstat.pgpgin         - 1 0 counter
	pgpgout  mem.vmstat.pgpgout        - 1 0 counter
	pswpin   mem.vmstat.pswpin         - 1 0 counter
	pswpout  mem.vmstat.pswpout        - 1 0 counter
	mem_total    mem.physmem       - 1 0 level
	mem_free     mem.util.free     - 1 4 level
	mem_active   mem.util.active   - 1 4 level
	mem_inactive mem.util.inactive - 1 4 level
	mem_buffer   mem.util.bufmem   - 1 4 level
	swap_total   mem.util.swapTotal - 1 0 level
	load1    kernel.all.load 1%20minute  1 0.01 slow
	load5    kernel.all.load 5%20minute  1 0.01 slow
	load15   kernel.all.load 15%20minute 1 0.01 slow
	files     vfs.files.count  - 1 64 level
	files_max vfs.files.max    - 1 0 level
	inodes    vfs.inodes.count - 1 64 level
	lo_rbytes   network.interface.in.bytes    lo 1 0 moved
	lo_rpackets network.interface.in.packets  lo 1 0 moved
	lo_tbytes   network.interface.out.bytes   lo 1 0 moved
	lo_tpackets network.interface.out.packets lo 1 0 moved
	EOF
	[ -z "$disk" ] || cat <<-EOF
	d_reads    disk.dev.read            $disk 1 0 counter
	d_rmerged  disk.dev.read_merge      $disk 1 0 counter
	d_rsectors disk.dev.read_bytes      $disk 2 0 counter
	d_rms      disk.dev.read_rawactive  $disk 1 1 counter
	d_writes   disk.dev.write           $disk 1 0 $on_disk
	d_wmerged  disk.dev.write_merge     $disk 1 0 counter
	d_wsectors disk.dev.write_bytes     $disk 2 0 $on_disk
	d_wms      disk.dev.write_rawactive $disk 1 1 counter
	io_rkb     disk.dev.read_bytes      $disk 1 1 counter
	io_wkb     disk.dev.write_bytes     $disk 1 1 counter
	EOF
	[ -z "$nic" ] || cat <<-EOF
	${nic}_rbytes   network.interface.in.bytes    $nic 1 0 counter
	${nic}_rpackets network.interface.in.packets  $nic 1 0 counter
	${nic}_rerrors  network.interface.in.errors   $nic 1 0 counter
	${nic}_tbytes   network.interface.out.bytes   $nic 1 0 counter
	${nic}_tpackets network.interface.out.packets $nic 1 0 counter
	${nic}_terrors  network.interface.out.errors  $nic 1 0 counter
	${nic}_colls    network.interface.collisions  $nic 1 0 counter
	EOF
} | compare
