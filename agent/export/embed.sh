#!/bin/sh
# Packs one text file into a C string. The same file gives the same bytes. Usage: embed.sh FILE NAME OUT.c
set -eu
LC_ALL=C
export LC_ALL
{
	echo '/* Made by agent/export/embed.sh. */'
	echo '#include "export/page.h"'
	echo "const char $2[] = {"
	od -An -v -tx1 "$1" | sed 's/ \(..\)/0x\1,/g'
	echo '0};'
} >"$3"
