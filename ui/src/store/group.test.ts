import { expect, test } from 'vitest';
import { GroupTick } from '../transport/decode';
import type { GroupMeta, MetricMeta } from './catalog';
import { GroupData } from './group';
import { holderAt } from './instances';

const metric = (name: string, counter: boolean): MetricMeta => ({
  name,
  counter,
  scale: 1,
  kind: 'count',
  info: null as never,
});
const meta = (): GroupMeta => ({
  id: 1,
  name: 'g',
  indom: 'cpu',
  collector: 'c',
  periodUs: 100_000,
  metrics: [metric('c', true), metric('i', false)],
  attrKeys: ['comm'],
  instances: [],
});

interface Row {
  reset?: boolean;
  ends?: number[];
  starts?: { slot: number; gen: number; name: string }[];
  absent?: number[];
  set?: Record<number, number>; // index -> delta
  lo?: number[];
  hi?: number[];
  sum?: number[];
  n?: number;
  span?: number;
  period?: number;
  off?: number;
}

function tick(r: Row): GroupTick {
  const g = new GroupTick();
  g.reset = r.reset ?? false;
  g.offUs = r.off ?? 0;
  g.ends = r.ends ?? [];
  g.starts = (r.starts ?? []).map((s) => ({ ...s, attrs: [] }));
  g.periodMs = r.period ?? -1;
  let last = -1;
  for (const i of r.absent ?? []) {
    g.absent[g.nAbsent++] = i - last - 1;
    last = i;
  }
  last = -1;
  for (const [k, d] of Object.entries(r.set ?? {})) {
    g.gap[g.nGap++] = Number(k) - last - 1;
    g.delta[g.nDelta++] = d;
    last = Number(k);
  }
  g.lo = Float64Array.from(r.lo ?? []);
  g.nLo = g.lo.length;
  g.hi = Float64Array.from(r.hi ?? []);
  g.nHi = g.hi.length;
  g.sum = Float64Array.from(r.sum ?? []);
  g.nSum = g.sum.length;
  g.n = r.n ?? 1;
  g.spanUs = r.span ?? 0;
  return g;
}

const S = 1_000_000;
const start = { reset: true, starts: [{ slot: 0, gen: 1, name: 'cpu0' }] };

function rows(d: GroupData, name: string, m: number): number[] {
  const list = d.insts.byName.get(name) ?? [];
  return Array.from({ length: d.rows - d.first }, (_, k) => {
    const r = d.first + k;
    const inst = holderAt(list, r);
    return inst ? d.value(inst, m, r) : Number.NaN;
  });
}

test('a rate is delta over the measured time between two reads', () => {
  const d = new GroupData(meta(), 64, 100_000);
  d.apply(tick({ ...start, set: { 0: 1000, 1: 7 } }), 10 * S);
  d.apply(tick({ set: { 0: 50 } }), 10 * S + 100_000);
  d.apply(tick({ set: { 0: 50, 1: 1 } }), 10 * S + 300_000); // late: half the rate, no peak
  d.apply(tick({}), 10 * S + 400_000);
  expect(rows(d, 'cpu0', 0)).toEqual([Number.NaN, 500, 250, 0]);
  expect(rows(d, 'cpu0', 1)).toEqual([7, 7, 8, 8]);
});

test('reads further apart than 2.5 periods: a gap, no rate, and none of the next from before', () => {
  const d = new GroupData(meta(), 64, 100_000);
  d.apply(tick({ ...start, set: { 0: 1000 } }), 0);
  d.apply(tick({ set: { 0: 10 } }), 100_000);
  d.apply(tick({ set: { 0: 5000 } }), 400_000);
  d.apply(tick({ set: { 0: 10 } }), 500_000);
  expect(rows(d, 'cpu0', 0)).toEqual([Number.NaN, 100, Number.NaN, 100]);
  expect([...d.cut.subarray(0, 4)]).toEqual([1, 0, 1, 0]);
});

test('a reset of a counter is no spike', () => {
  const d = new GroupData(meta(), 64, 100_000);
  d.apply(tick({ ...start, set: { 0: 1_000_000 } }), 0);
  d.apply(tick({ set: { 0: -999_990 } }), 100_000);
  d.apply(tick({ set: { 0: 10 } }), 200_000);
  expect(rows(d, 'cpu0', 0)).toEqual([Number.NaN, Number.NaN, 100]);
});

test('a new holder of a slot has no rate against the old one', () => {
  const d = new GroupData(meta(), 64, 100_000);
  d.apply(tick({ ...start, set: { 0: 10 } }), 0);
  d.apply(tick({ set: { 0: 10 } }), 100_000);
  d.apply(tick({ ends: [0], starts: [{ slot: 0, gen: 2, name: 'cpu0' }], set: { 0: 90_000 } }), 200_000);
  d.apply(tick({ set: { 0: 20 } }), 300_000);
  expect(rows(d, 'cpu0', 0)).toEqual([Number.NaN, 100, Number.NaN, 200]);
});

test('instances appear and disappear without a value outside their life', () => {
  const d = new GroupData(meta(), 64, 100_000);
  d.apply(tick(start), 0);
  d.apply(tick({ starts: [{ slot: 1, gen: 1, name: 'cpu1' }], set: { 2: 5, 3: 4 } }), 100_000);
  d.apply(tick({ set: { 2: 5 } }), 200_000);
  d.apply(tick({ ends: [1] }), 300_000);
  expect(rows(d, 'cpu1', 0)).toEqual([Number.NaN, Number.NaN, 50, Number.NaN]);
  expect(rows(d, 'cpu1', 1)).toEqual([Number.NaN, 4, 4, Number.NaN]);
});

test('absent is not zero, and comes back without a rate', () => {
  const d = new GroupData(meta(), 64, 100_000);
  d.apply(tick({ ...start, set: { 0: 100, 1: 3 } }), 0);
  d.apply(tick({ absent: [0, 1] }), 100_000);
  d.apply(tick({}), 200_000);
  d.apply(tick({ set: { 0: 200, 1: 4 } }), 300_000);
  d.apply(tick({ set: { 0: 10 } }), 400_000);
  expect(rows(d, 'cpu0', 0)).toEqual([Number.NaN, Number.NaN, Number.NaN, Number.NaN, 100]);
  expect(rows(d, 'cpu0', 1)).toEqual([3, Number.NaN, Number.NaN, 4, 4]);
});

test('resume: the reset row repeats what we had, rates go on', () => {
  const d = new GroupData(meta(), 64, 100_000);
  d.apply(tick({ ...start, set: { 0: 100 } }), 0);
  d.apply(tick({ set: { 0: 10 } }), 100_000);
  d.apply(tick({ ...start, off: -100_000, set: { 0: 110 } }), 200_000); // read at 100 ms
  d.apply(tick({ set: { 0: 20 } }), 200_000);
  expect(rows(d, 'cpu0', 0)).toEqual([Number.NaN, 100, 200]);
});

test('history sent again is not drawn twice, and the seam keeps its rate', () => {
  const d = new GroupData(meta(), 64, 100_000);
  d.apply(tick({ ...start, set: { 0: 100 } }), 0);
  for (let i = 1; i <= 5; i++) d.apply(tick({ set: { 0: i } }), i * 100_000);
  d.apply(tick({ ...start, set: { 0: 101 } }), 100_000);
  for (let i = 2; i <= 7; i++) d.apply(tick({ set: { 0: i } }), i * 100_000);
  expect(rows(d, 'cpu0', 0)).toEqual([Number.NaN, 10, 20, 30, 40, 50, 60, 70]);
});

test('a longer window is loaded behind the ring and replaces it when it has caught up', () => {
  const d = new GroupData(meta(), 64, 100_000);
  d.apply(tick({ ...start, set: { 0: 100 } }), 5 * S);
  d.apply(tick({ set: { 0: 10 } }), 5 * S + 100_000);
  expect(d.apply(tick({ ...start, set: { 0: 1 } }), 4 * S)).toBe(false);
  let done = false;
  for (let i = 1; i <= 11 && !done; i++) done = d.apply(tick({ set: { 0: 9 } }), 4 * S + i * 100_000);
  expect(done).toBe(true);
  expect(d.shadow!.firstUs).toBe(4 * S);
  expect(d.shadow!.newestUs).toBe(5 * S + 100_000);
  expect(d.newestUs).toBe(5 * S + 100_000);
});

test('coarse rows keep lo and hi; an unlisted counter has rate 0', () => {
  const d = new GroupData(meta(), 64, 100_000);
  d.apply(tick({ ...start, set: { 0: 100, 1: 50 } }), 0);
  d.apply(
    tick({ set: { 0: 100, 1: 0 }, lo: [50_000, 40], hi: [900_000, 90], sum: [0, 300], n: 5, span: 500_000 }),
    500_000,
  );
  d.apply(tick({ n: 5, span: 500_000 }), 1_000_000);
  expect(rows(d, 'cpu0', 0)).toEqual([Number.NaN, 200, 0]);
  const inst = d.insts.byName.get('cpu0')![0]!;
  expect(inst.cols[0]!.at(1, 'lo')).toBe(50);
  expect(inst.cols[0]!.at(1, 'hi')).toBe(900);
  expect(inst.cols[1]!.at(1, 'hi')).toBe(90);
  expect(rows(d, 'cpu0', 1)).toEqual([50, 60, 50]);
});

test('a series costs what it changes, a ring overrun forgets the oldest', () => {
  const d = new GroupData(meta(), 8, 100_000);
  d.apply(tick({ ...start, set: { 0: 100, 1: 50 } }), 0);
  for (let i = 1; i < 20; i++) d.apply(tick({ set: { 0: i } }), i * 100_000);
  const inst = d.insts.byName.get('cpu0')![0]!;
  expect(inst.cols[1]!.entries).toBe(1);
  expect(inst.cols[0]!.entries).toBeLessThan(20);
  expect(d.rows - d.first).toBe(8);
  expect(rows(d, 'cpu0', 0)).toEqual([12, 13, 14, 15, 16, 17, 18, 19].map((x) => x * 10));
  expect(rows(d, 'cpu0', 1)).toEqual(new Array(8).fill(50));
});

test('an explicit break cuts the next row', () => {
  const d = new GroupData(meta(), 64, 100_000);
  d.apply(tick({ ...start, set: { 0: 100 } }), 0);
  d.apply(tick({ set: { 0: 10 } }), 100_000);
  d.breakLine();
  d.apply(tick({ set: { 0: 10 } }), 200_000);
  d.apply(tick({ set: { 0: 10 } }), 300_000);
  expect(rows(d, 'cpu0', 0)).toEqual([Number.NaN, 100, Number.NaN, 100]);
});

test('a reset row of a group never read brings instances, no row; its values count from the first read', () => {
  const d = new GroupData(meta(), 64, 100_000);
  d.apply(tick({ ...start, period: 0, off: -10 * S }), 10 * S);
  expect(d.rows).toBe(0);
  d.apply(tick({ period: 100, set: { 0: 7000, 1: 5 } }), 10 * S);
  d.apply(tick({ set: { 0: 20 } }), 10 * S + 100_000);
  expect(rows(d, 'cpu0', 0)).toEqual([Number.NaN, 200]);
  expect(rows(d, 'cpu0', 1)).toEqual([5, 5]);
});

test('a value that a reset row of an unread group brought holds when the first read does not list it', () => {
  const d = new GroupData(meta(), 64, 100_000);
  d.apply(tick({ ...start, period: 0, off: -10 * S, set: { 0: 7000, 1: 24 } }), 10 * S);
  d.apply(tick({ period: 100, set: { 0: 10 } }), 10 * S);
  d.apply(tick({ set: { 0: 20 } }), 10 * S + 100_000);
  expect(rows(d, 'cpu0', 1)).toEqual([24, 24]);
});
