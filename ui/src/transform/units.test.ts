import { expect, test } from 'vitest';
import { unitOf } from './units';

test('bytes and their multiples are bytes, as a counter bytes a second', () => {
  expect(unitOf('Kbyte', false, false)).toEqual({ kind: 'bytes', factor: 1024 });
  expect(unitOf('byte', true, false)).toEqual({ kind: 'bytes/s', factor: 1 });
  expect(unitOf('By', false, false)).toEqual({ kind: 'bytes', factor: 1 });
});

test('a level of time is seconds, a counter of time a share', () => {
  expect(unitOf('millisec', false, false)).toEqual({ kind: 'seconds', factor: 1e-3 });
  expect(unitOf('microsec', true, false)).toEqual({ kind: 'ratio', factor: 1e-6 });
  expect(unitOf('us', true, false)).toEqual({ kind: 'ratio', factor: 1e-6 });
});

test('per cent, bits, states, and what nobody knows', () => {
  expect(unitOf('%', false, false)).toEqual({ kind: 'ratio', factor: 0.01 });
  expect(unitOf('bit/s', false, false)).toEqual({ kind: 'bits/s', factor: 1 });
  expect(unitOf('1', false, true)).toEqual({ kind: 'state', factor: 1 });
  expect(unitOf('count', true, false)).toEqual({ kind: 'count/s', factor: 1 });
  expect(unitOf('furlong', false, false)).toEqual({ kind: 'count', factor: 1 });
});
