#!/usr/bin/env node
// `strobe flame --perfetto`, read as Perfetto's trace processor reads samples. There is no build of it on npm nor in Debian, so this is a
// reader of the test's own, of the published schema (protos/perfetto/trace) and of the rules that its importer has: a sequence's
// state must be cleared before it is needed, what is interned must be there, a CPU or a time that is 0 must be written.
import { join } from 'node:path';
import { assert, equal, near, tests } from '../e2e/lib.mjs';
import { fixtures, flame, folded, sums } from './tools.mjs';

// number: [name, kind], u varint, t text, message; a list where the schema repeats it.
const MESSAGES = {
  Trace: { 1: ['packet', 'TracePacket', 1] },
  TracePacket: { 2: ['process_tree', 'ProcessTree'], 6: ['clock_snapshot', 'ClockSnapshot'], 8: ['timestamp', 'u'], 10: ['sequence', 'u'], 12: ['interned', 'InternedData'],
    13: ['flags', 'u'], 58: ['clock', 'u'], 59: ['defaults', 'Defaults'], 66: ['sample', 'PerfSample'] },
  ClockSnapshot: { 1: ['clocks', 'Clock', 1], 2: ['primary', 'u'] },
  Clock: { 1: ['id', 'u'], 2: ['timestamp', 'u'] },
  ProcessTree: { 1: ['processes', 'Process', 1], 2: ['threads', 'Thread', 1] },
  Process: { 1: ['pid', 'u'], 2: ['ppid', 'u'], 3: ['cmdline', 't', 1] },
  Thread: { 1: ['tid', 'u'], 2: ['name', 't'], 3: ['tgid', 'u'] },
  InternedData: { 5: ['function_names', 'Text', 1], 6: ['frames', 'Frame', 1], 7: ['callstacks', 'Callstack', 1], 16: ['build_ids', 'Text', 1], 17: ['mapping_paths', 'Text', 1],
    19: ['mappings', 'Mapping', 1] },
  Text: { 1: ['iid', 'u'], 2: ['str', 't'] },
  Frame: { 1: ['iid', 'u'], 2: ['function_name_id', 'u'], 3: ['mapping_id', 'u'], 4: ['rel_pc', 'u'] },
  Callstack: { 1: ['iid', 'u'], 2: ['frame_ids', 'u', 1] },
  Mapping: { 1: ['iid', 'u'], 2: ['build_id', 'u'], 3: ['start_offset', 'u'], 4: ['start', 'u'], 5: ['end', 'u'], 6: ['load_bias', 'u'], 7: ['path_string_ids', 'u', 1] },
  Defaults: { 12: ['perf', 'PerfDefaults'], 58: ['clock', 'u'] },
  PerfDefaults: { 1: ['timebase', 'Timebase'] },
  Timebase: { 2: ['frequency', 'u'], 4: ['counter', 'u'], 10: ['name', 't'] },
  PerfSample: { 1: ['cpu', 'u'], 2: ['pid', 'u'], 3: ['tid', 'u'], 4: ['callstack_iid', 'u'], 5: ['cpu_mode', 'u'], 6: ['timebase_count', 'u'] },
};

function decode(bytes, type) {
  let at = 0;
  const varint = () => {
    let v = 0n;
    for (let shift = 0n; ; shift += 7n) {
      assert(at < bytes.length && shift < 70n, `${type} is cut short`);
      const b = bytes[at++];
      v |= BigInt(b & 0x7f) << shift;
      if (b < 0x80) return Number(v);
    }
  };
  const o = {};
  while (at < bytes.length) {
    const tag = varint();
    const field = MESSAGES[type][Math.floor(tag / 8)];
    assert(field, `${type} has no field ${Math.floor(tag / 8)}`);
    const [name, kind, list] = field;
    let v = varint();
    equal(tag % 8, kind === 'u' ? 0 : 2, `wire type of ${type}.${name}`);
    if (kind !== 'u') {
      assert(at + v <= bytes.length, `${type}.${name} ends behind its message`);
      const body = bytes.subarray(at, at + v);
      at += v;
      v = kind === 't' ? new TextDecoder('utf-8', { fatal: true }).decode(body) : decode(body, kind);
    }
    if (list) (o[name] ??= []).push(v);
    else o[name] = v;
  }
  return o;
}

/** What the trace processor would have in its tables: samples with their stacks by name, threads, clocks, the counter. */
function load(bytes) {
  const { packet } = decode(bytes, 'Trace');
  const r = { samples: [], threads: new Map(), processes: new Map(), timebase: null, clocks: null };
  let state = null;
  for (const p of packet) {
    assert(p.sequence > 0, 'a packet without a sequence');
    if (p.flags & 1) state = { interned: {}, defaults: null };
    if (p.clock_snapshot) r.clocks = Object.fromEntries(p.clock_snapshot.clocks.map((c) => [c.id, c.timestamp]));
    for (const t of p.process_tree?.threads ?? []) r.threads.set(t.tid, t);
    for (const t of p.process_tree?.processes ?? []) r.processes.set(t.pid, t.cmdline.join(' '));
    if (p.defaults) {
      assert(state, 'defaults of a sequence that was not cleared');
      state.defaults = p.defaults;
      r.timebase = p.defaults.perf.timebase;
    }
    for (const [table, rows] of Object.entries(p.interned ?? {}))
      for (const row of rows) {
        state.interned[table] ??= new Map();
        assert(row.iid > 0 && !state.interned[table].has(row.iid), `${table} ${row.iid} twice, or 0`);
        state.interned[table].set(row.iid, row);
      }
    if (!p.sample) continue;
    assert(p.flags & 2 && state, 'a sample without its state');
    const get = (table, iid) => state.interned[table]?.get(iid) ?? assert(false, `no ${table} ${iid}`);
    const frames = get('callstacks', p.sample.callstack_iid).frame_ids.map((id) => {
      const f = get('frames', id);
      const m = get('mappings', f.mapping_id);
      get('build_ids', m.build_id);
      for (const path of m.path_string_ids) get('mapping_paths', path);
      assert(f.rel_pc !== undefined && m.end > f.rel_pc, 'a frame outside of its mapping');
      return get('function_names', f.function_name_id).str;
    });
    assert(p.timestamp !== undefined, 'a sample without a time');
    equal(p.clock ?? state.defaults.clock, 3, 'its clock');
    r.samples.push({ ...p.sample, ns: p.timestamp, frames });
  }
  return r;
}
const read = async (...args) => load(Buffer.from(await flame([...args, '--perfetto'], { encoding: 'buffer' })));
const perf = join(fixtures, 'perf.txt');
const weight = (list) => {
  const last = new Map();
  for (const s of list) {
    assert(s.timebase_count > (last.get(s.cpu) ?? 0), 'the counter of a CPU falls');
    last.set(s.cpu, s.timebase_count);
  }
  return [...last.values()].reduce((a, b) => a + b, 0);
};

const t = tests();
t('perf_sample: every sample, its stack, CPU, thread and time', async () => {
  const r = await read(perf);
  const text = await flame([perf, '--perf']);
  const lines = text.split('\n').filter((l) => /cpu-clock: $/.test(l)).map((l) => /(\d+)\/(\d+) \[(\d+)\] (\d+)\.(\d{6}):/.exec(l).slice(1).map(Number));
  equal(r.samples.length, lines.length, 'select count(*) from perf_sample');
  for (const [i, s] of r.samples.entries()) equal([s.pid, s.tid, s.cpu, s.ns].join(), [lines[i][0], lines[i][1], lines[i][2], (lines[i][3] * 1e6 + lines[i][4]) * 1000].join(), `sample ${i}`);
  assert(r.samples.some((s) => s.cpu === 0) && r.samples.some((s) => s.cpu === 1), 'CPUs');
  const want = sums(folded(await flame([perf, '--by', 'none'])));
  const got = sums(r.samples.map((s) => ({ frames: s.frames, weight: 1 })));
  for (const k of ['self', 'total']) equal([...got[k]].sort().join(), [...want[k]].sort().join(), `${k} by function`);
});

t('threads and processes have their names, the counter is of CPU time', async () => {
  const r = await read(perf);
  equal([...r.processes].map(([pid, name]) => `${pid} ${name}`).join(), '378 test_time,396 spin', 'processes');
  for (const s of r.samples) equal(r.threads.get(s.tid)?.tgid, s.pid, 'the thread of a sample');
  equal(r.timebase.counter, 1, 'SW_CPU_CLOCK');
  equal(r.timebase.frequency, 99, 'Hz');
  near(weight(r.samples), 54 * 10101e3, 0.001, 0, 'ns in all');
  const modes = new Set(r.samples.map((s) => s.cpu_mode));
  assert(modes.has(1) && modes.has(2), 'samples of the kernel and of programs');
  for (const s of r.samples) if (s.frames.at(-1) === 'hot_inner') equal(s.cpu_mode, 2, 'mode of hot_inner');
});

t('what has neither times nor CPUs loads, too, and is no CPU time', async () => {
  const r = await read(join(fixtures, 'go.heap.pb.gz'));
  equal(r.timebase.name, 'inuse_space', 'the counter');
  equal(weight(r.samples), sums(folded(await flame([join(fixtures, 'go.heap.pb.gz')]))).all, 'bytes');
  assert(r.samples.every((s) => s.cpu === undefined), 'a CPU of nobody');
});

for (const name of ['node.cpuprofile', 'slices.json', 'perf_sched.txt', 'go.cpu.pb.gz'])
  t(`${name}: every function`, async () => {
    const r = await read(join(fixtures, name));
    const want = sums(folded(await flame([join(fixtures, name), '--by', 'none'])));
    equal([...sums(r.samples.map((s) => ({ frames: s.frames, weight: 1 }))).total.keys()].sort().join(), [...want.total.keys()].sort().join(), 'functions');
  });

await t.run();
