// The crosshair and the selected range of one chart, on a canvas above the plot: moving the pointer never
// draws a chart again.
import type { View } from '../store/api';
import type { Grid } from './columns';
import { palette } from './palette';
import type { Box } from './plot';
import { fitCanvas } from './spark';
import { clockText, decimalsFor, durationText } from './time';
import { timeTicks } from './timeaxis';
import { xOf } from './view';

export interface OverlayState {
  grid: Grid;
  /** Column of the line, or null. */
  hover: number | null;
  selection: View | null;
  /** What the selection is compared with, or what is pinned for it. */
  base: View | null;
  /** This chart is where the range was dragged: it carries the duration. */
  origin: boolean;
  axis: boolean;
  plain: boolean;
  wallMs(t: number): number;
}

/** Least width of a selection on screen, pixels: an 80 ms range in an hour is still seen. */
const LEAST = 3;

/** Left and right edge of a selection in columns, at least LEAST apart. */
export function selectionEdges(grid: Grid, sel: View): [number, number] {
  const a = Math.round(xOf(grid, sel.from));
  const b = Math.round(xOf(grid, sel.to));
  if (b - a >= LEAST) return [a, b];
  const mid = Math.floor((xOf(grid, sel.from) + xOf(grid, sel.to)) / 2);
  return [mid - 1, mid + 2];
}

export function drawOverlay(
  canvas: HTMLCanvasElement,
  w: number,
  h: number,
  box: Box,
  s: OverlayState,
): void {
  const show = s.hover !== null || s.selection !== null || s.base !== null;
  canvas.style.display = show ? '' : 'none';
  if (!show) return;
  const c = fitCanvas(canvas, w, h);
  if (!c) return;
  if (s.selection) drawSelection(c, box, s, s.selection);
  if (s.base) drawBase(c, box, s, s.base);
  if (s.hover !== null) drawCross(c, box, s, s.hover);
}

function drawSelection(c: CanvasRenderingContext2D, box: Box, s: OverlayState, sel: View): void {
  const { css, font } = palette();
  const [ea, eb] = selectionEdges(s.grid, sel);
  const px = box.w / s.grid.n;
  const at = (e: number) => Math.max(box.x, Math.min(box.x + box.w, Math.round(box.x + e * px)));
  const a = at(ea);
  const b = at(eb);
  c.fillStyle = css.scrim;
  c.fillRect(box.x, box.y, a - box.x, box.h);
  c.fillRect(b, box.y, box.x + box.w - b, box.h);
  if (eb <= 0 || ea >= s.grid.n) return;
  if (!s.plain) {
    c.fillStyle = css['sel-fill'];
    c.fillRect(a, box.y, b - a, box.h);
  }
  c.fillStyle = css.sel;
  if (ea >= 0) c.fillRect(a, box.y - 3, 1, box.h + 3);
  if (eb <= s.grid.n) c.fillRect(b - 1, box.y - 3, 1, box.h + 3);
  c.fillRect(a, box.y - 3, b - a, 1);
  if (!s.origin) return;
  const text = durationText(sel.to - sel.from);
  c.font = `600 11px ${font}`;
  const tw = c.measureText(text).width + 8;
  const x = b + tw > box.x + box.w + 12 ? a - tw : b;
  c.fillStyle = css.sel;
  c.fillRect(x, box.y - 3, tw, 15);
  c.fillStyle = css.panel;
  c.textAlign = 'left';
  c.textBaseline = 'middle';
  c.fillText(text, x + 4, box.y + 5);
}

/** The baseline: a dashed bracket over the plot. */
function drawBase(c: CanvasRenderingContext2D, box: Box, s: OverlayState, base: View): void {
  const { css } = palette();
  const px = box.w / s.grid.n;
  const [ea, eb] = selectionEdges(s.grid, base);
  if (eb <= 0 || ea >= s.grid.n) return;
  const at = (e: number) => Math.max(box.x, Math.min(box.x + box.w, Math.round(box.x + e * px)));
  const [a, b] = [at(ea), at(eb)];
  c.fillStyle = css.t3;
  for (let x = a; x < b; x += 5) c.fillRect(x, box.y - 3, Math.min(3, b - x), 1);
  if (ea >= 0) c.fillRect(a, box.y - 3, 1, 5);
  if (eb <= s.grid.n) c.fillRect(b - 1, box.y - 3, 1, 5);
}

function drawCross(c: CanvasRenderingContext2D, box: Box, s: OverlayState, hover: number): void {
  const { css, font } = palette();
  const px = box.w / s.grid.n;
  const x = Math.floor(box.x + (hover + 0.5) * px);
  c.fillStyle = css.t1;
  c.globalAlpha = 0.6;
  c.fillRect(x, box.y, 1, box.h);
  c.globalAlpha = 1;
  if (!s.axis) return;
  c.font = `11px ${font}`;
  const t = s.grid.t0 + (hover + 0.5) * s.grid.dt;
  const text = clockText(s.wallMs(t), decimalsFor(s.grid.dt));
  const tw = Math.ceil(c.measureText(text).width) + 8;
  const left = Math.max(box.x, Math.min(box.x + box.w - tw, x - Math.floor(tw / 2)));
  const top = box.y + box.h + 2;
  // Labels that the tag would cover in part go as a whole.
  c.fillStyle = css.panel;
  for (const tick of timeTicks(s.grid, s.wallMs)) {
    if (tick.label === null) continue;
    const lw = c.measureText(tick.label).width;
    const lx = Math.max(box.x, Math.min(box.x + box.w - lw, box.x + tick.x * px - lw / 2));
    if (lx < left + tw + 4 && lx + lw > left - 4) c.fillRect(lx - 1, top + 1, lw + 2, 13);
  }
  c.fillStyle = css.t1;
  c.fillRect(left, top, tw, 14);
  c.fillStyle = css.panel;
  c.textAlign = 'left';
  c.textBaseline = 'alphabetic';
  c.fillText(text, left + 4, top + 11);
}
