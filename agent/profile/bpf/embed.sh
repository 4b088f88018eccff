#!/bin/sh
# Compiles a program for the kernel and makes one C file of it. Without a clang that can do so the file holds nothing,
# and the agent goes without. Usage: embed.sh PROGRAM.c NAME OUT.c
set -eu
program=$1 name=$2 out=$3
clang=${BPF_CLANG:-clang}
object=$out.o
trap 'rm -f "$object"' EXIT

: > "$object"
if ! echo 'int x;' | "$clang" -target bpf -O2 -x c -c -o /dev/null - 2> /dev/null; then
	echo "  BPF     left out: $clang makes no eBPF programs (make deps installs one that does)" >&2
else
	# Debian keeps headers of the machine in a folder of its name.
	machine=$(${CC:-gcc} -print-multiarch 2> /dev/null || true)
	root=$(${CC:-gcc} -print-sysroot 2> /dev/null || true)
	root=${root%/}
	"$clang" -target bpf -mcpu=v3 -O2 -g -Wall -Wextra -Werror "-I$(dirname "$program")/../.." ${root:+"-I$root/usr/include"} \
		${machine:+"-I$root/usr/include/$machine"} -c -o "$object" "$program"
fi
{
	echo '/* Made by agent/profile/bpf/embed.sh. */'
	echo '#include <stddef.h>'
	echo "extern const unsigned char $name[];"
	echo "extern const size_t ${name}_len;"
	echo "_Alignas(8) const unsigned char $name[] = {"
	od -An -v -tx1 "$object" | sed 's/ \(..\)/0x\1,/g'
	echo '0 };'
	echo "const size_t ${name}_len = sizeof($name) - 1;"
} > "$out"
