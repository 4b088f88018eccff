// What is drawn over and under the marks: gaps, the stretch before the agent started, events, notes.
import type { Gap, HostEvent } from '../store/api';
import type { Grid } from './columns';
import { palette } from './palette';
import type { Box } from './plot';
import { durationText } from './time';

/** A gap in columns, at least one wide; null where it is not on the grid. */
export function gapColumns(gap: Gap, grid: Grid): [number, number] | null {
  const a = Math.max(0, Math.round((gap.from - grid.t0) / grid.dt));
  const b = Math.min(grid.n, Math.max(a + 1, Math.round((gap.to - grid.t0) / grid.dt)));
  return b > a && a < grid.n && gap.to > grid.t0 ? [a, b] : null;
}

/** Hatch with its length, or for what lies before the start a flat area with its words. */
export function drawGaps(
  ctx: CanvasRenderingContext2D,
  box: Box,
  k: number,
  grid: Grid,
  gaps: readonly Gap[],
): void {
  const px = box.w / grid.n;
  for (const gap of gaps) {
    const at = gapColumns(gap, grid);
    if (!at) continue;
    const x = box.x + Math.round(at[0] * px);
    const w = Math.round(at[1] * px) - Math.round(at[0] * px);
    if (gap.reason === 'before') drawBefore(ctx, box, k, x, w, gap.text ?? '');
    else if (at[1] - at[0] >= 2) {
      // The hatch is fixed to time, so that a moved picture and one drawn anew are the same.
      const phase = Math.round((grid.t0 / grid.dt) * px) % (8 * k);
      const length = durationText(gap.to - gap.from);
      // A gap that leaves over the left edge is moved, not drawn anew: it has no label to cut.
      drawHatch(ctx, box, k, x, w, phase, at[0] > 0 ? [`${length} gap`, length] : []);
    }
  }
}

function drawBefore(
  ctx: CanvasRenderingContext2D,
  box: Box,
  k: number,
  x: number,
  w: number,
  text: string,
): void {
  const { css } = palette();
  ctx.fillStyle = css.raise;
  ctx.fillRect(x, box.y, w, box.h);
  ctx.fillStyle = css.line2;
  if (x + w < box.x + box.w) ctx.fillRect(x + w, box.y, k, box.h);
  centred(ctx, box, k, x, w, [text], null);
}

function drawHatch(
  ctx: CanvasRenderingContext2D,
  box: Box,
  k: number,
  x: number,
  w: number,
  phase: number,
  texts: readonly string[],
): void {
  const { css } = palette();
  ctx.save();
  ctx.beginPath();
  ctx.rect(x, box.y, w, box.h);
  ctx.clip();
  ctx.strokeStyle = css.line;
  ctx.lineWidth = k;
  ctx.beginPath();
  const bottom = box.y + box.h;
  const first = box.x - phase - Math.ceil(box.h / (8 * k)) * 8 * k;
  for (let hx = first; hx < x + w; hx += 8 * k) {
    ctx.moveTo(hx, bottom);
    ctx.lineTo(hx + box.h, box.y);
  }
  ctx.stroke();
  ctx.restore();
  centred(ctx, box, k, x, w, texts, css.panel);
}

/** The first of `texts` that fits in the middle of [x, x+w). */
function centred(
  ctx: CanvasRenderingContext2D,
  box: Box,
  k: number,
  x: number,
  w: number,
  texts: readonly string[],
  ground: string | null,
): void {
  const { css, font } = palette();
  ctx.font = `${11 * k}px ${font}`;
  const text = texts.find((t) => ctx.measureText(t).width + 4 * k <= w);
  if (!text) return;
  const tw = ctx.measureText(text).width;
  const cx = x + w / 2;
  const cy = box.y + box.h / 2;
  if (ground) {
    ctx.fillStyle = ground;
    ctx.fillRect(cx - tw / 2 - 4 * k, cy - 8 * k, tw + 8 * k, 16 * k);
  }
  ctx.fillStyle = css.t2;
  ctx.textAlign = 'center';
  ctx.textBaseline = 'middle';
  ctx.fillText(text, cx, cy);
}

/** Gaps and slower periods are drawn as what they are; a line for each would cover the chart. */
const DRAWN_ELSEWHERE = new Set([3, 8]);

/** A dotted line at each event: 1 px on, 3 off. */
export function drawEvents(
  ctx: CanvasRenderingContext2D,
  box: Box,
  k: number,
  grid: Grid,
  events: readonly HostEvent[],
): void {
  ctx.fillStyle = palette().css.t3;
  for (let i = events.length - 1; i >= 0; i--) {
    const e = events[i] as HostEvent;
    const p = (e.t - grid.t0) / grid.dt;
    if (p < 0) break;
    if (p >= grid.n || DRAWN_ELSEWHERE.has(e.kind)) continue;
    const x = box.x + Math.round((p * box.w) / grid.n);
    for (let y = box.y; y < box.y + box.h; y += 4 * k) ctx.fillRect(x, y, k, k);
  }
}

/** A short warning in the plot's top left corner. */
export function drawNote(ctx: CanvasRenderingContext2D, box: Box, k: number, text: string): void {
  const { css, font } = palette();
  ctx.font = `${11 * k}px ${font}`;
  ctx.textAlign = 'left';
  ctx.textBaseline = 'middle';
  let s = text;
  while (s.length > 4 && ctx.measureText(s).width > box.w - 16 * k) s = `${s.slice(0, -2)}…`;
  ctx.fillStyle = css.panel;
  ctx.fillRect(box.x + 4 * k, box.y + 2 * k, ctx.measureText(s).width + 8 * k, 16 * k);
  ctx.fillStyle = css.warn;
  ctx.fillText(s, box.x + 8 * k, box.y + 10 * k);
}
