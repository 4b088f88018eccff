import { create } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { RangeSchema } from '../gen/strobe_pb';
import type { RangeAsk } from '../transport/outgoing';
import { CHUNK, RangeCache } from './ranges';

const S = 1_000_000;
const A = { metric: 'a' };
const B = { metric: 'b', instance: 'x' };

class Rig {
  asks: RangeAsk[] = [];
  now = 1_000_000;
  changes = 0;
  readonly cache = new RangeCache(
    (a) => {
      this.asks.push(a);
      return true;
    },
    () => false,
    () => void this.changes++,
    () => this.now,
  );
  want(ref: typeof A, step: number, ...chunks: number[]) {
    return chunks.map((c) => this.cache.chunk(ref, step, c, 1e15, 1e15, 1));
  }
  /** Every column of an ask holds `v`. */
  answer(a: RangeAsk, v = 5n) {
    this.cache.receive(
      create(RangeSchema, {
        req: a.req,
        last: true,
        points: a.points,
        series: a.series.map((s) => ({
          ...s,
          gap: new Array(a.points).fill(0),
          count: new Array(a.points).fill(2),
          min: new Array(a.points).fill(v),
          max: new Array(a.points).fill(v),
          mean: new Array(a.points).fill(Number(v)),
        })),
      }),
    );
  }
}
const settle = () => new Promise<void>((r) => setTimeout(r, 0));

test('one request a step serves every series that misses the same columns', async () => {
  const r = new Rig();
  r.want(A, S, 3, 4, 5);
  r.want(B, S, 3, 4, 5);
  await settle();
  expect(r.asks).toHaveLength(1);
  expect(r.asks[0]).toMatchObject({
    fromUs: 3 * CHUNK * S,
    toUs: 6 * CHUNK * S,
    points: 3 * CHUNK,
    series: [
      { metric: 'a', instance: '' },
      { metric: 'b', instance: 'x' },
    ],
  });
  r.answer(r.asks[0]!);
  expect(r.want(A, S, 4)[0]?.v[7]).toBe(5);
});

test('only what is missing is asked for: not what is known, not what is under way', async () => {
  const r = new Rig();
  r.want(A, S, 3, 4);
  await settle();
  r.want(A, S, 3, 4);
  await settle();
  expect(r.asks).toHaveLength(1);
  r.answer(r.asks[0]!);
  r.want(A, S, 3, 4, 5);
  r.want(B, S, 3, 4, 5);
  await settle();
  expect(
    r.asks
      .slice(1)
      .map((a) => [a.series.map((s) => s.metric).join(), a.fromUs / CHUNK / S, a.points / CHUNK]),
  ).toEqual([
    ['a', 5, 1],
    ['b', 3, 3],
  ]);
});

test('times before this boot are asked for as they are', async () => {
  const r = new Rig();
  r.want(A, S, -3, -2);
  await settle();
  expect(r.asks[0]).toMatchObject({ fromUs: -3 * CHUNK * S, toUs: -CHUNK * S, points: 2 * CHUNK });
  r.answer(r.asks[0]!);
  expect(r.cache.at(A, -100.5 * S, 'v')).toBe(5);
  expect(r.cache.at(A, 10 * S, 'v')).toBeNaN();
});

test('what the newest frame misses goes before what an older one did', async () => {
  const r = new Rig();
  r.want(A, S, 1);
  await settle();
  r.want(A, 2 * S, 1);
  await settle(); // two are under way: the rest waits
  r.want(A, 3 * S, 1);
  await settle();
  r.want(A, 4 * S, 1);
  await settle();
  expect(r.asks).toHaveLength(2);
  r.answer(r.asks[0]!);
  await settle();
  expect(r.asks[2]!.toUs - r.asks[2]!.fromUs).toBe(4 * S * CHUNK);
});

test('what left the screen is not asked for any more', async () => {
  const r = new Rig();
  for (const k of [1, 2, 3]) r.want(A, k * S, 1);
  await settle();
  r.now += 10_000;
  const before = r.changes;
  r.answer(r.asks[0]!);
  await settle();
  expect(r.asks).toHaveLength(2);
  expect(r.changes).toBeGreaterThan(before + 1); // whoever still looks asks again
});

test('too much at once is asked for in parts', async () => {
  const r = new Rig();
  for (let i = 0; i < 8; i++) r.want({ metric: `m${i}` }, S, 1);
  await settle();
  expect(r.asks[0]!.series).toHaveLength(8);
  r.cache.refused(r.asks[0]!.req, 413);
  for (let i = 0; i < 8; i++) r.want({ metric: `m${i}` }, S, 1);
  await settle();
  expect(r.asks.slice(1).map((a) => a.series.length)).toEqual([4, 4]);
});

test('a refused metric stays empty and is not asked for again', async () => {
  const r = new Rig();
  r.want(A, S, 1);
  await settle();
  r.cache.refused(r.asks[0]!.req, 404);
  expect(r.want(A, S, 1)[0]?.n[0]).toBe(0);
  await settle();
  expect(r.asks).toHaveLength(1);
});

test('while columns of one step come, those of another stand in', async () => {
  const r = new Rig();
  r.want(A, 10 * S, 0, 1);
  await settle();
  r.answer(r.asks[0]!, 7n);
  expect(r.want(A, S, 2)[0]).toBeNull();
  expect(r.cache.guess(A, S, 2)?.v[3]).toBe(7);
  expect(r.cache.guess(B, S, 2)).toBeNull();
});

test('the cache stays bounded, and what is on screen stays in it', async () => {
  const r = new Rig();
  const list = Array.from({ length: 100 }, (_, i) => i);
  r.want(B, S, 1);
  await settle();
  r.answer(r.asks.at(-1)!);
  for (let k = 1; k <= 90; k++) {
    r.now += 4000;
    r.want(B, S, 1);
    r.want(A, k * S, ...list);
    await settle();
    for (const a of r.asks.slice(-2)) r.answer(a);
    r.cache.lost();
  }
  expect(r.cache.size).toBeLessThan(6500);
  expect(r.want(B, S, 1)[0]?.v[0]).toBe(5);
});
