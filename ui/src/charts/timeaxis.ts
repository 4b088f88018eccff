// The x axis: round wall-clock times, labels that stay inside the plot, lines only at labels.
import type { Grid } from './columns';
import { palette } from './palette';
import type { Box } from './plot';
import { timeStep } from './ticks';
import { clockText, dayText, minuteText, zoneMs } from './time';

export interface TimeTick {
  /** Column, fractional. */
  x: number;
  /** null: a small tick only. */
  label: string | null;
}

/** Round times on `grid`; labels at least `room` pixels apart, four small ticks between where they fit. */
export function timeTicks(grid: Grid, wallMs: (t: number) => number, room = 72): TimeTick[] {
  const span = (grid.n * grid.dt) / 1e6;
  const step = timeStep(span, grid.n, room) * 1000;
  const small = step / (step % 5 === 0 && (step / 5 / 1000) * (grid.n / span) >= 8 ? 5 : 2);
  const w0 = wallMs(grid.t0);
  const w1 = wallMs(grid.t0 + grid.n * grid.dt);
  const zone = zoneMs(w1);
  const perMs = grid.n / (w1 - w0);
  const out: TimeTick[] = [];
  const first = Math.ceil((w0 + zone) / small - 1e-6);
  for (let k = first; k * small - zone <= w1 + 1e-6; k++) {
    const w = k * small - zone;
    const isLabel = Math.abs(((k * small) / step) % 1) < 1e-6;
    const midnight = step >= 3_600_000 && (k * small) % 86_400_000 === 0;
    const text = midnight
      ? dayText(w)
      : step >= 60_000
        ? minuteText(w)
        : clockText(w, step < 1000 ? (step < 100 ? 2 : 1) : 0);
    out.push({ x: (w - w0) * perMs, label: isLabel ? text : null });
  }
  return out;
}

/** Upright lines at the labelled times, device pixels. */
export function drawTimeLines(
  ctx: CanvasRenderingContext2D,
  box: Box,
  k: number,
  grid: Grid,
  wallMs: (t: number) => number,
): void {
  ctx.fillStyle = palette().css.grid;
  for (const t of timeTicks(grid, wallMs)) {
    if (t.label === null) continue;
    ctx.fillRect(lineAt(box, k, grid, t.x), box.y, k, box.h);
  }
}

const lineAt = (box: Pick<Box, 'x' | 'w'>, k: number, grid: Grid, x: number) =>
  Math.min(box.x + box.w - k, Math.round(box.x + (x * box.w) / grid.n));

const HEIGHT = 16;
let strip: HTMLCanvasElement | null = null;
let stripFor = '';

/** Ticks and labels below a plot `w` device pixels wide, as a picture to copy. */
export function axisStrip(
  grid: Grid,
  wallMs: (t: number) => number,
  w: number,
  k: number,
): HTMLCanvasElement {
  const { css, font } = palette();
  const key = `${grid.t0} ${grid.dt} ${w} ${k} ${css.panel} ${wallMs(grid.t0)} ${zoneMs(0)}`;
  strip ??= document.createElement('canvas');
  if (key === stripFor) return strip;
  stripFor = key;
  const h = HEIGHT * k;
  if (strip.width !== w || strip.height !== h) {
    strip.width = w;
    strip.height = h;
  }
  const ctx = strip.getContext('2d', { alpha: false });
  if (!ctx) return strip;
  ctx.fillStyle = css.panel;
  ctx.fillRect(0, 0, w, h);
  ctx.font = `${11 * k}px ${font}`;
  ctx.textBaseline = 'alphabetic';
  ctx.textAlign = 'left';
  let free = 0;
  for (const t of timeTicks(grid, wallMs)) {
    const x = lineAt({ x: 0, w }, k, grid, t.x);
    ctx.fillStyle = css.axis;
    ctx.fillRect(x, 0, k, (t.label === null ? 2 : 4) * k);
    if (t.label === null) continue;
    const tw = ctx.measureText(t.label).width;
    const left = Math.max(0, Math.min(w - tw, x - tw / 2));
    // Pushed in from the edge, a label may come too near to its neighbour.
    if (left < free) continue;
    free = left + tw + 10 * k;
    ctx.fillStyle = css.t3;
    ctx.fillText(t.label, left, 14 * k);
  }
  return strip;
}
