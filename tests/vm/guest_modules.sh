# Sourced by the guest's /init (tests/vm/guest_hotplug.sh): a module of the kernel that is loaded, at work, taken out and
# loaded again while an agent runs.
module_frames() { # COUNT: at least so many samples in functions of the module in the last two seconds
	strobe flame --from -2s --folded 2>/dev/null | awk -v want="$1" '
		/;brd_[a-z_]+/ { n += $NF }
		END { exit n < want }'
}
write_blocks() {
	while :; do dd if=/dev/zero of=/dev/ram0 bs=1M count=8 conv=fsync; done 2>/dev/null &
	spins="${spins:-} $!"
}
taken_out() { rmmod brd; }

start d --no-off-cpu
check "an agent before a module is loaded" alive
sleep 6 # its symbols were read long ago
insmod /brd.ko rd_nr=1 rd_size=8192
write_blocks
check "functions of a module that was loaded later" module_frames 5
strobe flame --from -10s --folded | tr ';' '\n' | grep -o '^brd_[a-z_.]*' | sort | uniq -c | sed 's/^/note    /'
calm
check "it is taken out" taken_out
sleep 6
insmod /brd.ko rd_nr=1 rd_size=8192
write_blocks
check "loaded again, perhaps elsewhere: its functions" module_frames 5
calm
stop
