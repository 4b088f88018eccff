import { describe, expect, it } from 'vitest';
import { before } from '../state/view';
import { factorText, msText, score, spanText, timeUnit } from './drawerdata';
import { settleRows, unit } from './procdata';

const stats = (min: number, avg: number, max: number) => ({ min, avg, max, n: 30 });

describe('what changed', () => {
  it('looks at ten times the range before it, at least three seconds', () => {
    expect(before({ from: 100e6, to: 100.32e6 })).toEqual({ from: 96.8e6, to: 100e6 });
    expect(before({ from: 100e6, to: 100.1e6 })).toEqual({ from: 97e6, to: 100e6 });
  });
  it('ranks what left its usual range above what always jumps', () => {
    const jumped = score(stats(70, 80, 90), stats(10, 14, 18), 0.5);
    const noisy = score(stats(0, 0, 10), stats(0, 90, 500), 0.5);
    expect(jumped).toBeGreaterThan(10 * noisy);
  });
  it('counts a new peak even where the mean is the same', () => {
    expect(score(stats(0, 10, 200), stats(5, 10, 15), 0.5)).toBe(37);
  });
  it('says factors in words where a number would not do', () => {
    expect(
      [1449, 24_600, 75.2, 1.44, 0.42, 1, 0, Number.POSITIVE_INFINITY, Number.NaN].map(factorText),
    ).toEqual(['×1.4k', '×25k', '×75', '×1.4', '×0.42', '=', 'none', 'new', '–']);
  });
  it('says how long in few letters over narrow columns', () => {
    expect([320e3, 2.5e6, 48e6, 108e6, 600e6, 5400e6].map(spanText)).toEqual([
      '320 ms',
      '2.5 s',
      '48 s',
      '2 min',
      '10 min',
      '2 h',
    ]);
  });
  it('shows times of long ranges in a longer unit, so that numbers stay whole', () => {
    expect([4000, 99_999, 14_400_000, 5e8, 1e10].map((ms) => timeUnit(ms).name)).toEqual([
      'ms',
      'ms',
      's',
      'min',
      'h',
    ]);
  });
  it('keeps small amounts apart from none', () => {
    expect([0, 0.01, 4.123, 4000].map(msText)).toEqual(['0', '<0.1', '4.1', '4,000']);
  });
});

describe('rows of processes', () => {
  it('say the unit or the short id of a container', () => {
    const of = (attrs: Record<string, string>) => unit({ name: '1', gen: 0, attrs, startUs: 0, endUs: null });
    expect(of({ unit: 'nginx.service' })).toBe('nginx.service');
    expect(of({ unit: 'e7d3c58f73cc10f1f819c8a915b0e7d3c58f73cc10f1f819c8a915b0abcdef01' })).toBe(
      'e7d3c58f73cc',
    );
    expect(of({})).toBe('kernel');
  });
  const v = (m: Record<string, number>) => (k: string) => m[k] ?? 0;
  it('are sorted by value', () => {
    expect(settleRows([], ['a', 'b', 'c'], v({ a: 1, b: 9, c: 5 }))).toEqual(['b', 'c', 'a']);
  });
  it('do not change places for a small difference', () => {
    expect(settleRows(['a', 'b'], ['a', 'b'], v({ a: 10, b: 11 }))).toEqual(['a', 'b']);
    expect(settleRows(['a', 'b'], ['a', 'b'], v({ a: 10, b: 13 }))).toEqual(['b', 'a']);
  });
});
