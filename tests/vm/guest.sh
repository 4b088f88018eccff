#!/bin/sh
# Boots Debian's kernel in qemu (emulated: it needs no KVM) with the static agent ($STROBE_STATIC) and busybox in an
# initramfs, and runs the checks of tests/vm/guest_hotplug.sh there: CPUs that go, come back, and are new; and those of
# guest_modules.sh: a module of the kernel that is loaded while the agent runs. Nothing of this machine is touched. Everything lies under $GUEST (build/guest); the kernel's package is fetched once and
# unpacked, not installed. GUEST_SECONDS: how long it may take (600). DEPS: packages that this machine needs.
set -eu
cd "$(dirname "$0")/../.."
dir=$(realpath -m "${GUEST:-build/guest}")
: "${STROBE_STATIC:=build/strobe-static}" "${GUEST_SECONDS:=600}"

die()
{
	echo "guest: $*" >&2
	exit 1
}

need_tools()
{
	missing=
	for p in ${DEPS:-qemu-system-x86 busybox-static cpio}; do
		dpkg-query -W -f='${Status}\n' "$p" 2>/dev/null | grep -q 'ok installed' || missing="$missing $p"
	done
	[ -z "$missing" ] || die "needs more packages: apt-get install --no-install-recommends$missing"
	[ "$(uname -m)" = x86_64 ] || die "it emulates x86_64 and takes the kernel of this machine's archive"
}

make_kernel()
{
	ls "$dir"/k/boot/vmlinuz-* >/dev/null 2>&1 && return
	package=$(apt-cache depends linux-image-amd64 | sed -n 's/^ *Depends: *\(linux-image-[0-9].*\)/\1/p' | head -n 1)
	[ -n "$package" ] || die "no linux-image-amd64 in the package lists: apt-get update"
	mkdir -p "$dir"
	ls "$dir/$package"_*.deb >/dev/null 2>&1 || {
		echo "  FETCH   $package into $dir"
		(cd "$dir" && apt-get -q download "$package" >/dev/null) || die "apt-get download $package has failed"
	}
	dpkg-deb -x "$dir/$package"_*.deb "$dir/k"
}

make_root()
{
	rm -rf "$dir/root"
	mkdir -p "$dir/root/bin" "$dir/root/proc" "$dir/root/sys" "$dir/root/dev" "$dir/root/run" "$dir/root/tmp"
	cp "$(command -v busybox)" "$dir/root/bin/busybox"
	cp "$STROBE_STATIC" "$dir/root/bin/strobe"
	cp tests/vm/guest_hotplug.sh "$dir/root/init"
	cp tests/vm/guest_modules.sh "$dir/root/modules.sh"
	cp "$dir"/k/lib/modules/*/kernel/drivers/block/brd.ko "$dir/root/brd.ko"
	chmod 755 "$dir/root/init"
	(cd "$dir/root" && find . | cpio -o -H newc --quiet | gzip -1) >"$dir/initrd.gz"
}

# The monitor adds a CPU when the guest asks for one; what is said is $dir/console.
run_guest()
{
	rm -f "$dir/console" "$dir/monitor"
	mkfifo "$dir/monitor"
	qemu-system-x86_64 -accel tcg,thread=multi -cpu max -m 768 -smp 2,sockets=3,maxcpus=3 -display none \
		-no-reboot -net none -kernel "$dir"/k/boot/vmlinuz-* -initrd "$dir/initrd.gz" \
		-append "console=ttyS0 panic=-1 psi=1 quiet" -serial "file:$dir/console" -monitor stdio \
		<"$dir/monitor" >"$dir/monitor.out" 2>&1 &
	qemu=$!
	trap 'kill "$qemu" 2>/dev/null || :; rm -f "$dir/monitor"' EXIT
	exec 5>"$dir/monitor"
	left=$GUEST_SECONDS asked=
	while kill -0 "$qemu" 2>/dev/null; do
		[ $left -gt 0 ] || { cat "$dir/console"; die "it has not ended after $GUEST_SECONDS s"; }
		left=$((left - 1))
		if [ -z "$asked" ] && grep -q '^WANT a CPU' "$dir/console" 2>/dev/null; then
			echo 'device_add max-x86_64-cpu,id=third,socket-id=2,core-id=0,thread-id=0' >&5
			asked=1
		fi
		sleep 1
	done
	exec 5>&-
}

need_tools
make_kernel
make_root
run_guest
tr -d '\r' <"$dir/console" | grep -E '^(ok|FAILED|note|        |[0-9]+ passed)' || true
tr -d '\r' <"$dir/console" | grep -Eq '^[1-9][0-9]* passed, 0 failed$' || {
	tail -n 40 "$dir/console"
	die "see $dir/console"
}
