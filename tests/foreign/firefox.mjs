#!/usr/bin/env node
// `strobe flame --firefox`, read by the Firefox Profiler's own code (its command line from npm): threads, times, functions and
// libraries are those of our folded stacks; what is no time is no time there either.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { assert, equal, near, onEnd, scratch, tests, until } from '../e2e/lib.mjs';
import { fixtures, flame, folded, run, sums, tool } from './tools.mjs';

const cli = join(tool('@firefox-devtools/profiler-cli'), 'dist/profiler-cli.js');
const dir = scratch();
const env = { ...process.env, HOME: dir, XDG_RUNTIME_DIR: dir, PROFILER_CLI_SESSION_DIR: dir };
const t = tests();
onEnd(() => run(process.execPath, [cli, 'stop', '--all'], { env }));

let sessions = 0;
/** Loads a profile into a session of its own; asks it: ask('thread', 'list') -> JSON. */
async function loaded(bytes) {
  const file = join(dir, `${sessions + 1}.json`);
  writeFileSync(file, bytes);
  let session, said = '';
  const ask = async (...args) => {
    const r = await run(process.execPath, [cli, ...args, '--json', '--session', session], { env });
    try { return JSON.parse(r.out); } catch { said = r.out + r.err; return null; }
  };
  // On a busy machine load gives up before its daemon answers, and then the daemon may or may not be there.
  const threads = (await until('the Firefox Profiler to load it', async () => {
    session = `s${++sessions}`;
    const started = await run(process.execPath, [cli, 'load', file, '--session', session], { env });
    const late = /running as pid (\d+)/.exec(started.out + started.err)?.[1];
    if (late) onEnd(() => { try { process.kill(Number(late)); } catch { /* it has ended */ } });
    return (await ask('thread', 'list')) ?? (await ask('thread', 'list'));
  }, 60000).catch((e) => { throw new Error(`${e.message}: ${said}`); })).threads;
  return { ask, threads, functions: (handle) => ask('thread', 'functions', '--thread', handle, '--limit', '100000') };
}
const perf = join(fixtures, 'perf.txt');
const whole = loaded(await flame([perf, '--firefox']));
/** Functions of one name are several where they are of several libraries. */
function merged(functions) {
  const ret = new Map();
  for (const f of functions) {
    const m = ret.get(f.name) ?? { name: f.name, selfSamples: 0, totalSamples: 0 };
    m.selfSamples += f.selfSamples;
    m.totalSamples = Math.max(m.totalSamples, f.totalSamples);
    m.several = ret.has(f.name);
    ret.set(f.name, m);
  }
  return ret;
}

t('threads and processes, the busiest first, with the CPU time that they used', async () => {
  const { threads } = await whole;
  equal(threads.map((x) => `${x.name} ${x.processName} ${x.pid} ${x.tid}`).join(), 'spin spin 396 396,test_time test_time 378 378', 'threads');
  near(threads[0].cpuMs, 38 * 10.101, 0.03, 0, 'CPU ms of spin'); // what the first sample stands for lies before it
  near(threads[1].cpuMs, 16 * 10.101, 0.07, 0, 'CPU ms of test_time');
});

t('functions: self and total times are those of our folded stacks', async () => {
  const { threads, functions } = await whole;
  for (const thread of threads) {
    const got = await functions(thread.threadHandle);
    const want = sums(folded(await flame([perf, '--pid', String(thread.pid), '--by', 'none'])));
    equal(got.weightType, 'tracing-ms', 'weights');
    const by = merged(got.functions);
    equal([...by.keys()].sort().join(), [...want.total.keys()].sort().join(), `functions of ${thread.name}`);
    for (const f of by.values()) {
      if (!f.several) near(f.totalSamples, want.total.get(f.name) * 10.101, 0.001, 0.01, `total of ${f.name}`);
      near(f.selfSamples, (want.self.get(f.name) ?? 0) * 10.101, 0.001, 0.01, `self of ${f.name}`);
    }
  }
  const { functions: all } = await functions(threads[0].threadHandle);
  equal(all.find((f) => f.name === '__libc_start_call_main')?.library, 'libc.so.6', 'the library');
});

t('its call tree is ours', async () => {
  const { ask, threads } = await whole;
  const tree = await ask('thread', 'samples-top-down', '--thread', threads[0].threadHandle);
  const path = [];
  for (let n = tree.regularCallTree.children?.[0]; n; n = n.children?.[0]) path.push(`${n.name} ${n.totalSamples.toFixed(0)}`);
  equal(path.join(';'), '__libc_start_call_main 384;main 384;hot_outer 384;hot_inner 384', 'the tree');
});

t('bytes of a heap profile are bytes', async () => {
  const file = join(fixtures, 'go.heap.pb.gz');
  const { threads, functions } = await loaded(await flame([file, '--firefox']));
  const got = await functions(threads[0].threadHandle);
  const want = sums(folded(await flame([file, '--by', 'none'])));
  equal(got.weightType, 'bytes', 'weights');
  for (const f of got.functions) near(f.totalSamples, want.total.get(f.name), 0, 0, `bytes of ${f.name}`);
  equal(threads[0].cpuMs, 0, 'CPU time of a heap');
  assert(threads[0].name, 'a thread without a name');
});

for (const name of ['node.cpuprofile', 'perf_bare.txt'])
  t(`${name} loads, with all of its functions`, async () => {
    const file = join(fixtures, name);
    const { threads, functions } = await loaded(await flame([file, '--firefox']));
    const want = sums(folded(await flame([file, '--by', 'none'])));
    const names = new Set();
    for (const x of threads) for (const f of (await functions(x.threadHandle)).functions) names.add(f.name);
    for (const n of want.total.keys()) assert(names.has(n), `no ${n}`);
  });

await t.run();
