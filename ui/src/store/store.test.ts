import { expect, test } from 'vitest';
import { FakeAgent, MS, settle, T0 } from '../../test/agent';
import { derived, one, ref, sum } from '../transform/source';
import type { Frame } from './api';

const TIME = one('ratio', 'c.time', 'cpu0');
const LEVEL = one('bytes', 'c.level', 'cpu0');
const SLOW = one('count', 's.n');
const want = (a: FakeAgent, ...sources: (typeof TIME)[]) => a.store.show('t', [{ sources }]);

/** An agent whose client is subscribed and has n ticks: c.time rises by f(i), c.level is i. */
async function running(n: number, f = (i: number) => i % 5, live = true): Promise<FakeAgent> {
  const a = new FakeAgent(live);
  want(a, TIME, SLOW);
  a.hello();
  await settle();
  let t = 1000;
  for (let i = 0; i < n; i++) {
    t += f(i);
    a.tick(i % 10 === 0 ? { 0: [t, i], 1: [i] } : { 0: [t, i] });
    a.nowMs += 100;
  }
  return a;
}

const column = (f: Frame, k = 0) => Array.from(f.cols[k]!.v, (x) => Number(x.toPrecision(9)));

test('the first Subscribe asks for the groups on screen, in order, with a window', async () => {
  const a = new FakeAgent();
  a.store.show('b', [{ sources: [SLOW], prio: 3 }]);
  a.store.show('a', [{ sources: [TIME], prio: 1, level: 5 }]);
  a.hello();
  await settle();
  const [s] = a.subscribes();
  expect(s!.groups.map((g) => [g.group, g.level])).toEqual([
    [0, 5],
    [1, 1],
  ]);
  expect(s!.windowUs).toBe(30_000_000n);
  expect(s!.seq).toBe(0n);
});

test('values come in base units: a counter of 10 ms steps is a ratio, KiB are bytes', async () => {
  const a = await running(20, () => 5);
  expect(a.store.latest(TIME)).toMatchObject({ v: 0.5, t: T0 + 1900 * MS });
  expect(a.store.latest(LEVEL)!.v).toBe(19 * 1024);
  expect(a.store.info('c.time')).toMatchObject({
    kind: 'ratio',
    counter: true,
    quantum: expect.closeTo(0.1),
  });
});

test('raw frame: one entry a sample; the first has no rate', async () => {
  const a = await running(8);
  const f = a.store.frame([TIME, LEVEL], { from: T0 - 5000, to: T0 + 750 * MS }, 100);
  expect(f.kind).toBe('raw');
  expect(f.resolution).toBe('10 Hz');
  expect(Array.from(f.t, (t) => (t - T0) / MS)).toEqual([0, 100, 200, 300, 400, 500, 600, 700]);
  expect(column(f)).toEqual([Number.NaN, 0.1, 0.2, 0.3, 0.4, 0, 0.1, 0.2]);
  expect(column(f, 1)).toEqual([0, 1, 2, 3, 4, 5, 6, 7].map((x) => x * 1024));
});

test('coarse frame: min, max and mean of every column, columns on multiples of the step', async () => {
  const a = await running(300, (i) => (i * 7) % 11);
  const from = T0 + 5000 * MS;
  const f = a.store.frame([TIME], { from, to: from + 20_000 * MS }, 50);
  expect(f.kind).toBe('coarse');
  expect(f.stepUs).toBe(400_000);
  expect(f.resolution).toBe('min–max per 0.4 s');
  for (let i = 0; i < f.t.length; i++) {
    expect(f.t[i]! % f.stepUs).toBe(0);
    const inside = Array.from({ length: 300 }, (_, k) => k).filter((k) => {
      const t = T0 + k * 100 * MS;
      return (
        k > 0 && t >= f.t[i]! && t < f.t[i]! + f.stepUs && t <= from + 20_000 * MS && t >= from - 100 * MS
      );
    });
    if (inside.length < 4) continue;
    const values = inside.map((k) => ((k * 7) % 11) / 10);
    expect(f.cols[0]!.lo[i]).toBeCloseTo(Math.min(...values));
    expect(f.cols[0]!.hi[i]).toBeCloseTo(Math.max(...values));
    expect(f.cols[0]!.v[i]).toBeCloseTo(values.reduce((x, y) => x + y) / 4);
  }
});

test('a function of two inputs is taken sample by sample', async () => {
  const a = await running(60, (i) => i % 2);
  const both = derived('d', 'ratio', [ref('c.time', 'cpu0'), ref('c.level', 'cpu0')], (x) => x[0]! * x[1]!);
  const f = a.store.frame([both], { from: T0, to: T0 + 500 * MS }, 100);
  expect(column(f).slice(1)).toEqual(
    [0.1 * 1024, 0, 0.1 * 3 * 1024, 0, 0.1 * 5 * 1024].map((x) => Number(x.toPrecision(9))),
  );
});

test('beside a faster group a slower one holds its value', async () => {
  const a = await running(25);
  const f = a.store.frame([TIME, SLOW], { from: T0, to: T0 + 2450 * MS }, 100);
  expect(column(f, 1)).toEqual(Array.from({ length: 25 }, (_, i) => Math.floor(i / 10) * 10));
});

test('a stretch without ticks is a gap, nothing is joined across it', async () => {
  const a = await running(5);
  a.nowMs += 2000;
  a.tick({ 0: [9000, 1] });
  const f = a.store.frame([TIME], { from: T0, to: a.nowUs }, 100);
  expect(f.gaps).toEqual([{ from: T0 + 400 * MS, to: T0 + 2500 * MS, reason: 'missed' }]);
  expect(f.cols[0]!.cut[5]).toBe(1);
  expect(f.cols[0]!.v[5]).toBeNaN();
  expect(a.store.at(TIME, T0 + 1000 * MS)).toBe(null);
});

test('at() gives the read that ends the interval', async () => {
  const a = await running(10);
  expect(a.store.at(TIME, T0 + 350 * MS)).toMatchObject({ t: T0 + 400 * MS, v: 0.4 });
  expect(a.store.at(TIME, T0 + 400 * MS)).toMatchObject({ t: T0 + 400 * MS });
  expect(a.store.at(TIME, T0 + 950 * MS)).toBe(null);
});

test('stats over (from, to] of the reads, average by time', async () => {
  const a = await running(10);
  const s = a.store.stats(TIME, T0 + 100 * MS, T0 + 400 * MS)!;
  expect(s.n).toBe(3);
  expect([s.min, s.avg, s.max].map((x) => Number(x.toFixed(6)))).toEqual([0.2, 0.3, 0.4]);
});

test('what the ring does not hold is asked once for all series, and drawn when it came', async () => {
  const a = await running(20);
  a.nowMs += 4000; // what a subscription brings is no longer awaited
  a.tick({ 0: [9999, 7] });
  const view = { from: T0 - 600_000 * MS, to: a.nowUs };
  const build = () => a.store.frame([sum('ratio', ['c.time'], 'cpu0'), LEVEL], view, 100);
  expect(build().loading).toBe(true);
  build();
  await settle();
  expect(a.ranges()).toHaveLength(1);
  const [r] = a.ranges();
  expect(r!.series.map((s) => [s.metric, s.instance])).toEqual([
    ['c.time', 'cpu0'],
    ['c.level', 'cpu0'],
  ]);
  const step = Number(r!.toUs - r!.fromUs) / r!.points;
  expect(step).toBe(build().stepUs);
  // The columns 10 to 12 hold something; the rate is in thousandths of 10 ms a second.
  const first = Math.ceil(view.from / step) + 10 - Number(r!.fromUs) / step;
  a.say({
    case: 'range',
    value: {
      req: r!.req,
      last: true,
      series: [
        {
          metric: 'c.time',
          instance: 'cpu0',
          gap: [first, 0, 0],
          count: [60, 60, 60],
          first: [0n, 0n, 0n],
          last: [0n, 0n, 0n],
          min: [0n, 1000n, 2000n],
          max: [50_000n, 60_000n, 70_000n],
          mean: [10_000, 20_000, 30_000],
        },
      ],
    },
  });
  const f = build();
  expect(f.loading).toBe(false);
  const k = f.t.findIndex((t) => t === Number(r!.fromUs) + first * step);
  const c = f.cols[0]!;
  expect([c.v[k], c.lo[k + 1], c.hi[k + 2]].map((x) => Number(x!.toFixed(6)))).toEqual([0.1, 0.01, 0.7]);
  expect(c.v[k - 1]).toBeNaN();
  expect(a.ranges()).toHaveLength(1);
});

test('a busy agent is asked again later, never more than two at once', async () => {
  const a = await running(20);
  a.nowMs += 4000;
  a.tick({ 0: [9999, 7] });
  for (const width of [50, 60, 70, 80])
    a.store.frame([TIME], { from: T0 - 600_000 * MS, to: a.nowUs }, width);
  await settle();
  expect(a.ranges()).toHaveLength(2);
  a.say({ case: 'error', value: { req: a.ranges()[0]!.req, code: 429, text: 'busy' } });
  await settle();
  expect(a.ranges()).toHaveLength(2);
});

test('a part of a whole: the bound of a range stays below it', async () => {
  const a = await running(3);
  a.nowMs += 4000;
  a.tick({ 0: [9999, 7] });
  const both = { ...sum('ratio', ['c.time', 'c.level'], 'cpu0') };
  const got = a.store.stats(both, T0 - 500_000 * MS, T0 - 400_000 * MS);
  expect(got).toBe(null);
  await settle();
  const r = a.ranges().at(-1)!;
  expect(r.points).toBe(1);
  const one1 = { count: [5], first: [0n], last: [0n], gap: [0] };
  a.say({
    case: 'range',
    value: {
      req: r.req,
      last: true,
      series: [
        { metric: 'c.time', instance: 'cpu0', ...one1, min: [0n], max: [90_000n], mean: [40_000] },
        { metric: 'c.level', instance: 'cpu0', ...one1, min: [0n], max: [0n], mean: [0] },
      ],
    },
  });
  expect(a.store.stats(both, T0 - 500_000 * MS, T0 - 400_000 * MS)).toMatchObject({ n: 5, max: 0.9 });
});

test('after a disconnect the client resumes after the last seq it applied', async () => {
  const a = await running(5);
  a.feed.closed();
  a.hello();
  await settle();
  const s = a.subscribes().at(-1)!;
  expect(s.seq).toBe(5n);
  expect([...s.logId]).toEqual(new Array(16).fill(1));
  a.nowMs += 100;
  a.tick({ 0: [2000, 9] });
  expect(a.store.frame([TIME], { from: T0, to: a.nowUs }, 100).t.length).toBe(6);
});

test('another log: everything is new, and the restart is an event', async () => {
  const a = await running(5);
  a.feed.closed();
  a.hello(2, { startedUs: a.nowUs });
  await settle();
  expect(a.subscribes().at(-1)!.seq).toBe(0n);
  expect(a.store.newest).toBe(0);
  expect(a.store.latest(TIME)).toBe(null);
  expect(a.store.events.map((e) => e.text)).toEqual(['agent restarted']);
});

test('what metrics mean is asked for once, after the first data, and survives a reconnect', async () => {
  const a = new FakeAgent();
  const asked = () => a.sent.filter((m) => m.case === 'texts').length;
  a.nowMs = 1000;
  want(a, TIME);
  a.hello();
  await settle();
  a.feed.heartbeat();
  expect(asked()).toBe(0);
  a.tick({ 0: [5, 1] });
  a.nowMs += 900; // the picture may not be painted yet
  a.feed.heartbeat();
  expect(asked()).toBe(0);
  a.nowMs += 1000;
  a.feed.heartbeat();
  a.feed.heartbeat();
  expect(asked()).toBe(1);
  expect(a.store.info('c.level')).toMatchObject({ help: '', source: '' });
  a.texts();
  expect(a.store.info('c.level')).toMatchObject({ help: 'c.level: help', source: '/proc/c.level' });
  expect(a.store.catalog.texts).toBe(true);
  a.feed.closed();
  a.hello();
  expect(a.store.info('s.n')).toMatchObject({ help: 's.n: help', source: '/proc/s.n' });
  a.feed.heartbeat();
  expect(asked()).toBe(2);
});

test('a hidden tab asks for one message a second and for its window when it is shown again', async () => {
  const a = await running(5);
  a.feed.setHidden(true);
  expect(a.subscribes().at(-1)!).toMatchObject({ seq: 5n });
  expect(
    a
      .subscribes()
      .at(-1)!
      .groups.every((g) => g.level === 10),
  ).toBe(true);
  a.feed.setHidden(false);
  expect(a.subscribes().at(-1)!).toMatchObject({ seq: 0n });
  expect(
    a
      .subscribes()
      .at(-1)!
      .groups.every((g) => g.level === 1),
  ).toBe(true);
});

test('what leaves the screen leaves the subscription, without its history again', async () => {
  const a = await running(5);
  want(a, TIME);
  await settle();
  const s = a.subscribes().at(-1)!;
  expect(s.groups.map((g) => g.group)).toEqual([0]);
  expect(s.seq).toBe(5n);
});

test('a Gap from the agent is a gap with its reason', async () => {
  const a = await running(5);
  a.say({ case: 'gap', value: { fromUs: BigInt(a.nowUs - 100_000), toUs: BigInt(a.nowUs), reason: 2 } });
  a.tick({ 0: [5000, 1] });
  const f = a.store.frame([TIME], { from: T0, to: a.nowUs }, 100);
  expect(f.gaps[0]).toMatchObject({ reason: 'lost', text: 'dropped, slow connection' });
});

test('before the oldest tick held there is an edge, not a gap', async () => {
  const a = new FakeAgent();
  want(a, TIME);
  a.hello(1, { oldestUs: T0, startedUs: T0 - 50_000 });
  await settle();
  a.tick({ 0: [5, 1] });
  const f = a.store.frame([TIME], { from: T0 - 10_000 * MS, to: T0 + 1000 }, 100);
  expect(f.gaps).toHaveLength(1);
  expect(f.gaps[0]).toMatchObject({ reason: 'before', to: T0 });
  expect(f.gaps[0]!.text).toMatch(/^agent started /);
});

test('a broken message is no crash: a fresh window is asked for', async () => {
  const a = await running(5);
  a.feed.message(Uint8Array.of(26, 200, 1, 1));
  expect(a.restarts).toBe(1);
  expect(a.feed.problems.at(-1)).toMatch(/could not be read/);
});

test('samples that came since the page stands still are counted', async () => {
  const a = await running(20);
  expect(a.store.ticksSince(T0 + 1400 * MS)).toBe(5);
});
