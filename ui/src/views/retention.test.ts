import { expect, test } from 'vitest';
import { figuresOf, type HeldFigures, rateOf, retentionUs } from './retention';

const H = 3600e6;
const base: HeldFigures = {
  lengthUs: 10 * H,
  fullUs: 10 * H,
  bytes: 36e6,
  diskSize: 0,
  diskUsed: 0,
  bytesPerSample: 0.0912,
};
const value = (h: HeldFigures, id: string, lag = Number.NaN, error = 0) =>
  figuresOf(h, lag, error).find((f) => f.id === id);

test('without a disk ring it says so and how to have one', () => {
  expect(value(base, 'sample')?.value).toBe('0.091 B');
  expect(value(base, 'fill')).toMatchObject({ name: 'No disk ring' });
  expect(value(base, 'fill')?.words).toContain('--history DIR');
  expect(value(base, 'retention')).toBeUndefined();
  expect(rateOf(base)).toBe(1000);
});

test('retention is the ring’s size over the present rate', () => {
  const h = { ...base, diskSize: 360e6, diskUsed: 36e6 };
  expect(retentionUs(h)).toBeCloseTo(100 * H, -3);
  expect(value(h, 'retention')?.value).toBe('4 d 4 h');
  expect(value(h, 'fill')?.value).toBe('10 %');
  expect(value(h, 'lag', 800_000)).toMatchObject({ value: '800 ms', warn: false });
  expect(value(h, 'lag', 9e6)?.warn).toBe(true);
  expect(value(h, 'error')).toBeUndefined();
  expect(value(h, 'error', 0, 28)?.value).toBe('errno 28');
});

test('what is only held as rollups is told apart', () => {
  expect(value({ ...base, fullUs: 2 * H }, 'held')?.words).toBe(
    '2 h of it at full resolution, the rest every 10 s',
  );
  expect(value(base, 'held')?.words).toBe('all of it at full resolution');
});
