// The flame chart on its own canvas: threads below each other, time from left to right. The wheel scrolls, with Ctrl (or
// where there is nothing to scroll) it zooms round the pointer; a drag zooms to what it spans; a click to a frame.
import {
  type ChartBox,
  type ChartThread,
  rowOf,
  type TimeChartData,
  threadRows,
} from '../../transform/flame/chart';
import { OwnCanvas } from '../own';
import { palette } from '../palette';
import { flameColours, nameHash, toneOf } from './colours';
import { TextFit } from './text';

const ROW = 16;
const HEAD = 20;
const AXIS = 20;
const DRAG_PX = 4;
/** No closer than that. */
const LEAST_US = 2_000;
const STEPS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 60000];

interface Time {
  readonly from: number;
  readonly to: number;
}

interface Placed {
  readonly thread: ChartThread;
  readonly y: number;
  readonly h: number;
}

export interface Hit {
  readonly box: ChartBox;
  readonly thread: ChartThread;
}

export interface TimelineEvents {
  say(hit: Hit | null): void;
  /** Another stretch of the range is shown; null: all of it. */
  zoomed(v: Time | null): void;
  /** Process and thread, in words: what stands out, and what is dim. */
  title(t: ChartThread): readonly [string, string];
  wallMs(us: number): number;
  clock(ms: number, digits: number): string;
  /** A key that is not about time; true when taken. */
  key(e: KeyboardEvent): boolean;
}

export class Timeline {
  private readonly own: OwnCanvas;
  private data: TimeChartData | null = null;
  private list: Placed[] = [];
  private height = 0;
  private range: Time = { from: 0, to: 1 };
  private view: Time = this.range;
  private top = 0;
  private hits: (Hit & { x: number; y: number; w: number })[] = [];
  private hover: ChartBox | null = null;
  private re: RegExp | null = null;
  private cursor = -1;
  private down: { x: number; moved: boolean } | null = null;
  private fit: TextFit | null = null;

  constructor(
    host: HTMLElement,
    private readonly on: TimelineEvents,
  ) {
    const look = {
      className: 'flame',
      role: 'application',
      label: 'Flame chart: arrows move in time, plus and minus zoom, Home shows all',
    };
    this.own = new OwnCanvas(host, look, (ctx, w, h) => this.paint(ctx, w, h));
    const c = this.own.canvas;
    this.own.onPointer({
      down: (e) => this.press(e),
      move: (e) => this.move(e),
      up: (e) => this.release(e),
      cancel: () => this.dropped(),
      leave: () => this.leave(),
    });
    c.addEventListener('dblclick', () => this.zoom(null));
    c.addEventListener('wheel', (e) => this.wheel(e), { passive: false });
    this.own.onKey((e) => !e.ctrlKey && !e.metaKey && !e.altKey && (this.key(e) || this.on.key(e)));
    this.own.fill();
  }

  destroy(): void {
    this.own.destroy();
  }

  set(data: TimeChartData | null, range: Time, re: RegExp | null): void {
    if (data !== this.data) {
      let y = AXIS;
      this.list = (data?.threads ?? []).map((thread) => {
        const h = HEAD + threadRows(thread) * ROW + 6;
        y += h;
        return { thread, y: y - h, h };
      });
      this.height = y;
      this.hover = null;
    }
    if (range.from !== this.range.from || range.to !== this.range.to) this.view = range;
    this.data = data;
    this.range = range;
    this.re = re;
    this.top = Math.min(this.top, this.most());
    this.own.soon();
  }

  /** All of the range again; false when it was shown already. */
  zoom(v: Time | null): boolean {
    const { from, to } = this.range;
    const had = this.view.from !== from || this.view.to !== to;
    let next = this.range;
    if (v) {
      const us = Math.min(to - from, Math.max(LEAST_US, v.to - v.from));
      const at = Math.max(from, Math.min(to - us, (v.from + v.to) / 2 - us / 2));
      next = { from: at, to: at + us };
    }
    this.view = next;
    this.on.zoomed(next.from === from && next.to === to ? null : next);
    this.own.soon();
    return had;
  }

  private most(): number {
    return Math.max(0, this.height - this.own.h);
  }

  private timeAt(x: number): number {
    return this.view.from + (x / Math.max(1, this.own.w)) * (this.view.to - this.view.from);
  }

  /** Zooms by a factor, the time at `x` stays. */
  private zoomAt(x: number, by: number): void {
    const t = this.timeAt(x);
    this.zoom({ from: t - (t - this.view.from) * by, to: t + (this.view.to - t) * by });
  }

  private pan(part: number): void {
    const us = (this.view.to - this.view.from) * part;
    this.zoom({ from: this.view.from + us, to: this.view.to + us });
  }

  private scroll(by: number): boolean {
    const next = Math.max(0, Math.min(this.most(), this.top + by));
    if (next === this.top) return false;
    this.top = next;
    this.own.soon();
    return true;
  }

  // ---- the pointer

  private at(e: MouseEvent): Hit | null {
    const [x, y] = this.own.at(e);
    if (y < AXIS) return null;
    return this.hits.find((h) => x >= h.x && x < h.x + h.w && y >= h.y && y < h.y + ROW) ?? null;
  }

  private press(e: PointerEvent): void {
    if (e.button !== 0) return;
    this.own.canvas.setPointerCapture(e.pointerId);
    this.down = { x: this.own.at(e)[0], moved: false };
  }

  private move(e: PointerEvent): void {
    const [x] = this.own.at(e);
    this.cursor = x;
    if (this.down && Math.abs(x - this.down.x) >= DRAG_PX) this.down.moved = true;
    const hit = this.down?.moved ? null : this.at(e);
    if ((hit?.box ?? null) !== this.hover) {
      this.hover = hit?.box ?? null;
      this.own.canvas.style.cursor = hit ? 'pointer' : 'crosshair';
      this.on.say(hit);
    }
    this.own.soon();
  }

  private release(e: PointerEvent): void {
    const d = this.down;
    this.down = null;
    if (!d) return;
    const [x] = this.own.at(e);
    if (d.moved) {
      const [a, b] = [this.timeAt(Math.min(d.x, x)), this.timeAt(Math.max(d.x, x))];
      this.zoom({ from: a, to: b });
      return;
    }
    const hit = this.at(e);
    if (!hit) return;
    const grow = (hit.box.to - hit.box.from) * 0.05 + 500;
    this.zoom({ from: hit.box.from - grow, to: hit.box.to + grow });
  }

  private dropped(): void {
    this.down = null;
    this.own.soon();
  }

  private leave(): void {
    if (this.down) return;
    this.cursor = -1;
    this.hover = null;
    this.on.say(null);
    this.own.soon();
  }

  private wheel(e: WheelEvent): void {
    const [x, y] = this.own.at(e);
    if (Math.abs(e.deltaX) > Math.abs(e.deltaY)) {
      e.preventDefault();
      this.pan(e.deltaX / Math.max(1, this.own.w));
    } else if (e.ctrlKey || y < AXIS || this.most() === 0) {
      e.preventDefault();
      this.zoomAt(x, 1.0015 ** Math.max(-300, Math.min(300, e.deltaY)));
    } else if (this.scroll(e.deltaY)) e.preventDefault();
  }

  private key(e: KeyboardEvent): boolean {
    const middle = this.cursor >= 0 ? this.cursor : this.own.w / 2;
    const step = e.shiftKey ? 0.5 : 0.1;
    switch (e.key) {
      case 'ArrowLeft':
        this.pan(-step);
        return true;
      case 'ArrowRight':
        this.pan(step);
        return true;
      case 'ArrowUp':
        this.scroll(-3 * ROW);
        return true;
      case 'ArrowDown':
        this.scroll(3 * ROW);
        return true;
      case '+':
      case '=':
        this.zoomAt(middle, 0.7);
        return true;
      case '-':
        this.zoomAt(middle, 1 / 0.7);
        return true;
      case 'Home':
        this.zoom(null);
        return true;
      case 'Escape':
        return this.zoom(null);
      default:
        return false;
    }
  }

  // ---- painting

  private paint(ctx: CanvasRenderingContext2D, w: number, h: number): void {
    const begin = performance.now();
    const { css, font } = palette();
    ctx.fillStyle = css.panel;
    ctx.fillRect(0, 0, w, h);
    ctx.font = `11px ${font}`;
    if (this.fit?.font !== ctx.font) this.fit = new TextFit((s) => ctx.measureText(s).width, ctx.font);
    this.hits = [];
    for (const p of this.list)
      if (p.y - this.top < h && p.y + p.h - this.top > AXIS) this.thread(ctx, w, h, p);
    this.axis(ctx, w);
    this.pointer(ctx, w, h);
    this.own.done(begin);
    const d = this.own.canvas.dataset;
    d.frames = String(this.hits.length);
    d.span = String(Math.round(this.view.to - this.view.from));
  }

  private thread(ctx: CanvasRenderingContext2D, w: number, h: number, p: Placed): void {
    const { css } = palette();
    const y0 = p.y - this.top;
    ctx.fillStyle = css.line;
    ctx.fillRect(0, y0, w, 1);
    this.title(ctx, p.thread, y0);
    const t = p.thread;
    const scale = w / (this.view.to - this.view.from);
    const seen = new Int32Array(t.depth).fill(-1);
    for (const b of t.boxes) {
      const row = rowOf(t, b.depth);
      const y = y0 + HEAD + row * ROW;
      if (row < 0 || y > h || y < AXIS - ROW) continue;
      const x0 = Math.max(0, Math.round((b.from - this.view.from) * scale));
      const x1 = Math.min(w, Math.round((b.to - this.view.from) * scale));
      if (x1 < 0 || x0 >= w || (x1 <= 0 && b.to < this.view.from)) continue;
      const ww = Math.max(1, x1 - x0 - (x1 - x0 > 2 ? 1 : 0));
      if (ww === 1 && seen[b.depth] === x0) continue;
      seen[b.depth] = x0;
      this.box(ctx, t, b, x0, y, ww);
    }
  }

  private title(ctx: CanvasRenderingContext2D, t: ChartThread, y0: number): void {
    const { css, font } = palette();
    const [strong, dim] = this.on.title(t);
    ctx.textBaseline = 'middle';
    ctx.textAlign = 'left';
    ctx.font = `600 11px ${font}`;
    ctx.fillStyle = css.t1;
    ctx.fillText(strong, 0, y0 + HEAD / 2 + 1);
    const x = ctx.measureText(strong).width + 8;
    ctx.font = `11px ${font}`;
    ctx.fillStyle = css.t3;
    ctx.fillText(dim, x, y0 + HEAD / 2 + 1);
  }

  private box(
    ctx: CanvasRenderingContext2D,
    t: ChartThread,
    b: ChartBox,
    x: number,
    y: number,
    w: number,
  ): void {
    const { css } = palette();
    const k = flameColours();
    const { nodes } = this.data!;
    const name = nodes.strings[nodes.name[b.node]!] ?? '';
    const type = nodes.type[b.node] ?? 0;
    const hit = this.re?.test(name) ?? false;
    const faded = this.re !== null && !hit;
    const fill = (k.type[type] ?? k.type[0]!)[toneOf(nameHash(name))]!;
    ctx.fillStyle = hit ? k.hit : faded ? k.fade(fill) : fill;
    ctx.fillRect(x, y, w, ROW - 1);
    if (b === this.hover) {
      ctx.strokeStyle = css.sel;
      ctx.strokeRect(x + 0.5, y + 0.5, Math.max(0, w - 1), ROW - 2);
    }
    this.hits.push({ x, y, w, box: b, thread: t });
    if (w <= 26) return;
    ctx.fillStyle = hit ? '#ffffff' : faded ? k.muted : k.text;
    const folded = b.depth === 1 && t.folded > 0;
    const text = folded ? `… ×${t.folded}` : name || '[unknown]';
    ctx.fillText(this.fit!.fit(text, w - 8), x + 4, y + (ROW - 1) / 2 + 0.5);
  }

  private axis(ctx: CanvasRenderingContext2D, w: number): void {
    const { css } = palette();
    ctx.fillStyle = css.panel;
    ctx.fillRect(0, 0, w, AXIS - 1);
    ctx.textBaseline = 'middle';
    ctx.textAlign = 'left';
    const span = this.view.to - this.view.from;
    const step = STEPS.find((ms) => (ms * 1000 * w) / span >= 110);
    if (!step) return;
    const from = this.on.wallMs(this.view.from);
    for (let t = Math.ceil(from / step) * step; t <= from + span / 1000; t += step) {
      const x = Math.round(((t - from) * 1000 * w) / span);
      ctx.fillStyle = css.axis;
      ctx.fillRect(x, AXIS - 5, 1, 4);
      ctx.fillStyle = css.t3;
      const text = this.on.clock(t, step < 1000 ? 3 : 0);
      if (x + 4 + ctx.measureText(text).width <= w) ctx.fillText(text, x + 4, AXIS / 2 - 1);
    }
  }

  /** The time under the pointer, and what a drag spans. */
  private pointer(ctx: CanvasRenderingContext2D, w: number, h: number): void {
    const { css } = palette();
    if (this.cursor < 0 || !this.data) return;
    const x = Math.round(this.cursor);
    if (this.down?.moved) {
      const a = Math.min(this.down.x, x);
      ctx.fillStyle = css['sel-fill'];
      ctx.fillRect(a, AXIS, Math.abs(x - this.down.x), h - AXIS);
      ctx.fillStyle = css.sel;
      ctx.fillRect(Math.round(this.down.x), AXIS, 1, h - AXIS);
    }
    ctx.globalAlpha = this.down?.moved ? 1 : 0.6;
    ctx.fillStyle = css.t1;
    ctx.fillRect(x, AXIS - 2, 1, h - AXIS + 2);
    ctx.globalAlpha = 1;
    const us = this.timeAt(x);
    const span = this.down?.moved ? ` · ${((us - this.timeAt(this.down.x)) / 1000).toFixed(1)} ms` : '';
    const text = this.on.clock(this.on.wallMs(us), 3) + span;
    const tw = ctx.measureText(text).width + 8;
    const left = Math.max(0, Math.min(w - tw, x - tw / 2));
    ctx.fillStyle = css.t1;
    ctx.fillRect(left, 1, tw, 15);
    ctx.fillStyle = css.panel;
    ctx.textAlign = 'left';
    ctx.textBaseline = 'middle';
    ctx.fillText(text, left + 4, 9);
  }
}
