import { expect, test } from 'vitest';
import { combine } from '../store/eval';
import { derived, minus, one, per, ref, scaled, sum } from './source';

const at = (s: ReturnType<typeof one>, ...x: number[]) => combine(s, Float64Array.from(x));

test('the key of a source names what it is of', () => {
  expect(one('ratio', 'a.b', 'cpu0').key).toBe('a.b[cpu0]');
  expect(one('ratio', 'a.b').key).toBe('a.b');
  expect(sum('count', ['a.b', 'a.c'], 'x').key).toBe('sum(a.b[x],a.c[x])');
  expect(ref('a', '')).toEqual({ metric: 'a' });
});

test('a sum counts what is absent as 0, and is absent only with all of its parts', () => {
  const s = sum('count', ['a', 'b']);
  expect(at(s, 1, Number.NaN)).toBe(1);
  expect(at(s, Number.NaN, Number.NaN)).toBeNaN();
});

test('other functions have no value where an input has none', () => {
  expect(at(minus('bytes', 'a', 'b'), 3, Number.NaN)).toBeNaN();
  expect(at(minus('bytes', 'a', 'b'), 3, 5)).toBe(0);
  expect(at(scaled('bits/s', 8, 'a'), 2)).toBe(16);
  expect(
    at(
      derived('d', 'count', [ref('a'), ref('b')], (x) => x[0]! * x[1]!),
      2,
      3,
    ),
  ).toBe(6);
});

test('time for each operation: none where nothing ended, never infinite', () => {
  const s = per('seconds', 'time', 'ops');
  expect(at(s, 0.2, 100)).toBe(0.002);
  expect(at(s, 0, 0)).toBe(0);
  expect(at(s, 0.1, 0)).toBeNaN();
});
