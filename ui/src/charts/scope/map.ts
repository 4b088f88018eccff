// The sub-second map on its own canvas: places it in the room there is, follows the pointer and the keyboard, and
// tells its owner of ranges. It draws when told, at most once a frame.
import { type Cell, cellAt, type Geometry, type Span, spanOf, widthOf } from '../../transform/scope';
import { paintScope, type ScopePicture } from './paint';

export interface ScopeEvents {
  /** A range is being made: time is to stand still. */
  begin(): void;
  /** It was given up. */
  cancelled(): void;
  /** A range was made; `add`: beside those that are there. */
  range(s: Span, add: boolean): void;
  baseline(s: Span): void;
  /** The range that is being made, and whether it is a baseline's. */
  draft(s: Span | null, base: boolean): void;
  hover(c: Cell | null): void;
  /** A click on the label of a row. */
  row(index: number): void;
  /** Keys that are not about cells; true when taken. */
  key(e: KeyboardEvent): boolean;
}

const DRAG_PX = 3;

export class ScopeMap {
  readonly canvas = document.createElement('canvas');
  private readonly ctx = this.canvas.getContext('2d', { alpha: false })!;
  private asked = 0;
  private w = 0;
  private h = 0;
  private dpr = 1;
  private g: Geometry | null = null;
  private anchor: Cell | null = null;
  private down: { x: number; y: number; cell: Cell } | null = null;
  private base = false;
  private cursor: Cell | null = null;
  private readonly sized: ResizeObserver;

  constructor(
    private readonly host: HTMLElement,
    /** What to draw in `w` x `h` pixels; null: nothing yet. */
    private readonly picture: (w: number, h: number) => ScopePicture | null,
    private readonly on: ScopeEvents,
  ) {
    const c = this.canvas;
    c.className = 'scope';
    c.tabIndex = 0;
    c.setAttribute('role', 'application');
    c.setAttribute('aria-label', 'Heat map of samples: arrows move by a cell, Enter starts and ends a range');
    host.append(c);
    c.addEventListener('pointerdown', this.pressed);
    c.addEventListener('pointermove', this.moved);
    c.addEventListener('pointerup', this.released);
    c.addEventListener('pointercancel', () => this.cancel());
    c.addEventListener('pointerleave', this.left);
    c.addEventListener('contextmenu', (e) => e.ctrlKey && e.preventDefault());
    c.addEventListener('keydown', this.keys);
    this.sized = new ResizeObserver(() => this.resize());
    this.sized.observe(host);
    this.resize();
  }

  destroy(): void {
    this.sized.disconnect();
    cancelAnimationFrame(this.asked);
    this.canvas.remove();
  }

  private resize(): void {
    const { clientWidth: w, clientHeight: h } = this.host;
    const dpr = devicePixelRatio || 1;
    if (w === this.w && h === this.h && dpr === this.dpr) return;
    this.w = w;
    this.h = h;
    this.dpr = dpr;
    this.canvas.width = Math.max(1, Math.round(w * dpr));
    this.canvas.height = Math.max(1, Math.round(h * dpr));
    this.canvas.style.width = `${w}px`;
    this.canvas.style.height = `${h}px`;
    this.paint();
  }

  paintSoon(): void {
    if (!this.asked) this.asked = requestAnimationFrame(() => this.paint());
  }

  private paint(): void {
    this.asked = 0;
    if (!this.w || !this.h || document.hidden) return;
    const begin = performance.now();
    const p = this.picture(this.w, this.h);
    if (!p) return;
    this.g = p.g;
    this.ctx.setTransform(this.dpr, 0, 0, this.dpr, 0, 0);
    paintScope(this.ctx, this.w, this.h, p);
    const d = this.canvas.dataset;
    d.painted = String(Number(d.painted ?? 0) + 1);
    d.paintMs = (performance.now() - begin).toFixed(1);
    d.first = String(p.g.first);
    d.columns = String(p.g.n);
    d.width = String(widthOf(p.g));
    d.x = String(p.g.x);
  }

  get geometry(): Geometry | null {
    return this.g;
  }

  private local(e: PointerEvent): [number, number] {
    const r = this.canvas.getBoundingClientRect();
    return [e.clientX - r.left, e.clientY - r.top];
  }

  private readonly pressed = (e: PointerEvent): void => {
    const [x, y] = this.local(e);
    if (!this.g || e.button > (e.ctrlKey ? 2 : 0)) return;
    if (x < this.g.x && !this.g.offset) {
      const r = Math.floor((y - this.g.y) / this.g.rowHeight);
      if (r >= 0 && r < this.g.rows) this.on.row(r);
      return;
    }
    const cell = cellAt(this.g, x, y);
    if (!cell) return;
    this.canvas.setPointerCapture(e.pointerId);
    this.start();
    this.down = { x: e.clientX, y: e.clientY, cell };
    if (!this.anchor) this.base = e.ctrlKey || e.metaKey;
  };

  private readonly moved = (e: PointerEvent): void => {
    if (!this.g) return;
    const [x, y] = this.local(e);
    const cell = cellAt(this.g, x, y, this.down !== null || this.anchor !== null);
    this.cursor = cell;
    this.on.hover(cellAt(this.g, x, y));
    const onLabel = !this.g.offset && x < this.g.x;
    this.canvas.style.cursor = onLabel ? 'pointer' : cell ? 'crosshair' : '';
    const from = this.dragging(e) ? this.down!.cell : this.anchor;
    if (from && cell) this.on.draft(spanOf(from, cell), this.base);
  };

  private dragging(e: PointerEvent): boolean {
    const d = this.down;
    return d !== null && Math.hypot(e.clientX - d.x, e.clientY - d.y) >= DRAG_PX;
  }

  private readonly released = (e: PointerEvent): void => {
    const d = this.down;
    this.down = null;
    if (!d || !this.g) return;
    const [x, y] = this.local(e);
    const cell = cellAt(this.g, x, y, true) ?? d.cell;
    const dragged = Math.hypot(e.clientX - d.x, e.clientY - d.y) >= DRAG_PX && cell.from !== d.cell.from;
    if (dragged) this.finish(d.cell, cell, e.shiftKey);
    else if (this.anchor) this.finish(this.anchor, cell, e.shiftKey);
    else {
      this.anchor = cell;
      this.on.draft(cell, this.base);
    }
  };

  private began = false;

  private start(): void {
    if (this.began) return;
    this.began = true;
    this.on.begin();
  }

  private finish(a: Cell, b: Cell, add: boolean): void {
    const s = spanOf(a, b);
    this.anchor = null;
    this.began = false;
    this.on.draft(null, false);
    if (this.base) this.on.baseline(s);
    else this.on.range(s, add);
    this.base = false;
  }

  /** Gives up a range that was begun; false when there was none. */
  cancel(): boolean {
    const had = this.anchor !== null || this.down !== null;
    this.anchor = this.down = null;
    this.base = false;
    if (had) this.on.draft(null, false);
    if (this.began) this.on.cancelled();
    this.began = false;
    return had;
  }

  private readonly left = (): void => {
    if (!this.down) this.on.hover(null);
  };

  private readonly keys = (e: KeyboardEvent): void => {
    if (this.cell(e) || this.on.key(e)) {
      e.preventDefault();
      e.stopPropagation();
    }
  };

  private cell(e: KeyboardEvent): boolean {
    const { g } = this;
    if (!g || e.altKey) return false;
    const dx = e.key === 'ArrowLeft' ? -1 : e.key === 'ArrowRight' ? 1 : 0;
    const dy = e.key === 'ArrowUp' ? -1 : e.key === 'ArrowDown' ? 1 : 0;
    if (dx || dy) {
      const at = this.cursor ?? cellAt(g, g.x + widthOf(g) - 1, g.y + g.height - 1, true);
      if (!at) return false;
      const n = e.shiftKey ? 10 : 1;
      const row = g.offset ? g.rows - 1 - at.row : at.row;
      const px = g.x + (at.column - g.first + dx * n + 0.5) * g.columnWidth;
      const py = g.y + (row + dy * n + 0.5) * g.rowHeight;
      this.cursor = cellAt(g, px, py, true);
      this.on.hover(this.cursor);
      if (this.cursor) this.on.draft(spanOf(this.anchor ?? this.cursor, this.cursor), this.base);
      return true;
    }
    if (e.key === 'Enter' && this.cursor) {
      if (this.anchor) this.finish(this.anchor, this.cursor, e.shiftKey);
      else {
        this.base = e.ctrlKey || e.metaKey;
        this.start();
        this.anchor = this.cursor;
        this.on.draft(this.cursor, this.base);
      }
      return true;
    }
    return e.key === 'Escape' && this.cancel();
  }
}
