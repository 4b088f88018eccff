// The sub-second map on its own canvas: places it in the room there is, follows the pointer and the keyboard, and
// tells its owner of ranges. It draws when told, at most once a frame.
import {
  type Cell,
  cellAt,
  cellNear,
  type Geometry,
  type Span,
  spanOf,
  widthOf,
} from '../../transform/scope';
import { OwnCanvas } from '../own';
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
  /** The label of a row is under the pointer; its whole text, or '' for none. */
  label(index: number): string;
  /** Keys that are not about cells; true when taken. */
  key(e: KeyboardEvent): boolean;
}

const DRAG_PX = 3;

export class ScopeMap {
  private readonly own: OwnCanvas;
  private g: Geometry | null = null;
  private anchor: Cell | null = null;
  private down: { x: number; y: number; cell: Cell } | null = null;
  private base = false;
  private cursor: Cell | null = null;
  private over: Cell | null = null;

  constructor(
    host: HTMLElement,
    /** What to draw in `w` x `h` pixels; null: nothing yet. */
    private readonly picture: (w: number, h: number) => ScopePicture | null,
    private readonly on: ScopeEvents,
  ) {
    const look = {
      className: 'scope',
      role: 'application',
      label: 'Heat map of samples: arrows move by a cell, Enter starts and ends a range',
    };
    this.own = new OwnCanvas(host, look, (ctx, w, h) => this.paint(ctx, w, h));
    const c = this.own.canvas;
    this.own.onPointer({
      down: this.pressed,
      move: this.moved,
      up: this.released,
      cancel: () => void this.cancel(),
      leave: this.left,
    });
    c.addEventListener('contextmenu', (e) => e.ctrlKey && e.preventDefault());
    this.own.onKey((e) => this.cell(e) || this.on.key(e));
    this.own.fill();
  }

  get canvas(): HTMLCanvasElement {
    return this.own.canvas;
  }

  destroy(): void {
    this.own.destroy();
  }

  paintSoon(): void {
    this.own.soon();
  }

  private paint(ctx: CanvasRenderingContext2D, w: number, h: number): void {
    if (document.hidden) return;
    const begin = performance.now();
    const p = this.picture(w, h);
    if (!p) return;
    this.g = p.g;
    // While a range is drawn, that is what counts.
    const over = p.draft ? null : this.over;
    paintScope(ctx, w, h, p, over);
    this.own.done(begin);
    const d = this.canvas.dataset;
    d.first = String(p.g.first);
    d.columns = String(p.g.n);
    d.width = String(widthOf(p.g));
    d.x = String(p.g.x);
    d.over = over ? `${over.column} ${over.row}` : '';
  }

  get geometry(): Geometry | null {
    return this.g;
  }

  /** The labelled row at a point of the gutter, or -1. */
  private labelAt(x: number, y: number): number {
    const { g } = this;
    if (!g || g.offset || x >= g.x) return -1;
    const r = Math.floor((y - g.y) / g.rowHeight);
    return r < g.rows ? r : -1;
  }

  private readonly pressed = (e: PointerEvent): void => {
    const [x, y] = this.own.at(e);
    if (!this.g || e.button > (e.ctrlKey ? 2 : 0)) return;
    const row = this.labelAt(x, y);
    if (row >= 0) {
      this.on.row(row);
      return;
    }
    const cell = cellNear(this.g, x, y);
    if (!cell) return;
    this.canvas.setPointerCapture(e.pointerId);
    this.start();
    this.down = { x: e.clientX, y: e.clientY, cell };
    if (!this.anchor) this.base = e.ctrlKey || e.metaKey;
  };

  private readonly moved = (e: PointerEvent): void => {
    if (!this.g) return;
    const [x, y] = this.own.at(e);
    const cell = cellAt(this.g, x, y, this.down !== null || this.anchor !== null);
    this.cursor = cell;
    this.point(cellAt(this.g, x, y));
    const row = this.labelAt(x, y);
    const title = row >= 0 ? this.on.label(row) : '';
    if (title !== this.canvas.title) this.canvas.title = title;
    this.canvas.style.cursor = row >= 0 ? 'pointer' : cell ? 'crosshair' : '';
    const from = this.dragging(e) ? this.down!.cell : this.anchor;
    if (from && cell) this.on.draft(spanOf(from, cell), this.base);
  };

  /** The cell to tell of and to outline. */
  private point(c: Cell | null): void {
    this.on.hover(c);
    if (c?.column === this.over?.column && c?.row === this.over?.row) return;
    this.over = c;
    this.own.soon();
  }

  private dragging(e: PointerEvent): boolean {
    const d = this.down;
    return d !== null && Math.hypot(e.clientX - d.x, e.clientY - d.y) >= DRAG_PX;
  }

  private readonly released = (e: PointerEvent): void => {
    const d = this.down;
    this.down = null;
    if (!d || !this.g) return;
    const [x, y] = this.own.at(e);
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
    if (!this.down) this.point(null);
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
      this.point(this.cursor);
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
