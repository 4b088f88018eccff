import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { FakeAgent, MS, settle, T0 } from '../../test/agent';
import { one } from '../transform/source';

const H = 3_600_000_000;
const TIME = one('ratio', 'c.time', 'cpu0');
const OFF = 1_795_198_000_000_000; // of Hello
const id = (n: number) => new Uint8Array(16).fill(n);

const last = (a: FakeAgent, what: string) =>
  a.sent.findLast((m) => m.case === what)!.value as { req: number };

/** Two boots: the first as rollups and at full resolution, a gap of an hour, then the running one. */
function held(a: FakeAgent): void {
  const t = (h: number) => BigInt(T0 + h * H);
  a.say({
    case: 'held',
    value: {
      req: last(a, 'held').req,
      oldestUs: t(-30),
      fullUs: t(-20),
      bytes: 93n << 20n,
      bytesPerSample: 0.09,
      spans: [
        { fromUs: t(-30), toUs: t(-20), bootId: 'a', logId: id(1), rollup: true },
        { fromUs: t(-20), toUs: t(-9), bootId: 'a', logId: id(1) },
        { fromUs: t(-8), toUs: t(0), bootId: 'b', logId: id(2) },
      ],
      clocks: [
        { monoUs: t(-30), realOffUs: BigInt(OFF - 7_000_000), bootOffUs: 0n },
        { monoUs: t(-8), realOffUs: BigInt(OFF), bootOffUs: 0n },
      ],
    },
  });
}

async function opened(): Promise<FakeAgent> {
  const a = new FakeAgent(false);
  a.store.show('t', [{ sources: [TIME] }]);
  a.hello();
  await settle();
  return a;
}

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'], shouldAdvanceTime: true }));
afterEach(() => void vi.useRealTimers());

test('what is held is asked for on connecting and moves the oldest time before this boot', async () => {
  const a = await opened();
  expect(a.sent.filter((m) => m.case === 'held')).toHaveLength(1);
  held(a);
  await settle();
  expect(a.store.heldFrom).toBe(T0 - 30 * H);
  expect(a.store.held.seams).toEqual([{ from: T0 - 9 * H, to: T0 - 8 * H, what: 'reboot' }]);
  expect(a.store.gapReason(T0 - 9 * H, T0 - 8 * H)).toEqual({ reason: 'missed', text: 'host was down' });
});

test('each stretch has the wall clock of its own boot, both ways', async () => {
  const a = await opened();
  held(a);
  await settle();
  const { clock } = a.store;
  for (const [h, off] of [
    [-25, OFF - 7_000_000],
    [-9.5, OFF - 7_000_000],
    [-7.9, OFF],
    [-0.1, OFF],
  ] as const) {
    const t = T0 + h * H;
    expect(clock.wallMs(t)).toBe((t + off) / 1000);
    expect(clock.mono(clock.wallMs(t))).toBeCloseTo(t, 0);
  }
});

test('samples of hours ago are fetched and drawn at 10 Hz, of rollups in their 10 s', async () => {
  const a = await opened();
  held(a);
  await settle();
  const old = { from: T0 - 15 * H, to: T0 - 15 * H + 30e6 };
  const f = a.store.frame([TIME], old, 300);
  expect(f).toMatchObject({ kind: 'raw', resolution: '10 Hz', loading: true });
  const rolled = { from: T0 - 25 * H, to: T0 - 25 * H + 30e6 };
  const g = a.store.frame([TIME], rolled, 300);
  expect(g).toMatchObject({ kind: 'coarse', stepUs: 10e6, resolution: 'min–max per 10 s' });
  await settle();
  const [r, s] = a.ranges();
  expect(Number(r!.fromUs)).toBeLessThan(0);
  expect(Number(r!.toUs - r!.fromUs) / r!.points).toBe(25_000);
  expect(Number(s!.toUs - s!.fromUs) / s!.points).toBe(10e6);
});

test('an agent that knows nothing of it is not asked again; the page goes on with the log', async () => {
  const a = await opened();
  a.say({ case: 'error', value: { req: last(a, 'held').req, code: 400, text: 'unknown' } });
  await settle();
  expect(a.store.past.settled).toBe(true);
  expect(a.store.heldFrom).toBe(T0 - H);
  a.store.past.tick(1e9);
  a.store.past.wantEvents(T0 - 20 * H);
  expect(a.sent.filter((m) => m.case === 'held' || m.case === 'events')).toHaveLength(1);
  expect(a.store.feed.problems).toEqual([]);
});

test('events of earlier hours are fetched once and joined with the live ones', async () => {
  const a = await opened();
  held(a);
  a.say({ case: 'events', value: { events: [{ seq: 5n, monoUs: BigInt(T0 - MS), kind: 9, text: 'OOM' }] } });
  await settle();
  a.store.past.wantEvents(T0 - 9 * H);
  a.store.past.wantEvents(T0 - 9 * H);
  const asks = a.sent.filter((m) => m.case === 'events');
  expect(asks).toHaveLength(1);
  const old = (h: number, text: string) => ({ seq: 0n, monoUs: BigInt(T0 + h * H), kind: 1, text });
  a.say({
    case: 'events',
    value: { req: last(a, 'events').req, events: [old(-8, 'started'), old(-8, 'started'), old(-3, 'two')] },
  });
  await settle();
  expect(a.store.events.map((e) => e.text)).toEqual(['started', 'two', 'OOM']);
  expect(new Set(a.store.events.map((e) => e.seq)).size).toBe(3);
  a.store.past.wantEvents(T0 - 5 * H);
  expect(a.sent.filter((m) => m.case === 'events')).toHaveLength(1);
});

test('rank and totals come back to whoever asked, an error as its reason', async () => {
  const a = await opened();
  const over = { from: T0 - 5 * H, to: T0 - 5 * H + 2e6 };
  const rank = a.store.past.rank(over, null, 20);
  expect(a.sent.at(-1)).toMatchObject({
    case: 'rank',
    value: { fromUs: BigInt(over.from), baseFromUs: 0n, limit: 20 },
  });
  a.say({
    case: 'rank',
    value: {
      req: last(a, 'rank').req,
      nSeries: 2412,
      baseFromUs: 1n,
      baseToUs: 2n,
      rows: [{ metric: 'c.time' }],
    },
  });
  expect((await rank).value).toMatchObject({ nSeries: 2412, base: { from: 1, to: 2 } });
  const ask = { group: 'cpu', metrics: ['c.time'], over, base: null, limit: 5 };
  const totals = a.store.past.totals(ask);
  const { req } = last(a, 'totals');
  a.say({ case: 'totals', value: { req, rows: [{ instance: 'x' }], nInstances: 2 } });
  a.say({ case: 'totals', value: { req, rows: [{ instance: 'y' }], nInstances: 2, last: true } });
  expect((await totals).value).toMatchObject({ nInstances: 2, rows: [{ instance: 'x' }, { instance: 'y' }] });
  const none = a.store.past.totals(ask);
  a.say({ case: 'error', value: { req: last(a, 'totals').req, code: 404, text: 'no group' } });
  expect(await none).toEqual({ value: null, why: { code: 404, text: 'no group' } });
});

test('a capture ends where it ends: nothing gets stale, now stands still', async () => {
  const a = new FakeAgent(false);
  a.feed.open();
  a.say({
    case: 'hello',
    value: {
      logId: id(1),
      nowUs: BigInt(T0),
      historyOldestUs: BigInt(T0 - H),
      capture: true,
      captureName: 'web-07-1302.strobe',
      clocks: [{ monoUs: BigInt(T0 - H), realOffUs: BigInt(OFF), bootOffUs: 0n }],
    },
  });
  a.say({ case: 'catalog', value: { version: 1, groups: [] } });
  held(a);
  await settle();
  a.nowMs += 600_000;
  expect(a.store.host?.capture).toBe('web-07-1302.strobe');
  expect(a.store.newest).toBe(T0);
  expect(a.store.clock.now()).toBe(T0);
});
