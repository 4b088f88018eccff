#!/bin/sh
# strobe flame: files of other tools in and out, checked with those tools where they are installed; ranges,
# baselines, standard input, what cannot be written, and an agent's answers.
fixtures=$(realpath "$(dirname "$0")/fixtures/profiles")
. "$(dirname "$0")/cli_lib.sh"
cd "$dir" || exit 1

# says STATUS WORDS ARGUMENT...: the exit status and a part of what is said
says() {
	want=$1 words=$2
	shift 2
	out=$("$STROBE" flame "$@" 2>&1 </dev/null)
	got=$?
	[ "$got" -eq "$want" ] || fail "strobe flame $*: status $got, not $want: $out"
	case $out in *"$words"*) ok ;; *) fail "strobe flame $*: no '$words' in: $out" ;; esac
}
# folded ARGUMENT...: sorted
folded() { "$STROBE" flame "$@" --folded | sort; }
# same WHAT ARGUMENT...: as ./want
same() {
	what=$1
	shift
	folded "$@" >got
	cmp -s want got || fail "$what: $(diff want got | head -n 5)"
	ok
}
# total FILE: of folded stacks
total() { awk '{n += $NF} END {print n + 0}' "$1"; }

# ---- wrong use, with words
says 0 "usage: strobe flame" --help
says 2 "'strobe flame --help' lists" --bogus
says 2 "one FILE" a b
says 2 "one format at a time" --html --pprof x
says 2 "not both" x --url http://127.0.0.1:1/
says 2 "--pid" x --pid zero
says 2 "--by is process, thread or none" x --by cpu
says 2 "--input is perf, folded" x --input elf
says 2 "a baseline goes with" x --perf --baseline-from -5s
says 2 "a FILE or a range, not both" x --baseline y --baseline-from -5s
says 1 "No such file" none.txt
says 1 "Is a directory" "$dir"
says 1 "refused" --url http://127.0.0.1:1/
head -c 5000 "$STROBE" >noise
says 1 "neither 'perf script' text" noise
printf 'PERFILE2 and so on\n' >perf.data
says 1 "perf script -i" perf.data
for packer in xz zstd bzip2; do
	"$packer" -qc "$fixtures/perf.txt" >packed 2>/dev/null || continue
	says 1 "packed with $packer: $packer -dc FILE" packed
	[ "$("$packer" -dc packed | "$STROBE" flame - | total /dev/stdin)" -eq 54 ] || fail "what is said of $packer does not work"
done
: >empty
says 1 "empty" empty
says 2 "is no time" "$fixtures/perf.txt" --from soon
says 2 "ends before it begins" "$fixtures/perf.txt" --from now --to -1s
says 1 "no sample in this range" "$fixtures/perf.txt" --cpu 17
says 1 "no sample in this range" "$fixtures/perf.txt" --off-cpu

says 2 "--class is of disk, lock" x --class disks
says 2 "--min-us" x --min-us soon
says 2 "--annotate goes with --folded" x --annotate --html


# ---- the other way round, annotated, with a title
[ "$("$STROBE" flame "$fixtures/perf.txt" --process spin --by none --reverse)" = 'hot_inner;hot_outer;main;__libc_start_call_main 38' ] || fail "--reverse"
"$STROBE" flame "$fixtures/perf.txt" --reverse --speedscope >r.json && [ "$("$STROBE" flame "$fixtures/perf.txt" --reverse | total /dev/stdin)" -eq 54 ] || fail "--reverse of samples"
"$STROBE" flame "$fixtures/perf.txt" --annotate | grep -q ';do_syscall_64_\[k\];' || fail "--annotate"
"$STROBE" flame "$fixtures/perf.txt" --annotate >a.folded && folded "$fixtures/perf.txt" >want && folded a.folded >got && cmp -s want got || fail "annotated, and back: $(diff want got | head -n 4)"
"$STROBE" flame "$fixtures/perf.txt" --html --title 'a <title> of "mine"' | grep -qF 'a \u003ctitle> of' || fail "--title: $("$STROBE" flame "$fixtures/perf.txt" --html --title 'a <title> of "mine"' | grep -o '.\{9\}title. of.\{9\}' | head -n 3)"
ok

# ---- one of several events
says 1 "it has no event 'cycles', but: " "$fixtures/perf.txt" --event cycles
says 1 "no sample type 'x', but: alloc_objects, alloc_space, inuse_objects, inuse_space" "$fixtures/go.heap.pb.gz" --event x
says 1 "no events to choose from" "$fixtures/node.cpuprofile" --event x
says 2 "an event is of a FILE" --event x
printf 'a 1/1 [000] 1.0%s1: 10 cycles:ppp:\n\t12 f+0x1 (/x)\n\na 1/1 [000] 1.1%s: 1 faults:\n\t12 g+0x1 (/x)\n\n' 1 2 1 3 1 4 >two.txt
[ "$("$STROBE" flame two.txt --by none 2>err)" = "$("$STROBE" flame two.txt --by none --event cycles)" ] || fail "cycles are not the default"
grep -q -- '--event NAME' err || fail "others are left out without a word: $(cat err)"
[ "$("$STROBE" flame two.txt --by none --event faults 2>&1)" = "g 3" ] || fail "--event faults: $("$STROBE" flame two.txt --by none --event faults 2>&1)"
ok

# ---- from every format, and through every one that can be read again
folded "$fixtures/perf.txt" >want
[ "$(total want)" -eq 54 ] || fail "54 samples became $(total want)"
grep -qx 'spin 396;__libc_start_call_main;main;hot_outer;hot_inner 38' want || fail "$(cat want)"
ok
same gzip "$fixtures/perf.txt.gz"
"$STROBE" flame "$fixtures/perf.txt" --perf >p.txt || fail "--perf"
same "perf and back" p.txt
"$STROBE" flame "$fixtures/perf.txt" --strobe >p.epoch || fail "--strobe"
same "an epoch and back" p.epoch
"$STROBE" flame "$fixtures/perf.txt" -o p.pb.gz || fail "-o p.pb.gz"
same "pprof and back" p.pb.gz
cp want w.folded
same "folded and back" w.folded
same "standard input" - <"$fixtures/perf.txt"
same "gzip on standard input" - <"$fixtures/perf.txt.gz"
mkfifo pipe
cat "$fixtures/perf.txt" >pipe &
same "a pipe with a name" pipe
for f in perf_flat.txt perf_sched.txt perf_srcline.txt perf_bare.txt perf_ns.txt go.cpu.pb.gz go.heap.pb.gz \
	node.cpuprofile old.cpuprofile trace.json slices.json; do
	for as in html svg folded pprof speedscope firefox perfetto perf json strobe; do
		"$STROBE" flame "$fixtures/$f" --$as >out 2>err || fail "$f --$as: $(cat err)"
		[ -s out ] || fail "$f --$as: nothing"
	done
	ok
done

# ---- suffixes say what is meant
for pair in html:'<!doctype html>' svg:'<title>hot_inner [spin] (38 samples, 70.37%)</title>' folded:'spin 396;' json:'{"n":"all"' speedscope.json:'{"$schema"' firefox.json:'{"meta"' \
	perf.txt:'spin 396/396'; do
	"$STROBE" flame "$fixtures/perf.txt" -o "s.${pair%%:*}" || fail "-o s.${pair%%:*}"
	grep -qF "${pair#*:}" "s.${pair%%:*}" || fail "s.${pair%%:*} is something else"
done
ok
[ "$(stat -c %a s.html)" = 600 ] || fail "others may read a profile"
! grep -qE '(src|href)="|@import|url\(h' s.html || fail "the page asks for something"
grep -qF "default-src 'none'" s.html || fail "the page may ask for something"
ok

# ---- ranges of time, of threads, against a baseline
"$STROBE" flame "$fixtures/perf.txt" --perf --from +100ms --to +300ms >part || fail "a range"
in_range=$(grep -c cpu-clock part)
[ "$in_range" -gt 10 ] && [ "$in_range" -lt 54 ] || fail "$in_range of 54 samples in 200 ms"
[ "$in_range" -eq "$("$STROBE" flame "$fixtures/perf.txt" --from 12979.487342 --to 12979.687342 | awk '{n += $NF} END {print n}')" ] ||
	fail "the same range in seconds of the file is another"
ok
says 2 "have no times" w.folded --from -1s
[ "$("$STROBE" flame "$fixtures/perf.txt" --process spin --by none)" = '__libc_start_call_main;main;hot_outer;hot_inner 38' ] ||
	fail "--process"
"$STROBE" flame "$fixtures/perf.txt" --by thread | grep -q '^spin 396;spin 396;__libc' || fail "--by thread"
ok
"$STROBE" flame "$fixtures/perf.txt" --from +200ms --baseline-from +0s >diff || fail "a baseline"
awk '$NF !~ /^[0-9]+$/ || $(NF - 1) !~ /^[0-9]+$/ {exit 1}' diff || fail "no two figures: $(cat diff)"
ok
says 1 "has nothing of the time of the baseline" "$fixtures/perf.txt" --baseline-from -2h --baseline-to -1h
printf 'a;b 10\na;c 5\n' >before
printf 'a;b 10\na;d 7\n' >after
[ "$("$STROBE" flame after --baseline before)" = "$(printf 'a;b 10 10\na;c 5 0\na;d 0 7')" ] || fail "two files: $("$STROBE" flame after --baseline before)"
ok

# ---- time off the CPU is whole, however long before the file it began, and of two files each in its own
printf 'a 1/1 [000] 100.0: 50000000000 offcpu-time:\n\t1 f+0x1 (/x)\n\na 1/1 [000] 101.0: 1000000 offcpu-time:\n\t2 g+0x1 (/x)\n\n' >off.txt
[ "$("$STROBE" flame off.txt --by none)" = "$(printf 'f 50000000\ng 1000')" ] || fail "stretches: $("$STROBE" flame off.txt --by none)"
[ "$("$STROBE" flame off.txt --by none --baseline off.txt)" = "$(printf 'f 50000000 50000000\ng 1000 1000')" ] || fail "two files of stretches: $("$STROBE" flame off.txt --by none --baseline off.txt)"
ok

# ---- what a file does not know is not chosen from, and what counts something else is not compared
says 2 "say nothing of processes: --pid" before --pid 7
says 2 "say nothing of cgroups: --cgroup" before --cgroup /a
says 2 "say nothing of a CPU: --cpu" before --cpu 0
says 2 "say nothing of a CPU: --cpu" "$fixtures/perf.txt" --cpu 0 --baseline before
says 1 "no sample in this range of what was asked for" "$fixtures/perf.txt" --perf --cpu 17
says 2 "that cannot be compared" "$fixtures/go.heap.pb.gz" --baseline "$fixtures/perf.txt"
says 2 "only once" - --baseline -
says 2 "--input is of a FILE" --input perf
says 1 "--input is for files of other tools" p.epoch --input perf
says 2 "needs --baseline-from" --baseline-to -20s
# A weight beyond 4 GiB makes a file's unit MiB or the like: brought to one.
printf 'big 9663676416\nsmall 4194304\n' >much
printf 'big 2097152\nsmall 4194304\n' >little
[ "$("$STROBE" flame much --baseline little)" = "$(printf 'big 2048 9437184\nsmall 4096 4096')" ] || fail "units: $("$STROBE" flame much --baseline little)"
[ "$("$STROBE" flame little --baseline much)" = "$(printf 'big 9437184 2048\nsmall 4096 4096')" ] || fail "units, the other way: $("$STROBE" flame little --baseline much)"
ok

# ---- a picture is one of well-formed XML, whatever the names, and asks for nothing
printf 'a<b>&"c";\001\377x\303\244 3\na<b>&"c" 1\n' >odd.folded
"$STROBE" flame odd.folded --svg --title '</svg>&' >odd.svg || fail "--svg"
if command -v xmllint >/dev/null; then xmllint --noout odd.svg || fail "$(cat odd.svg)"; fi
if command -v python3 >/dev/null; then
	python3 -c 'import sys, xml.dom.minidom as x; d = x.parse(sys.argv[1]); t = [e.firstChild.data for e in d.getElementsByTagName("title")]; assert len(t) == 3 and t[1] == "a<b>&\"c\" (4 samples, 100.00%)" and d.getElementsByTagName("text")[0].firstChild.data == "</svg>&", t' odd.svg ||
		fail "$(cat odd.svg)"
fi
! grep -qE 'script|href|url\(' odd.svg || fail "the picture asks for something"
"$STROBE" flame after --baseline before --svg | grep -q '<title>d (7 samples, 41.18%; +41.18%)</title>' || fail "a picture of a difference: $("$STROBE" flame after --baseline before --svg | grep -o '<title>d.*/title>')"
ok

# ---- what cannot be written
says 1 "No space" "$fixtures/perf.txt" -o /dev/full
says 1 "cannot write" "$fixtures/perf.txt" -o no/such/folder/x.html
"$STROBE" flame big --html >/dev/full 2>/dev/null && fail "a full disk is success"
"$STROBE" flame "$fixtures/perf.txt" | head -n 1 >/dev/null || fail "a reader that ends"
ok
if command -v script >/dev/null; then
	script -qec "'$STROBE' flame '$fixtures/perf.txt' --html" /dev/null </dev/null >tty 2>&1 && fail "a page on a terminal"
	grep -q 'nothing for a terminal' tty || fail "$(cat tty)"
	ok
fi

# ---- the tools themselves, where they are
if command -v go >/dev/null; then
	HOME=$dir go tool pprof -top p.pb.gz >top 2>/dev/null || fail "pprof refuses it"
	grep -q 'Total samples = 545.*ms' top || fail "$(cat top)"
	[ "$(awk '/hot_inner/ {print $1}' top)" = 383.84ms ] || fail "hot_inner: $(cat top)"
	HOME=$dir go tool pprof -raw p.pb.gz 2>/dev/null | grep -q 'samples/count cpu/nanoseconds' || fail "raw"
	HOME=$dir go tool pprof -top "$fixtures/go.cpu.pb.gz" 2>/dev/null | awk '/main.hotLoop/ {print $1}' >theirs
	[ "$(cat theirs)" = 220ms ] && "$STROBE" flame "$fixtures/go.cpu.pb.gz" | grep -q 'main.hotLoop 22$' || fail "a Go profile"
	ok
else
	echo "  (no go: pprof is not asked)"
fi
if command -v perf >/dev/null && perf record -q -F 199 -g -o x.data -- \
	sh -c 'i=0; while [ $i -lt 150000 ]; do i=$((i + 1)); done' >/dev/null 2>&1; then
	perf script -i x.data >x.txt 2>/dev/null
	theirs=$(grep -c '^[^[:space:]].*: *$' x.txt)
	folded x.txt >ours
	[ "$theirs" -gt 0 ] && [ "$(total ours)" -eq "$theirs" ] || fail "perf has $theirs samples, we $(total ours)"
	ok
else
	echo "  (no perf: nothing is recorded)"
fi

# ---- an agent's answers
cat >server.mjs <<'EOF'
import { createServer } from 'node:http'
import { appendFileSync, readFileSync } from 'node:fs'
function refuse(a, status, error) {
	const text = JSON.stringify({ error })
	a.writeHead(status, { 'Content-Type': 'application/json', 'Content-Length': text.length, Connection: 'close' }).end(text)
}
createServer((q, a) => {
	appendFileSync('asked', q.url + '\n')
	const u = new URL(q.url, 'http://x')
	if (q.headers.authorization !== 'Bearer 0123456789abcdef') return refuse(a, 401, 'no')
	if (u.searchParams.get('from') === '-99d') return refuse(a, 404, 'nothing is held of that')
	if (u.searchParams.get('format') === 'strobe') a.end(readFileSync('p.epoch'))
	else a.end('rendered as ' + u.searchParams.get('format') + '\n')
}).listen(0, '127.0.0.1', function () { console.log('http://127.0.0.1:' + this.address().port + '/#token=0123456789abcdef') })
EOF
start server node server.mjs
STROBE_URL=$url
export STROBE_URL
[ "$("$STROBE" flame --from -5m --pid 7 --cgroup /a/b --off-cpu)" = "rendered as folded" ] || fail "an agent's tree"
asked=$(tail -n 1 asked)
case $asked in
/api/v1/profile\?from=-5m\&to=now\&pid=7\&cgroup=%2Fa%2Fb\&kind=off\&format=folded) ok ;;
*) fail "asked for $asked" ;;
esac
"$STROBE" flame --html -o a.html && [ "$(cat a.html)" = "rendered as html" ] || fail "a page of an agent"
"$STROBE" flame --perf >a.txt || fail "samples of an agent"
same "samples of an agent" a.txt
[ "$("$STROBE" flame --class disk,lock --min-us 500)" = "rendered as folded" ] || fail "classes"
case $(tail -n 1 asked) in *\&kind=off\&classes=6\&min_us=500\&*) ok ;; *) fail "asked for $(tail -n 1 asked)" ;; esac
[ "$("$STROBE" flame --reverse --process spin --by none)" = 'hot_inner;hot_outer;main;__libc_start_call_main 38' ] || fail "an agent's, reversed: $("$STROBE" flame --reverse --process spin --by none)"
: >asked
[ "$("$STROBE" flame --reverse --from -30s --baseline-from -90s --process spin --by none)" = 'hot_inner;hot_outer;main;__libc_start_call_main 38 38' ] ||
	fail "an agent's, reversed, with a baseline: $("$STROBE" flame --reverse --from -30s --baseline-from -90s --process spin --by none)"
case $(head -n 2 asked | tr '\n' ' ') in *\?from=-30s\&to=now\&*\ *\?from=-90s\&to=-30s\&*\&format=strobe\ ) ok ;; *) fail "asked for $(cat asked)" ;; esac
"$STROBE" flame --annotate --baseline-from -90s | grep -q ';do_syscall_64_\[k\];.* [0-9]* [0-9]*$' || fail "an agent's, annotated, with a baseline"
"$STROBE" flame --title 'of both' --baseline-from -90s --json | grep -q '"title":"of both".*"diff":true' || fail "an agent's with a title and a baseline"
[ "$("$STROBE" flame --baseline "$fixtures/perf.txt" --process spin --by none)" = '__libc_start_call_main;main;hot_outer;hot_inner 38 38' ] || fail "an agent's beside a file"
"$STROBE" flame --title 'no page' --folded >/dev/null
case $(tail -n 1 asked) in *\&format=folded) ok ;; *) fail "all samples for a title that folded stacks have not" ;; esac
"$STROBE" flame --to -5m >/dev/null
case $(tail -n 1 asked) in *\?from=-360000ms\&to=-5m\&*) ok ;; *) fail "a minute before --to: $(tail -n 1 asked)" ;; esac
"$STROBE" flame --to 1700000000 >/dev/null
case $(tail -n 1 asked) in *\?from=1699999940\&to=1700000000\&*) ok ;; *) fail "a minute before --to: $(tail -n 1 asked)" ;; esac
says 1 "the baseline: nothing is held of that" --reverse --baseline-from -99d
says 1 "nothing is held of that" --from -99d
says 1 "nothing is held of that" --from -99d --speedscope
STROBE_URL=${url%%#*}
[ ! -e never.html ] && ! STROBE_TOKEN=0000000000000000 "$STROBE" flame -o never.html 2>/dev/null && [ ! -e never.html ] ||
	fail "a refusal left a file"
ok
echo "100%: Checks: $n, Failures: 0, Errors: 0"
