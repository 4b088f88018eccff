// The x axis: round wall-clock times, labels that stay inside the plot, lines only at labels.
import type { Grid } from './columns';
import { palette } from './palette';
import type { Box } from './plot';
import { timeStep } from './ticks';
import { clockText, minuteText, zoneMs } from './time';

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
    const text = step >= 60_000 ? minuteText(w) : clockText(w, step < 1000 ? (step < 100 ? 2 : 1) : 0);
    out.push({ x: (w - w0) * perMs, label: isLabel ? text : null });
  }
  return out;
}

/** Draws lines (`lines`), ticks and labels (`labels`) in device pixels; `k` device pixels to a CSS pixel. */
export function drawTimeAxis(
  ctx: CanvasRenderingContext2D,
  box: Box,
  k: number,
  grid: Grid,
  wallMs: (t: number) => number,
  labels: boolean,
  lines: boolean,
): void {
  const { css, font } = palette();
  const bottom = box.y + box.h;
  const px = box.w / grid.n;
  ctx.font = `${11 * k}px ${font}`;
  ctx.textBaseline = 'alphabetic';
  ctx.textAlign = 'left';
  for (const t of timeTicks(grid, wallMs)) {
    const x = Math.min(box.x + box.w - k, Math.round(box.x + t.x * px));
    if (lines && t.label !== null) {
      ctx.fillStyle = css.grid;
      ctx.fillRect(x, box.y, k, box.h);
    }
    if (!labels) continue;
    ctx.fillStyle = css.axis;
    ctx.fillRect(x, bottom, k, (t.label === null ? 2 : 4) * k);
    if (t.label === null) continue;
    const w = ctx.measureText(t.label).width;
    ctx.fillStyle = css.t3;
    ctx.fillText(t.label, Math.max(box.x, Math.min(box.x + box.w - w, x - w / 2)), bottom + 14 * k);
  }
}
