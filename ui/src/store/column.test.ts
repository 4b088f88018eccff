import { expect, test } from 'vitest';
import { Column, GONE } from './column';

let seed = 7;
const rnd = (n: number) => {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
  return Math.floor((seed / 4294967296) * n);
};

/** The same by brute force: one value a row. */
function naive(counter: boolean, puts: Map<number, number>, row: number): number {
  let gone = false;
  let v = Number.NaN;
  for (let r = 0; r <= row; r++) {
    const p = puts.get(r);
    if (p !== undefined) {
      gone = p === GONE;
      v = p;
    } else if (counter && !gone) v = 0;
  }
  if (gone) return Number.NaN;
  return counter && puts.size === 0 ? 0 : counter && Number.isNaN(v) && !puts.has(row) ? 0 : v;
}

test('values by change are those by row, on random series', () => {
  for (let round = 0; round < 200; round++) {
    const counter = rnd(2) === 1;
    const c = new Column(counter);
    const puts = new Map<number, number>();
    const first = rnd(60);
    for (let r = 0; r < 200; r++) {
      if (rnd(4)) continue;
      const v = rnd(9) === 0 ? GONE : rnd(7) === 0 ? Number.NaN : 1 + rnd(5);
      c.put(r, v, Math.min(first, r));
      puts.set(r, v);
    }
    const rows = Int32Array.from({ length: 200 - first }, (_, k) => first + k);
    const out = new Float64Array(rows.length);
    c.read(rows, rows.length, 'v', 2, out);
    rows.forEach((r, k) => {
      const want = naive(counter, puts, r);
      expect(c.at(r)).toBe(want);
      expect(out[k]).toBe(want * 2);
    });
  }
});

test('lo and hi are kept where they differ, and are the value elsewhere', () => {
  const c = new Column(true);
  c.put(1, 5, 0);
  c.put(2, 6, 0, 1, 9);
  expect([c.at(1, 'lo'), c.at(2, 'lo'), c.at(2, 'hi'), c.at(3, 'hi')]).toEqual([5, 1, 9, 0]);
});

test('a long life takes no more room than its ring', () => {
  const c = new Column(true);
  for (let r = 0; r < 100_000; r++) c.put(r, r, Math.max(0, r - 100));
  expect(c.entries).toBeLessThan(250);
  expect(c.at(99_950)).toBe(99_950);
});
