// Paints the strip of everything held: a busy-ness line of CPU, gaps hatched, restarts and reboots, the
// stretch that is only held as rollups, events, and the box of what the charts show.
import { mix, palette } from '../charts/palette';
import type { Frame, HostEvent, MonoUs, View } from '../store/api';
import type { Held, Seam } from '../store/held';
import { rolledIn, type StripTick } from './strip';

export const LEFT = 116;
export const HEIGHT = 26;
const TOP = 5;
const BOTTOM = 22;
const DEEP = BOTTOM - TOP;

export interface StripPicture {
  /** Width of the canvas and of its plot, CSS pixels. */
  readonly width: number;
  readonly plot: number;
  readonly view: View;
  readonly frame: Frame | null;
  readonly held: Held;
  readonly seams: readonly Seam[];
  readonly before: { readonly to: MonoUs; readonly text: string } | null;
  readonly ticks: readonly StripTick[];
  readonly events: readonly HostEvent[];
  /** At the right end. */
  readonly words: string;
  /** What the charts show, or a drag would make them show. */
  readonly box: View;
  readonly base: View | null;
  readonly selection: View | null;
}

interface Pen {
  readonly c: CanvasRenderingContext2D;
  readonly p: StripPicture;
  x(t: MonoUs): number;
}

export const xOn = (p: Pick<StripPicture, 'view' | 'plot'>, t: MonoUs): number =>
  LEFT + ((t - p.view.from) / (p.view.to - p.view.from)) * p.plot;

/** Left and right edge of the box, at least 4 px apart. */
export function boxEdges(p: Pick<StripPicture, 'view' | 'plot'>, v: View): [number, number] {
  const end = LEFT + p.plot;
  const a = Math.max(LEFT, Math.min(end - 4, Math.round(xOn(p, v.from))));
  return [a, Math.min(end, Math.max(a + 4, Math.round(xOn(p, v.to))))];
}

export function paintStrip(c: CanvasRenderingContext2D, p: StripPicture): void {
  const { css, font } = palette();
  c.clearRect(0, 0, p.width, HEIGHT);
  c.font = `11px ${font}`;
  c.textBaseline = 'middle';
  c.fillStyle = css.t3;
  c.textAlign = 'right';
  c.fillText(p.words, p.width - 12, 13.5);
  const pen: Pen = { c, p, x: (t) => Math.round(xOn(p, t)) };
  c.save();
  c.beginPath();
  c.rect(LEFT - 1, 0, p.plot + 2, HEIGHT);
  c.clip();
  rolled(pen);
  bars(pen);
  gaps(pen);
  const taken = [...beginning(pen), ...seams(pen)];
  labels(pen, taken);
  events(pen);
  marks(pen);
  c.restore();
  box(pen);
}

/** The stretch held as rollups lies on raised ground, with a line under it. */
function rolled({ c, p, x }: Pen): void {
  const r = rolledIn(p.view, p.held);
  if (!r) return;
  const { css } = palette();
  const [a, b] = [x(r.from), x(r.to)];
  c.fillStyle = css.raise;
  c.fillRect(a, TOP, b - a, DEEP);
  c.fillStyle = css.line2;
  for (let i = a; i < b; i += 4) c.fillRect(i, BOTTOM, 2, 1);
}

function bars({ c, p, x }: Pen): void {
  const { css } = palette();
  const f = p.frame;
  const col = f?.cols[0];
  if (!f || !col) return;
  const wide = Math.max(1, Math.ceil((f.stepUs / (p.view.to - p.view.from)) * p.plot));
  const full = mix(css.neutral, css.panel, 0.55);
  const pale = mix(css.neutral, css.raise, 0.34);
  for (let i = 0; i < f.t.length; i++) {
    const hi = col.hi[i]!;
    const at = x(f.t[i]!);
    if (Number.isNaN(hi) || at + wide < LEFT) continue;
    const h = Math.max(0.5, Math.min(1, hi) * DEEP);
    c.fillStyle = f.t[i]! < p.held.fullUs ? pale : full;
    c.fillRect(at, BOTTOM - h, wide, h);
  }
}

/** Upright hatch, one line in four pixels. */
function hatch(c: CanvasRenderingContext2D, a: number, b: number): void {
  const { css } = palette();
  c.clearRect(a, TOP, b - a, DEEP);
  c.fillStyle = css.line2;
  for (let x = a; x < b; x++) if ((x & 3) === 0 || b - a < 4) c.fillRect(x, TOP, 1, DEEP);
}

function gaps({ c, p, x }: Pen): void {
  const found = (p.frame?.gaps ?? []).filter((g) => g.reason !== 'before');
  for (const g of found) hatch(c, x(g.from), Math.max(x(g.from) + 1, x(g.to)));
}

/** Before what is held: a flat area up to a line, with the words where they fit. */
function beginning({ c, p, x }: Pen): [number, number][] {
  if (!p.before) return [];
  const { css } = palette();
  const edge = x(p.before.to);
  if (edge <= LEFT) return [];
  c.fillStyle = css.raise;
  c.fillRect(LEFT, TOP, edge - LEFT, DEEP);
  c.fillStyle = css.line2;
  c.fillRect(edge, TOP, 1, DEEP);
  const w = c.measureText(p.before.text).width;
  if (w + 12 > edge - LEFT) return [];
  // The edge of the box does not cut through the words.
  const [box] = boxEdges(p, p.box);
  const right = box < edge && box > edge - w - 12 && box - LEFT > w + 12 ? box : edge;
  c.fillStyle = css.t3;
  c.textAlign = 'right';
  c.fillText(p.before.text, right - 6, 14);
  return [[right - w - 12, right]];
}

const NAMES = { restart: 'restart', reboot: 'reboot', gap: '' };

/** Where recording stopped and went on: hatched to a line, named where there is room. */
function seams({ c, p, x }: Pen): [number, number][] {
  const { css } = palette();
  const taken: [number, number][] = [];
  for (const s of p.seams) {
    const a = x(s.from);
    const b = Math.max(a + 1, x(s.to));
    if (b < LEFT || a > LEFT + p.plot) continue;
    if (b - a > 1) hatch(c, a, b);
    if (s.what === 'gap') continue;
    c.fillStyle = css.t2;
    c.fillRect(b - 1, TOP - 2, 1, DEEP + 3);
    const w = c.measureText(NAMES[s.what]).width;
    // In the hatch before the line, else after it over the bars.
    const at = b - a > w + 12 ? b - 5 - w : b + 4;
    const crossed = p.seams.some((o) => o !== s && x(o.to) > at - 3 && x(o.to) < at + w + 3);
    if (crossed || taken.some(([l, r]) => at < r + 8 && at + w > l - 8) || at + w > LEFT + p.plot) continue;
    c.globalAlpha = 0.82;
    c.fillStyle = css.panel;
    c.fillRect(at - 2, 8, w + 4, 12);
    c.globalAlpha = 1;
    c.fillStyle = css.t2;
    c.textAlign = 'left';
    c.fillText(NAMES[s.what], at, 14);
    taken.push([at - 2, at + w + 2]);
  }
  return taken;
}

function labels({ c, p, x }: Pen, taken: readonly [number, number][]): void {
  const { css } = palette();
  c.textAlign = 'left';
  for (const tick of p.ticks) {
    const at = x(tick.t);
    if (at < LEFT || taken.some(([l, r]) => at > l && at < r - 2)) continue;
    c.fillStyle = css.line2;
    c.fillRect(at, 3, 1, 20);
    const w = c.measureText(tick.text).width;
    if (at + w + 8 > LEFT + p.plot || taken.some(([l, r]) => at + w + 6 > l && at < r)) continue;
    c.globalAlpha = 0.82;
    c.fillStyle = css.panel;
    c.fillRect(at + 2, 3, w + 5, 11);
    c.globalAlpha = 1;
    c.fillStyle = css.t2;
    c.fillText(tick.text, at + 4, 9);
  }
}

function events({ c, p, x }: Pen): void {
  const { css } = palette();
  for (const e of p.events) {
    const at = x(e.t);
    if (at < LEFT || at > LEFT + p.plot) continue;
    c.fillStyle = e.severity === 2 ? css.crit : e.severity === 1 ? css.warn : css.t2;
    c.beginPath();
    c.moveTo(at - 4, 2);
    c.lineTo(at + 4, 2);
    c.lineTo(at, 8);
    c.fill();
  }
}

/** The baseline as a line underneath, the selection as a brighter one. */
function marks({ c, p, x }: Pen): void {
  const { css } = palette();
  for (const [v, colour] of [
    [p.base, css.t3],
    [p.selection, css.sel],
  ] as const) {
    if (!v) continue;
    const a = x(v.from);
    c.fillStyle = colour;
    c.fillRect(a, 23, Math.max(2, x(v.to) - a), 2);
  }
}

function box({ c, p }: Pen): void {
  const { css } = palette();
  // Wholly outside: the strip follows soon.
  if (xOn(p, p.box.to) < LEFT - 1 || xOn(p, p.box.from) > LEFT + p.plot + 1) return;
  const [a, b] = boxEdges(p, p.box);
  c.strokeStyle = css.t1;
  c.lineWidth = 1;
  c.strokeRect(a - 0.5, 1.5, b - a + 1, 23);
  c.fillStyle = css['sel-fill'];
  c.fillRect(a, 2, b - a, 22);
}
