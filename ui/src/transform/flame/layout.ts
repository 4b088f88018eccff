// Where frames lie: rows by depth, chains without a branch folded where the graph has no room for them, and
// what is narrower than half a pixel left out.
import type { Tree } from './tree';

/** A chain is folded from so many frames on. */
const CHAIN = 4;
/** A child that carries so much of its parent goes on with the chain. */
const SAME = 0.985;

export interface Rows {
  /** Row of each node; -1: it lies in a fold. */
  readonly row: Int16Array;
  /** 0, or how many frames the node stands for. */
  readonly fold: Uint16Array;
  readonly rows: number;
}

/** One row a frame. */
export function plainRows(t: Tree): Rows {
  const row = new Int16Array(t.n);
  for (let i = 0; i < t.n; i++) row[i] = t.depth[i]!;
  return { row, fold: new Uint16Array(t.n), rows: t.maxDepth + 1 };
}

/** The only child worth a frame, or -1. */
function onlyChild(t: Tree, i: number): number {
  const end = t.end[i]!;
  for (let c = i + 1; c < end; c = t.end[c]!) if (t.total[c]! >= t.total[i]! * SAME) return c;
  return -1;
}

/** Chains of frames that only call the next one are folded to their first and last frame and "… ×n" between
 *  them, unless `keep` says otherwise of one of them. */
export function foldedRows(t: Tree, keep: (i: number) => boolean): Rows {
  const row = new Int16Array(t.n).fill(-2);
  const fold = new Uint16Array(t.n);
  let rows = 1;
  if (t.n) row[0] = 0;
  for (let i = 0; i < t.n; i++) {
    if (i > 0 && row[i] === -2) {
      // In a fold: siblings too small to see end there.
      let p = t.parent[i]!;
      while (row[p] === -1) p = t.parent[p]!;
      row[i] = row[p]! + 1;
    }
    rows = Math.max(rows, row[i]! + 1);
    if (row[i]! < 0 || i === 0) continue;
    // A chain that begins here.
    const chain: number[] = [];
    for (let c = onlyChild(t, i); c >= 0; c = onlyChild(t, c)) chain.push(c);
    const middle = chain.slice(0, -1);
    const stop = middle.findIndex(keep);
    const part = stop < 0 ? middle : middle.slice(0, stop);
    if (part.length < CHAIN || fold[i]) continue;
    const first = part[0]!;
    fold[first] = part.length;
    row[first] = row[i]! + 1;
    for (const c of part.slice(1)) row[c] = -1;
    const next = chain[part.length]!;
    row[next] = row[i]! + 2;
  }
  return { row, fold, rows };
}

export interface Box {
  readonly node: number;
  readonly x: number;
  readonly w: number;
  readonly row: number;
  /** Above the zoomed frame: drawn over the whole width, paler. */
  readonly above: boolean;
}

const LEAST = 0.4;

/** Calls `draw` with every frame that can be seen when `zoom` fills `width` pixels, parents first; of those
 *  narrower than half a pixel one a pixel, and none of their callees. */
export function visible(
  t: Tree,
  r: Rows,
  zoom: number,
  width: number,
  draw: (node: number, x: number, w: number, row: number, above: boolean) => void,
): void {
  const chain: number[] = [];
  for (let p = t.parent[zoom] ?? -1; p >= 0; p = t.parent[p]!) chain.unshift(p);
  for (const p of chain) if (r.row[p]! >= 0) draw(p, 0, width, r.row[p]!, true);
  const whole = t.total[zoom]!;
  if (!(whole > 0)) {
    if (t.n) draw(zoom, 0, width, r.row[zoom]!, false);
    return;
  }
  const scale = width / whole;
  const x0 = t.x[zoom]!;
  const end = t.end[zoom]!;
  const slivers = new Int32Array(r.rows).fill(-1);
  for (let i = zoom; i < end; ) {
    const w = t.total[i]! * scale;
    const row = r.row[i]!;
    if (w < LEAST) {
      // Thousands of small ones side by side are a block, not a hole: one of them a pixel.
      const px = Math.floor((t.x[i]! - x0) * scale);
      if (w > 0 && row >= 0 && px !== slivers[row]) {
        slivers[row] = px;
        draw(i, px, 1, row, false);
      }
      i = t.end[i]!;
      continue;
    }
    if (row >= 0) draw(i, (t.x[i]! - x0) * scale, w, row, false);
    i++;
  }
}
