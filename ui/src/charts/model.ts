// From a panel and the store to what the plot draws: marks become columns, columns become layers, extents
// become a domain and a unit. No canvas and no DOM here.
import { axisScale, axisText, type Scale, scaleFor } from '../lib/format';
import type { Env, Mark, PanelSpec } from '../panels/types';
import type { Frame, Gap, Store } from '../store/api';
import { bin, type Columns, extent, type Grid, newColumns, stack } from './columns';
import { mix, palette } from './palette';
import { areaPath, bandPath, barPath, dashPath, linePath } from './paths';
import type { Layer } from './plot';
import { type Domain, fixedDomain, StickyDomain, ticksFor } from './ticks';
import { elsewhere } from './view';

export interface Built {
  grid: Grid;
  marks: readonly Mark[];
  /** Parallel to marks; null for marks that are not drawn. */
  columns: readonly (Columns | null)[];
  layers: Layer[];
  /** What the layers draw, for finding what changed. */
  data: readonly Columns[];
  shape: string;
  domain: Domain;
  scale: Scale;
  label(v: number): string;
  resolution: string;
  gaps: readonly Gap[];
  loading: boolean;
  /** Some mark has a value somewhere on the grid. */
  any: boolean;
}

export class Model {
  marks: readonly Mark[] = [];
  private sticky: StickyDomain;
  private buffers = new Map<string, Columns>();
  private shown: Grid | null = null;
  private labelFor = '';
  private labelFn: (v: number) => string = String;

  constructor(
    readonly spec: PanelSpec,
    readonly env: Env,
  ) {
    this.sticky = new StickyDomain(spec.floor, scaleFor(spec.unit.kind, spec.floor).binary);
  }

  private get store(): Store {
    return this.env.store;
  }

  /** Asks the panel for its marks again; true when they are others than before. */
  refresh(): boolean {
    const marks = this.spec.transform(this.env);
    const same =
      marks.length === this.marks.length &&
      marks.every((m, i) => {
        const o = this.marks[i] as Mark;
        return m.source.key === o.source.key && m.label === o.label && m.style === o.style;
      });
    if (!same && (marks[0]?.source.key ?? '') !== (this.marks[0]?.source.key ?? '')) this.sticky.reset();
    this.marks = marks;
    return !same;
  }

  /** Columns of `marks` on `grid`: one frame() for each group, so that a slow group keeps its own period. */
  read(
    marks: readonly Mark[],
    grid: Grid,
    tag = '',
  ): { columns: Columns[]; frames: Frame[]; gaps: readonly Gap[] } {
    const byGroup = new Map<string, number[]>();
    marks.forEach((m, i) => {
      const g = this.store.info(m.source.inputs[0]?.metric ?? '')?.group ?? '';
      const list = byGroup.get(g);
      if (list) list.push(i);
      else byGroup.set(g, [i]);
    });
    const view = { from: grid.t0, to: grid.t0 + grid.n * grid.dt };
    const columns: Columns[] = marks.map((m) => this.buffer(tag + m.source.key, grid.n));
    const frames: Frame[] = [];
    for (const [g, list] of byGroup) {
      if (!g) {
        for (const i of list) clear(columns[i] as Columns);
        continue;
      }
      const frame = this.store.frame(
        list.map((i) => (marks[i] as Mark).source),
        view,
        grid.n,
      );
      list.forEach((i, j) => {
        const col = frame.cols[j];
        if (col) bin(frame, col, grid, columns[i] as Columns);
        else clear(columns[i] as Columns);
      });
      frames.push(frame);
    }
    return { columns, frames, gaps: frames[0]?.gaps ?? [] };
  }

  /** Everything to draw on `grid`, the plot being `height` pixels high. */
  build(grid: Grid, height: number, hidden: ReadonlySet<string>, now: number): Built {
    // The scale of another moment says nothing about this one.
    if (this.shown && elsewhere(this.shown, grid)) this.sticky.reset();
    this.shown = grid;
    const drawn = this.marks.filter((m) => m.style !== 'value' && !hidden.has(m.source.key));
    const { columns, frames, gaps } = this.read(drawn, grid);
    const stacked = this.spec.draw === 'stack' ? stack(columns, grid.n) : null;
    const domain = this.domain(drawn, stacked ?? columns, height, now);
    const scale = axisScale(this.spec.unit.kind, Math.max(Math.abs(domain.min), domain.max));
    const layers = stacked ? stackLayers(drawn, columns, stacked) : lineLayers(drawn, columns);
    return {
      grid,
      marks: this.marks,
      columns: this.marks.map((m) => columns[drawn.indexOf(m)] ?? null),
      layers,
      data: stacked ? [...columns, ...stacked] : columns,
      shape: shapeOf(drawn, columns),
      domain,
      scale,
      label: this.label(domain, scale),
      resolution: frames[0]?.resolution ?? '',
      gaps,
      loading: frames.some((f) => f.loading),
      any: columns.some((c) => c.count.some((n) => n > 0)),
    };
  }

  /** Labels in the axis' unit; the same function for as long as nothing about it changes. */
  label(domain: Domain, scale: Scale): (v: number) => string {
    const step = domain.ticks.length > 1 ? (domain.ticks[1] as number) - (domain.ticks[0] as number) : 1;
    const key = `${step}/${scale.div}`;
    if (key !== this.labelFor) {
      this.labelFor = key;
      this.labelFn = (v) => axisText(v / scale.div, step / scale.div);
    }
    return this.labelFn;
  }

  private domain(drawn: readonly Mark[], cols: readonly Columns[], height: number, now: number): Domain {
    const want = ticksFor(height);
    const max = typeof this.spec.max === 'function' ? this.spec.max(this.env) : this.spec.max;
    if (max !== undefined) {
      const key = max * 16 + want;
      if (this.fixed?.key !== key) {
        this.fixed = { key, domain: fixedDomain(max, want, scaleFor(this.spec.unit.kind, max).binary) };
      }
      return this.fixed.domain;
    }
    const [, up] = extent(cols.filter((_, i) => !drawn[i]?.down));
    const [, down] = extent(cols.filter((_, i) => drawn[i]?.down));
    return this.sticky.update(-down, up, now, want);
  }
  private fixed: { key: number; domain: Domain } | null = null;

  private buffer(key: string, n: number): Columns {
    let c = this.buffers.get(key);
    if (!c || c.n !== n) {
      if (this.buffers.size > 600) this.buffers.clear();
      c = newColumns(n);
      this.buffers.set(key, c);
    }
    return c;
  }
}

/** Kinds and colours of `marks`: when these differ, all is drawn anew. */
export function shapeOf(marks: readonly Mark[], columns: readonly Columns[]): string {
  return marks
    .map((m, i) => `${m.source.key}${m.style}${m.colour}${columns[i]?.many}${columns[i]?.step.toFixed(2)}`)
    .join(' ');
}

function clear(c: Columns): void {
  c.lo.fill(Number.NaN);
  c.hi.fill(Number.NaN);
  c.mean.fill(Number.NaN);
  c.count.fill(0);
}

const alpha = (hex: string, part: number) =>
  hex +
  Math.round(part * 255)
    .toString(16)
    .padStart(2, '0');

/** Layers of lines, areas, bars and references, the last mark undermost. */
export function lineLayers(marks: readonly Mark[], columns: readonly Columns[]): Layer[] {
  const { css } = palette();
  const out: Layer[] = [];
  for (let i = marks.length - 1; i >= 0; i--) {
    const m = marks[i] as Mark;
    const c = columns[i] as Columns;
    const colour = css[m.colour];
    const sign = m.down ? -1 : 1;
    if (m.style === 'bar') {
      out.push({ fill: colour, path: (at, sink) => barPath(c, at, sink, sign) });
      continue;
    }
    if (m.style === 'dash') {
      out.push({ fill: colour, path: (at, sink) => dashPath(c, at, sink) });
      continue;
    }
    if (c.many) out.push({ fill: alpha(colour, 0.38), path: (at, sink) => bandPath(c, at, sink, sign) });
    else if (m.style === 'area')
      out.push({ fill: alpha(colour, m.down ? 0.2 : 0.15), path: (at, sink) => areaPath(c, at, sink, sign) });
    out.push({ stroke: colour, path: (at, sink) => linePath(c, at, sink, sign) });
  }
  return out;
}

/** Areas on each other, each with a line of its full tint on top where there is anything of it. */
export function stackLayers(
  marks: readonly Mark[],
  parts: readonly Columns[],
  sums: readonly Columns[],
): Layer[] {
  const { css } = palette();
  const out: Layer[] = [];
  sums.forEach((c, i) => {
    const m = marks[i] as Mark;
    const tint = m.tint ?? 1;
    const below = i > 0 ? (sums[i - 1] as Columns) : null;
    const part = (parts[i] as Columns).mean;
    const top = c.mean.map((v, p) => ((part[p] as number) > 0 ? v : Number.NaN));
    out.push({
      fill: mix(css[m.colour], css.panel, tint * 0.55),
      path: (at, sink) => areaPath(c, at, sink, 1, below),
    });
    out.push({
      stroke: mix(css[m.colour], css.panel, tint),
      path: (at, sink) => linePath({ ...c, mean: top, step: 3 }, at, sink),
    });
  });
  return out;
}
