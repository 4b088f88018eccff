// Paints the sub-second map: cells through the ramp into one ImageData, a pixel a cell; then what lies over
// them: hatching, axes, the mean of each row, ranges.
import type { Cells } from '../../transform/cells';
import { type Cell, type Geometry, outline, type Span, widthOf } from '../../transform/scope';
import { flameColours } from '../flame/colours';
import { level } from '../heat';
import { makeRamp, mix, palette, themeVersion } from '../palette';

export interface Mark {
  readonly at: number;
  readonly title: string;
}

export interface ScopePicture {
  readonly g: Geometry;
  readonly cells: Cells;
  /** Row ids from the top down; offsets go from the bottom up by themselves. */
  readonly order: readonly number[];
  /** Weight that fills a cell, µs, and the share of it at the ramp's end. */
  readonly cellUs: number;
  readonly end: number;
  readonly searched: boolean;
  /** Until here there can be samples. */
  readonly now: number;
  /** Before it nothing is held, and what says so. */
  readonly began: number;
  readonly beganText: string;
  readonly ranges: readonly Span[];
  readonly base: Span | null;
  readonly draft: Span | null;
  readonly draftIsBase: boolean;
  readonly label: string;
  readonly marks: readonly Mark[];
  /** Time labels: at, text. */
  readonly ticks: readonly (readonly [number, string])[];
  /** The time of a cell, as its tag on the axis says it. */
  readonly clock: (us: number) => string;
  readonly rowLabels: readonly (readonly [number, string])[]; // y, text
  readonly margin: number; // width of the bars at the right; 0: none
  readonly marginText: string;
}

let hitRamp: { version: number; words: Uint32Array } | null = null;

/** 16 greys x 16 shares of matching. */
function searchRamp(): Uint32Array {
  if (hitRamp?.version === themeVersion()) return hitRamp.words;
  const { css } = palette();
  const k = flameColours();
  const dark = Number.parseInt(css.panel.slice(1, 3), 16) < 128;
  const bright = dark ? '#ff96d6' : '#96146e';
  const words = new Uint32Array(256);
  for (let g = 0; g < 16; g++) {
    const grey = mix(css.neutral, css.panel, (dark ? 0.08 : 0.04) + 0.36 * (g / 15));
    for (let h = 0; h < 16; h++) {
      const part = h / 15;
      const to = part > 0.6 ? mix(bright, k.hit, (part - 0.6) / 0.4) : k.hit;
      words[g * 16 + h] = makeRamp([mix(to, grey, Math.min(1, part * 1.6)), '#000000'])[0]!;
    }
  }
  hitRamp = { version: themeVersion(), words };
  return words;
}

const buffer = { canvas: null as HTMLCanvasElement | null, image: null as ImageData | null };

function imageOf(w: number, h: number): { canvas: HTMLCanvasElement; image: ImageData; words: Uint32Array } {
  buffer.canvas ??= document.createElement('canvas');
  const { canvas } = buffer;
  if (canvas.width !== w || canvas.height !== h || !buffer.image) {
    canvas.width = w;
    canvas.height = h;
    buffer.image = canvas.getContext('2d')!.createImageData(w, h);
  }
  return { canvas, image: buffer.image, words: new Uint32Array(buffer.image.data.buffer) };
}

function paintCells(c: CanvasRenderingContext2D, p: ScopePicture): void {
  const { g, cells } = p;
  const { ramp, panel } = palette();
  const per = Math.max(1, Math.round(1 / g.columnWidth));
  const w = Math.ceil(g.n / per);
  if (w < 1 || g.rows < 1) return;
  const { canvas, image, words } = imageOf(w, g.rows);
  const hits = p.searched ? searchRamp() : null;
  const top = p.cellUs * p.end;
  words.fill(panel);
  for (let x = 0; x < w; x++) {
    for (let r = 0; r < g.rows; r++) {
      const id = g.offset ? g.rows - 1 - r : p.order[r];
      if (id === undefined) continue;
      let v = -1;
      let m = 0;
      for (let k = 0; k < per; k++) {
        const col = cells.get(g.first + x * per + k);
        if (!col || col.covered === 0) continue;
        const cw = col.w[id] ?? 0;
        if (cw > v) {
          v = cw;
          m = col.m?.[id] ?? 0;
        }
      }
      if (v < 0) continue;
      if (hits) {
        const grey = Math.min(15, Math.round((v / top) * 15));
        // One sample is seen in a cell that could hold a hundred.
        const share = m > 0 ? Math.min(1, m / top) ** 0.6 : 0;
        words[r * w + x] = hits[grey * 16 + Math.round(share * 15)]!;
      } else words[r * w + x] = ramp[level(v, top)]!;
    }
  }
  canvas.getContext('2d')!.putImageData(image, 0, 0);
  c.imageSmoothingEnabled = false;
  c.drawImage(canvas, g.x, g.y, w * per * g.columnWidth, g.height);
}

function hatch(
  c: CanvasRenderingContext2D,
  x: number,
  y: number,
  w: number,
  h: number,
  colour: string,
): void {
  c.save();
  c.beginPath();
  c.rect(x, y, w, h);
  c.clip();
  c.strokeStyle = colour;
  c.lineWidth = 1;
  c.beginPath();
  const from = Math.floor((x - h) / 8) * 8;
  for (let k = from; k < x + w; k += 8) {
    c.moveTo(k + 0.5, y + h);
    c.lineTo(k + h + 0.5, y);
  }
  c.stroke();
  c.restore();
}

/** What is not held any more, or never was: a flat area with the time of its end. */
function paintBefore(c: CanvasRenderingContext2D, p: ScopePicture, w: number): void {
  if (w < 1) return;
  const { g } = p;
  const { css, font } = palette();
  const x = g.x + Math.round(w);
  c.fillStyle = css.raise;
  c.fillRect(g.x, g.y, x - g.x, g.height);
  c.fillStyle = css.line2;
  c.fillRect(x - 1, g.y, 1, g.height);
  c.font = `11px ${font}`;
  if (c.measureText(p.beganText).width > w - 16) return;
  c.fillStyle = css.t3;
  c.textAlign = 'right';
  c.textBaseline = 'middle';
  c.fillText(p.beganText, x - 8, g.y + Math.round(g.height / 2));
}

/** Where no profiler ran, and above the columns that lost samples. */
function paintHoles(c: CanvasRenderingContext2D, p: ScopePicture): void {
  const { g, cells } = p;
  const { css } = palette();
  const nowColumn = cells.columnAt(p.now);
  const before = Math.max(0, Math.min(g.n, cells.columnAt(p.began) - g.first));
  paintBefore(c, p, before * g.columnWidth);
  let from = -1;
  for (let k = before; k <= g.n; k++) {
    const col = cells.get(g.first + k);
    const hole = k < g.n && col?.covered === 0 && g.first + k < nowColumn;
    if (hole && from < 0) from = k;
    if (!hole && from >= 0) {
      const x = g.x + Math.round(from * g.columnWidth);
      hatch(c, x, g.y, Math.max(1, Math.round((k - from) * g.columnWidth)), g.height, css.line2);
      from = -1;
    }
    if (col && col.lost > 0) {
      const x = g.x + Math.round(k * g.columnWidth);
      const w = Math.max(1, Math.round(g.columnWidth));
      hatch(c, x, g.y, Math.max(2, w), 12, css.warn);
    }
  }
}

/** Labels that the tag would cover give way to it. */
function paintAxes(c: CanvasRenderingContext2D, p: ScopePicture, font: string, tagged: Tag | null): void {
  const { g } = p;
  const { css } = palette();
  const w = widthOf(g);
  c.font = `11px ${font}`;
  c.textBaseline = 'middle';
  c.textAlign = 'right';
  c.fillStyle = css.t3;
  for (const [y, text] of p.rowLabels)
    c.fillText(cut(c, text, g.x - 10), g.x - 6, Math.max(g.y + 5, Math.min(g.y + g.height - 4, y)));
  c.textBaseline = 'alphabetic';
  const bottom = g.y + g.height;
  for (const [t, text] of p.ticks) {
    const x = g.x + Math.round(((t - g.anchorUs) / g.columnUs - g.first) * g.columnWidth);
    if (x < g.x - 1 || x > g.x + w + 1) continue;
    c.fillStyle = css.axis;
    c.fillRect(Math.min(x, g.x + w - 1), bottom, 1, 4);
    c.fillStyle = css.t3;
    const half = c.measureText(text).width / 2;
    c.textAlign = 'left';
    const left = Math.max(g.x, Math.min(g.x + w - half * 2, x - half));
    if (tagged && left < tagged.x + tagged.w + 4 && left + half * 2 > tagged.x - 4) continue;
    c.fillText(text, left, bottom + 15);
  }
  c.fillStyle = css.warn;
  for (const m of p.marks) {
    const x = g.x + Math.round(((m.at - g.anchorUs) / g.columnUs - g.first) * g.columnWidth);
    if (x < g.x || x > g.x + w) continue;
    c.beginPath();
    c.moveTo(x - 4, g.y - 7);
    c.lineTo(x + 4, g.y - 7);
    c.lineTo(x, g.y - 1);
    c.fill();
  }
}

function cut(c: CanvasRenderingContext2D, s: string, room: number): string {
  if (c.measureText(s).width <= room) return s;
  let n = s.length;
  while (n > 1 && c.measureText(`${s.slice(0, n)}…`).width > room) n--;
  return `${s.slice(0, n)}…`;
}

/** The mean of each row over the map as a bar, and of it what matched. */
function paintMargin(c: CanvasRenderingContext2D, p: ScopePicture): void {
  const { g, cells } = p;
  if (!p.margin) return;
  const { css } = palette();
  const k = flameColours();
  const x = g.x + widthOf(g) + 16;
  c.fillStyle = css.axis;
  c.fillRect(x - 1, g.y, 1, g.height);
  const sums = new Float64Array(g.rows);
  const found = new Float64Array(g.rows);
  let n = 0;
  for (let i = 0; i < g.n; i++) {
    const col = cells.get(g.first + i);
    if (!col || col.covered === 0) continue;
    n++;
    for (let r = 0; r < g.rows; r++) {
      const id = g.offset ? g.rows - 1 - r : (p.order[r] ?? -1);
      sums[r]! += col.w[id] ?? 0;
      found[r]! += col.m?.[id] ?? 0;
    }
  }
  if (!n) return;
  const scale = p.margin / (p.cellUs * p.end * n);
  const h = Math.max(1, g.rowHeight - 1);
  const bar = (r: number, v: number) =>
    c.fillRect(x, g.y + r * g.rowHeight, Math.min(p.margin, Math.round(v * scale)), h);
  c.fillStyle = mix(css.neutral, css.panel, 0.42);
  for (let r = 0; r < g.rows; r++) bar(r, sums[r]!);
  if (p.searched) {
    c.fillStyle = k.hit;
    for (let r = 0; r < g.rows; r++) bar(r, found[r]!);
  }
  c.fillStyle = css.t3;
  c.textAlign = 'left';
  c.fillText(p.marginText, x, g.y + g.height + 15);
}

function trace(c: CanvasRenderingContext2D, points: readonly [number, number][], off: number): void {
  for (const [i, [x, y]] of points.entries())
    if (i) c.lineTo(x + off, y + off);
    else c.moveTo(x + off, y + off);
  c.closePath();
}

function tag(
  c: CanvasRenderingContext2D,
  p: ScopePicture,
  at: readonly [number, number][],
  text: string,
  strong: boolean,
  font: string,
): void {
  const { css } = palette();
  const { g } = p;
  c.font = `600 11px ${font}`;
  const w = c.measureText(text).width + 8;
  const right = Math.max(...at.map((q) => q[0]));
  const left = Math.min(...at.map((q) => q[0]));
  const x = right + 4 + w > g.x + widthOf(g) ? Math.max(g.x, left - w - 4) : right + 4;
  c.fillStyle = strong ? css.t1 : css.raise;
  // The one's on top, the other's at the foot: they lie over each other where the ranges are close.
  const y = strong ? g.y + 3 : g.y + g.height - 18;
  c.fillRect(x, y, w, 15);
  c.fillStyle = strong ? css.panel : css.t1;
  c.textAlign = 'left';
  c.textBaseline = 'middle';
  c.fillText(text, x + 4, y + 8);
}

function paintRanges(c: CanvasRenderingContext2D, p: ScopePicture, font: string): void {
  const { g } = p;
  const { css } = palette();
  const list = p.draft && !p.draftIsBase ? [...p.ranges, p.draft] : [...p.ranges];
  const outlines = list.map((s) => outline(g, s)).filter((o) => o.length);
  if (list.length) {
    c.beginPath();
    c.rect(g.x, g.y, widthOf(g), g.height);
    for (const o of outlines) trace(c, o, 0);
    c.fillStyle = css.scrim;
    c.fill('evenodd');
  }
  c.lineWidth = 1;
  c.strokeStyle = css.sel;
  for (const o of outlines) {
    c.beginPath();
    trace(c, o, -0.5);
    c.stroke();
  }
  const base = p.draftIsBase ? p.draft : p.base;
  const dashed = base ? outline(g, base) : [];
  if (dashed.length) {
    // Dashes are seen on the lightest cells and on the darkest.
    c.beginPath();
    trace(c, dashed, -0.5);
    c.strokeStyle = css.panel;
    c.stroke();
    c.setLineDash([3, 3]);
    c.strokeStyle = css.t1;
    c.stroke();
    c.setLineDash([]);
    tag(c, p, dashed, 'baseline', false, font);
  }
  const last = outlines[outlines.length - 1];
  if (last && p.label) tag(c, p, last, p.label, true, font);
}

/** The tag with the time of the cell under the pointer, on the axis. */
interface Tag {
  readonly text: string;
  readonly x: number;
  readonly w: number;
}

const columnX = (g: Geometry, column: number): number => g.x + Math.round((column - g.first) * g.columnWidth);

function tagOf(c: CanvasRenderingContext2D, p: ScopePicture, over: Cell, font: string): Tag | null {
  const { g } = p;
  const x = columnX(g, over.column);
  if (x < g.x || x >= g.x + widthOf(g)) return null;
  c.font = `11px ${font}`;
  const text = p.clock(over.from);
  const w = Math.ceil(c.measureText(text).width) + 8;
  const middle = x + g.columnWidth / 2;
  return { text, w, x: Math.round(Math.max(g.x, Math.min(g.x + widthOf(g) - w, middle - w / 2))) };
}

function paintOver(c: CanvasRenderingContext2D, p: ScopePicture, over: Cell, t: Tag, font: string): void {
  const { g } = p;
  const { css } = palette();
  const x = columnX(g, over.column);
  const y = g.y + (g.offset ? g.rows - 1 - over.row : over.row) * g.rowHeight;
  const w = Math.max(2, Math.round(g.columnWidth));
  // Seen on the lightest cell and on the darkest one.
  c.lineWidth = 1;
  c.strokeStyle = css.panel;
  c.strokeRect(x - 1.5, y - 1.5, w + 2, g.rowHeight + 2);
  c.strokeStyle = css.sel;
  c.strokeRect(x - 0.5, y - 0.5, w, g.rowHeight);
  c.fillStyle = css.t1;
  c.fillRect(t.x, g.y + g.height + 2, t.w, 15);
  c.font = `11px ${font}`;
  c.fillStyle = css.panel;
  c.textAlign = 'left';
  c.textBaseline = 'middle';
  c.fillText(t.text, t.x + 4, g.y + g.height + 10);
}

export function paintScope(
  c: CanvasRenderingContext2D,
  w: number,
  h: number,
  p: ScopePicture,
  over: Cell | null,
): void {
  const { css, font } = palette();
  c.fillStyle = css.panel;
  c.fillRect(0, 0, w, h);
  paintCells(c, p);
  paintHoles(c, p);
  const tagged = over && tagOf(c, p, over, font);
  paintAxes(c, p, font, tagged);
  paintMargin(c, p);
  paintRanges(c, p, font);
  if (over && tagged) paintOver(c, p, over, tagged, font);
}
