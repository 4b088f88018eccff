// Samples to pixel columns. The one place where time becomes x: every kind of chart draws the same columns.
//
// A sample stands for the time since the read before it; after a cut (two periods without a read, a reset, a
// new holder of the slot) for one period, and the columns before that stay empty. Nothing is interpolated.
import type { Column, Frame } from '../store/api';

/** What a mark draws: one entry a pixel column; NaN where nothing is known. */
export interface Columns {
  n: number;
  lo: Float64Array;
  hi: Float64Array;
  mean: Float64Array;
  count: Uint16Array;
  /** Some column holds more than one read: draw the band. */
  many: boolean;
  /** Pixels a sample is wide; steps are drawn from 3. */
  step: number;
}

/** `n` columns of `dt` microseconds from `t0` on. */
export interface Grid {
  readonly t0: number;
  readonly dt: number;
  readonly n: number;
}

export function newColumns(n: number): Columns {
  return {
    n,
    lo: new Float64Array(n).fill(Number.NaN),
    hi: new Float64Array(n).fill(Number.NaN),
    mean: new Float64Array(n).fill(Number.NaN),
    count: new Uint16Array(n),
    many: false,
    step: 1,
  };
}

/** First index whose time is >= at. */
export function firstAtOrAfter(t: Float64Array, at: number): number {
  let lo = 0;
  let hi = t.length;
  while (lo < hi) {
    const mid = (lo + hi) >> 1;
    if ((t[mid] as number) < at) lo = mid + 1;
    else hi = mid;
  }
  return lo;
}

/** Fills `out` with what one column of `frame` shows on `grid`. */
export function bin(frame: Frame, col: Column, grid: Grid, out: Columns): Columns {
  out.lo.fill(Number.NaN);
  out.hi.fill(Number.NaN);
  out.mean.fill(0);
  out.count.fill(0);
  const coarse = frame.kind === 'coarse';
  out.many = coarse;
  out.step = frame.stepUs / grid.dt;
  const end = grid.t0 + grid.n * grid.dt;
  const { t } = frame;
  for (let i = 0; i < t.length; i++) {
    const v = col.v[i] as number;
    if (Number.isNaN(v)) continue;
    const at = t[i] as number;
    const from = coarse ? at : start(t, col, i, frame.stepUs);
    const to = coarse ? at + frame.stepUs : at;
    if (to < grid.t0) continue;
    if (from >= end) break;
    let a = Math.round((from - grid.t0) / grid.dt);
    let b = Math.round((to - grid.t0) / grid.dt);
    if (b <= a) {
      // Narrower than a pixel: it belongs to the one its middle is on.
      a = Math.min(Math.floor(((from + to) / 2 - grid.t0) / grid.dt), grid.n - 1);
      b = a + 1;
    }
    for (let p = Math.max(0, a); p < Math.min(grid.n, b); p++)
      put(out, p, v, col.lo[i] as number, col.hi[i] as number);
  }
  for (let p = 0; p < grid.n; p++) {
    const c = out.count[p] as number;
    if (c > 1) out.many = true;
    out.mean[p] = c ? (out.mean[p] as number) / c : Number.NaN;
  }
  return out;
}

/** Time at which raw sample `i` begins to stand for something. */
function start(t: Float64Array, col: Column, i: number, period: number): number {
  const at = t[i] as number;
  if (i === 0 || col.cut[i]) return at - period;
  let k = i - 1;
  if (at - (t[k] as number) >= 0.75 * period) return t[k] as number;
  // Entries closer than a period without a value are no reads of this one: it reaches back over them.
  while (k >= 0 && Number.isNaN(col.v[k]) && !col.cut[k] && at - (t[k] as number) < 1.25 * period) k--;
  return k >= 0 && !Number.isNaN(col.v[k]) ? (t[k] as number) : at - period;
}

function put(out: Columns, p: number, v: number, lo: number, hi: number): void {
  if (out.count[p]) {
    if (lo < (out.lo[p] as number)) out.lo[p] = lo;
    if (hi > (out.hi[p] as number)) out.hi[p] = hi;
  } else {
    out.lo[p] = lo;
    out.hi[p] = hi;
  }
  out.mean[p] = (out.mean[p] as number) + v;
  (out.count[p] as number)++;
}

/** Smallest and largest value of some columns; NaN, NaN when they are empty. */
export function extent(cols: readonly Columns[]): [number, number] {
  let lo = Number.NaN;
  let hi = Number.NaN;
  for (const c of cols)
    for (let p = 0; p < c.n; p++) {
      const a = c.lo[p] as number;
      const b = c.hi[p] as number;
      if (!(a >= lo)) lo = Number.isNaN(a) ? lo : a;
      if (!(b <= hi)) hi = Number.isNaN(b) ? hi : b;
    }
  return [lo, hi];
}

/** Columns of a stack: `out[k]` is cols[0] + ... + cols[k]; an empty part counts as 0 where any is known. */
export function stack(cols: readonly Columns[], n: number): Columns[] {
  const out: Columns[] = [];
  let below: Columns | null = null;
  for (const c of cols) {
    const s = newColumns(n);
    s.many = c.many;
    s.step = c.step;
    for (let p = 0; p < n; p++) {
      const base = below ? (below.mean[p] as number) : Number.NaN;
      const v = c.mean[p] as number;
      const sum = Number.isNaN(v) ? base : Number.isNaN(base) ? v : base + v;
      s.mean[p] = s.lo[p] = s.hi[p] = sum;
    }
    out.push(s);
    below = s;
  }
  return out;
}
