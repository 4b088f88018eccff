// Charts made of rows: a heat map of instances, and cores: rows over (or under) a band of the whole.
import type { Env, Mark, PanelSpec } from '../panels/types';
import { type Columns, extent, type Grid, stack } from './columns';
import { HeatImage, layoutRows, type RowLayout } from './heat';
import { lineLayers, type Model, shapeOf, stackLayers } from './model';
import { palette } from './palette';
import type { Box, Layer } from './plot';
import { type Domain, StickyDomain } from './ticks';
import { elsewhere } from './view';

/** Up to this many CPUs the rows stand above a band of user, sys, iowait and steal. */
const FEW = 8;
/** Height of the mean's strip over many rows, and of the space between strip and rows. */
const STRIP = 16;
const SPACE = 4;
/** Least height of a row whose name stands beside it. */
const NAMED = 12;

export interface RowsBuilt {
  /** Rows from top to bottom, as drawn. */
  rows: readonly { mark: Mark; columns: Columns }[];
  layout: RowLayout;
  /** Top of the first row below the plot's top, CSS pixels. */
  top: number;
  layers: Layer[];
  data: readonly Columns[];
  shape: string;
  domain: Domain;
  max: number;
  band: readonly { mark: Mark; columns: Columns }[];
  resolution: string;
  gaps: readonly import('../store/api').Gap[];
  loading: boolean;
  any: boolean;
  /** "worst 32 of 96" where not all rows fit. */
  note: string;
}

export class Rows {
  private image = new HeatImage();
  private sticky: StickyDomain;
  private order: string[] = [];
  private ordered = Number.NEGATIVE_INFINITY;
  private coming = false;
  private shown: Grid | null = null;

  constructor(
    private readonly spec: PanelSpec,
    private readonly env: Env,
    private readonly model: Model,
  ) {
    this.sticky = new StickyDomain(spec.floor);
  }

  build(grid: Grid, height: number, hidden: ReadonlySet<string>, now: number): RowsBuilt {
    if (this.shown && elsewhere(this.shown, grid)) {
      this.sticky.reset();
      this.ordered = Number.NEGATIVE_INFINITY;
    }
    this.shown = grid;
    const cores = this.spec.draw === 'cores';
    const all = this.model.marks;
    const few = cores && all.length <= FEW;
    const strip = cores && !few && height >= 110 ? STRIP + SPACE : 0;
    const room = few ? Math.max(1, Math.floor(height * 0.45)) : height - strip;
    // Rows of cores may be a pixel high; rows that are named need room for their name.
    const layout = cores
      ? layoutRows(room, all.length)
      : layoutRows(room, Math.min(all.length, Math.floor(room / NAMED)), 16);
    const marksShown = this.pick(all, layout.rows, grid, now, !cores);
    const read = this.model.read(marksShown, grid);
    const rows = marksShown.map((mark, i) => ({ mark, columns: read.columns[i] as Columns }));
    const marks = this.spec.band?.(this.env) ?? [];
    const lines = few ? parts(marks, hidden) : this.mean(marks, strip > 0);
    const band = this.model.read(lines, grid, 'band ');
    const sums = few ? stack(band.columns, grid.n) : [];
    const layers = few
      ? stackLayers(lines, band.columns, sums)
      : strip
        ? lineLayers(lines, band.columns)
        : [];
    const [, hi] = extent(read.columns);
    const max = this.spec.max === undefined ? this.sticky.update(0, hi, now, 1).max : this.maxOf();
    return {
      rows,
      data: [...read.columns, ...band.columns, ...sums],
      shape: `${shapeOf(marksShown, read.columns)} ${shapeOf(lines, band.columns)} ${max} ${layout.rowHeight}`,
      layout,
      top: few || !cores ? 0 : height - layout.height,
      layers,
      domain: this.domain(few, strip, layout.height, height),
      max,
      band: lines.map((mark, i) => ({ mark, columns: band.columns[i] as Columns })),
      resolution: read.frames[0]?.resolution ?? '',
      gaps: read.gaps,
      loading: this.coming || read.frames.some((f) => f.loading),
      any: rows.some((r) => r.columns.count.some((n) => n > 0)),
      note: cores && rows.length < all.length ? `worst ${rows.length} of ${all.length}` : '',
    };
  }

  private maxOf(): number {
    const { max } = this.spec;
    return typeof max === 'function' ? max(this.env) : (max ?? 1);
  }

  /** The mark of the whole among the band's, drawn as an area. */
  private mean(marks: readonly Mark[], wanted: boolean): Mark[] {
    const m = marks[marks.length - 1];
    return wanted && m ? [{ ...m, style: 'area', colour: 'cpu' }] : [];
  }

  /** Those `n` marks with the highest means; sorted by it when `sort`, else in their own order. All marks
   *  are read for the choice every two seconds only, so that rows do not dance. */
  private pick(all: readonly Mark[], n: number, grid: Grid, now: number, sort: boolean): Mark[] {
    if (!sort && n >= all.length) return [...all];
    const byKey = new Map(all.map((m) => [m.source.key, m]));
    const old = this.order;
    const usable = old.length === Math.min(n, all.length) && old.every((k) => byKey.has(k));
    if (!usable || now - this.ordered > 2000) {
      const { columns, frames } = this.model.read(all, grid, 'all ');
      const score = new Map(all.map((m, i) => [m.source.key, total(columns[i] as Columns)]));
      const rank = (k: string) => (score.get(k) ?? 0) * (usable && old.includes(k) ? 1.2 : 1);
      const keys = [...byKey.keys()].sort((a, b) => rank(b) - rank(a)).slice(0, n);
      this.order = usable ? settle(old, keys, (k) => score.get(k) ?? 0) : keys;
      // What is still to come may be the busiest.
      this.coming = frames.some((f) => f.loading);
      this.ordered = this.coming ? Number.NEGATIVE_INFINITY : now;
    }
    if (!sort) return all.filter((m) => this.order.includes(m.source.key));
    return this.order.map((k) => byKey.get(k)).filter((m): m is Mark => m !== undefined);
  }

  /** The y scale of the band: its own 0..1 fills what the rows leave of the plot. */
  private domain(few: boolean, strip: number, rows: number, height: number): Domain {
    if (few) {
      const h = Math.max(1, height - rows - SPACE);
      return { min: 0, max: height / h, ticks: h >= 60 ? [0, 0.5, 1] : [0, 1] };
    }
    if (strip) return { min: -(height - STRIP) / STRIP, max: 1, ticks: [] };
    return { min: 0, max: 1, ticks: [] };
  }

  /** Draws the cells; `k` device pixels to a CSS pixel. */
  draw(ctx: CanvasRenderingContext2D, box: Box, k: number, b: RowsBuilt, grid: Grid): void {
    const { ramp, panel, css } = palette();
    const y = box.y + b.top * k;
    const h = b.layout.rowHeight * k * b.rows.length;
    const rows = b.rows.map((r) => r.columns);
    const at = { x: box.x, y, w: box.w, h };
    this.image.draw(ctx, rows, grid.n, b.max, ramp, panel, at, this.spec.log ?? false);
    if (b.top < STRIP) return;
    ctx.fillStyle = css.axis;
    ctx.fillRect(box.x, box.y + STRIP * k, box.w, k);
  }

  /** Draws the names of the rows left of the plot. */
  labels(ctx: CanvasRenderingContext2D, box: Box, k: number, b: RowsBuilt): void {
    const { css, font } = palette();
    const y = box.y + b.top * k;
    const h = b.layout.rowHeight * k;
    ctx.font = `${11 * k}px ${font}`;
    ctx.textAlign = 'right';
    ctx.textBaseline = 'middle';
    ctx.fillStyle = css.t3;
    const every = labelEvery(b.rows.length, b.layout.rowHeight);
    b.rows.forEach((r, i) => {
      if (i % every && i !== b.rows.length - 1) return;
      const cy = y + (i + 0.5) * h;
      const last = b.rows.length - 1;
      if (i !== last && last % every && last - i < every * 0.75) return;
      const least = b.top >= STRIP ? y + 6 * k : box.y + 5 * k;
      const at = Math.max(least, Math.min(box.y + box.h - 4 * k, cy));
      ctx.fillText(fit(ctx, r.mark.label, 38 * k), box.x - 6 * k, at);
    });
    if (this.spec.draw === 'cores' && b.top >= STRIP) ctx.fillText('mean', box.x - 6 * k, box.y + 9 * k);
  }
}

const parts = (marks: readonly Mark[], hidden: ReadonlySet<string>) =>
  marks.filter((m) => m.style !== 'value' && !hidden.has(m.source.key));

/** Rows between labels so that they stand at least 12 px apart. */
export function labelEvery(rows: number, rowHeight: number): number {
  const least = 12 / rowHeight;
  for (const e of [1, 2, 4, 8, 16, 32, 64, 128]) if (e >= least) return e;
  return Math.max(1, rows);
}

/** Both ends tell names apart: input.0 from output.0, req.0 from req.1. */
export function middleCut(text: string, fits: (s: string) => boolean): string {
  let n = text.length - 1;
  const cut = () => `${text.slice(0, n >> 1)}…${text.slice(text.length - ((n + 1) >> 1))}`;
  while (n > 1 && !fits(cut())) n--;
  return cut();
}

function fit(ctx: CanvasRenderingContext2D, text: string, room: number): string {
  if (ctx.measureText(text).width <= room) return text;
  return middleCut(text, (s) => ctx.measureText(s).width <= room);
}

function total(c: Columns): number {
  let s = 0;
  for (let p = 0; p < c.n; p++) s += c.mean[p] || 0;
  return s;
}

/** `old` without what left, with what came at its rank; neighbours swap only when 30 % apart. */
export function settle(
  old: readonly string[],
  keys: readonly string[],
  score: (k: string) => number,
): string[] {
  const out = old.filter((k) => keys.includes(k));
  for (const k of keys) if (!out.includes(k)) out.push(k);
  for (let pass = 0; pass < out.length; pass++) {
    let moved = false;
    for (let i = 1; i < out.length; i++) {
      const a = out[i - 1] as string;
      const b = out[i] as string;
      if (score(b) > score(a) * 1.3) {
        out[i - 1] = b;
        out[i] = a;
        moved = true;
      }
    }
    if (!moved) break;
  }
  return out;
}
