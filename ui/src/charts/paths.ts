// Columns to canvas paths: whole pixels, steps from 3 px a sample, nothing joined across an empty column.
// A sink takes the commands, so that the geometry is tested without a canvas.
import type { Columns } from './columns';

export interface Sink {
  moveTo(x: number, y: number): void;
  lineTo(x: number, y: number): void;
  rect(x: number, y: number, w: number, h: number): void;
}

/** Where columns land: column p covers [x + p*w, x + (p+1)*w) device pixels; y() maps a value. */
export interface Place {
  x: number;
  w: number;
  /** First column that is wanted. */
  from: number;
  /** Number of column 0 counted from the beginning of time: patterns stay where they are. */
  phase: number;
  y(value: number): number;
}

/** Width in columns from which a sample is drawn as a step. */
export const STEP_FROM = 3;

/** The line through the columns' means (or their maxima): steps for wide samples, else through centres. */
export function linePath(c: Columns, at: Place, sink: Sink, sign = 1, of: Float64Array = c.mean): void {
  if (c.step >= STEP_FROM) stepPath(c, at, sink, sign, of);
  else centrePath(c, at, sink, sign, of);
}

function stepPath(c: Columns, at: Place, sink: Sink, sign: number, of: Float64Array): void {
  let on = false;
  let last = Number.NaN;
  for (let p = at.from; p < c.n; p++) {
    const v = of[p] as number;
    if (Number.isNaN(v)) {
      if (on) sink.lineTo(at.x + p * at.w + 0.5, last);
      on = false;
      continue;
    }
    const y = Math.round(at.y(sign * v)) + 0.5;
    const x = at.x + p * at.w + 0.5;
    if (!on) sink.moveTo(x, y);
    else if (y !== last) {
      sink.lineTo(x, last);
      sink.lineTo(x, y);
    }
    on = true;
    last = y;
  }
  if (on) sink.lineTo(at.x + c.n * at.w, last);
}

function centrePath(c: Columns, at: Place, sink: Sink, sign: number, of: Float64Array): void {
  let on = false;
  for (let p = at.from; p < c.n; p++) {
    const v = of[p] as number;
    if (Number.isNaN(v)) {
      on = false;
      continue;
    }
    const x = at.x + (p + 0.5) * at.w;
    const y = at.y(sign * v);
    if (on) sink.lineTo(x, y);
    else {
      // A lone column is a one-pixel dash, never invisible.
      sink.moveTo(x - at.w / 2, y);
      sink.lineTo(x, y);
    }
    on = true;
  }
}

/** The smallest-to-largest band, at least a pixel high, one rectangle for each run of equal columns. */
export function bandPath(c: Columns, at: Place, sink: Sink, sign = 1): void {
  runs(c, at.from, (p, q) => {
    const a = Math.round(at.y(sign * (c.hi[p] as number)));
    const b = Math.round(at.y(sign * (c.lo[p] as number)));
    const y = Math.min(a, b);
    sink.rect(at.x + p * at.w, y, (q - p) * at.w, Math.max(1, Math.abs(b - a)));
  });
}

/** From `zero` (or the columns `below`) to the value, whole pixels. */
export function areaPath(c: Columns, at: Place, sink: Sink, sign = 1, below: Columns | null = null): void {
  const zero = Math.round(at.y(0));
  runs(
    c,
    at.from,
    (p, q) => {
      const y = Math.round(at.y(sign * (c.mean[p] as number)));
      const base = below ? Math.round(at.y(sign * (below.mean[p] || 0))) : zero;
      if (y !== base) sink.rect(at.x + p * at.w, Math.min(y, base), (q - p) * at.w, Math.abs(base - y));
    },
    below,
  );
}

/** One bar a sample, a pixel apart from the next where there is room; height is the column's maximum. */
export function barPath(c: Columns, at: Place, sink: Sink, sign = 1): void {
  const zero = Math.round(at.y(0));
  runs(c, at.from, (p, q) => {
    const v = c.hi[p] as number;
    if (v === 0) return;
    let y = Math.round(at.y(sign * v));
    if (y === zero) y = zero - Math.sign(sign * v);
    const w = (q - p) * at.w;
    sink.rect(at.x + p * at.w, Math.min(y, zero), w > 3 ? w - 1 : w, Math.abs(zero - y));
  });
}

/** A dashed level line, 3 on 3 off, fixed to time. */
export function dashPath(c: Columns, at: Place, sink: Sink): void {
  for (let p = at.from; p < c.n; p++) {
    const v = c.mean[p] as number;
    if (Number.isNaN(v) || (p + at.phase) % 6 >= 3) continue;
    sink.rect(at.x + p * at.w, Math.round(at.y(v)), at.w, at.w);
  }
}

/** Calls `f` for each stretch [p, q) of known, equal columns. */
function runs(
  c: Columns,
  from: number,
  f: (p: number, q: number) => void,
  also: Columns | null = null,
): void {
  let p = from;
  // A bar is drawn whole: go back to where it begins.
  while (p > 0 && same(c, p - 1, p) && (!also || also.mean[p] === also.mean[p - 1])) p--;
  while (p < c.n) {
    if (Number.isNaN(c.mean[p])) {
      p++;
      continue;
    }
    let q = p + 1;
    while (q < c.n && same(c, p, q) && (!also || also.mean[q] === also.mean[p])) q++;
    f(p, q);
    p = q;
  }
}

const same = (c: Columns, p: number, q: number) =>
  c.mean[p] === c.mean[q] && c.lo[p] === c.lo[q] && c.hi[p] === c.hi[q];
