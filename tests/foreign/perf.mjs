#!/usr/bin/env node
// perf and strobe on one recording say the same: `perf report` of each function, perf's own stackcollapse.py of each stack, and
// `perf script` with whatever fields people ask it for.
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { assert, equal, near, scratch, strobe, tests } from '../e2e/lib.mjs';
import { flame, folded, run, skip, sums } from './tools.mjs';

const dir = scratch();
const env = { ...process.env, HOME: dir, PERF_BUILDID_DIR: dir, PERF_PAGER: 'cat', LC_ALL: 'C' };
const perf = (args, options = {}) => run('perf', args, { cwd: dir, env, ...options });
if ((await perf(['--version'])).status !== 0) skip('there is no perf here: apt-get install linux-perf');

writeFileSync(join(dir, 'load.c'), `#include <stdlib.h>
#include <string.h>
#include <time.h>
volatile unsigned long sink;
static inline __attribute__((always_inline)) void folded_in(unsigned n) { for (unsigned i = 0; i < n; i++) sink = sink * 31 + i; }
__attribute__((noinline)) void hot(unsigned n) { folded_in(n); }
__attribute__((noinline)) void warm(unsigned n) { for (unsigned i = 0; i < n; i++) sink = sink * 37 ^ i; }
__attribute__((noinline)) int deep(int d, unsigned n) { if (d) return deep(d - 1, n) + 1; warm(n); return 0; }
int main(void)
{
	struct timespec t;
	double end;
	char *p = malloc(1 << 22);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	end = t.tv_sec + t.tv_nsec / 1e9 + 1.2;
	do {
		hot(400000);
		sink += deep(9, 200000);
		memset(p, (int)sink, 1 << 22);
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	} while (t.tv_sec + t.tv_nsec / 1e9 < end);
	return 0;
}
`);
const cc = await run('gcc', ['-O2', '-g', '-fno-omit-frame-pointer', '-fno-optimize-sibling-calls', '-o', 'load', 'load.c'], { cwd: dir });
assert(cc.status === 0, cc.err);
const data = join(dir, 'x.data');
const recorded = await perf(['record', '-q', '-F', '499', '-g', '-o', data, './load']);
if (recorded.status !== 0) skip(`perf records nothing here: ${recorded.err.trim().split('\n')[0]}`);

async function script(args, from = data) {
  const r = await perf(['script', '-i', from, ...args]);
  assert(r.status === 0 && r.out, `perf script ${args.join(' ')}: ${r.err}`);
  return r.out;
}
let files = 0;
const file = (text) => {
  const name = join(dir, `${++files}.txt`);
  writeFileSync(name, text);
  return name;
};
const ours = async (text, ...args) => sums(folded(await flame([file(text), '--by', 'none', ...args])));

// What perf report says: samples of each function.
const report = new Map();
const said = await perf(['report', '-i', data, '--stdio', '--no-children', '-g', 'none', '--percent-limit', '0', '-F', 'overhead,sample,sym']);
for (const line of said.out.split('\n')) {
  const m = /^\s*([\d.]+)%\s+(\d+)\s+\[.\] (.*?)\s*$/.exec(line);
  if (m) report.set(m[3], { percent: Number(m[1]) + (report.get(m[3])?.percent ?? 0), n: Number(m[2]) + (report.get(m[3])?.n ?? 0) });
}
const all = [...report.values()].reduce((a, r) => a + r.n, 0);
assert(all > 300 && report.get('hot')?.n > all / 10 && report.get('warm')?.n > all / 10, `perf report: ${said.out}${said.err}`);
const unknown = (name) => (/^0x[0-9a-f]+$/.test(name) ? '[unknown]' : name);

const t = tests();
t('perf report and strobe flame: samples and shares of every function', async () => {
  const got = await ours(await script([]));
  equal(got.all, all, 'samples');
  const want = new Map();
  for (const [name, r] of report) want.set(unknown(name), { n: r.n + (want.get(unknown(name))?.n ?? 0), percent: r.percent + (want.get(unknown(name))?.percent ?? 0) });
  equal([...got.self.keys()].sort().join(), [...want.keys()].sort().join(), 'functions');
  for (const [name, r] of want) {
    equal(got.self.get(name), r.n, `samples of ${name}`);
    near((100 * got.self.get(name)) / got.all, r.percent, 0, 0.06, `share of ${name}`);
  }
});

t("perf's own stackcollapse.py: the same stacks, each as often", async () => {
  const path = ['/usr/lib/perf-core/scripts/python', '/usr/libexec/perf-core/scripts/python'].map((d) => join(d, 'stackcollapse.py')).find(existsSync)
    ?? readdirSync('/usr/lib').filter((n) => n.startsWith('linux-tools')).map((n) => `/usr/lib/${n}/scripts/python/stackcollapse.py`).find(existsSync);
  const r = path ? await perf(['script', '-i', data, '-s', path]) : { status: 1 };
  if (r.status !== 0 || !r.out) {
    console.log('        (this perf has no Python scripts: not compared)');
    return;
  }
  const count = (list) => {
    const m = new Map();
    for (const { frames, weight } of list) m.set(frames.join(';'), (m.get(frames.join(';')) ?? 0) + weight);
    return [...m].map(([k, v]) => `${k} ${v}`).sort().join('\n');
  };
  const theirs = folded(r.out).map(({ frames, weight }) => ({ frames: frames.slice(1), weight })); // the first is the comm
  equal(count(folded(await flame([file(await script([])), '--by', 'none']))), count(theirs), 'stacks');
});

const base = 'comm,pid,tid,time,event,ip,sym';
for (const args of [['--ns'], ['--header'], ['-G'], ['--show-task-events'], ['--show-mmap-events'], ['--no-inline'], ['-F', '+symoff'],
  ['-F', `${base},dso`], ['-F', `${base},symoff,dso`], ['-F', `${base},period`], ['-F', 'comm,tid,time,event,ip,sym'], ['-F', 'comm,pid,ip,sym,dso'], ['-F', 'comm,time,ip,sym'],
  ['-F', 'time,ip,sym'], ['-F', 'comm,ip,sym'], ['-F', 'ip,sym'], ['-F', '-comm'], ['-F', '-period'], ['--reltime'], ['--deltatime']])
  t(`perf script ${args.join(' ')}`, async () => {
    const got = await ours(await script(args));
    equal(got.all, all, 'samples');
    for (const name of ['hot', 'warm']) equal(got.self.get(name), report.get(name).n, `samples of ${name}`);
    if (args[0] === '-G') return; // no call chains
    assert(got.total.get('__libc_start_call_main') > all * 0.9 && got.total.get('deep') >= report.get('warm').n, `callers: ${JSON.stringify([...got.total])}`);
  });

// Of the program alone: perf script gives up where it looks for the line of an eBPF program, and one of anybody's may run at any switch.
t('perf script -F +srcline', async () => {
  const mine = join(dir, 'u.data');
  const r = await perf(['record', '-q', '-F', '499', '-g', '--all-user', '-o', mine, './load']);
  assert(r.status === 0, r.err);
  const [want, got] = [await ours(await script([], mine)), await ours(await script(['-F', '+srcline'], mine))];
  equal(got.all, want.all, 'samples');
  for (const name of ['hot', 'warm']) {
    assert(want.self.get(name) > want.all / 10, `${want.self.get(name)} samples of ${name}`);
    const inlined = name === 'hot' ? (got.self.get('folded_in') ?? 0) : 0; // inlined calls are frames there
    equal((got.self.get(name) ?? 0) + inlined, want.self.get(name), `samples of ${name}`);
  }
  assert(got.total.get('__libc_start_call_main') > want.all * 0.9 && got.total.get('deep') >= want.self.get('warm'), `callers: ${JSON.stringify([...got.total])}`);
});

t('what has no call chains is counted, by process', async () => {
  const r = await flame([file(await script(['-F', 'comm,pid,time,event'])), '--by', 'process']);
  const n = folded(r).reduce((a, s) => a + (/^load \d+$/.test(s.frames[0]) ? s.weight : 0), 0);
  assert(n > all * 0.95, r);
});

t('inlined calls, of DWARF', async () => {
  const r = await perf(['record', '-q', '-F', '99', '--call-graph', 'dwarf', '-o', join(dir, 'y.data'), './load']);
  assert(r.status === 0, r.err);
  const text = await perf(['script', '-i', join(dir, 'y.data')]);
  const got = await ours(text.out);
  assert(got.total.get('hot') > 0 && got.total.get('folded_in') >= got.total.get('hot') * 0.9, JSON.stringify([...got.total]));
});

t('of two events each by itself', async () => {
  const r = await perf(['record', '-q', '-F', '999', '-e', 'cpu-clock', '-e', 'page-faults', '-g', '-o', join(dir, 'z.data'), './load']);
  assert(r.status === 0, r.err);
  const { out } = await perf(['script', '-i', join(dir, 'z.data')]);
  const count = (event) => out.split('\n').filter((l) => /^\S/.test(l) && l.includes(` ${event}:`)).length;
  for (const event of ['cpu-clock', 'page-faults']) {
    assert(count(event) > 2, `${count(event)} of ${event}`);
    const text = await flame([file(out), '--by', 'none', '--event', event]);
    equal(folded(text).reduce((a, s) => a + s.weight, 0), count(event), event);
  }
});

t('a long recording, gzipped, through a pipe', async () => {
  const one = await script([]);
  const many = Array.from({ length: 60 }, (_, i) => one.replace(/ (\d+)(\.\d+):/g, (_m, s, f) => ` ${Number(s) + i * 10}${f}:`)).join('');
  const r = await run(strobe, ['flame', '-', '--folded', '--by', 'none'], { input: gzipSync(many, { level: 1 }) });
  equal(r.status, 0, r.err);
  equal(sums(folded(r.out)).all, all * 60, 'samples');
});

t('what strobe writes as perf text, strobe and perf agree on again', async () => {
  const text = await flame([file(await script([])), '--perf']);
  const again = await ours(text);
  equal(again.all, all, 'samples');
  for (const name of ['hot', 'warm']) equal(again.self.get(name), report.get(name).n, `samples of ${name}`);
  assert(/^load \d+\/\d+ \[\d+\] \d+\.\d{6}: \d+ cpu-clock: $/m.test(text), text.slice(0, 200));
});

await t.run();
