#!/bin/sh
# Packs the files of a folder into one C file.
set -eu
echo 'int strobe_assets_dummy;' > "$2"
