// A flame graph on its own canvas: paints when something changed, and turns the pointer and the keyboard into
// zoom, selection and commands. What a frame means is told to its owner in callbacks.
import { foldedRows, plainRows, type Rows } from '../../transform/flame/layout';
import type { Found } from '../../transform/flame/search';
import { children, type Tree } from '../../transform/flame/tree';
import { OwnCanvas } from '../own';
import { themeVersion } from '../palette';
import type { ColourBy } from './colours';
import { Painted, type Picture, paint } from './paint';

export interface Options {
  readonly icicle: boolean;
  readonly rowHeight: number;
  readonly colourBy: ColourBy;
  readonly change: ((i: number) => number) | null;
  readonly rootLabel: string;
  /** Rows at the root that are not drawn: somebody else shows what they say. */
  readonly skip?: number;
}

export interface GraphEvents {
  /** The frame to describe: under the pointer, or the selected one. */
  show(node: number): void;
  /** Right click or the menu key on a frame; page coordinates. */
  menu(node: number, x: number, y: number): void;
  /** The zoom is another one. */
  zoomed(node: number): void;
  /** A key that is not about walking; true when it was taken. */
  key(e: KeyboardEvent, node: number): boolean;
  /** Its size is told before the first paint. */
  painted?(ms: number): void;
}

const NO_ROWS: Rows = { row: new Int16Array(0), fold: new Uint16Array(0), rows: 0 };

export class FlameGraph {
  private readonly own: OwnCanvas;
  readonly painted = new Painted();
  private tree: Tree | null = null;
  private rows: Rows = NO_ROWS;
  private unfolded = new Set<number>();
  private found: Found | null = null;
  private opts: Options = {
    icicle: false,
    rowHeight: 16,
    colourBy: 'type',
    change: null,
    rootLabel: 'all',
  };
  get treeNow(): Tree | null {
    return this.tree;
  }
  zoom = 0;
  hover = -1;
  selected = -1;
  private scroll = 0;
  private drawn = -1;

  constructor(
    host: HTMLElement,
    private readonly on: GraphEvents,
  ) {
    const look = { className: 'flame', role: 'application' };
    this.own = new OwnCanvas(
      host,
      look,
      () => this.paintNow(),
      () => this.layout(),
    );
    const c = this.own.canvas;
    c.setAttribute('aria-roledescription', 'flame graph');
    this.own.onPointer({ move: this.move, leave: this.leave });
    c.addEventListener('click', this.click);
    c.addEventListener('dblclick', () => this.zoomTo(0));
    c.addEventListener('contextmenu', this.context);
    c.addEventListener('wheel', this.wheel, { passive: false });
    this.own.onKey((e) => {
      if (e.ctrlKey || e.metaKey || e.altKey) return false;
      return this.keys(e) || this.on.key(e, this.selected);
    });
    this.own.fill();
  }

  get canvas(): HTMLCanvasElement {
    return this.own.canvas;
  }

  destroy(): void {
    this.own.destroy();
  }

  /** Another tree: zoom and selection stay where the frames are the same. */
  set(tree: Tree, opts: Options, found: Found | null): void {
    const same = tree === this.tree;
    const old = this.opts;
    const shape =
      opts.icicle !== old.icicle ||
      opts.rowHeight !== old.rowHeight ||
      opts.skip !== old.skip ||
      found !== this.found;
    if (!same && this.tree) {
      this.zoom = sameNode(this.tree, tree, this.zoom);
      this.selected = this.selected < 0 ? -1 : sameNode(this.tree, tree, this.selected) || -1;
      this.hover = -1;
      this.unfolded.clear();
    }
    this.tree = tree;
    this.opts = opts;
    this.found = found;
    if (!same || shape) this.layout();
    this.paintSoon();
  }

  private layout(): void {
    const t = this.tree;
    if (!t) return;
    const fits = (t.maxDepth + 1 - this.skip) * this.opts.rowHeight <= this.own.h || this.own.h === 0;
    const marks = this.found?.marks;
    this.rows = fits ? plainRows(t) : foldedRows(t, (i) => this.unfolded.has(i) || marks?.[i] === 1);
    this.scroll = Math.min(this.scroll, this.scrollMost());
  }

  private get skip(): number {
    return this.opts.skip ?? 0;
  }

  /** Rows of the zoomed frame beyond the far edge, pixels. */
  private beyond(): number {
    const t = this.tree;
    if (!t || !this.scrollMost()) return 0;
    let most = 0;
    const least = t.total[this.zoom]! * (0.4 / Math.max(1, this.own.w));
    for (let i = this.zoom; i < t.end[this.zoom]!; i++)
      if (t.total[i]! >= least) most = Math.max(most, this.rows.row[i]!);
    return (most + 1 - this.skip) * this.opts.rowHeight - this.scroll - this.own.h;
  }

  private scrollMost(): number {
    return Math.max(0, (this.rows.rows - this.skip) * this.opts.rowHeight - this.own.h);
  }

  paintSoon(): void {
    this.own.soon();
  }

  private paintNow(): void {
    if (!this.tree) return;
    const begin = performance.now();
    paint(this.own.ctx, this.own.w, this.own.h, this.picture(this.tree), this.painted);
    this.drawn = themeVersion();
    const ms = this.own.done(begin);
    this.canvas.dataset.frames = String(this.painted.n);
    this.on.painted?.(ms);
  }

  /** The theme may be another one. */
  check(): void {
    if (this.drawn !== themeVersion()) this.paintSoon();
  }

  private picture(tree: Tree): Picture {
    return {
      tree,
      rows: this.rows,
      zoom: this.zoom,
      icicle: this.opts.icicle,
      rowHeight: this.opts.rowHeight,
      colourBy: this.opts.colourBy,
      change: this.opts.change,
      marks: this.found?.marks ?? null,
      hover: this.hover,
      selected: this.selected,
      rootLabel: this.opts.rootLabel,
      skip: this.skip,
      scroll: this.scroll,
      beyond: this.beyond(),
    };
  }

  // ---- the pointer

  private at(e: MouseEvent): number {
    return this.painted.at(...this.own.at(e), this.opts.rowHeight);
  }

  private readonly move = (e: PointerEvent): void => {
    const i = this.at(e);
    if (i === this.hover) return;
    this.hover = i;
    this.canvas.style.cursor = i >= 0 ? 'pointer' : '';
    this.on.show(i >= 0 ? i : this.shown());
    this.paintSoon();
  };

  private readonly leave = (): void => {
    if (this.hover < 0) return;
    this.hover = -1;
    this.on.show(this.shown());
    this.paintSoon();
  };

  /** What the details are about while nothing is pointed at. */
  private shown(): number {
    return this.selected >= 0 ? this.selected : this.zoom;
  }

  private readonly click = (e: MouseEvent): void => {
    if (e.button !== 0) return;
    const i = this.at(e);
    if (i < 0) return;
    if (this.rows.fold[i]) this.unfold(i);
    else {
      this.selected = i;
      this.zoomTo(i === this.zoom ? 0 : i);
    }
  };

  private readonly context = (e: MouseEvent): void => {
    const i = this.at(e);
    if (i < 0) return;
    e.preventDefault();
    this.selected = i;
    this.on.show(i);
    this.paintSoon();
    this.on.menu(i, e.clientX, e.clientY);
  };

  private readonly wheel = (e: WheelEvent): void => {
    const most = this.scrollMost();
    if (!most || e.ctrlKey) return;
    const by = this.opts.icicle ? e.deltaY : -e.deltaY;
    const next = Math.max(0, Math.min(most, this.scroll + by));
    if (next === this.scroll) return;
    e.preventDefault();
    this.scroll = next;
    this.paintSoon();
  };

  // ---- zoom, keys

  private unfold(i: number): void {
    const n = this.rows.fold[i]!;
    let c = i;
    for (let k = 0; k < n && c >= 0; k++) {
      this.unfolded.add(c);
      c = children(this.tree!, c)[0] ?? -1;
    }
    this.layout();
    this.paintSoon();
  }

  zoomTo(i: number): void {
    if (!this.tree) return;
    this.zoom = Math.max(0, Math.min(this.tree.n - 1, i));
    this.on.zoomed(this.zoom);
    this.on.show(this.hover >= 0 ? this.hover : this.shown());
    this.reveal(this.zoom);
    this.paintSoon();
  }

  select(i: number): void {
    this.selected = i;
    this.on.show(i >= 0 ? i : this.shown());
    // Who walks into a fold opens it.
    let head = i;
    while (head > 0 && this.rows.row[head] === -1) head = this.tree!.parent[head]!;
    if (head !== i && head > 0 && this.rows.fold[head]) this.unfold(head);
    if (i >= 0) this.reveal(i);
    this.paintSoon();
  }

  /** Scrolls as far as needed to see a frame. */
  private reveal(i: number): void {
    const row = Math.max(0, (this.rows.row[i] ?? 0) - this.skip);
    const rh = this.opts.rowHeight;
    const most = this.scrollMost();
    const top = row * rh;
    if (top < this.scroll) this.scroll = top;
    else if (top + rh > this.scroll + this.own.h) this.scroll = top + rh - this.own.h;
    this.scroll = Math.max(0, Math.min(most, this.scroll));
  }

  /** Next frame in a direction: out to the caller, in to the heaviest callee, along the row. */
  private walk(dx: number, dy: number): void {
    const t = this.tree;
    if (!t) return;
    const i = this.selected < 0 ? this.firstShown() : this.selected;
    if (i < 0) return;
    if (this.selected < 0) {
      this.select(i);
      return;
    }
    let to = -1;
    if (dy > 0)
      to = children(t, i).reduce((best, c) => (best < 0 || t.total[c]! > t.total[best]! ? c : best), -1);
    else if (dy < 0) to = t.parent[i]!;
    else to = this.beside(i, dx);
    if (to >= 0 && t.depth[to]! >= this.skip) this.select(to);
  }

  /** Where walking begins: the zoomed frame, or the widest that is drawn. */
  private firstShown(): number {
    if (!this.skip || this.zoom) return this.zoom;
    const b = this.painted.boxes;
    let best = -1;
    for (let k = 0; k < this.painted.n; k++) if (best < 0 || b[k * 4 + 1]! > b[best * 4 + 1]!) best = k;
    return best < 0 ? -1 : b[best * 4 + 3]!;
  }

  /** The painted frame next to `i` in its row. */
  private beside(i: number, dx: number): number {
    const b = this.painted.boxes;
    const at = this.painted.boxOf(i);
    if (!at) return -1;
    let best = -1;
    let bestX = dx > 0 ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY;
    for (let k = 0; k < this.painted.n; k++) {
      const x = b[k * 4]!;
      if (b[k * 4 + 2] !== at.y || (dx > 0 ? x <= at.x || x >= bestX : x >= at.x || x <= bestX)) continue;
      bestX = x;
      best = b[k * 4 + 3]!;
    }
    return best;
  }

  private keys(e: KeyboardEvent): boolean {
    const up = this.opts.icicle ? -1 : 1;
    switch (e.key) {
      case 'ArrowUp':
        this.walk(0, up);
        return true;
      case 'ArrowDown':
        this.walk(0, -up);
        return true;
      case 'ArrowLeft':
        this.walk(-1, 0);
        return true;
      case 'ArrowRight':
        this.walk(1, 0);
        return true;
      case 'Home':
        this.select(this.skip ? this.firstShown() : 0);
        return true;
      case 'Enter':
        if (this.selected < 0) return false;
        if (this.rows.fold[this.selected]) this.unfold(this.selected);
        else this.zoomTo(this.selected);
        return true;
      case 'ContextMenu':
        return this.openMenu();
      case 'F10':
        return e.shiftKey && this.openMenu();
      case 'Escape':
        return this.escape();
      default:
        return false;
    }
  }

  private openMenu(): boolean {
    const b = this.painted.boxOf(this.selected);
    if (!b) return false;
    const r = this.canvas.getBoundingClientRect();
    this.on.menu(this.selected, r.left + b.x + 8, r.top + b.y + this.opts.rowHeight);
    return true;
  }

  /** Out of the zoom, then out of the selection; false when there was neither. */
  escape(): boolean {
    if (this.zoom) this.zoomTo(0);
    else if (this.selected >= 0) this.select(-1);
    else return false;
    return true;
  }
}

/** The node of `b` with the path of node `i` of `a`; 0: there is none. */
function sameNode(a: Tree, b: Tree, i: number): number {
  const path: number[] = [];
  for (let p = i; p > 0; p = a.parent[p]!) path.unshift(p);
  let at = 0;
  for (const p of path) {
    const name = a.strings[a.name[p]!];
    const next = children(b, at).find((c) => b.strings[b.name[c]!] === name && b.type[c] === a.type[p]);
    if (next === undefined) return 0;
    at = next;
  }
  return at;
}
