#!/usr/bin/env node
// `go tool pprof` and strobe on one profile say the same of every function: of a Go program's CPU and heap profiles (every sample
// type of it), of what strobe writes of those, and of what it writes of perf's.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { assert, equal, near, scratch, strobe, tests } from '../e2e/lib.mjs';
import { fixtures, flame, folded, run, skip, sums } from './tools.mjs';

const dir = scratch();
const cache = resolve(process.env.B ?? 'build', 'foreign/go');
mkdirSync(cache, { recursive: true });
const env = { ...process.env, HOME: dir, GOCACHE: cache, GOFLAGS: '', GO111MODULE: 'off', PPROF_TMPDIR: dir };
if ((await run('go', ['version'], { env })).status !== 0) skip('there is no go here, whose pprof would be asked: apt-get install golang-go');

/** What pprof says: {all, self, total} by function, in units. */
async function pprof(file, args, unit) {
  const r = await run('go', ['tool', 'pprof', '-top', '-nodecount=100000', '-nodefraction=0', '-edgefraction=0', `-unit=${unit}`, ...args, file], { env });
  assert(r.status === 0, `go tool pprof ${args.join(' ')} ${file}: ${r.err}`);
  const ret = { all: 0, self: new Map(), total: new Map(), text: r.out };
  const number = (s) => Number(s.replace(/[A-Za-z]+$/, ''));
  for (const line of r.out.split('\n')) {
    const m = /^\s*(\S+)\s+\S+%\s+\S+%\s+(\S+)\s+\S+%\s+(.*?)(?: \(inline\))?$/.exec(line);
    if (!m) continue;
    ret.all += number(m[1]);
    ret.self.set(m[3], number(m[1]));
    ret.total.set(m[3], number(m[2]));
  }
  assert(ret.total.size, `pprof shows no function: ${r.out}${r.err}`);
  return ret;
}
/** scale: of ours to theirs. */
function same(ours, theirs, what, scale = 1, step = 0) {
  equal([...ours.total.keys()].sort().join('\n'), [...theirs.total.keys()].sort().join('\n'), `${what}: functions`);
  for (const [f, v] of theirs.total) near(ours.total.get(f) * scale, v, 0.0002, step, `${what}: total of ${f}`);
  for (const [f, v] of theirs.self) near((ours.self.get(f) ?? 0) * scale, v, 0.0002, step, `${what}: self of ${f}`);
}
const ours = async (...args) => sums(folded(await flame([...args, '--by', 'none'])));

writeFileSync(join(dir, 'p.go'), `package main

import (
	"os"
	"runtime"
	"runtime/pprof"
	"syscall"
)

var kept [][]byte
var sink uint64

//go:noinline
func hotLoop(n int) { for i := 0; i < n; i++ { sink = sink*31 + uint64(i) } }
func small(n int) { hotLoop(n) }
//go:noinline
func warmLoop(n int) { for i := 0; i < n; i++ { sink = sink*37 ^ uint64(i) } }
//go:noinline
func recurse(d int) { if d > 0 { recurse(d - 1) } else { warmLoop(1500000) } }
//go:noinline
func keep(n int) { for i := 0; i < n; i++ { kept = append(kept, make([]byte, 4096)) } }
//go:noinline
func drop(n int) { for i := 0; i < n; i++ { b := make([]byte, 1<<16); sink += uint64(len(b)); kept[0] = b } }

// Of the program itself, not of the wall: on a busy host that gives it a handful of samples.
func cpuMs() int64 { var u syscall.Rusage; syscall.Getrusage(0, &u); return (u.Utime.Nano() + u.Stime.Nano()) / 1000000 }

func main() {
	runtime.MemProfileRate = 4096
	c, _ := os.Create(os.Args[1])
	pprof.StartCPUProfile(c)
	for end := cpuMs() + 1500; cpuMs() < end; { small(3000000); recurse(5) }
	pprof.StopCPUProfile()
	c.Close()
	keep(2000)
	drop(3000)
	runtime.GC()
	h, _ := os.Create(os.Args[2])
	pprof.Lookup("heap").WriteTo(h, 0)
	h.Close()
}
`);
const program = join(dir, 'p');
const [cpu, heap] = [join(dir, 'cpu.pb.gz'), join(dir, 'heap.pb.gz')];
const built = await run('go', ['build', '-o', program, join(dir, 'p.go')], { env });
assert(built.status === 0, `go build: ${built.err}`);
assert((await run(program, [cpu, heap])).status === 0 && existsSync(heap), 'the Go program writes no profiles');

const t = tests();
t("a Go program's CPU profile: the same functions, shares, units", async () => {
  const theirs = await pprof(cpu, ['-sample_index=samples'], 'minimum');
  const us = await ours(cpu);
  same(us, theirs, 'samples');
  assert(us.all > 75, `${us.all} samples of 1.5 s`);
  // With what Go puts below it on a busy host: runtime.asyncPreempt.
  assert(us.total.get('main.hotLoop') > us.all / 4, `main.hotLoop has ${us.total.get('main.hotLoop')} of ${us.all}`);
  assert(us.total.get('main.recurse') > us.all / 10 && us.total.has('main.small'), 'recursion, or an inlined call, is missing');
});

t('and of what strobe writes of it', async () => {
  const again = join(dir, 'again.pb.gz');
  await flame([cpu, '--pprof', '--by', 'none', '-o', again]);
  same(await ours(cpu), await pprof(again, ['-sample_index=samples'], 'minimum'), 'samples of ours');
  const [a, b] = [await pprof(cpu, ['-sample_index=cpu'], 'ns'), await pprof(again, [], 'ns')];
  same(b, a, 'time');
});

t('a heap profile: bytes and objects of every sample type, the default one by itself', async () => {
  for (const [type, unit] of [['inuse_space', 'B'], ['inuse_objects', 'minimum'], ['alloc_space', 'B'], ['alloc_objects', 'minimum']]) {
    const theirs = await pprof(heap, [`-sample_index=${type}`], unit);
    const us = await ours(heap, '--event', type);
    for (const [f, v] of theirs.total) if (!v) theirs.total.delete(f); // pprof lists those with nothing, too
    same(us, theirs, type);
    const again = join(dir, `${type}.pb.gz`);
    await flame([heap, '--sample-type', type, '--pprof', '--by', 'none', '-o', again]);
    const back = await pprof(again, [], unit);
    same(back, theirs, `${type} of ours`);
    assert(back.text.includes(`Type: ${type}`), `pprof calls it: ${back.text.split('\n').slice(0, 3).join('; ')}`);
  }
  const us = await ours(heap);
  same(us, await ours(heap, '--event', 'inuse_space'), 'the default');
  assert(us.total.get('main.keep') > 2000 * 4096 * 0.8, `main.keep holds ${us.total.get('main.keep')} bytes`);
});

t('a sample type that it has not is said, with those that it has', async () => {
  const r = await run(strobe, ['flame', heap, '--event', 'goroutines'], {});
  equal(r.status, 1, 'status');
  assert(/no sample type 'goroutines', but: alloc_objects, alloc_space, inuse_objects, inuse_space/.test(r.err), r.err);
});

t('what strobe writes of perf: time, samples, processes as labels', async () => {
  const file = join(dir, 'perf.pb.gz');
  await flame([join(fixtures, 'perf.txt'), '--pprof', '-o', file]);
  const us = await ours(join(fixtures, 'perf.txt'));
  same(us, await pprof(file, ['-sample_index=samples'], 'minimum'), 'samples');
  same(us, await pprof(file, [], 'us'), 'time', 10101, 1);
  const tags = await run('go', ['tool', 'pprof', '-tags', file], { env });
  assert(/process:[\s\S]*spin 396/.test(tags.out), `labels: ${tags.out}${tags.err}`);
});

await t.run();
