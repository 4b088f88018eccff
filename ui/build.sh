#!/bin/sh
# Builds the dashboard into BUILD/ui/dist.
set -eu
out=$1/ui/dist
mkdir -p "$out"
printf '<!doctype html><title>strobe</title><p>strobe' > "$out/index.html"
