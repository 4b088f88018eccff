#!/usr/bin/env node
// What is held, what changed, totals and events of the past: over the stream, over HTTP, by the verb.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { after, before, test } from 'node:test';
import { binary, connect, follow, getJson, request, startAgent } from './client.mjs';
import { eventsRequest, heldRequest, rangeRequest, rankRequest, subscribe, totalsRequest } from './schema.mjs';

let agent, c, burner, burned;
const newest = () => c.model.ticks.at(-1);
const strobe = (args) => new Promise((resolve) => {
  execFile(binary, args, { env: { PATH: process.env.PATH, HOME: '/nonexistent' }, encoding: 'utf8', timeout: 20000 }, (e, stdout, stderr) => resolve({ status: e ? e.code : 0, stdout, stderr }));
});

before(async () => {
  agent = await startAgent();
  c = await connect(agent);
  c.stream.send(subscribe({ groups: [{ group: c.group('cpu.all') }, { group: c.group('process') }] }));
  await follow(c, () => c.model.ticks.length >= 40);
  burned = { from: newest().mono_us };
  burner = spawn('sh', ['-c', 'while :; do :; done'], { stdio: 'ignore' });
  const until = newest().mono_us + 2500000;
  await follow(c, () => newest().mono_us >= until);
  burner.kill('SIGKILL');
  const end = newest().mono_us + 1500000; // the whole list of processes is read once a second
  await follow(c, () => newest().mono_us >= end);
  burned.to = newest().mono_us;
});
after(async () => { c?.stream.close(); burner?.kill('SIGKILL'); await agent?.stop(); });

const ask = async (message, field) => { c.stream.send(message); return c.stream.until(field, (m) => { c.model.apply(m); assert.ok(!m.error, m.error?.text); }); };
const errorOf = async (message) => { c.stream.send(message); return c.stream.until('error', (m) => c.model.apply(m)); };
const wall = (us) => ((us + Number(c.hello.clocks.at(-1).real_off_us)) / 1e6).toFixed(6);

test('held: one stretch of this agent, with wall time', async () => {
  const h = await ask(heldRequest(41), 'held');
  assert.equal(h.req, 41);
  const span = h.spans.at(-1);
  assert.deepEqual(span.log_id, c.hello.log_id);
  assert.equal(span.boot_id, c.hello.boot_id);
  assert.equal(span.rollup, false);
  assert.ok(span.from_us <= burned.from && span.to_us >= burned.to, JSON.stringify([span, burned]));
  assert.ok(h.oldest_us <= span.from_us && h.full_us <= span.from_us);
  assert.ok(h.clocks.length >= 1);
  assert.equal(c.hello.history_oldest_us, h.oldest_us);
  const j = await getJson(agent, '/api/v1/held');
  assert.equal(j.spans.length, h.spans.length);
  assert.equal(j.spans.at(-1).log_id, c.hello.log_id.toString('hex'));
  assert.ok(Math.abs(j.spans.at(-1).from - Number(wall(span.from_us))) < 0.01);
  assert.ok(j.spans.at(-1).to > j.spans.at(-1).from + 3);
});

test('rank: over the stream, over HTTP and by the verb the same rows', async () => {
  const fromUs = burned.from + 300000, toUs = burned.from + 2300000;
  const r = await ask(rankRequest({ req: 42, fromUs, toUs, limit: 200 }), 'rank');
  assert.equal(r.req, 42);
  assert.equal(r.base_to_us, fromUs);
  assert.ok(r.n_series > 300 && r.n_scored > 100 && r.n_scored <= r.n_series, `${r.n_series} ${r.n_scored}`);
  assert.ok(r.rows.every((x, i) => x.score >= 3 && (!i || x.score <= r.rows[i - 1].score)));
  const h = await getJson(agent, `/api/v1/rank?from=${wall(fromUs)}&to=${wall(toUs)}&limit=200`);
  assert.deepEqual([r.resolution_us, h.resolution_seconds], [0, 0]);
  assert.deepEqual(h.rows.map((x) => [x.metric, x.instance, x.others, x.n, x.n_before]), r.rows.map((x) => [x.metric, x.instance, x.others, x.n, x.n_before]));
  for (const [i, x] of h.rows.entries()) {
    const def = c.model.catalog.groups[r.rows[i].group].metrics[r.rows[i].metric_index];
    assert.equal(def.name, x.metric);
    const scale = def.mul / def.div / (def.semantics === 0 ? 1000 : 1);
    for (const key of ['before', 'now', 'min', 'max']) assert.ok(Math.abs(x[key] - Number(r.rows[i][key]) * scale) <= Math.abs(x[key]) * 1e-9, `${x.metric} ${key}`);
    assert.equal(x.rate, def.semantics === 0);
    assert.equal(x.brief, r.rows[i].brief);
    assert.equal(x.unit, def.unit + (x.rate ? '/s' : ''));
    assert.ok(x.min <= x.now && x.now <= x.max, x.metric);
  }
  const verb = await strobe(['rank', '--from', wall(fromUs), '--to', wall(toUs), '--limit', '200', '--url', `${agent.url}#token=${agent.token}`]);
  assert.equal(verb.status, 0, verb.stderr);
  const lines = verb.stdout.trim().split('\n');
  if (r.rows.length) assert.equal(lines.length, r.rows.length + 1);
  else assert.match(verb.stdout, /^nothing changed/);
  const json = await strobe(['rank', '--from', wall(fromUs), '--to', wall(toUs), '--json', '--limit', '3', '--url', `${agent.url}#token=${agent.token}`]);
  assert.deepEqual(JSON.parse(json.stdout).rows, h.rows.slice(0, 3));
});

test('rank: what cannot be answered is said', async () => {
  assert.deepEqual([(await errorOf(rankRequest({ req: 1, fromUs: 10, toUs: 20 }))).code, (await errorOf(rankRequest({ req: 1, fromUs: 20, toUs: 10 }))).code], [404, 400]);
  assert.equal((await errorOf(rankRequest({ req: 2, fromUs: 10, toUs: 20, limit: 201 }))).code, 400);
  assert.equal((await errorOf(rankRequest({ req: 3, fromUs: -50, toUs: -20, baseFromUs: -100, baseToUs: -60 }))).code, 404);
  for (const [args, status] of [['from=-1s&limit=999', 400], ['from=-1s&to=-2s', 400], ['frm=-1s', 400], ['from=1000&to=2000', 404], ['from=-1s&baseline_to=-1s', 400], ['from=-2s&baseline_from=-1s&baseline_to=-5s', 400]]) {
    const r = await request(agent, `/api/v1/rank?${args}`);
    assert.equal(r.status, status, `${args}: ${r.body}`);
    assert.ok(JSON.parse(r.body).hint, args);
  }
});

test('totals: who burned the CPU in the range, though it has ended', async () => {
  const def = c.model.byName.get('process'), metrics = ['proc.psinfo.utime', 'proc.psinfo.stime', 'proc.psinfo.rss'];
  for (const m of metrics) assert.ok(def.metrics.some((x) => x.name === m), m);
  const rows = [];
  c.stream.send(totalsRequest({ req: 43, group: 'process', metrics, fromUs: burned.from, toUs: burned.to, baseFromUs: burned.from - 3000000, baseToUs: burned.from, limit: 500 }));
  let t;
  do {
    t = await c.stream.until('totals', (m) => { c.model.apply(m); assert.ok(!m.error, m.error?.text); });
    assert.equal(t.req, 43);
    rows.push(...t.rows);
  } while (!t.last);
  assert.ok(t.n_instances >= rows.length && rows.length > 3);
  assert.ok(rows.every((x, i) => x.deltas.length === 3 && x.before.length === 3 && (!i || x.deltas[0] <= rows[i - 1].deltas[0])));
  const own = rows.find((x) => x.instance === String(burner.pid));
  assert.ok(own, 'the burner is among them');
  assert.ok(own.deltas[0] > 0n && own.deltas[2] > 0n, JSON.stringify(own, (k, v) => (typeof v === 'bigint' ? Number(v) : v)));
  assert.deepEqual([own.started, own.ended], [true, true]);
  assert.ok(own.before.every((v) => v < 0), 'it was not there before');
  assert.ok(own.attrs.some((a) => a.value === 'sh'), 'its name is known');
  assert.equal((await errorOf(totalsRequest({ req: 4, group: 'process', metrics: ['no.such'], fromUs: burned.from, toUs: burned.to }))).code, 404);
  assert.equal((await errorOf(totalsRequest({ req: 5, group: 'process', metrics: [], fromUs: burned.from, toUs: burned.to }))).code, 400);
});

test('events of a range, and ranges from before the boot', async () => {
  const e = await ask(eventsRequest({ req: 44, fromUs: -1000000, toUs: newest().mono_us + 1000000 }), 'events');
  assert.equal(e.req, 44);
  assert.ok(e.events.some((x) => x.kind === 1), 'the agent started in it');
  const none = await ask(eventsRequest({ req: 45, fromUs: -2000000, toUs: -1000000 }), 'events');
  assert.deepEqual([none.req, none.events.length], [45, 0]);
  assert.equal((await errorOf(eventsRequest({ req: 6, fromUs: 5, toUs: 5 }))).code, 400);
  const r = await ask(rangeRequest({ req: 46, series: [{ metric: 'mem.util.free' }], fromUs: -86400000000, toUs: newest().mono_us, points: 10 }), 'range');
  assert.equal(r.from_us, -86400000000);
  assert.ok(r.oldest_us > 0 && r.series[0].count.at(-1) > 20);
});
