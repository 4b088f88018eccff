import { describe, expect, it } from 'vitest';
import type { Column, Frame } from '../store/api';
import { bin, extent, newColumns, stack } from './columns';

const STEP = 100_000;

function raw(points: readonly (readonly [number, number])[], step = STEP): [Frame, Column] {
  const t = Float64Array.from(points, (p) => p[0]);
  const v = Float64Array.from(points, (p) => p[1]);
  const col: Column = { v, lo: v, hi: v, cut: new Uint8Array(points.length) };
  const frame: Frame = {
    view: { from: 0, to: 0 },
    kind: 'raw',
    t,
    cols: [col],
    stepUs: step,
    resolution: '10 Hz',
    gaps: [],
    loading: false,
  };
  return [frame, col];
}

const grid = (n: number, dt = STEP, t0 = 0) => ({ t0, dt, n });

describe('columns', () => {
  it('give each sample the columns of the time since the read before it', () => {
    const [f, c] = raw([
      [100_000, 1],
      [200_000, 2],
      [300_000, 3],
    ]);
    expect([...bin(f, c, grid(4), newColumns(4)).mean]).toEqual([1, 2, 3, Number.NaN]);
  });

  it('hold one value over several pixels in short windows', () => {
    const [f, c] = raw([
      [100_000, 1],
      [200_000, 2],
    ]);
    const out = bin(f, c, grid(8, 25_000), newColumns(8));
    expect([...out.mean]).toEqual([1, 1, 1, 1, 2, 2, 2, 2]);
    expect(out.step).toBe(4);
    expect(out.many).toBe(false);
  });

  it('keep smallest, largest and mean of several samples on one pixel', () => {
    const [f, c] = raw(Array.from({ length: 10 }, (_, i) => [(i + 1) * STEP, i === 7 ? 90 : i] as const));
    const out = bin(f, c, grid(2, 5 * STEP), newColumns(2));
    expect([...out.lo]).toEqual([0, 5]);
    expect([...out.hi]).toEqual([4, 90]);
    expect(out.mean[0]).toBe(2);
    expect(out.many).toBe(true);
  });

  it('leave a gap empty, and do not draw the sample after it backwards', () => {
    const [f, c] = raw([
      [100_000, 1],
      [200_000, 1],
      [700_000, 5],
    ]);
    c.cut[2] = 1;
    const out = bin(f, c, grid(7), newColumns(7));
    expect([...out.mean]).toEqual([1, 1, Number.NaN, Number.NaN, Number.NaN, Number.NaN, 5]);
  });

  it('let a late tick cover the time it stands for', () => {
    const [f, c] = raw([
      [100_000, 1],
      [280_000, 2],
      [300_000, 3],
    ]);
    const out = bin(f, c, grid(3), newColumns(3));
    expect([...out.hi]).toEqual([1, 2, 3]);
  });

  it('start anew within a pixel at a cut', () => {
    const [f, c] = raw([
      [100_000, 1],
      [250_000, 2],
    ]);
    c.cut[1] = 1;
    const out = bin(f, c, grid(5, 50_000), newColumns(5));
    expect([...out.mean]).toEqual([1, 1, Number.NaN, 2, 2]);
  });

  it('reach back over entries that are no reads of this series, not over an absent value', () => {
    const dense = Array.from(
      { length: 8 },
      (_, i) => [(i + 1) * 125_000, (i + 1) % 4 ? Number.NaN : i] as const,
    );
    const [f, c] = raw(dense, 500_000);
    expect([...bin(f, c, grid(4, 250_000), newColumns(4)).mean]).toEqual([3, 3, 7, 7]);
    const [g, d] = raw([
      [100_000, 1],
      [200_000, Number.NaN],
      [300_000, 3],
    ]);
    expect([...bin(g, d, grid(3), newColumns(3)).mean]).toEqual([1, Number.NaN, 3]);
  });

  it('take coarse columns from their left edge', () => {
    const [f, c] = raw([
      [0, 1],
      [200_000, 3],
    ]);
    const coarse: Frame = { ...f, kind: 'coarse', stepUs: 200_000 };
    const out = bin(coarse, c, grid(4), newColumns(4));
    expect([...out.mean]).toEqual([1, 1, 3, 3]);
    expect(out.many).toBe(true);
  });

  it('know their extent, and nothing of an empty one', () => {
    const [f, c] = raw([
      [100_000, -3],
      [200_000, 8],
    ]);
    expect(extent([bin(f, c, grid(2), newColumns(2))])).toEqual([-3, 8]);
    expect(extent([newColumns(3)])).toEqual([Number.NaN, Number.NaN]);
  });

  it('stack what is known and stay empty where nothing is', () => {
    const a = newColumns(3);
    const b = newColumns(3);
    a.mean.set([1, 1, Number.NaN]);
    b.mean.set([2, Number.NaN, Number.NaN]);
    expect(stack([a, b], 3).map((c) => [...c.mean])).toEqual([
      [1, 1, Number.NaN],
      [3, 1, Number.NaN],
    ]);
  });
});
