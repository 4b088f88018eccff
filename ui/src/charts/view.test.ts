import { describe, expect, it } from 'vitest';
import type { Gap } from '../store/api';
import { gapColumns } from './decor';
import { selectionEdges } from './overlay';
import { durationText } from './time';
import { timeTicks } from './timeaxis';
import { gridOf, xOf } from './view';

describe('the grid of time', () => {
  it('moves by whole columns only: a sample keeps its place on the grid', () => {
    const anchor = 1_234_567;
    for (let i = 0; i < 300; i++) {
      const to = anchor + i * 100_000 + (Math.random() - 0.5) * 4000;
      const g = gridOf(to - 30e6, to, 300, anchor);
      const x = xOf(g, anchor);
      expect(Math.abs(x - Math.round(x))).toBeLessThan(1e-6);
      // The newest tick ends the last column, jitter or not.
      expect(Math.round(xOf(g, to))).toBe(300);
    }
  });
});

describe('time labels', () => {
  const grid = { t0: 0, dt: 100_000, n: 300 };
  it('stand at round times with their room', () => {
    const wall = (t: number) => Date.UTC(2026, 10, 20, 14, 2, 3) + t / 1000;
    const labels = timeTicks(grid, wall).filter((t) => t.label !== null);
    expect(labels.map((t) => t.label!.slice(6))).toEqual(['10', '20', '30']);
    expect(labels.map((t) => Math.round(t.x))).toEqual([70, 170, 270]);
  });
});

describe('a selection', () => {
  const grid = { t0: 0, dt: 1e6, n: 300 };
  it('is never narrower than three pixels', () => {
    expect(selectionEdges(grid, { from: 100.2e6, to: 100.28e6 })).toEqual([99, 102]);
    expect(selectionEdges(grid, { from: 100e6, to: 110e6 })).toEqual([100, 110]);
  });
});

describe('gaps', () => {
  const gap = (from: number, to: number): Gap => ({ from, to, reason: 'missed' });
  const grid = { t0: 1e6, dt: 1e5, n: 100 };
  it('are clipped to the grid and at least a column wide', () => {
    expect(gapColumns(gap(0, 1.5e6), grid)).toEqual([0, 5]);
    expect(gapColumns(gap(2e6, 2.01e6), grid)).toEqual([10, 11]);
    expect(gapColumns(gap(0, 0.9e6), grid)).toBeNull();
    expect(gapColumns(gap(12e6, 13e6), grid)).toBeNull();
  });
});

describe('durations', () => {
  it('read as people say them', () => {
    expect([80_000, 320_000, 4_800_000, 30_000_000, 70_000_000, 7_500_000_000].map(durationText)).toEqual([
      '80 ms',
      '320 ms',
      '4.8 s',
      '30 s',
      '1 min 10 s',
      '2 h 5 min',
    ]);
  });
});
