import { expect, test } from 'vitest';
import { LineOf } from '../../gen/strobe_pb';
import type { Line } from '../../transform/profiler';
import { linesText } from './lines';

const line = (of: LineOf, n: number, more: Partial<Line> = {}): Line => ({
  function: 'work',
  file: '/src/app/work.c',
  line: n,
  inlined: false,
  begins: 10,
  of,
  ...more,
});
const inlined = (of: LineOf, n: number) =>
  line(of, n, { function: 'mix', file: '/src/app/mix.h', inlined: true });

test('where it was sampled, what is inlined there, where it calls and where it begins', () => {
  const lines = [inlined(LineOf.SELF, 4), line(LineOf.SELF, 23), line(LineOf.CALL, 31)];
  const self = 'sampled at mix app/mix.h:4 (inlined) ← app/work.c:23';
  expect(linesText(lines, true)).toBe(`${self} · calls at work.c:31 · begins at work.c:10`);
  expect(linesText(lines, false)).toBe(
    'calls at app/work.c:31 · sampled at mix app/mix.h:4 (inlined) ← work.c:23 · begins at work.c:10',
  );
});

test('of data that does not know where it was sampled, where it begins', () => {
  expect(linesText([line(LineOf.START, 11)], true)).toBe('begins at app/work.c:11');
  expect(linesText([line(LineOf.SELF, 23, { begins: 0 })], true)).toBe('sampled at app/work.c:23');
  expect(linesText([], true)).toBe('');
});
