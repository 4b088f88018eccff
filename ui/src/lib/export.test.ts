import { expect, test } from 'vitest';
import type { Frame } from '../store/api';
import { AgentClock } from '../transport/clock';
import { isoMicros, toCsv } from './export';

const clock = new AgentClock(() => 0);
clock.reset([{ monoUs: 0, realOffUs: 1_795_198_936_000_000, bootOffUs: 0, reason: 0 }]);
const f64 = (...x: number[]) => Float64Array.from(x);
const frame = (over: Partial<Frame>): Frame => ({
  view: { from: 0, to: 1_000_000 },
  kind: 'raw',
  t: f64(100_000, 200_001, 600_000),
  cols: [
    {
      v: f64(1.5, Number.NaN, 3),
      lo: f64(1.5, Number.NaN, 3),
      hi: f64(1.5, Number.NaN, 3),
      cut: Uint8Array.of(0, 0, 1),
    },
  ],
  stepUs: 100_000,
  resolution: '10 Hz',
  gaps: [],
  loading: false,
  ...over,
});

test('raw samples: time to the microsecond, no value is an empty cell, a gap an empty row', () => {
  expect(toCsv(frame({}), ['rx, "eth0"'], clock).split('\n')).toEqual([
    'time,monotonic_us,"rx, ""eth0"""',
    '2026-11-20T18:22:16.100000Z,100000,1.5',
    '2026-11-20T18:22:16.200001Z,200001,',
    ',,',
    '2026-11-20T18:22:16.600000Z,600000,3',
    '',
  ]);
});

test('columns keep their min and max beside the mean', () => {
  const col = { v: f64(2, 2, 2), lo: f64(1, 1, 1), hi: f64(9, 9, 9), cut: new Uint8Array(3) };
  const text = toCsv(frame({ kind: 'coarse', cols: [col] }), ['x'], clock);
  expect(text.split('\n').slice(0, 2)).toEqual([
    'time,monotonic_us,x mean,x min,x max',
    '2026-11-20T18:22:16.100000Z,100000,2,1,9',
  ]);
});

test('microseconds are padded', () => {
  expect(isoMicros(1_795_198_936_000.005)).toBe('2026-11-20T18:22:16.000005Z');
});
