import { expect, test } from 'vitest';
import { AgentClock } from './clock';

test('wall time follows the record in force; a step moves only what comes after it', () => {
  const c = new AgentClock(() => 0);
  c.reset([
    { monoUs: 1_000_000, realOffUs: 500_000_000, bootOffUs: 0, reason: 0 },
    { monoUs: 61_000_000, realOffUs: 3_600_500_000_000, bootOffUs: 0, reason: 2 },
  ]);
  expect(c.wallMs(2_000_000)).toBe(502_000);
  expect(c.wallMs(61_000_000)).toBe(3_600_500_000 + 61_000);
  for (const t of [2_000_000, 30_000_000, 61_000_000, 90_000_000])
    expect(c.mono(c.wallMs(t))).toBeCloseTo(t, 3);
});

test('a suspend is known by its length and place', () => {
  const c = new AgentClock(() => 0);
  c.reset([
    { monoUs: 0, realOffUs: 0, bootOffUs: 100, reason: 0 },
    { monoUs: 5_000_000, realOffUs: 70_000_000, bootOffUs: 70_000_100, reason: 3 },
  ]);
  expect(c.suspends(4_000_000, 6_000_000)).toEqual([{ at: 5_000_000, us: 70_000_000 }]);
  expect(c.suspends(6_000_000, 9_000_000)).toEqual([]);
});

test('now() takes the quickest answer and half its round trip', () => {
  let local = 0;
  const c = new AgentClock(() => local);
  local = 400_000;
  c.observe(10_000_000, 0); // 400 ms round trip
  expect(c.now()).toBe(10_200_000);
  local = 1_010_000;
  c.observe(10_905_000, 1_000_000); // 10 ms round trip: the better one
  expect(c.now()).toBe(10_910_000);
  local = 2_500_000;
  c.observe(13_000_000, 1_510_000);
  expect(c.now()).toBe(12_400_000);
});

test('a tick from the future moves the clock on', () => {
  const c = new AgentClock(() => 0);
  c.observe(1000, 0);
  c.atLeast(5000);
  expect(c.now()).toBe(5000);
  c.atLeast(10);
  expect(c.now()).toBe(5000);
});

test('a stretch of another boot keeps its own offset; nothing is spread over the seam', () => {
  const c = new AgentClock(() => 0);
  c.reset([{ monoUs: 1_000_000, realOffUs: 500_000_000, bootOffUs: 0, reason: 0 }]);
  c.history(
    [-90_000_000, 0],
    [
      { monoUs: -80_000_000, realOffUs: 500_050_000, bootOffUs: 0, reason: 0 },
      { monoUs: 500_000, realOffUs: 500_000_000, bootOffUs: 0, reason: 0 },
    ],
  );
  expect(c.wallMs(-85_000_000)).toBe((-85_000_000 + 500_050_000) / 1000);
  expect(c.wallMs(-1_000)).toBe((-1_000 + 500_050_000) / 1000);
  expect(c.wallMs(100)).toBe((100 + 500_000_000) / 1000);
  expect(c.firstMs).toBe(501_000);
});

test('a capture’s clock stands still', () => {
  let local = 0;
  const c = new AgentClock(() => local);
  c.observe(5_000_000, 0);
  c.standAt(4_000_000);
  local = 9_000_000;
  expect(c.now()).toBe(4_000_000);
  c.atLeast(5_000_000);
  c.standAt(null);
  expect(c.now()).toBe(14_000_000);
});
