#!/usr/bin/env node
// Stacks over the stream and over HTTP: heat map, flame graph, flame chart, bursts, captures; by a client
// that knows the .proto alone.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { binary, connect, request, startAgent } from './client.mjs';
import { flameChartRequest, flameRequest, heatRequest, linesRequest, profilerRequest } from './schema.mjs';

// CPU time of a process so far, in us: the host may be busy with other things.
const cpuOf = (pid) => Number(fs.readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ')[0]) / 1000;
let agent, c, state, spin, burned, skip = false;
const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });
const strobe = (args) => new Promise((resolve) => {
  execFile(binary, args, { env: { PATH: process.env.PATH, HOME: '/nonexistent' }, encoding: 'utf8', timeout: 30000, maxBuffer: 64 << 20 }, (e, stdout, stderr) => resolve({ status: e ? e.code : 0, stdout, stderr }));
});
const withErrors = (m) => { assert.ok(!m.error, m.error?.text); };
const one = async (client, message, field) => { client.stream.send(message); return client.stream.until(field, withErrors); };
const errorOf = async (message) => { c.stream.send(message); return c.stream.until('error', () => {}); };

// Messages of one answer, to the last.
async function parts(client, message, field) {
  const ret = [await one(client, message, field)];
  while (!ret.at(-1).last) ret.push(await client.stream.until(field, withErrors));
  return ret;
}
async function flame(client, rq) {
  const all = await parts(client, flameRequest(rq), 'flame');
  const t = { strings: [], depth: [], name: [], module: [], type: [], total_us: [], self_us: [], base_total_us: [], base_self_us: [], addr: [], build_id: [] };
  for (const m of all) for (const k of Object.keys(t)) t[k].push(...m[k]);
  return { ...t, sum: all[0].sum, baseline: all[0].baseline, tasks: all[0].tasks, left_out: all[0].left_out, missing: all[0].missing };
}
// Every node is its own time and its children's, in both columns.
function checkTree(t, base) {
  const n = t.depth.length, stack = [];
  for (const k of ['name', 'module', 'type', 'total_us', 'self_us', 'addr', 'build_id']) assert.equal(t[k].length, n, k);
  assert.equal(t.base_total_us.length, base ? n : 0);
  for (const [total, self] of [['total_us', 'self_us'], ...(base ? [['base_total_us', 'base_self_us']] : [])]) {
    const sums = t[self].slice();
    stack.length = 0;
    for (let i = 0; i < n; i++) {
      assert.ok(t.depth[i] <= stack.length && (i === 0) === (t.depth[i] === 0), `node ${i} at depth ${t.depth[i]}`);
      stack.length = t.depth[i];
      if (i) sums[stack.at(-1)] += t[total][i];
      stack.push(i);
    }
    if (!t.left_out) for (let i = 0; i < n; i++) assert.equal(sums[i], t[total][i], `${total} of node ${i}, ${t.strings[t.name[i]]}`);
  }
}
const near = (a, b, share, what) => assert.ok(Math.abs(a - b) <= share * b, `${what}: ${a}, not ${b} to ${share * 100} %`);

before(async () => {
  agent = await startAgent();
  c = await connect(agent);
  state = await one(c, profilerRequest(1), 'profiler');
  if (!state.on) { skip = `no profiler here: ${state.reason}`; return; }
  await sleep(500);
  state = await one(c, profilerRequest(2), 'profiler');
  burned = { from: state.now_us };
  spin = spawn('sh', ['-c', 'while :; do :; done'], { stdio: 'ignore' });
  await sleep(2600);
  while (cpuOf(spin.pid) < 1.5e6) await sleep(100); // enough samples, on a busy host too
  burned.to = (await one(c, profilerRequest(3), 'profiler')).now_us;
  burned.cpu = cpuOf(spin.pid);
  spin.kill('SIGKILL');
  await sleep(1200);
});
after(async () => { c?.stream.close(); spin?.kill('SIGKILL'); await agent?.stop(); });

const it = (name, body) => test(name, async (t) => { if (skip) t.skip(skip); else await body(t); });

test('a host that cannot be profiled says what to do', () => { if (skip) assert.match(state.reason, /\w{3,}.*\w{3,}/); });

it('the profiler tells what it is', async () => {
  const s = await one(c, profilerRequest(9), 'profiler');
  assert.equal(s.req, 9);
  assert.equal(s.hz, 99);
  assert.equal(s.base_hz, 99);
  assert.match(s.event, /^c/);
  assert.ok(s.samples > 150 && s.oldest_us > 0 && s.oldest_us <= burned.from && s.now_us > burned.to, JSON.stringify(s));
});

it('heat map: the cells of a process add up to the CPU it burned', async () => {
  const from = burned.from - 1000000, columns = Math.ceil((burned.to - from) / 1e6) + 1;
  const all = await parts(c, heatRequest({ req: 20, fromUs: from, columnUs: 1000000, columns, rows: 50, filter: { pid: spin.pid } }), 'heat');
  const sum = all.flatMap((m) => m.weight_us).reduce((a, b) => a + b, 0);
  assert.equal(all.reduce((a, m) => a + m.n_columns, 0), columns);
  for (const m of all) { assert.equal(m.gap.length, m.weight_us.length); assert.equal(m.n_rows, 50); assert.equal(m.covered.length, m.n_columns); }
  near(sum, burned.cpu, 0.25, 'us on the CPU');
  let cell = -1, before = 0;
  for (const [i, gap] of all[0].gap.entries()) {
    cell += gap + 1;
    if (from + (Math.floor(cell / 50) * 1000 + (cell % 50) * 20 + 20) * 1000 < burned.from - 20000) before += all[0].weight_us[i];
  }
  assert.equal(before, 0, 'cells before it began');
});

it('heat map: rows by CPU, process, thread and cgroup', async () => {
  const rq = { fromUs: burned.from, columnUs: 100000, columns: 25 };
  const p = await parts(c, heatRequest({ ...rq, req: 21, by: 2, rows: 512 }), 'heat');
  const row = p[0].labels.find((r) => r.pid === spin.pid);
  assert.ok(row, JSON.stringify(p[0].labels));
  assert.match(row.label, /sh/);
  const t = await parts(c, heatRequest({ ...rq, req: 22, by: 3, rows: 20, filter: { pid: spin.pid } }), 'heat');
  assert.deepEqual(t[0].labels.map((r) => [r.pid, r.tid]), [[spin.pid, spin.pid]]);
  const cpus = await parts(c, heatRequest({ ...rq, req: 23, by: 1, rows: 512 }), 'heat');
  assert.ok(cpus[0].labels.length >= 1 && cpus[0].labels.every((r, i) => !i || r.cpu > cpus[0].labels[i - 1].cpu), JSON.stringify(cpus[0].labels));
  const g = await parts(c, heatRequest({ ...rq, req: 24, by: 4, rows: 20 }), 'heat');
  assert.ok(g[0].labels.length >= 1);
  const total = (h) => h.flatMap((m) => m.weight_us).reduce((a, b) => a + b, 0);
  assert.equal(total(p), total(cpus));
});

it('heat map: a pattern marks where a function ran, a bad one is refused in words', async () => {
  const rq = { req: 25, fromUs: burned.from, columnUs: 1000000, columns: 2, rows: 50, filter: { pid: spin.pid } };
  const [all] = await parts(c, heatRequest({ ...rq, pattern: '.' }), 'heat');
  assert.deepEqual(all.matched_us, all.weight_us);
  assert.equal(all.n_matched, all.n_samples);
  const [none] = await parts(c, heatRequest({ ...rq, pattern: '^no such function$' }), 'heat');
  assert.ok(none.matched_us.every((x) => x === 0) && none.n_matched === 0 && none.n_samples === all.n_samples);
  const e = await errorOf(heatRequest({ ...rq, req: 26, pattern: 'a(' }));
  assert.equal(e.req, 26);
  assert.equal(e.code, 400);
  assert.match(e.text, /\w{4,}/);
  assert.match((await errorOf(heatRequest({ ...rq, columns: 100000 }))).text, /4,096/);
});

it('flame graph: a tree that adds up, with the process at its head', async () => {
  const t = await flame(c, { req: 30, ranges: [[burned.from, burned.to]], byProcess: true, tasks: 500 });
  checkTree(t, false);
  assert.equal(t.sum.span_us, burned.to - burned.from);
  assert.equal(t.total_us[0], t.sum.weight_us);
  assert.equal(t.sum.hz_min, 99);
  const task = t.tasks.find((r) => r.pid === spin.pid);
  assert.ok(task, JSON.stringify(t.tasks));
  near(task.n * 1e6 / 99, task.weight_us, 0.02, 'samples by their weight');
  const at = t.name.findIndex((s, i) => t.type[i] === 6 && /^sh /.test(t.strings[s]));
  assert.ok(at > 0, 'a frame of the process');
  assert.ok(t.total_us[at] >= task.weight_us);
  assert.ok(t.sum.covered_us >= 0.95 * t.sum.span_us, `${t.sum.covered_us} of ${t.sum.span_us}`);
  const alone = await flame(c, { req: 31, ranges: [[burned.from, burned.to]], filter: { pid: spin.pid } });
  checkTree(alone, false);
  const own = await flame(c, { req: 37, ranges: [[burned.from, burned.to]], filter: { pid: spin.pid }, byProcess: true });
  assert.deepEqual(own.name.filter((s, i) => own.type[i] === 6).map((s) => own.strings[s]), [`sh ${spin.pid}`]);
  assert.equal(alone.sum.weight_us, task.weight_us);
  assert.ok(alone.strings.some((s) => /main|start|loop|eval/.test(s)), alone.strings.join(' '));
  const halves = [[burned.from, burned.from + 1000000], [burned.from + 1000000, burned.to]];
  assert.equal((await flame(c, { req: 32, ranges: halves, filter: { pid: spin.pid } })).sum.weight_us, task.weight_us);
});

it('flame graph: against a baseline both columns add up', async () => {
  const t = await flame(c, { req: 33, ranges: [[burned.from + 100000, burned.to]], base: [[burned.from - 400000, burned.from]], byProcess: true, tasks: 500 });
  checkTree(t, true);
  assert.equal(t.baseline.span_us, 400000);
  assert.equal(t.base_total_us[0], t.baseline.weight_us);
  assert.equal(t.tasks.find((r) => r.pid === spin.pid)?.base_us, 0);
});

it('flame graph: what cannot be asked is said', async () => {
  assert.match((await errorOf(flameRequest({ req: 34, ranges: [] }))).text, /1 to 16 ranges/);
  assert.match((await errorOf(flameRequest({ req: 35, ranges: [[10, 10]] }))).text, /before/);
  assert.match((await errorOf(flameRequest({ req: 36, ranges: [[10, 30], [20, 40]] }))).text, /overlap/);
});

it('flame chart: samples of a thread in order of time', async () => {
  const all = await parts(c, flameChartRequest({ req: 40, fromUs: burned.from, toUs: burned.to, filter: { tid: spin.pid } }), 'chart');
  const rows = all.flatMap((m) => m.threads), n = all.reduce((a, m) => a + m.parent.length, 0);
  assert.equal(rows.length, 1);
  assert.deepEqual([rows[0].tid, rows[0].pid, rows[0].comm], [spin.pid, spin.pid, 'sh']);
  let at = 0n;
  for (const [i, d] of rows[0].at_us.entries()) { at += d; assert.ok(!i || d >= 0n); assert.ok(Number(at) >= burned.from - 1 && Number(at) < burned.to + 1); assert.ok(rows[0].node[i] < n); }
  near(rows[0].at_us.length, burned.cpu * 99 / 1e6, 0.25, 'samples');
});

it('lines of a frame: an answer, or what is missing', async () => {
  const l = await one(c, linesRequest({ req: 41, module: 'dash', buildId: '', addr: 4096 }), 'lines');
  assert.equal(l.req, 41);
  assert.ok(l.lines.length || /\w{4,}/.test(l.missing), JSON.stringify(l));
});

function unchunk(b) {
  const out = [];
  for (let at = 0; ;) {
    const eol = b.indexOf('\r\n', at), n = parseInt(b.toString('latin1', at, eol), 16);
    if (!n) return Buffer.concat(out);
    out.push(b.subarray(eol + 2, eol + 2 + n));
    at = eol + 4 + n;
  }
}
const wall = (us) => ((us + Number(c.hello.clocks.at(-1).real_off_us)) / 1e6).toFixed(6);
const url = (extra) => `/api/v1/profile?from=${wall(burned.from)}&to=${wall(burned.to)}&${extra}`;

it('HTTP: folded stacks count the same samples as the tree', async () => {
  const t = await flame(c, { req: 50, ranges: [[burned.from, burned.to]], filter: { pid: spin.pid } });
  const r = await request(agent, url(`format=folded&pid=${spin.pid}`));
  assert.equal(r.status, 200, r.body.toString());
  const n = r.body.toString().trim().split('\n').reduce((a, l) => a + Number(l.slice(l.lastIndexOf(' ') + 1)), 0);
  near(n, t.sum.n, 0.02, 'samples');
});

it('HTTP: every format answers, nonsense is refused in words', async () => {
  const heads = { pprof: /^\x1f\x8b/, html: /^<!doctype html/i, svg: /^<.xml/, json: /^\{/, speedscope: /speedscope/, firefox: /"meta"/, perfetto: /./s, perf: /cpu-clock|cycles/, strobe: /./s };
  for (const [format, head] of Object.entries(heads)) {
    const r = await request(agent, url(`format=${format}`));
    assert.equal(r.status, 200, `${format}: ${r.body}`);
    assert.match(r.body.toString('latin1'), head, format);
  }
  for (const [args, text] of [['format=nonsense', /format/], ['pid=x', /pid/], ['foo=1', /unknown argument/], ['baseline_from=-5s', /baseline/],
    ['format=perf&baseline_from=-20s&baseline_to=-10s', /a baseline goes with html/]]) {
    const r = await request(agent, url(args));
    assert.equal(r.status, 400, args);
    assert.match(JSON.parse(r.body.toString()).error, text);
  }
  for (const format of ['pprof', 'perf', 'speedscope']) { // of trees, and of samples
    const none = await request(agent, `/api/v1/profile?from=-2s&pid=1999999999&format=${format}`);
    assert.equal(none.status, 404, format);
    assert.match(none.body.toString(), /no sample of what was asked for/);
  }
  // A capture wants to know that nothing ran; and what is compared with nothing would all look new.
  assert.equal((await request(agent, '/api/v1/profile?from=-2s&pid=1999999999&format=strobe')).status, 200);
  const before = await request(agent, url(`baseline_from=${wall(burned.from - 9e9)}&baseline_to=${wall(burned.from - 8e9)}&format=folded`));
  assert.equal(before.status, 404);
  assert.match(before.body.toString(), /no stacks are held of the baseline/);
  assert.equal((await request(agent, url('format=folded'), { auth: false })).status, 401);
});

it('a burst raises the rate for its time, and is an action: POST with the token', async () => {
  assert.equal((await request(agent, '/api/v1/profile/burst?hz=999&seconds=1', { method: 'POST', auth: false })).status, 401);
  assert.notEqual((await request(agent, '/api/v1/profile/burst?hz=999&seconds=1')).status, 200);
  assert.equal((await request(agent, '/api/v1/profile/burst?hz=99999&seconds=1', { method: 'POST' })).status, 400);
  const r = await request(agent, '/api/v1/profile/burst?hz=999&seconds=1', { method: 'POST' });
  assert.equal(r.status, 200, r.body.toString());
  await sleep(400);
  const s = await one(c, profilerRequest(60), 'profiler');
  assert.equal(s.hz, 999);
  assert.ok(s.burst_until_us > s.now_us);
  for (let i = 0; (await one(c, profilerRequest(61), 'profiler')).hz !== 99; i++) { assert.ok(i < 50, 'the burst does not end'); await sleep(100); }
});

it('a capture holds the stacks: opened elsewhere they draw the same flame graph', async () => {
  const file = path.join(agent.dir, 'x.strobe');
  const rec = await strobe(['record', '-o', file, '--last', '20s', '--url', `${agent.url}#token=${agent.token}`]);
  assert.equal(rec.status, 0, rec.stderr);
  const whole = await request(agent, `/api/v1/capture?from=${wall(burned.from - 500000)}&to=${wall(burned.to + 500000)}`);
  assert.equal(whole.status, 200);
  fs.writeFileSync(path.join(agent.dir, 'y.strobe'), unchunk(whole.body));
  const rq = { req: 70, ranges: [[burned.from, burned.to]], filter: { pid: spin.pid } };
  const live = await flame(c, rq), names = (t) => t.name.map((s, i) => `${t.depth[i]} ${t.strings[s]} ${t.total_us[i]}`);
  for (const name of ['x.strobe', 'y.strobe']) {
    const opened = await startAgent({ verb: 'open', args: [path.join(agent.dir, name)] });
    const o = await connect(opened);
    const t = await flame(o, rq);
    assert.deepEqual(names(t), names(live), name);
    const off = await one(o, profilerRequest(71), 'profiler');
    assert.equal(off.on, false);
    assert.match(off.reason, /nothing is sampled/);
    // Nothing else is sent that would wake the server: each answer has to bring the next.
    const asked = Array.from({ length: 6 }, (_, i) => 80 + i), answered = [];
    for (const req of asked) o.stream.send(flameRequest({ ...rq, req }));
    while (answered.length < asked.length) {
      const m = await o.stream.until('flame', withErrors);
      if (m.last) answered.push(m.req);
    }
    assert.deepEqual(answered.sort(), asked, 'questions that came at once');
    o.stream.close();
    await opened.stop();
  }
});
