import { describe, expect, it } from 'vitest';
import type { Gap, HostEvent } from '../store/api';
import { type Columns, newColumns } from './columns';
import { changedFrom, see } from './diff';

const N = 300;
const DT = 100_000;

/** Columns of a signal that is known up to column `known` of a grid that begins at column `first`. */
function columns(first: number, known: number): Columns {
  const c = newColumns(N);
  for (let p = 0; p < N; p++) {
    const at = first + p;
    if (at >= known) continue;
    c.mean[p] = c.lo[p] = c.hi[p] = Math.sin(at);
  }
  return c;
}

const picture = (first: number, known: number, more: object = {}) => ({
  grid: { t0: first * DT, dt: DT, n: N },
  data: [columns(first, known)],
  gaps: [] as Gap[],
  events: [] as HostEvent[],
  note: '',
  ...more,
});

describe('what to draw again', () => {
  it('is everything at first, and when the shape, the note or the columns are others', () => {
    const p = picture(0, N);
    const s = see(null, p, 'a');
    expect(changedFrom(null, p, 'a')).toBe(0);
    expect(changedFrom(s, p, 'b')).toBe(0);
    expect(changedFrom(s, picture(0, N, { note: '1 Hz' }), 'a')).toBe(0);
    expect(changedFrom(s, { ...p, grid: { ...p.grid, dt: 2 * DT } }, 'a')).toBe(0);
    expect(changedFrom(s, { ...p, data: [] }, 'a')).toBe(0);
  });
  it('is nothing when nothing changed', () => {
    const s = see(null, picture(0, N), 'a');
    expect(changedFrom(s, picture(0, N), 'a')).toBe(N);
  });
  it('is the new columns and a little of their neighbours when the picture moved', () => {
    const s = see(null, picture(0, N), 'a');
    expect(changedFrom(s, picture(1, N + 1), 'a')).toBe(N - 1 - 2);
  });
  it('reaches back to a column that was filled late', () => {
    const s = see(null, picture(0, N - 10), 'a');
    expect(changedFrom(s, picture(1, N + 1), 'a')).toBe(N - 11 - 2);
  });
  it('is everything when the past was filled or the picture moved far', () => {
    const s = see(null, picture(0, 20), 'a');
    expect(changedFrom(s, picture(0, N), 'a')).toBe(0);
    expect(changedFrom(see(null, picture(0, N), 'a'), picture(200, N + 200), 'a')).toBe(0);
    expect(changedFrom(see(null, picture(5, N), 'a'), picture(0, N), 'a')).toBe(0);
  });
  it('begins at a new gap or event', () => {
    const s = see(null, picture(0, N), 'a');
    const gap: Gap = { from: 250 * DT, to: 260 * DT, reason: 'missed' };
    expect(changedFrom(s, picture(0, N, { gaps: [gap] }), 'a')).toBe(248);
    const e = { seq: 7, t: 200 * DT, kind: 1, severity: 0, source: 's', text: 't' } as HostEvent;
    expect(changedFrom(s, picture(0, N, { events: [e] }), 'a')).toBe(198);
  });
  it('leaves a gap that is known where it is', () => {
    const gap: Gap = { from: 250 * DT, to: 260 * DT, reason: 'missed' };
    const s = see(null, picture(0, N, { gaps: [gap] }), 'a');
    expect(changedFrom(s, picture(1, N + 1, { gaps: [gap] }), 'a')).toBe(N - 3);
  });
  it('is everything once when a gap reaches the left edge and loses its label, then nothing of it', () => {
    const gap = (from: number): Gap => ({ from: from * DT, to: 60 * DT, reason: 'missed' });
    const s = see(null, picture(9, N + 9, { gaps: [gap(10)] }), 'a');
    const edge = picture(10, N + 10, { gaps: [gap(10)] });
    expect(changedFrom(s, edge, 'a')).toBe(0);
    const next = see(s, edge, 'a');
    expect(changedFrom(next, picture(11, N + 11, { gaps: [gap(11)] }), 'a')).toBe(N - 3);
  });
  it('keeps copies: columns that are filled anew do not change what was seen', () => {
    const p = picture(0, N);
    const s = see(null, p, 'a');
    p.data[0]!.mean[290] = 99;
    expect(changedFrom(s, p, 'a')).toBe(288);
  });
});
