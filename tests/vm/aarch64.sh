#!/bin/sh
# Cross-compiles strobe and its C tests for arm64 and runs them under qemu's user emulation; then the whole
# agent samples this machine RUN_SECONDS (3) and answers. The arm64 libraries come out of Debian's archive
# through an apt state of their own and are unpacked, not installed. Everything lies under $AARCH64
# (build/aarch64). What this shows is that code, alignment, signs and system calls are right there; an
# emulator on x86 does not reorder memory as arm64 may: for that there is make check-tsan.
# DEPS: packages this machine needs. UNIT: names of tests, as for make check-unit. DEBIAN_MIRROR,
# DEBIAN_SUITE: where the libraries come from.
set -eu
cd "$(dirname "$0")/../.."
dir=$(realpath -m "${AARCH64:-build/aarch64}")
sysroot=$dir/sysroot out=$dir/out
# The emulator has a thread of its own in each process, which process_host counts, and a page that is
# being read does not hold up its process as process_lock needs it. It has no openat2 either, without which a
# file is not pinned as it is mapped (Linux 5.12): namer_modules writes over it then.
unit=${UNIT:-$(cd tests && ls test_*.c | sed 's/^test_\(.*\)\.c$/\1/' | grep -vx 'process_host\|process_lock\|namer_modules')}
packages='libwebsockets-dev libssl-dev libcap-dev libprotobuf-c-dev libjansson-dev zlib1g-dev libzstd-dev libdw-dev libelf-dev liblzma-dev libbz2-dev libiberty-dev libbpf-dev check
	libsubunit-dev libc6-dev'

die()
{
	echo "aarch64: $*" >&2
	exit 1
}

need_tools()
{
	missing=
	for p in ${DEPS:-gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user-static}; do
		dpkg-query -W -f='${Status}\n' "$p" 2>/dev/null | grep -q 'ok installed' ||
			missing="$missing $p"
	done
	[ -z "$missing" ] || die "needs more packages: apt-get install --no-install-recommends$missing"
}

# A status file of its own: to this apt nothing is installed, so all that the packages need is fetched.
private_apt()
{
	apt-get -q -o APT::Architecture=arm64 -o APT::Architectures=arm64 \
		-o Dir::Etc::sourceparts=- -o Dir::Etc::sourcelist="$dir/apt/sources.list" \
		-o Dir::State::lists="$dir/apt/lists" -o Dir::Cache="$dir/apt/cache" \
		-o Dir::State::status="$dir/apt/status" -o APT::Sandbox::User=root \
		-o Debug::NoLocking=1 "$@" >"$dir/apt/output" 2>&1 || {
		cat "$dir/apt/output" >&2
		die "no arm64 packages from $(cat "$dir/apt/sources.list")"
	}
}

make_sysroot()
{
	[ "$(cat "$sysroot/.packages" 2>/dev/null)" != "$packages" ] || return 0
	rm -rf "$sysroot" "$dir/apt"
	mkdir -p "$sysroot" "$dir/apt/lists/partial" "$dir/apt/cache/archives/partial"
	: >"$dir/apt/status"
	suite=${DEBIAN_SUITE:-$(. /etc/os-release && echo "$VERSION_CODENAME")}
	echo "deb ${DEBIAN_MIRROR:-http://deb.debian.org/debian} $suite main" >"$dir/apt/sources.list"
	echo "  FETCH   arm64 libraries of $suite into $sysroot"
	private_apt update
	# shellcheck disable=SC2086
	private_apt install -y --download-only --no-install-recommends $packages
	for deb in "$dir"/apt/cache/archives/*.deb; do
		dpkg-deb -x "$deb" "$sysroot"
	done
	rm -rf "$dir/apt" "$sysroot/usr/share/doc" "$sysroot/usr/share/man"
	# Absolute links point into the sysroot, not into this machine.
	find "$sysroot" -type l -lname '/*' | while read -r l; do
		ln -sfnr "$sysroot$(readlink "$l")" "$l"
	done
	echo "$packages" >"$sysroot/.packages"
}

# The dashboard is the same for every machine: the native build's is taken.
build()
{
	native=${B:-build}
	"${MAKE:-make}" --no-print-directory B="$native" "$native/gen/assets.c"
	mkdir -p "$out/gen"
	cmp -s "$native/gen/assets.c" "$out/gen/assets.c" || cp "$native/gen/assets.c" "$out/gen/assets.c"
	programs=$out/strobe
	for t in $unit; do
		programs="$programs $out/tests/test_$t"
	done
	lib=$sysroot/usr/lib/aarch64-linux-gnu
	# shellcheck disable=SC2086
	PKG_CONFIG_SYSROOT_DIR=$sysroot PKG_CONFIG_LIBDIR=$lib/pkgconfig:$sysroot/usr/share/pkgconfig \
		"${MAKE:-make}" --no-print-directory B="$out" SAN= CC="aarch64-linux-gnu-gcc --sysroot=$sysroot" \
		AR=aarch64-linux-gnu-ar -o "$out/ui/.built" -o "$out/gen/assets.c" $programs
	file=$(od -An -tx1 -j18 -N2 "$out/strobe" | tr -d ' ')
	[ "$file" = b700 ] || die "$out/strobe is not for aarch64"
}

# Wrappers, so that tests/run.sh and scripts that take $STROBE need not know of the emulator.
emulated()
{
	mkdir -p "$out/run"
	for program in strobe $(printf 'tests/test_%s ' $unit); do
		name=${program##*/}
		printf '#!/bin/sh\nexec qemu-aarch64-static -L %s %s "$@"\n' "$sysroot" "$out/$program" \
			>"$out/run/$name"
		chmod +x "$out/run/$name"
		[ "$name" = strobe ] || printf '%s ' "${out#"$PWD/"}/run/$name"
	done
}

need_tools
make_sysroot
build
programs=$(emulated)
# shellcheck disable=SC2086
STROBE=$out/run/strobe exec tests/run.sh $programs tests/vm/agent_samples.sh
