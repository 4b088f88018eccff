// Where time lies on the sub-second map: columns from left to right, time within a column from the bottom up.
// A range of time runs up a column and goes on at the foot of the next one.

export interface Geometry {
  /** Plot, CSS pixels. */
  readonly x: number;
  readonly y: number;
  readonly height: number; // a multiple of rowHeight
  /** Width of a column; below 1 several share a pixel. */
  readonly columnWidth: number;
  readonly first: number; // column at the left edge
  readonly n: number; // columns
  readonly columnUs: number;
  readonly anchorUs: number;
  /** Rows; `offset`: they are parts of a column's time. */
  readonly rows: number;
  readonly rowHeight: number;
  readonly offset: boolean;
}

export interface Span {
  readonly from: number;
  readonly to: number;
}

export interface Cell extends Span {
  readonly column: number;
  readonly row: number;
}

export const widthOf = (g: Geometry): number => Math.round(g.n * g.columnWidth);

/** The cell at a point, or null. Row 0 is the start of a column, or the first labelled row. */
export function cellAt(g: Geometry, px: number, py: number, clamp = false): Cell | null {
  let c = Math.floor((px - g.x) / g.columnWidth);
  let r = Math.floor((py - g.y) / g.rowHeight);
  if (clamp) {
    c = Math.max(0, Math.min(g.n - 1, c));
    r = Math.max(0, Math.min(g.rows - 1, r));
  }
  if (c < 0 || c >= g.n || r < 0 || r >= g.rows) return null;
  const column = g.first + c;
  const start = g.anchorUs + column * g.columnUs;
  if (!g.offset) return { column, row: r, from: start, to: start + g.columnUs };
  const row = g.rows - 1 - r;
  const cell = g.columnUs / g.rows;
  return { column, row, from: start + row * cell, to: start + (row + 1) * cell };
}

/** A range may begin so far beside the cells, on the axis say. */
const NEAR_PX = 20;

/** The cell at a point or close to it, or null. */
export function cellNear(g: Geometry, px: number, py: number): Cell | null {
  const near =
    px > g.x - NEAR_PX &&
    px < g.x + widthOf(g) + NEAR_PX &&
    py > g.y - NEAR_PX &&
    py < g.y + g.height + NEAR_PX;
  return cellAt(g, px, py, near);
}

export const spanOf = (a: Span, b: Span): Span => ({
  from: Math.min(a.from, b.from),
  to: Math.max(a.to, b.to),
});

const clamped = (v: number, lo: number, hi: number) => Math.max(lo, Math.min(hi, v));

/** The outline of a range as points of a closed line; empty when none of it is on the map. */
export function outline(g: Geometry, s: Span): [number, number][] {
  const end = g.anchorUs + (g.first + g.n) * g.columnUs;
  const begin = g.anchorUs + g.first * g.columnUs;
  if (s.to <= begin || s.from >= end) return [];
  const bottom = g.y + g.height;
  // The last instant belongs to the range: an end on a boundary is the top of the column before.
  const at = (t: number, last: boolean): [number, number] => {
    const u = (t - g.anchorUs) / g.columnUs;
    let c = Math.floor(u + 1e-9);
    let part = u - c;
    if (last && part < 1e-9) {
      c -= 1;
      part = 1;
    }
    const x = g.x + Math.round((clamped(c, g.first, g.first + g.n - 1) - g.first) * g.columnWidth);
    const y = c < g.first ? bottom : c >= g.first + g.n ? g.y : bottom - Math.round(part * g.height);
    return [x, y];
  };
  const w = Math.max(2, Math.round(g.columnWidth));
  const [xa, ya] = at(Math.max(s.from, begin), false);
  const [xb, yb] = at(Math.min(s.to, end), true);
  if (!g.offset)
    return [
      [xa, g.y],
      [xb + w, g.y],
      [xb + w, bottom],
      [xa, bottom],
    ];
  if (xa === xb) {
    // A cell is seen however low it is.
    const top = Math.min(yb, ya - 2);
    return [
      [xa, top],
      [xa + w, top],
      [xa + w, ya],
      [xa, ya],
    ];
  }
  return [
    [xa, ya],
    [xa, g.y],
    [xb, g.y],
    [xb, yb],
    [xb + w, yb],
    [xb + w, bottom],
    [xa + w, bottom],
    [xa + w, ya],
  ];
}

/** Width of a column for `columns` of them in `room` pixels: whole pixels, or a whole number of columns on one. */
export function columnWidth(room: number, columns: number): number {
  if (columns <= room) return Math.max(1, Math.min(48, Math.floor(room / columns)));
  return 1 / Math.ceil(columns / room);
}

export const MINUTE = 60_000_000;
/** The column for a view of `us`: seconds up to 40 minutes, minutes up to 20 hours, else five minutes. */
export const columnFor = (us: number): number =>
  us <= 40 * MINUTE ? 1_000_000 : us <= 1200 * MINUTE ? MINUTE : 5 * MINUTE;
/** What is shown of each column length when it is chosen. */
export const WINDOW_OF: Record<number, number> = {
  1000000: 5 * MINUTE,
  [MINUTE]: 300 * MINUTE,
  [5 * MINUTE]: 1440 * MINUTE,
};

/** Overlapping and adjoining ranges made one, in order, at most 16. */
export function mergedRanges(list: readonly Span[]): Span[] {
  const out: { from: number; to: number }[] = [];
  for (const s of [...list].sort((a, b) => a.from - b.from)) {
    const last = out[out.length - 1];
    if (last && s.from <= last.to) last.to = Math.max(last.to, s.to);
    else out.push({ from: s.from, to: s.to });
  }
  return out.slice(-16);
}
