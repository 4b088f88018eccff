import { describe, expect, it } from 'vitest';
import { fixedDomain, niceStep, roundDomain, StickyDomain, ticksFor, timeStep } from './ticks';

describe('round numbers', () => {
  it('are 1, 2, 2.5 or 5 times a power of ten, and not below', () => {
    expect([0.7, 1, 1.1, 2.2, 3, 7, 13, 0.03].map((x) => niceStep(x))).toEqual([
      1, 1, 2, 2.5, 5, 10, 20, 0.05,
    ]);
  });
  it('are powers of two for bytes', () => {
    expect([3, 8, 700].map((x) => niceStep(x, true))).toEqual([4, 8, 1024]);
  });
  it('make domains that hold the data and zero, with ticks at both ends', () => {
    for (let i = 0; i < 500; i++) {
      const hi = 10 ** (Math.random() * 12 - 4);
      const lo = Math.random() < 0.5 ? 0 : -hi * Math.random();
      for (const want of [1, 2, 3, 5]) {
        const d = roundDomain(lo, hi, want);
        expect(d.max).toBeGreaterThanOrEqual(hi * (1 - 1e-9));
        expect(d.min).toBeLessThanOrEqual(lo * (1 - 1e-9));
        expect(d.ticks.length).toBeLessThanOrEqual(want * 2 + 3);
        expect(d.ticks.some((t) => Math.abs(t) < 1e-12)).toBe(true);
        expect(d.ticks[0]).toBeCloseTo(d.min, 9);
      }
    }
  });
  it('keep mirrored halves on one step', () => {
    expect(roundDomain(-640, 240, 3)).toEqual({ min: -1000, max: 500, ticks: [-1000, -500, 0, 500] });
  });
  it('end exactly at the size of a whole', () => {
    expect(fixedDomain(1, 2)).toEqual({ min: 0, max: 1, ticks: [0, 0.5, 1] });
    expect(fixedDomain(24, 3, true)).toEqual({ min: 0, max: 24, ticks: [0, 8, 16, 24] });
    expect(fixedDomain(24, 2, true)).toEqual({ min: 0, max: 24, ticks: [0, 8, 16, 24] });
  });
  it('fit as many labels as there is room', () => {
    expect([40, 77, 150, 250].map(ticksFor)).toEqual([1, 2, 3, 5]);
  });
});

describe('sticky domain', () => {
  it('grows at once', () => {
    const s = new StickyDomain(1);
    expect(s.update(0, 9, 0, 2).max).toBe(10);
    expect(s.update(0, 37, 10, 2).max).toBe(40);
  });
  it('does not shrink within a minute, then does', () => {
    const s = new StickyDomain(1);
    s.update(0, 95, 0, 2);
    expect(s.update(0, 3, 30_000, 2).max).toBe(100);
    expect(s.update(0, 3, 59_000, 2).max).toBe(100);
    expect(s.update(0, 3, 61_000, 2).max).toBe(4);
  });
  it('counts the minute from the last time the domain was needed', () => {
    const s = new StickyDomain(1);
    s.update(0, 95, 0, 2);
    s.update(0, 90, 50_000, 2);
    expect(s.update(0, 3, 100_000, 2).max).toBe(100);
    expect(s.update(0, 3, 111_000, 2).max).toBe(4);
  });
  it('keeps its floor and survives no data', () => {
    const s = new StickyDomain(10);
    expect(s.update(Number.NaN, Number.NaN, 0, 2).max).toBe(10);
    expect(s.update(Number.NaN, 2, 1, 2).max).toBe(10);
  });
  it('is the same object while nothing changes, so that axes are not laid out again', () => {
    const s = new StickyDomain(1);
    const d = s.update(0, 9, 0, 2);
    expect(s.update(0, 8, 100, 2)).toBe(d);
  });
});

describe('time steps', () => {
  it('leave each label its room', () => {
    expect(timeStep(30, 300, 72)).toBe(10);
    expect(timeStep(60, 300, 72)).toBe(15);
    expect(timeStep(300, 300, 72)).toBe(120);
    expect(timeStep(5, 300, 72)).toBe(2);
    expect(timeStep(0.3, 300, 72)).toBe(0.1);
  });
});
