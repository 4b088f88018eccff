#!/usr/bin/env node
// Do our stacks go as far as perf's? The same samples (perf record --call-graph dwarf: registers and the top of the
// stack) are unwound by `perf script` and by strobe's tables; then a ring of our own is opened around the same
// program. Stock binaries and ones built here, with and without frame pointers, static, and stripped.
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync, openSync, closeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const tool = join(process.env.B ?? "build", "tests/tool_unwind");
const dir = mkdtempSync(join(process.env.TMPDIR ?? tmpdir(), "strobe-depth-"));
const seconds = Number(process.env.DEPTH_SECONDS ?? 2);
let passed = 0;
let failed = 0;

process.on("exit", () => rmSync(dir, { recursive: true, force: true }));

const run = (cmd, args, options = {}) => spawnSync(cmd, args, { encoding: "utf8", maxBuffer: 1 << 30, cwd: dir, ...options });
const have = (cmd) => run("sh", ["-c", `command -v ${cmd}`]).status === 0;
const write = (name, text) => writeFileSync(join(dir, name), text);

function check(what, ok, detail) {
	console.log(`${ok ? "ok      " : "not ok  "}${what}: ${detail}`);
	if (ok) passed++;
	else failed++;
}

if (process.getuid() !== 0 || !have("perf")) {
	console.log("needs root and perf");
	process.exit(77);
}

// ---- programs, each busy for a few seconds, in functions that call each other ----

write("deep.py", `import sys, time
def f(n):
    if n: return f(n - 1) + 1
    s = 0
    for i in range(3000): s += i * i % 7
    return s
end = time.time() + float(sys.argv[1])
while time.time() < end:
    f(20)
    sorted(range(5000), key=lambda x: -x)
`);
write("deep.js", `function f(n) { if (n) return f(n - 1) + 1; let s = 0; for (let i = 0; i < 3000; i++) s += i * i % 7; return s; }
const end = Date.now() + 1000 * Number(process.argv[2]);
while (Date.now() < end) { f(20); JSON.parse(JSON.stringify([...Array(2000).keys()].map((x) => ({ x })))).sort((a, b) => b.x - a.x); }
`);
write("deep.sh", `f() { if [ $1 -gt 0 ]; then f $(($1 - 1)); else for i in 1 2 3 4 5 6 7 8 9 10; do x=$((x * 7 % 31)); done; fi; }
SECONDS=0
while [ $SECONDS -lt $1 ]; do for i in 1 2 3 4 5 6 7 8 9; do for j in 1 2 3 4 5 6 7 8 9; do f 4; y=\${PATH//:/$x}; done; done; y=$(echo $y); done
`);
write("deep.go", `package main
import ("os"; "sort"; "strconv"; "sync"; "time")
func f(n int) int { if n > 0 { return f(n-1) + 1 }; s := 0; for i := 0; i < 3000; i++ { s += i * i % 7 }; return s }
func work(e time.Time, wg *sync.WaitGroup) {
	defer wg.Done()
	for time.Now().Before(e) {
		a := make([]int, 3000)
		for i := range a { a[i] = (i*7919 + f(20)) % 3001 }
		sort.Slice(a, func(i, j int) bool { return a[i] < a[j] })
	}
}
func main() {
	s, _ := strconv.ParseFloat(os.Args[1], 64)
	var wg sync.WaitGroup
	for i := 0; i < 3; i++ { wg.Add(1); go work(time.Now().Add(time.Duration(s*1e9)), &wg) }
	wg.Wait()
}
`);
write("deep.rs", `use std::collections::BTreeMap; use std::time::{Duration, Instant};
#[inline(never)] fn f(n: u32, v: &mut Vec<u64>) -> u64 { if n > 0 { let r = f(n - 1, v) + 1; v.push(r); return r } let mut s = 0; for i in 0..3000u64 { s += std::hint::black_box(i * i) % 7 } s }
fn work(end: Instant) -> u64 { let mut t = 0; while Instant::now() < end { let mut v = vec![]; t += f(20, &mut v); let mut m = BTreeMap::new(); for i in 0..2000u64 { m.insert(i * 7919 % 2003, format!("{}", i)); } t += m.len() as u64 } t }
fn main() { let s: f64 = std::env::args().nth(1).unwrap().parse().unwrap(); let end = Instant::now() + Duration::from_secs_f64(s); let h: Vec<_> = (0..2).map(|_| std::thread::spawn(move || work(end))).collect(); let mut t = 0; for x in h { t += x.join().unwrap() } assert!(t > 0) }
`);
write("deep.c", `#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
static time_t end; static volatile int sink;
static int cmp(const void *a, const void *b) { int x = *(const int *)a % 97; for (int i = 0; i < 20; i++) sink += i; return x - *(const int *)b % 97; }
__attribute__((noinline)) static int sorts(void) { int v[200]; for (int i = 0; i < 200; i++) v[i] = i * 7919 % 401; qsort(v, 200, sizeof(v[0]), cmp); return v[7]; }
__attribute__((noinline)) static int f(int n) { volatile char pad[40]; pad[0] = (char)n; return (n ? f(n - 1) : sorts()) + pad[0]; }
static void on_alarm(int s) { for (int i = 0; i < 3; i++) sink += f(3) + s; }
static void *work(void *arg) { char s[200]; while (time(NULL) < end) { sink += f(30); snprintf(s, sizeof(s), "%d %f", sink, sink / 3.0); sink += (int)strlen(s); } return arg; }
int main(int argc, char **argv) { struct itimerval t = {{0, 2000}, {0, 2000}}; pthread_t p; end = time(NULL) + atoi(argv[argc - 1]); signal(SIGALRM, on_alarm); setitimer(ITIMER_REAL, &t, NULL); pthread_create(&p, NULL, work, NULL); work(NULL); return pthread_join(p, NULL); }
`);
let c = "#include <string.h>\n";
for (let i = 0; i < 400; i++)
	c += `struct s${i} { int a[8]; char *p; }; int g${i}(struct s${i} *x, int n) { int t = 0; for (int i = 0; i < n; i++) switch ((x->a[0] + i) % 9) { case 0: t += i * ${i}; break; case 1: t ^= x->a[${i % 8}]; break; case 2: t += (int)strlen(x->p); break; default: if (t > n) t -= i; else while (t < n / 2) t += x->a[0] + 1; } return t; }\n`;
write("big.c", c);

const build = (cmd, ...args) => have(cmd) && run(cmd, args, { env: { ...process.env, GOCACHE: join(dir, "gocache"), GO111MODULE: "off" } }).status === 0;
const python = () => run("python3", ["-c", "import sys; print(sys.executable)"]).stdout.trim();
const s = String(Math.ceil(seconds));

// [name, command or null, why not, perf's own unwinder knows it]
const programs = [
	["python3", have("python3") && [python(), "deep.py", s], "no python3"],
	["node", [process.execPath, "deep.js", s], "", { entry: 1 }],
	["cc1", have("gcc") && ["gcc", "-O2", "-c", "big.c", "-o", "big.o"], "no gcc"],
	["bash", have("bash") && ["bash", "deep.sh", s], "no bash"],
	["C, -O2", build("gcc", "-O2", "-pthread", "-o", "dc", "deep.c") && ["./dc", s], "no gcc"],
	["C, static", build("gcc", "-O2", "-static", "-no-pie", "-pthread", "-o", "dcs", "deep.c") && ["./dcs", s], "no static C library"],
	["C, static PIE, stripped", build("gcc", "-O2", "-static-pie", "-s", "-pthread", "-o", "dcp", "deep.c") && ["./dcp", s], "no static C library"],
	["go", build("go", "build", "-o", "dgo", "deep.go") && ["./dgo", s], "no go"],
	["go, stripped", build("go", "build", "-ldflags=-s -w", "-o", "dgos", "deep.go") && ["./dgos", s], "no go"],
	["rust", build("rustc", "-O", "-o", "drs", "deep.rs") && ["./drs", s], "no rustc"],
];

// ---- the same samples, twice ----

const entry = /^(_start|_*(GI_+)?clone3?|_dl_start_user|start_thread|thread_start|runtime\.(goexit|mstart|rt0_go)(\.abi0)?|_rt0_.*)$/;

function perfStacks(file) {
	const out = join(dir, "script");
	const fd = openSync(out, "w");
	spawnSync("perf", ["script", "-i", file, "--no-inline", "--ns", "-F", "tid,time,ip,sym"], { cwd: dir, stdio: ["ignore", fd, "ignore"] });
	closeSync(fd);
	const stacks = new Map();
	let now = null;
	for (const line of readFileSync(out, "utf8").split("\n")) {
		const head = /^\s*(\d+)\s+(\d+)\.(\d+):/.exec(line);
		if (head) stacks.set(`${head[1]} ${BigInt(head[2]) * 1000000000n + BigInt(head[3])}`, (now = []));
		else if (line.trim() && now) now.push(line.trim().split(" ").slice(1).join(" ").replace(/\+0x.*/, ""));
	}
	return stacks;
}

function sameSamples(name, command, known) {
	const file = join(dir, "perf.data");
	run("perf", ["record", "-q", "-o", file, "-F", "299", "-e", "cpu-clock:u", "--call-graph", "dwarf,16384", ...command]);
	const ours = run(tool, ["file", file]).stdout.trim().split("\n").map((l) => l.split(" "));
	const perf = perfStacks(file);
	let reach = 0, both = 0, whole = 0, deeper = 0, shallower = 0;
	for (const [tid, time, depth, end] of ours) {
		const theirs = perf.get(`${tid} ${time}`) ?? [];
		const full = entry.test(theirs.at(-1) ?? "");
		reach += full;
		both += full && end === "whole";
		whole += end === "whole";
		deeper += Number(depth) > theirs.length;
		shallower += Number(depth) < theirs.length && end !== "whole";
	}
	const n = ours.length;
	const detail = `${n} samples, perf reaches the entry in ${reach}, we in ${both} of these and ${whole} of all (deeper in ${deeper}, shallower in ${shallower})`;
	check(`${name}: as far as perf`, n >= 30 && both >= 0.95 * reach && whole >= 0.95 * reach && (reach > n / 4 || whole > 0.9 * n), detail);
}

// ---- a ring of our own ----

function ownRing(name, command) {
	const r = run(tool, ["run", process.env.DEPTH_DUMP ?? "16384", "199", ...command]);
	const line = r.stdout.split("\n").find((l) => l.startsWith("dump")) ?? "";
	const value = (key) => Number(new RegExp(` ${key} ([0-9.]+)`).exec(line)?.[1] ?? NaN);
	check(`${name}: own ring`, value("samples") >= 30 && value("whole") + value("short") >= 90 && value("best") >= value("fp-depth") && value("shallow") < 20, line || r.stderr);
}

for (const [name, command, why] of programs) {
	if (!command) {
		console.log(`skip    ${name}: ${why}`);
		continue;
	}
	sameSamples(name, command);
	ownRing(name, command);
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
