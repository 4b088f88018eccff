import { describe, expect, it } from 'vitest';
import { newColumns } from './columns';
import { heatCells, layoutRows, level } from './heat';
import { labelEvery, middleCut, settle } from './rows';

const RAMP = Uint32Array.from({ length: 256 }, (_, i) => i);

describe('heat map', () => {
  it('shows the maximum of what fell on a pixel', () => {
    const c = newColumns(2);
    c.lo.set([0, 0]);
    c.mean.set([0.1, 0.5]);
    c.hi.set([1, 0.5]);
    const out = new Uint32Array(2);
    heatCells([c], 2, 1, RAMP, 999, out);
    expect([...out]).toEqual([255, 128]);
  });
  it('leaves unknown cells in the colour of the panel', () => {
    const out = new Uint32Array(3);
    heatCells([newColumns(3)], 3, 1, RAMP, 999, out);
    expect([...out]).toEqual([999, 999, 999]);
  });
  it('keeps zero apart from the smallest value and stops at the end of the ramp', () => {
    expect(level(0, 1)).toBe(0);
    expect(level(1e-9, 1)).toBeGreaterThan(0);
    expect(level(7, 1)).toBe(255);
  });
  it('spans three decades when logarithmic', () => {
    expect([1, 0.1, 0.01, 0.001].map((v) => level(v, 1, true))).toEqual([255, 170, 85, 10]);
  });
});

describe('rows', () => {
  it('cuts names in the middle: both ends tell them apart', () => {
    const six = (s: string) => s.length <= 6;
    expect(['input.0', 'output.0', 'req.10'].map((s) => middleCut(s, six))).toEqual([
      'in…t.0',
      'ou…t.0',
      're….10',
    ]);
    expect(middleCut('abcdef', () => false)).toBe('…f');
  });
  it('are whole pixels, at most 24 high, and as many as fit', () => {
    expect(layoutRows(152, 32)).toEqual({ rowHeight: 4, rows: 32, height: 128 });
    expect(layoutRows(80, 2)).toEqual({ rowHeight: 24, rows: 2, height: 48 });
    expect(layoutRows(100, 256)).toEqual({ rowHeight: 1, rows: 100, height: 100 });
  });
  it('are labelled at least 12 px apart', () => {
    expect([24, 12, 4, 3, 1].map((h) => labelEvery(64, h))).toEqual([1, 1, 4, 4, 16]);
  });
  it('keep their order until one is clearly larger', () => {
    const score = (s: Record<string, number>) => (k: string) => s[k] ?? 0;
    expect(settle(['a', 'b'], ['b', 'a'], score({ a: 10, b: 12 }))).toEqual(['a', 'b']);
    expect(settle(['a', 'b'], ['b', 'a'], score({ a: 10, b: 14 }))).toEqual(['b', 'a']);
    expect(settle(['a', 'b'], ['a', 'c'], score({ a: 10, c: 1 }))).toEqual(['a', 'c']);
  });
});
