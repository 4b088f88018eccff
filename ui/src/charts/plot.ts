// The canvas of one chart. uPlot lives in this file and nowhere else: it keeps the canvas, the y axis, the
// grid and the clipping; the marks come as layers with paths of our own, since its stock paths join gaps and
// land between pixels.
import uPlot from 'uplot';
import type { Grid } from './columns';
import { palette } from './palette';
import type { Place } from './paths';
import type { Domain } from './ticks';
import { drawTimeAxis } from './timeaxis';

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
  dash?: number[];
  path(at: Place, sink: Path2D): void;
}

/** Everything that is drawn; coordinates of hooks are device pixels. */
export interface Picture {
  grid: Grid;
  wallMs(t: number): number;
  domain: Domain;
  label(v: number): string;
  layers: readonly Layer[];
  /** No grid lines: heat maps. */
  plain: boolean;
  /** Under the layers, over the grid. */
  under?(ctx: CanvasRenderingContext2D, box: Box, at: Place): void;
  /** Over the layers. */
  over?(ctx: CanvasRenderingContext2D, box: Box, at: Place): void;
}

/** Plot width for a chart `w` px wide: whole twenties, so that round windows give round columns. */
export const plotWidth = (w: number) => Math.max(20, Math.floor((w - GUTTER - MARGIN) / 20) * 20);

export class Plot {
  private u: uPlot;
  private picture: Picture | null = null;
  private layers = 0;
  private width = 0;
  private height = 0;
  private axis = true;

  constructor(private readonly host: HTMLElement) {
    this.u = this.make();
  }

  get canvas(): HTMLCanvasElement {
    return this.u.ctx.canvas;
  }

  /** Plot area in CSS pixels, relative to the canvas. */
  box(): Box {
    const h = this.height - TOP - (this.axis ? AXIS : FOOT);
    return { x: GUTTER, y: TOP, w: plotWidth(this.width), h: Math.max(1, h) };
  }

  resize(width: number, height: number, axis: boolean): boolean {
    if (width === this.width && height === this.height && axis === this.axis) return false;
    this.width = width;
    this.height = height;
    this.axis = axis;
    this.u.setSize({ width, height });
    return true;
  }

  draw(picture: Picture): void {
    const same = this.picture?.domain === picture.domain && this.picture.label === picture.label;
    this.picture = picture;
    this.u.batch(() => {
      while (this.layers < picture.layers.length) this.addLayer();
      while (this.layers > picture.layers.length) this.u.delSeries(this.layers--);
      picture.layers.forEach((l, k) => {
        const series = this.u.series[k + 1];
        if (series) series.dash = l.dash ?? [];
      });
      this.u.setScale('y', { min: picture.domain.min, max: picture.domain.max });
      this.u.redraw(true, !same);
    });
  }

  destroy(): void {
    this.u.destroy();
  }

  private addLayer(): void {
    const k = this.layers++;
    this.u.addSeries(this.series(k), k + 1);
    this.u.setData(this.data(), false);
  }

  private data(): uPlot.AlignedData {
    return [[0, 1], ...Array.from({ length: this.layers }, () => [0, 0])] as uPlot.AlignedData;
  }

  private series(k: number): uPlot.Series {
    const layer = () => this.picture?.layers[k];
    return {
      scale: 'y',
      auto: false,
      pxAlign: 0,
      width: 1,
      points: { show: false },
      stroke: () => layer()?.stroke ?? '',
      fill: () => layer()?.fill ?? '',
      paths: (u) => {
        const l = layer();
        if (!l) return null;
        const p = new Path2D();
        l.path(this.place(u), p);
        return { stroke: l.stroke ? p : null, fill: l.fill ? p : null, flags: 3 };
      },
    };
  }

  private place(u: uPlot): Place {
    const { left, width } = u.bbox;
    return {
      x: left,
      w: width / Math.max(1, this.picture?.grid.n ?? 1),
      y: (v) => u.valToPos(v, 'y', true),
    };
  }

  private devBox(u: uPlot): Box {
    const { left, top, width, height } = u.bbox;
    return { x: left, y: top, w: width, h: height };
  }

  private make(): uPlot {
    const css = () => palette().css;
    const opts: uPlot.Options = {
      width: 100,
      height: 60,
      padding: [
        TOP,
        () => Math.max(0, this.width - GUTTER - plotWidth(this.width)),
        () => (this.axis ? AXIS : FOOT),
        0,
      ],
      legend: { show: false },
      cursor: { show: false },
      select: { show: false, left: 0, top: 0, width: 0, height: 0 },
      scales: {
        x: { time: false, auto: false, range: () => [0, 1] },
        y: { auto: false, range: (_u, lo, hi) => [lo ?? 0, hi ?? 1] },
      },
      axes: [
        { show: false },
        {
          scale: 'y',
          size: GUTTER,
          gap: 6,
          font: `11px ${palette().font}`,
          stroke: () => css().t3,
          ticks: { show: false },
          grid: { width: 1, stroke: () => (this.picture?.plain ? 'transparent' : css().grid) },
          splits: () => this.picture?.domain.ticks ?? [],
          values: (_u, splits) => splits.map((v) => this.picture?.label(v) ?? ''),
          space: 1,
        },
      ],
      series: [{}],
      hooks: {
        drawAxes: [(u) => this.under(u)],
        draw: [(u) => this.over(u)],
      },
    };
    return new uPlot(opts, this.data(), this.host);
  }

  private under(u: uPlot): void {
    const p = this.picture;
    if (!p) return;
    const { ctx } = u;
    const box = this.devBox(u);
    const k = devicePixelRatio || 1;
    ctx.save();
    if (!p.plain && p.domain.min <= 0) {
      ctx.fillStyle = palette().css.axis;
      ctx.fillRect(box.x, Math.round(u.valToPos(0, 'y', true)), box.w, k);
    }
    drawTimeAxis(ctx, box, k, p.grid, p.wallMs, this.axis, !p.plain);
    p.under?.(ctx, box, this.place(u));
    ctx.restore();
  }

  private over(u: uPlot): void {
    const p = this.picture;
    if (!p?.over) return;
    u.ctx.save();
    p.over(u.ctx, this.devBox(u), this.place(u));
    u.ctx.restore();
  }
}
