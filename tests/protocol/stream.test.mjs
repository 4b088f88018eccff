#!/usr/bin/env node
// The stream as a stranger's client sees it: contiguous ticks through a disconnect, levels, ranges.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { connect, follow, getJson, Model, request, startAgent } from './client.mjs';
import { ping, rangeRequest, subscribe, texts } from './schema.mjs';

let agent;
before(async () => { agent = await startAgent(); });
after(async () => { await agent?.stop(); });

const all = (c, extra = {}) => c.model.catalog.groups.map((g) => ({ group: g.id, ...extra }));
// What both received, from where both had begun: the same ticks, each once. (A tick that the agent
// itself missed on a loaded machine is missing in both.)
function assertSameTicks(a, b) {
  const [x, y] = [a, b].map((c) => c.model.ticks.map((t) => t.tick)), from = Math.max(x[0], y[0]), to = Math.min(x.at(-1), y.at(-1));
  const within = (list) => list.filter((t) => t >= from && t <= to);
  assert.ok(within(x).length > 3, `few ticks in common: ${x} and ${y}`);
  assert.deepEqual(within(x), within(y));
}
const newest = (c) => c.model.ticks.at(-1)?.tick ?? 0;

// Both clients hold the same, bit for bit. They must stand at the same tick.
function assertSame(a, b) {
  for (const [id, ga] of a.groups) {
    const gb = b.groups.get(id), name = a.catalog.groups.find((g) => g.id === id).name;
    assert.deepEqual([...ga.instances].map(([s, i]) => [s, i.gen, i.name]).sort(), [...gb.instances].map(([s, i]) => [s, i.gen, i.name]).sort(), `${name}: instances`);
    const sorted = (g) => [...g.values].sort((x, y) => x[0] - y[0]);
    assert.deepEqual(sorted(ga), sorted(gb), `${name}: values`);
  }
}

async function toSameTick(a, b) {
  while (newest(a) !== newest(b)) {
    const behind = newest(a) < newest(b) ? a : b;
    behind.model.apply(await behind.stream.next());
  }
}

test('Hello, Catalog, a window of history, live ticks: contiguous, resets first', async () => {
  const first = await connect(agent);
  first.stream.send(subscribe({ groups: all(first) }));
  await follow(first, () => first.model.ticks.length >= 12); // so that there is history
  const began = performance.now(), c = await connect(agent);
  assert.equal(c.stream.protocol, 'strobe.v1');
  assert.equal(c.hello.protocol, 1);
  assert.equal(c.hello.log_id.length, 16);
  assert.equal(c.hello.rate_hz, 10);
  c.stream.send(subscribe({ groups: all(c), windowUs: 1000000 }));
  await follow(c, () => c.model.ticks.length >= 1);
  const lateUs = (performance.now() - began) * 1000; // the window ends when the agent has heard of it
  await follow(c, () => c.model.ticks.length >= 30);
  assert.equal(c.model.resets, c.model.catalog.groups.length, 'one reset row per group');
  assert.ok(c.model.ticks[0].mono_us <= c.hello.now_us - 700000 + lateUs, `the window reaches back: ${c.hello.now_us - c.model.ticks[0].mono_us} us, heard within ${lateUs}`);
  assert.ok(c.stream.largest <= 1 << 20);
  await follow(first, () => newest(first) >= newest(c));
  await toSameTick(first, c);
  assertSameTicks(first, c);
  assertSame(first.model, c.model);
  first.stream.close();
  c.stream.close();
});

test('what the metrics mean is not in the Catalog but in Texts, which ticks go before', async () => {
  const c = await connect(agent), catalog = c.stream.payloads.get('catalog');
  c.stream.send(subscribe({ groups: all(c), windowUs: 10000000 })); // with a tick in it, however busy the host
  c.stream.send(texts());
  const came = [];
  const t = await c.stream.until('texts', (m) => came.push(...Object.keys(m).filter((k) => m[k])));
  assert.ok(came.includes('batch'), `before the texts came ${came}`);
  assert.equal(t.version, c.model.catalog.version);
  const known = new Map((await getJson(agent, '/api/v1/metrics')).groups.flatMap((g) => g.metrics).map((m) => [m.name, m]));
  for (const def of c.model.catalog.groups) {
    const words = t.groups.find((g) => g.group === def.id).metrics;
    assert.equal(words.length, def.metrics.length, def.name);
    words.forEach(({ source, help }, i) => {
      const m = known.get(def.metrics[i].name);
      assert.deepEqual([source, help], [m.source, m.help], m.name);
      assert.ok(help && !catalog.includes(help), `${m.name}: ${help}`);
      assert.ok(source && (source.length < 16 || !catalog.includes(source)), `${m.name}: ${source}`);
    });
  }
  assert.equal(t.groups.length, c.model.catalog.groups.length);
  c.stream.close();
});

test('a client that was away resumes where it stopped: no tick lost, none twice, no reset', async () => {
  const control = await connect(agent), c = await connect(agent);
  control.stream.send(subscribe({ groups: all(control) }));
  c.stream.send(subscribe({ groups: all(c) }));
  await follow(c, () => c.model.ticks.length >= 5);
  const { seq } = c.model, resets = c.model.resets;
  c.stream.socket.destroy(); // in the middle of whatever was on its way
  await follow(control, () => newest(control) >= newest(c) + 25);
  const again = await connect(agent);
  again.model = Object.assign(c.model, { catalog: again.model.catalog });
  again.stream.send(subscribe({ groups: all(again), logId: again.hello.log_id, seq }));
  await follow(again, () => newest(again) >= newest(control) + 5);
  assert.deepEqual(again.model.gaps, []);
  assert.equal(again.model.resets, resets);
  await follow(control, () => newest(control) >= newest(again));
  await toSameTick(control, again);
  assertSameTicks(control, again);
  assertSame(control.model, again.model);
  again.stream.close();
  control.stream.close();
});

test('a resume key of another log gives a Gap and reset rows; so does one the log does not hold', async () => {
  const c = await connect(agent);
  c.stream.send(subscribe({ groups: all(c), logId: Buffer.alloc(16, 7), seq: 5 }));
  await follow(c, () => c.model.ticks.length >= 2);
  assert.equal(c.model.gaps.length, 1);
  assert.equal(c.model.gaps[0].reason, 3);
  assert.equal(c.model.resets, c.model.catalog.groups.length);
  const d = await connect(agent);
  d.stream.send(subscribe({ groups: all(d), logId: d.hello.log_id, seq: d.hello.newest_seq + 1000000 }));
  await follow(d, () => d.model.ticks.length >= 2);
  assert.equal(d.model.gaps.length, 1);
  c.stream.close();
  d.stream.close();
});

test('a group that is fresh in a resume begins with its reset row, the rest goes on', async () => {
  const control = await connect(agent), c = await connect(agent), [a, b] = [c.group('cpu.all'), c.group('memory.util')];
  control.stream.send(subscribe({ groups: [{ group: a }] }));
  c.stream.send(subscribe({ groups: [{ group: a }] }));
  await follow(c, () => c.model.ticks.length >= 3);
  c.stream.send(subscribe({ groups: [{ group: a }, { group: b, fresh: true }], logId: c.hello.log_id, seq: c.model.seq }));
  await follow(c, () => (c.model.groups.get(b)?.reads.length ?? 0) >= 3);
  assert.equal(c.model.resets, 2);
  await follow(control, () => newest(control) >= newest(c));
  assertSameTicks(control, c);
  assert.deepEqual(c.model.gaps, []);
  c.stream.close();
  control.stream.close();
});

test('coarser levels keep the smallest, the largest and the sum, and share their boundaries', async () => {
  const fine = await connect(agent), group = fine.group('cpu.all'), mem = fine.group('memory.util');
  const history = new Map(); // tick -> {group -> values}
  fine.stream.send(subscribe({ groups: [{ group }, { group: mem }] }));
  const coarse = await connect(agent);
  coarse.stream.send(subscribe({ groups: [{ group, level: 5 }, { group: mem, level: 5 }] }));
  const apply = fine.model.applyGroup;
  fine.model.applyGroup = function (tick, t) {
    apply.call(this, tick, t);
    const g = this.groups.get(t.group);
    history.set(`${t.group}/${tick.tick}`, { values: new Map(g.values), at: g.at });
  };
  await follow(coarse, () => (coarse.model.groups.get(group)?.reads.length ?? 0) >= 8);
  await follow(fine, () => newest(fine) >= newest(coarse));
  const n = (id) => fine.model.catalog.groups.find((g) => g.id === id).metrics.length;
  let compared = 0;
  for (const id of [group, mem]) {
    const def = fine.model.catalog.groups.find((g) => g.id === id);
    for (const { tick, t } of coarse.model.groups.get(id).reads) {
      const rows = [0, 1, 2, 3, 4, 5].map((i) => history.get(`${id}/${tick - 5 + i}`));
      if (rows.some((r) => !r)) continue; // before the fine client began, or missed by the agent
      assert.equal(tick % 5, 0, 'an interval ends at a multiple of its level');
      assert.equal(t.n, 5);
      Model.indices(t.gap).forEach((index, k) => {
        const v = rows.map((r) => r.values.get(index));
        assert.equal(t.delta[k], v[5] - v[0]);
        if (def.metrics[index % n(id)].semantics === 0) {
          const rates = [1, 2, 3, 4, 5].map((i) => Number(v[i] - v[i - 1]) * 1e9 / (rows[i].at - rows[i - 1].at));
          assert.ok(Math.abs(Number(t.lo[k]) - Math.min(...rates)) <= 1, 'smallest rate');
          assert.ok(Math.abs(Number(t.hi[k]) - Math.max(...rates)) <= 1, 'largest rate');
        } else {
          const min = v.slice(1).reduce((x, y) => (y < x ? y : x)), max = v.slice(1).reduce((x, y) => (y > x ? y : x));
          assert.equal(t.lo[k], min);
          assert.equal(t.hi[k], max);
          assert.equal(t.sum[k], v.slice(1).reduce((x, y) => x + y));
        }
        compared++;
      });
    }
  }
  assert.ok(compared > 8, `compared ${compared}`); // few values change on an idle host
  fine.stream.close();
  coarse.stream.close();
});

test('a group at a coarser level resumes with a reset row at its last boundary, and no interval is lost', async () => {
  const control = await connect(agent), c = await connect(agent);
  const groups = all(c, { level: 5 });
  control.stream.send(subscribe({ groups }));
  c.stream.send(subscribe({ groups }));
  await follow(c, () => c.model.ticks.length >= 3);
  c.stream.close();
  await follow(control, () => newest(control) >= newest(c) + 15);
  const again = await connect(agent), resets = c.model.resets;
  again.model = Object.assign(c.model, { catalog: again.model.catalog });
  again.stream.send(subscribe({ groups, logId: again.hello.log_id, seq: c.model.seq }));
  await follow(again, () => newest(again) >= newest(control) + 10);
  assert.deepEqual(again.model.gaps, []);
  assert.equal(again.model.resets, resets + groups.length);
  await follow(control, () => newest(control) >= newest(again));
  await toSameTick(control, again);
  assertSameTicks(control, again);
  assertSame(control.model, again.model);
  again.stream.close();
  control.stream.close();
});

test('a range over the stream, the HTTP query and the live ticks agree', async () => {
  const c = await connect(agent), id = c.group('memory.util'), reads = [];
  const def = c.model.byName.get('memory.util'), k = def.metrics.findIndex((m) => m.name === 'mem.util.free');
  c.stream.send(subscribe({ groups: [{ group: id }], windowUs: 2000000 }));
  const apply = c.model.applyGroup;
  c.model.applyGroup = function (tick, t) {
    apply.call(this, tick, t);
    if (!t.reset) reads.push({ at: this.groups.get(id).at, v: this.groups.get(id).values.get(k) });
  };
  await follow(c, () => reads.length >= 25);
  const [fromUs, toUs] = [reads[0].at, reads.at(-1).at + 1], values = reads.map((r) => r.v);
  c.stream.send(rangeRequest({ req: 77, series: [{ metric: 'mem.util.free' }], fromUs, toUs, points: 1 }));
  const r = await c.stream.until('range', (m) => c.model.apply(m));
  assert.equal(r.req, 77);
  assert.equal(r.last, true);
  const s = r.series[0], min = values.reduce((x, y) => (y < x ? y : x)), max = values.reduce((x, y) => (y > x ? y : x));
  assert.deepEqual([s.count[0], s.first[0], s.min[0], s.max[0], s.last[0]], [values.length, values[0], min, max, values.at(-1)]);
  const mean = Number(values.reduce((x, y) => x + y)) / values.length;
  assert.ok(Math.abs(s.mean[0] - mean) < 1);
  const off = Number(c.hello.clocks.at(-1).real_off_us), wall = (us) => ((us + off) / 1e6).toFixed(6);
  const q = await getJson(agent, `/api/v1/query?metric=mem.util.free&from=${wall(fromUs)}&to=${wall(toUs)}&points=1`);
  const p = q.series[0].points[0], scale = def.metrics[k].mul / def.metrics[k].div;
  assert.deepEqual([p.n, p.first, p.min, p.max, p.last], [values.length, values[0], min, max, values.at(-1)].map((x, i) => (i ? Number(x) * scale : x)));
  assert.equal(q.series[0].unit, def.metrics[k].unit);
  const csv = (await request(agent, `/api/v1/query?metric=mem.util.free&from=${wall(fromUs)}&to=${wall(toUs)}&points=1&format=csv`)).body.toString().trim().split('\n');
  assert.equal(csv[0], 'metric,instance,unit,time,t,n,first,min,avg,max,last');
  assert.equal(Number(csv[1].split(',').at(-1)), Number(values.at(-1)) * scale);
  c.stream.close();
});

test('what cannot be served is answered with an Error that says what to do', async () => {
  const c = await connect(agent), errors = async (m) => { c.stream.send(m); return (await c.stream.until('error')); };
  assert.equal((await errors(rangeRequest({ req: 1, series: [{ metric: 'no.such.metric' }], fromUs: 1, toUs: 2, points: 1 }))).code, 404);
  const e = await errors(rangeRequest({ req: 2, series: [], fromUs: 1, toUs: 2, points: 1 }));
  assert.deepEqual([e.req, e.code], [2, 400]);
  assert.equal((await errors(rangeRequest({ req: 3, series: [{ metric: 'mem.util.free' }], fromUs: 1, toUs: 2, points: 20000 }))).code, 400);
  assert.equal((await errors(subscribe({ groups: [{ group: 9999 }] }))).code, 404);
  assert.equal((await errors(subscribe({ groups: [{ group: 0, level: 3 }] }))).code, 400);
  c.stream.send(ping(12345));
  assert.equal((await c.stream.until('pong')).id, 12345);
  c.stream.close();
});

test('an agent killed with -9 goes on in its log after a restart, and a client resumes across it', async () => {
  const one = await startAgent(), c = await connect(one);
  c.stream.send(subscribe({ groups: all(c) }));
  await follow(c, () => c.model.ticks.length >= 10);
  await one.stop('SIGKILL', true);
  while (await c.stream.next().then((m) => m && c.model.apply(m)));
  const two = await startAgent({ dir: one.dir, token: one.token }), d = await connect(two);
  try {
    assert.deepEqual(d.hello.log_id, c.hello.log_id);
    d.model = Object.assign(c.model, { catalog: d.model.catalog });
    const before_ = newest(d);
    d.stream.send(subscribe({ groups: all(d), logId: d.hello.log_id, seq: c.model.seq, windowUs: 60000000 }));
    const events = await d.stream.until('events', (m) => d.model.apply(m));
    assert.ok(events.events.some((e) => e.kind === 1), 'the agent start is an event');
    await follow(d, () => newest(d) > before_ + 10);
    assert.deepEqual(d.model.gaps, []);
    assert.ok(d.model.ticks.every((t, i) => !i || t.tick > d.model.ticks[i - 1].tick), 'tick numbers rise');
  } finally {
    d.stream.close();
    await two.stop();
  }
});

test('the first interval of a fresh log reaches a client of a coarse level whole', async () => {
  const own = await startAgent();
  try {
    const c = await connect(own);
    const group = c.group('cpu.percpu');
    c.stream.send(subscribe({ groups: [{ group, level: 5 }], windowUs: 60_000_000 }));
    await follow(c, () => c.model.groups.get(group)?.reads.length >= 2);
    const [first] = c.model.groups.get(group).reads;
    assert.equal(first.tick, 5, 'the last tick of the first interval');
    assert.ok(c.model.value('cpu.percpu', 'kernel.percpu.cpu.idle', 'cpu0') > 0n, 'cpu0 was started');
    c.stream.close();
  } finally {
    await own.stop();
  }
});
