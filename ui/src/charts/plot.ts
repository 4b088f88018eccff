// The canvas of one chart: y labels, grid, the marks' layers, x axis. Live, the picture moves by whole
// columns: what was drawn is shifted and only columns that changed are drawn again. Drawing twelve charts
// ten times a second without a GPU costs a third of drawing each anew (and of what a chart library costs,
// whose axes, cursor and selection would not be used here: every chart shares ours).
import type { Gap, HostEvent } from '../store/api';
import type { Columns, Grid } from './columns';
import { drawEvents, drawGaps, drawNote } from './decor';
import { changedFrom, type Seen, see } from './diff';
import { palette, themeVersion } from './palette';
import type { Place } from './paths';
import type { Domain } from './ticks';
import { axisStrip, drawTimeLines } from './timeaxis';

/** Left of the plot are the y labels, right of it nothing; TOP keeps the topmost label on the canvas. */
export const GUTTER = 44;
export const MARGIN = 15;
const TOP = 6;
const AXIS = 16;
const FOOT = 5;

export interface Box {
  x: number;
  y: number;
  w: number;
  h: number;
}

export interface Layer {
  stroke?: string;
  fill?: string;
  /** From column at.from on. */
  path(at: Place, sink: Path2D): void;
}

/** Everything that is drawn. */
export interface Picture {
  grid: Grid;
  wallMs(t: number): number;
  domain: Domain;
  label(v: number): string;
  layers: readonly Layer[];
  /** All columns that the layers draw, in an order that stays: where they differ, they are drawn again. */
  data: readonly Columns[];
  /** Whatever else the pixels depend on: kinds and colours of the layers, the height of rows. */
  shape: string;
  gaps: readonly Gap[];
  events: readonly HostEvent[];
  note: string;
  /** No grid lines: heat maps. */
  plain: boolean;
  /** Rows of a heat map: over the grid, under gaps. Device pixels. */
  cells?(ctx: CanvasRenderingContext2D, box: Box, k: number): void;
  /** What stands left of the plot beside the y labels; drawn with them. */
  labels?(ctx: CanvasRenderingContext2D, box: Box, k: number): void;
}

/** Plot width for a chart `w` px wide: whole twenties, so that round windows give round columns. */
export const plotWidth = (w: number) => Math.max(20, Math.floor((w - GUTTER - MARGIN) / 20) * 20);

export class Plot {
  readonly canvas = document.createElement('canvas');
  private readonly ctx: CanvasRenderingContext2D | null;
  private width = 0;
  private height = 0;
  private axis = true;
  private seen: Seen | null = null;
  private axisFor = '';

  constructor(host: HTMLElement) {
    // Without an alpha channel the compositor copies instead of blending.
    this.ctx = this.canvas.getContext('2d', { alpha: false });
    host.append(this.canvas);
  }

  /** Plot area in CSS pixels, relative to the canvas. */
  box(): Box {
    const h = this.height - TOP - (this.axis ? AXIS : FOOT);
    return { x: GUTTER, y: TOP, w: plotWidth(this.width), h: Math.max(1, h) };
  }

  resize(width: number, height: number, axis: boolean): void {
    this.width = width;
    this.height = height;
    this.axis = axis;
    this.seen = null;
  }

  /** Draws `p`, shifting what is on the canvas where that is enough. */
  draw(p: Picture): void {
    const { ctx } = this;
    if (!ctx || !this.width || !this.height) return;
    const k = devicePixelRatio || 1;
    this.fit(k);
    const css = this.box();
    const box = { x: css.x * k, y: css.y * k, w: css.w * k, h: Math.round(css.h * k) };
    const key = `${p.shape} ${p.domain.min} ${p.domain.max} ${p.domain.ticks.join()} ${themeVersion()} ${p.plain}`;
    const from = Number.isInteger(k) ? changedFrom(this.seen, p, key) : 0;
    const before = this.seen?.grid.t0 ?? 0;
    if (from === 0) this.whole(ctx, box, k, p);
    else this.part(ctx, box, k, p, from, Math.round((p.grid.t0 - before) / p.grid.dt));
    this.drawAxis(ctx, box, k, p);
    this.seen = see(this.seen, p, key);
  }

  private fit(k: number): void {
    const w = Math.round(this.width * k);
    const h = Math.round(this.height * k);
    if (this.canvas.width === w && this.canvas.height === h) return;
    this.canvas.width = w;
    this.canvas.height = h;
    this.canvas.style.width = `${this.width}px`;
    this.canvas.style.height = `${this.height}px`;
    this.seen = null;
    this.axisFor = '';
  }

  private whole(ctx: CanvasRenderingContext2D, box: Box, k: number, p: Picture): void {
    const { css, font } = palette();
    ctx.fillStyle = css.panel;
    ctx.fillRect(0, 0, this.canvas.width, this.canvas.height);
    this.axisFor = '';
    ctx.font = `${11 * k}px ${font}`;
    ctx.textAlign = 'right';
    ctx.textBaseline = 'middle';
    ctx.fillStyle = css.t3;
    const y = yOf(box, p.domain);
    for (const v of p.domain.ticks) ctx.fillText(p.label(v), box.x - 6 * k, Math.round(y(v)) + 0.5 * k);
    p.labels?.(ctx, box, k);
    this.columns(ctx, box, k, p, 0);
  }

  private part(
    ctx: CanvasRenderingContext2D,
    box: Box,
    k: number,
    p: Picture,
    from: number,
    shift: number,
  ): void {
    const px = box.w / p.grid.n;
    const dx = shift * px;
    if (shift > 0) {
      const w = box.w - dx;
      ctx.drawImage(this.canvas, box.x + dx, 0, w, box.y + box.h + k, box.x, 0, w, box.y + box.h + k);
    }
    if (from < p.grid.n) this.columns(ctx, box, k, p, from);
  }

  /** Columns from `from` to the right edge. */
  private columns(ctx: CanvasRenderingContext2D, box: Box, k: number, p: Picture, from: number): void {
    const { css } = palette();
    const px = box.w / p.grid.n;
    const left = box.x + Math.floor(from * px);
    const y = yOf(box, p.domain);
    ctx.save();
    ctx.beginPath();
    ctx.rect(left, 0, box.x + box.w - left, box.y + box.h + k);
    ctx.clip();
    ctx.fillStyle = css.panel;
    ctx.fillRect(left, 0, box.x + box.w - left, box.y + box.h + k);
    if (!p.plain) {
      for (const v of p.domain.ticks) {
        ctx.fillStyle = v === 0 ? css.axis : css.grid;
        ctx.fillRect(left, Math.round(y(v)), box.x + box.w - left, k);
      }
      drawTimeLines(ctx, box, k, p.grid, p.wallMs);
    }
    if (!p.cells) drawGaps(ctx, box, k, p.grid, p.gaps);
    const at: Place = { x: box.x, w: px, from: Math.max(0, from - 2), phase: phaseOf(p.grid), y };
    for (const l of p.layers) paint(ctx, l, at, k);
    p.cells?.(ctx, box, k);
    if (p.cells) drawGaps(ctx, box, k, p.grid, p.gaps);
    drawEvents(ctx, box, k, p.grid, p.events);
    if (p.note) drawNote(ctx, box, k, p.note);
    ctx.restore();
  }

  /** The strip below the plot, the same for every chart of this width: made once a frame. */
  private drawAxis(ctx: CanvasRenderingContext2D, box: Box, k: number, p: Picture): void {
    if (!this.axis) return;
    const key = `${p.grid.t0} ${p.grid.dt} ${p.wallMs(p.grid.t0)}`;
    if (key === this.axisFor) return;
    this.axisFor = key;
    const strip = axisStrip(p.grid, p.wallMs, box.w, k);
    ctx.drawImage(strip, box.x, box.y + box.h);
  }
}

const phaseOf = (g: Grid) => ((Math.round(g.t0 / g.dt) % 6) + 6) % 6;

const yOf = (box: Box, d: Domain) => (v: number) => box.y + box.h - ((v - d.min) / (d.max - d.min)) * box.h;

function paint(ctx: CanvasRenderingContext2D, l: Layer, at: Place, k: number): void {
  const path = new Path2D();
  l.path(at, path);
  if (l.fill) {
    ctx.fillStyle = l.fill;
    ctx.fill(path);
  }
  if (l.stroke) {
    ctx.strokeStyle = l.stroke;
    ctx.lineWidth = k;
    ctx.lineJoin = 'bevel';
    ctx.stroke(path);
  }
}
