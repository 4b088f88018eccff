#!/bin/sh
# Packs the files of a folder into one C file: gzip -9 bytes, type and ETag of each, sorted by path.
# The same files give the same bytes. Usage: embed.sh FOLDER OUT.c
set -eu
LC_ALL=C
export LC_ALL
folder=$1 out=$2
table=$out.table
trap 'rm -f "$table" "$out.gz"' EXIT

mime() {
	case $1 in
	*.html) echo 'text/html; charset=utf-8' ;;
	*.js | *.mjs) echo 'text/javascript; charset=utf-8' ;;
	*.css) echo 'text/css; charset=utf-8' ;;
	*.json | *.map) echo 'application/json' ;;
	*.webmanifest) echo 'application/manifest+json' ;;
	*.svg) echo 'image/svg+xml' ;;
	*.png) echo 'image/png' ;;
	*.ico) echo 'image/x-icon' ;;
	*.woff2) echo 'font/woff2' ;;
	*.txt) echo 'text/plain; charset=utf-8' ;;
	*) echo 'application/octet-stream' ;;
	esac
}

{
	echo '/* Made by agent/serve/embed.sh. */'
	echo '#include "serve/assets.h"'
} > "$out"
: > "$table"
n=0
for file in $(cd "$folder" && find . -type f | sort); do
	path=${file#.}
	case $path in
	*[!A-Za-z0-9._/-]*)
		echo "embed.sh: unexpected character in the name $path" >&2
		exit 1
		;;
	esac
	gzip -9nc "$folder/$file" > "$out.gz"
	etag=$(sha256sum < "$folder/$file" | cut -c1-32)
	immutable=0
	case $path in
	/assets/*) immutable=1 ;;
	esac
	{
		echo "static const uint8_t asset_$n[] = {"
		od -An -v -tx1 "$out.gz" | sed 's/ \(..\)/0x\1,/g'
		echo '};'
	} >> "$out"
	printf '\t{ "%s", "%s", "%s", asset_%d, sizeof(asset_%d), %d, %d },\n' "$path" "$(mime "$path")" \
		"$etag" "$n" "$n" "$(wc -c < "$folder/$file")" "$immutable" >> "$table"
	n=$((n + 1))
done
{
	echo 'const struct asset strobe_assets[] = {'
	cat "$table"
	printf '\t{ 0 },\n};\nconst size_t strobe_n_assets = %d;\n' "$n"
} >> "$out"
