#!/bin/sh
# usage: build.sh BUILD
# Builds the dashboard into BUILD/ui/dist, and the page of `strobe flame --html`, one file, into
# BUILD/ui/dist-flame/flame.html. Needs npm and protoc; where the host's Node is older than
# 20.19 a pinned one is taken from npm into BUILD/node.
set -eu
build=$1
ui=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
. "$ui/node.sh"

gen=$build/ui/gen
rm -rf "$gen"
mkdir -p "$gen" "$ui/src/gen"
protoc --proto_path="$ui/../proto" --plugin=protoc-gen-es="$ui/node_modules/.bin/protoc-gen-es" \
	--es_out="$gen" --es_opt=target=ts strobe.proto
cmp -s "$gen/strobe_pb.ts" "$ui/src/gen/strobe_pb.ts" || cp "$gen/strobe_pb.ts" "$ui/src/gen/strobe_pb.ts"

cd "$ui"
node node_modules/vite/bin/vite.js build --logLevel warn --emptyOutDir --outDir "$build/ui/dist"
node node_modules/vite/bin/vite.js build --config vite.flame.config.ts --logLevel warn --emptyOutDir \
	--outDir "$build/ui/dist-flame"

# The page must stay light enough for a slow tunnel: what the first screen needs, gzipped.
size=0
for f in index.html $(sed -n 's/.*\(src\|href\)="\.\/\(assets\/[^"]*\)".*/\2/p' "$build/ui/dist/index.html"); do
	size=$((size + $(gzip -9c "$build/ui/dist/$f" | wc -c)))
done
echo "  UI      $size bytes gzipped at first (at most 112640)"
[ "$size" -le 112640 ] || { echo "ui: the page is too heavy" >&2; exit 1; }
