import { expect, test } from 'vitest';
import { setUtc } from '../charts/time';
import {
  between,
  hit,
  LEAST_US,
  seamText,
  spanFor,
  stripTicks,
  stripView,
  usefulSpans,
  viewText,
  widened,
} from './strip';

const H = 3600e6;
const view = (from: number, to: number) => ({ from, to });

test('the span chosen is shown, a longer one where the charts show more', () => {
  expect(spanFor(H, 30e6)).toBe(H);
  expect(spanFor(H, 2 * H)).toBe(6 * H);
  expect(spanFor(6 * H, 24 * H)).toBe(24 * H);
  expect(spanFor(H, 100 * H)).toBe(0);
});

test('spans that would show nothing more than the one before are not offered', () => {
  expect(usefulSpans(0.3 * H).map((s) => s.us)).toEqual([H]);
  expect(usefulSpans(3 * H).map((s) => s.us)).toEqual([H, 6 * H]);
  expect(usefulSpans(90 * H)).toHaveLength(4);
});

test('a capture is shown whole, however short', () => {
  const v = stripView({
    spanUs: 0,
    heldFrom: 5e6,
    newest: 9e6,
    view: view(5e6, 9e6),
    live: true,
    whole: true,
  });
  expect(v).toEqual(view(5e6, 9e6));
  expect(usefulSpans(4e6, true).map((s) => s.us)).toEqual([0]);
  expect(usefulSpans(7 * H, true).map((s) => s.us)).toEqual([H, 6 * H, 0]);
});

test('live the strip ends now; a view of the past lies within it, before this boot too', () => {
  const at = (from: number, to: number, live = false) =>
    stripView({ spanUs: H, heldFrom: -30 * H, newest: 2 * H, view: view(from, to), live });
  expect(at(2 * H - 30e6, 2 * H, true)).toEqual(view(H, 2 * H));
  for (const t of [1.5 * H, 0.2 * H, -0.1 * H, -7.3 * H, -29.9 * H]) {
    const s = at(t, t + 300e6);
    expect(s.from).toBeLessThanOrEqual(t);
    expect(s.to).toBeGreaterThanOrEqual(t + 300e6);
    expect(s.to - s.from).toBe(H);
  }
  // A little further: the strip stands still.
  expect(at(-7.3 * H, -7.25 * H)).toEqual(at(-7.31 * H, -7.26 * H));
});

test('all that is held is shown whole, in a width that changes seldom', () => {
  const all = (newest: number) =>
    stripView({ spanUs: 0, heldFrom: -30 * H, newest, view: view(newest - 30e6, newest), live: true });
  expect(all(H).from).toBeLessThanOrEqual(-30 * H);
  expect(all(H).to - all(H).from).toBe(all(H + 60e6).to - all(H + 60e6).from);
});

test('the box is held by its edges or its inside; of a narrow one the edges lie outside', () => {
  expect([93, 98, 101, 150, 198, 203, 210].map((x) => hit(x, 100, 200))).toEqual([
    'out',
    'left',
    'left',
    'box',
    'right',
    'right',
    'out',
  ]);
  expect([96, 102, 107].map((x) => hit(x, 100, 104))).toEqual(['left', 'box', 'right']);
});

test('a dragged edge stays within what is held and turns round at the other one', () => {
  const v = view(100e6, 130e6);
  expect(widened(v, 'left', 40e6, 0, 200e6)).toEqual(view(40e6, 130e6));
  expect(widened(v, 'left', -5e6, 0, 200e6)).toEqual(view(0, 130e6));
  expect(widened(v, 'right', 900e6, 0, 200e6)).toEqual(view(100e6, 200e6));
  expect(widened(v, 'left', 150e6, 0, 200e6)).toEqual(view(130e6, 150e6));
  expect(widened(v, 'right', 100.1e6, 0, 200e6)).toEqual(view(100e6, 100e6 + LEAST_US));
});

test('a stretch drawn in either direction is the same one', () => {
  expect(between(50e6, 20e6, 0, 100e6)).toEqual(view(20e6, 50e6));
  expect(between(20e6, 50e6, 0, 100e6)).toEqual(view(20e6, 50e6));
  expect(between(-50e6, 20e6, 0, 100e6)).toEqual(view(0, 20e6));
});

test('labels are round times of the wall clock, midnights by their day', () => {
  setUtc(true);
  const off = Date.UTC(2026, 10, 25, 18) * 1000;
  const ticks = stripTicks(
    view(0, 12 * H),
    (t) => (t + off) / 1000,
    (ms) => ms * 1000 - off,
  );
  expect(ticks.map((t) => t.text)).toEqual(['18:00', '20:00', '22:00', '26 Nov', '02:00', '04:00']);
  expect(ticks[3]!.t).toBe(6 * H);
  setUtc(false);
});

test('a seam says what happened, for how long, and when', () => {
  setUtc(true);
  const wall = (t: number) => Date.UTC(2026, 10, 26, 13) + t / 1000;
  expect(seamText({ from: 0, to: 720e6, what: 'reboot' }, wall)).toBe(
    'Host rebooted: 12 min not recorded, 13:00:00 – 13:12:00',
  );
  expect(seamText({ from: 5e6, to: 5.2e6, what: 'restart' }, wall)).toBe('Agent restarted 13:00:05');
  expect(seamText({ from: -14 * H, to: 0, what: 'gap' }, wall)).toMatch(/^Nothing recorded for 14 h, 25 Nov/);
  const now = wall(0);
  expect(viewText(view(0, 30e6), true, wall, now)).toBe('live, the last 30 s');
  expect(viewText(view(-24 * H, -24 * H + 30e6), false, wall, now)).toBe('25 Nov 13:00:00 to 13:00:30');
  setUtc(false);
});
