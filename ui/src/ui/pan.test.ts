import { expect, test, vi } from 'vitest';

vi.mock('../charts/Chart', () => ({ charts: new Map() }));
vi.mock('../store/store', () => ({ store: {} }));
const { moved, scaled } = await import('./pan');

const v = { from: 1_000_000, to: 2_000_000 };

test('a moved view keeps its width, stops at the oldest held, is live past the newest', () => {
  expect(moved(v, -500_000, 0, 9_000_000)).toEqual({ from: 500_000, to: 1_500_000 });
  expect(moved(v, -5_000_000, 200_000, 9_000_000)).toEqual({ from: 200_000, to: 1_200_000 });
  expect(moved(v, 7_500_000, 0, 9_000_000)).toBe(null);
});

test('zooming keeps the time under the pointer where it is', () => {
  const z = scaled(v, 1_250_000, 0.5, 0, 9_000_000);
  expect(z).toEqual({ from: 1_125_000, to: 1_625_000 });
  expect((1_250_000 - z.from) / (z.to - z.from)).toBe(0.25);
});

test('a view is never narrower than a few samples nor wider than what is held', () => {
  expect(scaled(v, 1_500_000, 0.001, 0, 9_000_000).to - scaled(v, 1_500_000, 0.001, 0, 9_000_000).from).toBe(
    300_000,
  );
  const wide = scaled(v, 1_500_000, 100, 0, 3_000_000);
  expect(wide.to - wide.from).toBe(3_000_000);
  expect(wide.to).toBeLessThanOrEqual(3_000_000);
});
