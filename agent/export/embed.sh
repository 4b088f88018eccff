#!/bin/sh
# Packs text files into C strings. The same files give the same bytes. Usage: embed.sh OUT.c NAME FILE...
set -eu
LC_ALL=C
export LC_ALL
out=$1
shift
{
	echo '/* Made by agent/export/embed.sh. */'
	echo '#include "export/page.h"'
	while [ $# -gt 0 ]; do
		echo "const char $1[] = {"
		od -An -v -tx1 "$2" | sed 's/ \(..\)/0x\1,/g'
		echo '0};'
		shift 2
	done
} >"$out"
