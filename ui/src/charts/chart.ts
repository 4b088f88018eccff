// One chart on the page: its section, title, plot and overlay; drawn when the scheduler says so.
import { num, type Scale, scaleFor, valueText } from '../lib/format';
import type { Env, Mark, PanelSpec } from '../panels/types';
import { baseline, baseOf, fixed, hidden, hover, mode, selection, stale } from '../state/view';
import type { Gap, View } from '../store/api';
import type { Grid } from './columns';
import { draft, origin } from './cursor';
import { picture } from './image';
import { listen } from './input';
import type { Value } from './legend';
import { type Built, Model } from './model';
import { drawOverlay } from './overlay';
import { themeVersion } from './palette';
import { type Box, type Picture, Plot, plotWidth } from './plot';
import { Rows, type RowsBuilt } from './rows';
import { type Drawable, sched } from './sched';
import { type Saying, saying } from './status';
import { detailsOf, joined, Title, unitName } from './title';
import { shownValue } from './value';
import { gridNow, xOf } from './view';

export class Chart implements Drawable {
  readonly el = document.createElement('div');
  readonly model: Model;
  private readonly title = new Title();
  private readonly host = document.createElement('div');
  private readonly over = document.createElement('canvas');
  private readonly message = document.createElement('div');
  readonly plot: Plot;
  private readonly rows: Rows | null;
  private width = 0;
  private height = 0;
  /** As drawn last. */
  grid: Grid = { t0: 0, dt: 1, n: 1 };
  private built: Built | RowsBuilt | null = null;
  private said: Saying | null = null;
  private scale: Scale = scaleFor('count', 1);
  private drawnFor = '';
  private details = '';
  private stop: (() => void)[] = [];
  /** Row under the pointer of a heat map, or -1. */
  row = -1;

  constructor(
    readonly spec: PanelSpec,
    readonly env: Env,
    /** Draw the x axis: first and last chart of a column. */
    readonly axis = true,
  ) {
    this.model = new Model(spec, env);
    this.rows = spec.draw === 'heat' || spec.draw === 'cores' ? new Rows(spec, env, this.model) : null;
    this.skeleton();
    this.plot = new Plot(this.host);
    this.stop.push(
      listen(this),
      sched.onText(() => this.text()),
      hidden.subscribe(() => this.relist()),
    );
    sched.add(this);
    this.overlay = {
      key: () => this.overlayKey(),
      draw: () => this.drawOver(),
      // Only the line's values follow the data; all else is the reader's doing.
      period: () => (hover.peek() === null ? Number.POSITIVE_INFINITY : 100),
    };
    sched.add(this.overlay);
    const seen = new IntersectionObserver((e) => this.show(e[e.length - 1]?.isIntersecting ?? true));
    const sized = new ResizeObserver(() => this.resize());
    seen.observe(this.el);
    sized.observe(this.el);
    this.stop.push(
      () => seen.disconnect(),
      () => sized.disconnect(),
    );
    this.model.refresh();
    this.relist();
    this.text();
  }
  private readonly overlay: Drawable;

  destroy(): void {
    for (const s of this.stop) s();
    sched.remove(this);
    sched.remove(this.overlay);
    this.el.remove();
  }

  /** Plot area in CSS pixels, relative to the plot's canvas. */
  get box(): Box {
    return this.plot.box();
  }

  get plotHost(): HTMLElement {
    return this.host;
  }

  /** Title and plot as one picture. */
  image(): HTMLCanvasElement {
    return picture(this.el, this.plot.canvas, this.width, this.height);
  }

  titleText(): string {
    return typeof this.spec.title === 'function' ? this.spec.title(this.env) : this.spec.title;
  }

  // ---- Drawable

  period(): number {
    // What is being fetched is drawn as it comes, however wide a column is.
    if (this.built?.loading) return 100;
    if (fixed.peek() !== null) return 1000;
    const column = this.grid.dt / 1000;
    return column <= 500 ? Math.max(100, column) : Math.max(500, Math.min(2000, column / 2));
  }

  key(): string {
    const { store } = this.env;
    const g = gridNow(store, plotWidth(this.width));
    const live = fixed.peek() === null;
    // A column wider than half a second fills up while it is the last: it follows at 2 Hz.
    const edge = live && g.dt > 500_000 ? Math.floor(store.newest / 500_000) : 0;
    const late = this.built?.loading || !this.built?.any || (!live && store.newest < g.t0 + g.n * g.dt + 3e5);
    const rest = `${late ? store.version : 0} ${themeVersion()} ${this.width}x${this.height}`;
    return `${g.t0} ${g.dt} ${g.n} ${edge} ${rest} ${hiddenVersion(hidden.peek())} ${this.said?.note ?? ''}`;
  }

  draw(): void {
    if (!this.width || !this.height) return;
    const { store } = this.env;
    // Before the first sample its labels can be made ready; the picture would only keep that waiting.
    if (!this.model.marks.length && (store.newest || store.metrics().length)) this.text();
    if (!store.newest) return;
    const grid = gridNow(store, plotWidth(this.width));
    this.grid = grid;
    const now = performance.now();
    if (this.rows) this.drawRows(this.rows, grid, now);
    else this.drawLines(grid, now);
    if (this.drawnFor !== this.shapeKey()) this.text();
    const loading = this.built?.loading ? '1' : '0';
    if (this.el.dataset.loading !== loading) this.el.dataset.loading = loading;
    if (this.built?.any) painted(store.newest, store.clock.now());
  }

  private drawLines(grid: Grid, now: number): void {
    const b = this.model.build(grid, this.box.h, hidden.peek(), now);
    this.built = b;
    this.rescale(b.scale);
    this.plot.draw(this.picture(grid, b, b.label, false));
  }

  private drawRows(rows: Rows, grid: Grid, now: number): void {
    const b = rows.build(grid, this.box.h, hidden.peek(), now);
    this.built = b;
    this.rescale(scaleFor(this.spec.unit.kind, b.max));
    const label = percentLabel;
    this.plot.draw({
      ...this.picture(grid, b, label, b.layers.length === 0),
      cells: (ctx, box, k) => rows.draw(ctx, box, k, b, grid),
      labels: (ctx, box, k) => rows.labels(ctx, box, k, b),
    });
    if (!this.spec.max) this.title.legend.setRampEnd(this.withUnit(b.max));
  }

  private picture(grid: Grid, b: Built | RowsBuilt, label: (v: number) => string, plain: boolean): Picture {
    const { store } = this.env;
    const none = this.said?.state === 'nodata';
    return {
      grid,
      wallMs: (t) => store.clock.wallMs(t),
      domain: none ? { ...b.domain, ticks: [] } : b.domain,
      label,
      layers: b.layers,
      data: b.data,
      shape: b.shape,
      plain: plain || none,
      gaps: none ? NOTHING : this.said?.message ? b.gaps.map(unnamed) : b.gaps,
      events: none ? NOTHING : store.events,
      note: this.said?.note ?? '',
    };
  }

  // ---- title

  /** Twice a second, and when the line moves: state, values, unit. */
  text(): void {
    const { store, spec } = { store: this.env.store, spec: this.spec };
    if (this.model.refresh()) {
      this.relist();
      sched.invalidate();
    }
    this.details = detailsOf(spec, this.model.marks, store);
    const first = this.model.marks[0]?.source.inputs[0]?.metric ?? spec.metrics[0] ?? '';
    const said = saying({
      connected: store.host !== null && store.metrics().length > 0,
      known: store.info(first) !== undefined,
      metric: first,
      status: store.status(first),
      age: store.newest ? store.clock.now() - store.newest : 0,
      stale: stale.peek(),
      paused: mode.peek() === 'paused',
      any: this.built?.any ?? false,
      now: store.clock.now(),
    });
    this.say(said);
    this.values();
  }

  private say(s: Saying): void {
    if (this.said?.state !== s.state) {
      this.el.dataset.state = s.state;
      sched.invalidate();
    }
    const lines = s.message ? [s.message.title, ...s.message.lines].join('\n') : '';
    if (lines !== (this.message.dataset.text ?? '')) {
      this.message.dataset.text = lines;
      this.message.hidden = !s.message;
      this.message.replaceChildren(...(s.message ? messageNodes(s.message) : []));
    }
    if (s.message) this.placeMessage(s.state === 'failed');
    this.said = s;
    this.title.legend.setTag(s.tag.kind, s.tag.text, s.note);
  }

  /** A failure stands where the line ended, if there is room; else in the whole plot. */
  private placeMessage(failed: boolean): void {
    const { box } = this;
    let end = 0;
    for (const c of failed ? (this.built?.data ?? []) : []) {
      for (let p = c.n - 1; p >= end; p--) if (!Number.isNaN(c.mean[p])) end = p + 1;
    }
    const free = box.w - (end * box.w) / this.grid.n;
    this.message.style.left = `${box.x + 12 + (free >= 120 ? box.w - free : 0)}px`;
  }

  /** Values at the line, of the range, or the newest. */
  private values(): void {
    this.drawnFor = this.shapeKey();
    const [unit, words] = this.unitParts();
    const title = this.titleText();
    const resolution = this.built?.resolution ?? '';
    if (this.title.set({ title, details: this.details, unit, words, resolution }))
      this.el.setAttribute('aria-label', [title, unit, words, resolution].filter(Boolean).join(', '));
    const gone = this.said?.state === 'nodata' || this.said?.state === 'stale';
    if (this.rows) this.rowValues(gone);
    else for (const m of this.model.marks) this.title.legend.set(m.source.key, this.value(m, gone));
    this.title.fit();
  }

  private rowValues(gone: boolean): void {
    const b = this.built as RowsBuilt | null;
    if (!b) return;
    for (const { mark } of b.band) this.title.legend.set(mark.source.key, this.value(mark, gone));
    const at = this.row >= 0 ? b.rows[this.row] : undefined;
    const mean = b.band.length > 1 ? undefined : this.spec.band?.(this.env).at(-1);
    const shown = at?.mark ?? mean ?? b.rows[0]?.mark;
    this.title.legend.el.classList.toggle('rowing', at !== undefined);
    if (!shown) return;
    this.title.legend.rename('row', shown.label);
    this.title.legend.set('row', this.value(shown, gone, true));
  }

  private value(m: Mark, gone: boolean, withUnit = false): Value {
    const p = gone ? null : shownValue(this.env.store, m.source);
    const v = p ? p.v : Number.NaN;
    const own = m.kind ? scaleFor(m.kind, v) : this.scale;
    const n = valueText(m.kind ?? m.source.kind, v, own);
    const u = v !== 0 && (m.kind || withUnit) ? own.unit : '';
    return { text: Number.isNaN(v) ? this.novalue() : u ? joined(n, u) : n, value: v, t: p?.t ?? 0 };
  }

  private novalue(): string {
    // Once is enough: beside several names it would take their room.
    return hover.peek() !== null && this.built?.any && this.model.marks.length === 1 ? 'no data' : '–';
  }

  /** The unit, in two parts: the words after it give way first when the title is narrow. */
  private unitParts(): [string, string] {
    const { word, noun } = this.spec.unit;
    const w = (typeof word === 'function' ? word(this.env) : word) ?? '';
    const note = (this.built as RowsBuilt | null)?.note;
    return [unitName(this.scale.unit, noun ?? ''), [w, note].filter(Boolean).join(', ')];
  }

  /** Digits of another unit say nothing about the room that is wanted. */
  private rescale(to: Scale): void {
    if (to.unit !== this.scale.unit) this.title.legend.forget();
    this.scale = to;
  }

  private withUnit(v: number): string {
    return joined(num(v / this.scale.div), this.scale.unit);
  }

  /** The items of the legend anew: other marks, or some were hidden or shown. */
  private relist(): void {
    const h = hidden.peek();
    if (this.rows) {
      const band = (this.spec.band?.(this.env) ?? []).filter((m) => m.style !== 'value');
      const few = this.spec.draw === 'cores' && this.model.marks.length <= 8;
      const source = { key: 'row', inputs: [], kind: this.spec.unit.kind };
      const row: Mark = { label: 'mean', source, colour: 'cpu', style: 'value' };
      const ends: [string, string] = ['0', this.spec.max ? '100 %' : ''];
      this.title.legend.el.classList.toggle('few', few);
      this.title.legend.build(few ? [...band, row] : [row], h, few ? null : ends);
    } else this.title.legend.build(this.model.marks, h, null);
    this.values();
  }

  private shapeKey(): string {
    return `${this.unitParts().join()}${this.built?.resolution ?? ''}${this.built?.any ?? ''}`;
  }

  // ---- overlay

  private overlayKey(): string {
    const h = hover.peek();
    const s = draft.peek() ?? selection.peek();
    const g = this.grid;
    const b = baseline.peek();
    if (h === null && !s && !b) return `none ${this.row}`;
    const x = h === null ? '' : `${Math.floor(xOf(g, h))} ${g.t0} ${this.env.store.version >> 2} ${this.row}`;
    const o = origin.peek() === this.spec.id;
    const pinned = b ? `${b.from} ${b.to} ${g.t0} ${g.dt}` : '';
    return `${x} ${pinned} ${s ? `${s.from} ${s.to} ${g.t0} ${g.dt} ${o}` : ''} ${themeVersion()} ${this.width}x${this.height}`;
  }

  private drawOver(): void {
    const h = hover.peek();
    const x = h === null ? null : Math.floor(xOf(this.grid, h));
    drawOverlay(this.over, this.width, this.height, this.box, {
      grid: this.grid,
      hover: x !== null && x >= 0 && x < this.grid.n ? x : null,
      selection: draft.peek() ?? selection.peek(),
      base: selection.peek() ? baseOf(selection.peek() as View) : baseline.peek(),
      origin: origin.peek() === this.spec.id,
      axis: this.axis,
      plain: this.spec.draw === 'heat',
      wallMs: (t) => this.env.store.clock.wallMs(t),
    });
    this.values();
  }

  /** Row of a heat map at `y` CSS pixels below the plot's canvas top, or -1. */
  rowAt(y: number): number {
    const b = this.built as RowsBuilt | null;
    if (!this.rows || !b) return -1;
    const r = Math.floor((y - this.box.y - b.top) / b.layout.rowHeight);
    return r >= 0 && r < b.rows.length ? r : -1;
  }

  // ---- DOM

  private skeleton(): void {
    const { el } = this;
    el.className = 'p';
    el.tabIndex = 0;
    el.dataset.panel = this.spec.id;
    el.dataset.state = 'loading';
    el.setAttribute('role', 'figure');
    el.setAttribute('aria-label', this.titleText());
    this.host.className = 'plot';
    this.over.className = 'over';
    this.message.className = 'msg';
    this.message.hidden = true;
    el.append(this.title.el, this.host, this.over, this.message);
  }

  private show(visible: boolean): void {
    sched.setVisible(this, visible);
    sched.setVisible(this.overlay, visible);
  }

  private resize(): void {
    const w = Math.round(this.el.clientWidth);
    const h = Math.round(this.el.clientHeight) - 22;
    if (w === this.width && h === this.height) return;
    this.width = w;
    this.height = h;
    if (w > 0 && h > 0) this.plot.resize(w, h, this.axis);
    this.title.resize(w);
    sched.invalidate();
  }
}

const NOTHING: readonly never[] = [];

/** A gap whose label would stand under a message. */
const unnamed = (g: Gap): Gap => ({ ...g, text: '' });

const percentLabel = (v: number) => `${Math.round(v * 100)}`;

let hiddenSeen: ReadonlySet<string> | null = null;
let hiddenCount = 0;
function hiddenVersion(h: ReadonlySet<string>): number {
  if (h !== hiddenSeen) {
    hiddenSeen = h;
    hiddenCount++;
  }
  return hiddenCount;
}

function messageNodes(m: { title: string; lines: string[] }): Node[] {
  const b = document.createElement('b');
  b.textContent = m.title;
  const lines = m.lines.map((l) => Object.assign(document.createElement('span'), { textContent: l }));
  return [b, ...lines];
}

let shownTick = 0;

/** Says once a tick that it is on screen. */
function painted(tick: number, now: number): void {
  if (tick === shownTick) return;
  if (!shownTick) performance.mark('strobe:first-sample');
  shownTick = tick;
  if (document.documentElement.dataset.trace !== '1') return;
  document.dispatchEvent(new CustomEvent('strobe:painted', { detail: { tick, now } }));
}
