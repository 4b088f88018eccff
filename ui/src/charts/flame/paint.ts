// Paints a flame graph on a canvas. One pass over what can be seen; colours and texts come from tables.
import { type Rows, visible } from '../../transform/flame/layout';
import { MATCH } from '../../transform/flame/search';
import { nameOf, type Tree } from '../../transform/flame/tree';
import { palette } from '../palette';
import { type ColourBy, diffStep, type FlameColours, flameColours, nameHash, toneOf } from './colours';
import { TextFit } from './text';

export interface Picture {
  readonly tree: Tree;
  readonly rows: Rows;
  readonly zoom: number;
  readonly icicle: boolean;
  readonly rowHeight: number;
  readonly colourBy: ColourBy;
  /** Change of a node in parts of the scale, -1 to 1. */
  readonly change: ((i: number) => number) | null;
  readonly marks: Uint8Array | null;
  readonly hover: number;
  readonly selected: number;
  readonly rootLabel: string;
  /** Rows at the root that are not drawn. */
  readonly skip: number;
  /** Rows scrolled away, pixels. */
  readonly scroll: number;
  /** Pixels of rows beyond the far edge. */
  readonly beyond: number;
}

/** What was painted, for hit testing: x, width, row, node, four numbers each. */
export class Painted {
  boxes = new Float32Array(4096);
  n = 0;

  clear(): void {
    this.n = 0;
  }

  add(x: number, w: number, y: number, node: number): void {
    if (this.n * 4 + 4 > this.boxes.length) {
      const more = new Float32Array(this.boxes.length * 2);
      more.set(this.boxes);
      this.boxes = more;
    }
    const at = this.n++ * 4;
    this.boxes[at] = x;
    this.boxes[at + 1] = w;
    this.boxes[at + 2] = y;
    this.boxes[at + 3] = node;
  }

  /** Node at a point, or -1. */
  at(x: number, y: number, rowHeight: number): number {
    const b = this.boxes;
    for (let i = this.n - 1; i >= 0; i--) {
      const k = i * 4;
      if (x >= b[k]! && x < b[k]! + b[k + 1]! && y >= b[k + 2]! && y < b[k + 2]! + rowHeight)
        return b[k + 3]!;
    }
    return -1;
  }

  boxOf(node: number): { x: number; w: number; y: number } | null {
    const b = this.boxes;
    for (let i = 0; i < this.n; i++)
      if (b[i * 4 + 3] === node) return { x: b[i * 4]!, w: b[i * 4 + 1]!, y: b[i * 4 + 2]! };
    return null;
  }
}

let fit: TextFit | null = null;

function fitter(c: CanvasRenderingContext2D): TextFit {
  const font = `11px ${palette().font}`;
  if (fit?.font !== font) {
    const m = document.createElement('canvas').getContext('2d')!;
    m.font = font;
    fit = new TextFit((s) => m.measureText(s).width, font);
  }
  c.font = font;
  return fit;
}

const hashes = new WeakMap<readonly string[], Uint32Array>();
function hashesOf(strings: readonly string[]): Uint32Array {
  let h = hashes.get(strings);
  if (!h) {
    h = new Uint32Array(strings.length);
    for (let i = 0; i < strings.length; i++) h[i] = nameHash(strings[i]!);
    hashes.set(strings, h);
  }
  return h;
}

/** Y of a row in a canvas `height` high: the root below in a flame graph, on top in an icicle. */
export const rowY = (p: Picture, row: number, height: number): number => {
  const r = row - p.skip;
  return p.icicle ? r * p.rowHeight - p.scroll : height - (r + 1) * p.rowHeight + p.scroll;
};

function colourOf(p: Picture, k: FlameColours, i: number, hash: number): string {
  if (p.colourBy === 'diff' && p.change) return i === 0 ? k.legend.task : k.diff[diffStep(p.change(i))]!;
  const type = p.tree.type[i]!;
  if (i === 0 || type === 6) return k.type[6]![toneOf(hash)]!;
  if (p.colourBy === 'hash') return k.hash[hash & 255]!;
  return (k.type[type] ?? k.type[0]!)[toneOf(hash)]!;
}

const LABEL = 26; // a frame narrower than this has no text

export function paint(ctx: CanvasRenderingContext2D, w: number, h: number, p: Picture, out: Painted): void {
  const { css } = palette();
  const k = flameColours();
  const text = fitter(ctx);
  const { tree: t, rows } = p;
  const hash = hashesOf(t.strings);
  const rh = p.rowHeight;
  ctx.fillStyle = css.panel;
  ctx.fillRect(0, 0, w, h);
  ctx.textBaseline = 'middle';
  ctx.textAlign = 'left';
  out.clear();
  let last = '';
  const labels: [number, number, number, number, string][] = []; // x, y, width, node, colour
  const { marks } = p;
  visible(t, rows, p.zoom, w, (i, px, pw, row, above) => {
    const y = rowY(p, row, h);
    if (row < p.skip || y < -rh || y > h) return;
    const x0 = Math.round(px);
    const x1 = Math.round(px + pw);
    const ww = Math.max(1, x1 - x0 - (pw > 2 ? 1 : 0));
    let fill = colourOf(p, k, i, hash[t.name[i]!]!);
    let ink = k.text;
    if (marks && i !== 0) {
      if (marks[i] === MATCH) {
        fill = k.hit;
        ink = '#ffffff';
      } else if (!marks[i]) {
        fill = k.fade(fill);
        ink = k.muted;
      }
    }
    if (above) fill = k.dim(fill);
    if (fill !== last) ctx.fillStyle = last = fill;
    ctx.fillRect(x0, y, ww, rh - 1);
    out.add(x0, ww, y, i);
    if (ww > LABEL) labels.push([x0, y, ww, i, ink]);
  });
  last = '';
  for (const [x, y, ww, i, ink] of labels) {
    const s = labelOf(p, i);
    const shown = text.fit(s, ww - 8);
    if (!shown) continue;
    if (ink !== last) ctx.fillStyle = last = ink;
    ctx.fillText(shown, x + 4, y + (rh - 1) / 2 + 0.5);
  }
  paintBeyond(ctx, w, h, p);
  ctx.strokeStyle = css.sel;
  ctx.lineWidth = 1;
  for (const i of p.hover === p.selected ? [p.hover] : [p.selected, p.hover]) {
    if (i < 0) continue;
    const b = out.boxOf(i);
    if (b) ctx.strokeRect(b.x + 0.5, b.y + 0.5, Math.max(0, b.w - 1), rh - 2);
  }
}

/** Says that there is more where the canvas ends. */
function paintBeyond(ctx: CanvasRenderingContext2D, w: number, h: number, p: Picture): void {
  const rows = Math.ceil(p.beyond / p.rowHeight);
  if (rows < 1) return;
  const { css } = palette();
  const s = `${p.icicle ? '↓' : '↑'} ${rows} more ${rows === 1 ? 'row' : 'rows'}: wheel`;
  const tw = ctx.measureText(s).width + 8;
  const y = p.icicle ? h - 16 : 0;
  ctx.fillStyle = css.panel;
  ctx.fillRect(w - tw, y, tw, 16);
  ctx.fillStyle = css.t3;
  ctx.fillText(s, w - tw + 4, y + 8);
}

function labelOf(p: Picture, i: number): string {
  const folded = p.rows.fold[i]!;
  if (folded) return `… ×${folded}`;
  return i === 0 ? p.rootLabel : nameOf(p.tree, i) || '[unknown]';
}
