#!/bin/sh
# Programs and libraries without symbols: their frames say where they are, and what would name them.
. "$(dirname "$0")/cli_lib.sh"
command -v cc >/dev/null || { echo "0 passed, 0 failed, 1 skipped (no C compiler)"; exit 77; }
cat >"$dir/lib.c" <<'C'
static volatile unsigned sink;
static __attribute__((noinline)) void hidden(void) { for (unsigned i = 0; i < 1000000; i++) sink += i; }
void shown(void) { hidden(); sink++; }
C
cat >"$dir/main.c" <<'C'
#include <time.h>
void shown(void);
static volatile unsigned sink;
static __attribute__((noinline)) void own(void) { for (unsigned i = 0; i < 1000000; i++) sink += i; }
int main(void) { for (time_t end = time(0) + 60; time(0) < end;) { own(); shown(); } }
C
# By hand, as of a vendor: not of any package, and without .gnu_debuglink.
cc -O1 -fPIC -shared -s -Wl,--build-id -o "$dir/libbare.so" "$dir/lib.c" || fail "cc"
cc -O1 -s -Wl,--build-id -o "$dir/bare" "$dir/main.c" "$dir/libbare.so" -Wl,-rpath,"$dir" || fail "cc"
build_id() { readelf -n "$1" | sed -n 's/.*Build ID: //p'; }
start one "$STROBE" run --listen 127.0.0.1:0 --collectors load,strobe --no-off-cpu --runtime-dir "$dir/one"
if "$STROBE" status --json --url "$url" | grep -q '"profiler":.*not permitted'; then
	echo "0 passed, 0 failed, 1 skipped (profiling is not permitted)"
	exit 77
fi
"$dir/bare" &
pids="$pids $!"
packaged=
if command -v gzip >/dev/null && grep -qx -e /bin/gzip -e /usr/bin/gzip /var/lib/dpkg/info/gzip.list 2>/dev/null; then
	packaged=gzip
	gzip -9 </dev/zero >/dev/null &
	pids="$pids $!"
fi
json() { "$STROBE" flame --url "$url" --from -60s --process "$1" --json >"$dir/json" 2>/dev/null; }
said() { # PROCESS TEXT: in the list of what is missing
	json "$1" && sed 's/.*"missing":\[\([^]]*\)\].*/\1/' "$dir/json" | grep -q -e "$2"
}
for file in bare libbare.so; do
	until_ok 20 said bare "\"$file: stripped.*no package has it.*$(build_id "$dir/$file")" ||
		fail "$file: $(grep -o '"missing":.*' "$dir/json" | head -c 2000)"
	ok
	grep -q "\"n\":\"$file+0x[0-9a-f]*\"" "$dir/json" || fail "no frame of $file"
	ok
done
if [ "$packaged" ]; then
	until_ok 20 said gzip '"gzip: stripped.*install gzip-dbgsym' || fail "gzip: $(grep -o '"missing":.*' "$dir/json" | head -c 2000)"
	ok
fi
"$STROBE" flame --url "$url" --from -60s --process bare --html >"$dir/html" || fail "no page"
grep -q '"missing":\["[^]]*libbare.so: stripped' "$dir/html" || fail "the page does not say so"
ok
stop "$pid"
echo "$n passed, 0 failed"
