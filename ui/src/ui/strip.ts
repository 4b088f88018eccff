// Where things lie on the strip of everything held, and what a drag there means. No canvas here.
import { clockText, dayText, durationText, minuteText, sameDay, zoneMs } from '../charts/time';
import { roundWidth } from '../state/view';
import type { MonoUs, View } from '../store/api';
import type { Held, Seam } from '../store/held';

const MINUTE = 60_000_000;
const HOUR = 60 * MINUTE;

/** Spans the strip can show, µs; 0: all that is held. */
export const SPANS: readonly { us: number; label: string; words: string }[] = [
  { us: HOUR, label: 'Last hour', words: 'the last hour' },
  { us: 6 * HOUR, label: 'Last 6 h', words: 'the last six hours' },
  { us: 24 * HOUR, label: 'Last 24 h', words: 'the last 24 hours' },
  { us: 0, label: 'All held', words: 'all that is held' },
];

/** Those that show more than the one before: of 20 minutes held, an hour shows all. */
export function usefulSpans(heldUs: number, capture = false): typeof SPANS {
  // A capture is shown whole, and an hour of it where it is longer.
  if (capture) return SPANS.filter((s) => s.us === 0 || s.us < heldUs);
  return SPANS.filter((_, i) => i === 0 || SPANS[i - 1]!.us < heldUs);
}

export interface StripState {
  /** The span chosen, 0: all. */
  readonly spanUs: number;
  readonly heldFrom: MonoUs;
  readonly newest: MonoUs;
  /** What the charts show. */
  readonly view: View;
  readonly live: boolean;
  /** Nothing comes any more: all is exactly what there is. */
  readonly whole?: boolean;
}

/** The smallest span that is at least the chosen one and holds a view of that width. */
export function spanFor(chosenUs: number, widthUs: number): number {
  if (chosenUs === 0) return 0;
  return SPANS.find((s) => s.us === 0 || (s.us >= chosenUs && s.us >= widthUs * 0.999))?.us ?? 0;
}

/** What the strip shows: up to now, or further back where the charts look further back. */
export function stripView(s: StripState): View {
  const width = (s.view.to - s.view.from) * (s.live ? 1 : 1.6);
  const us = spanFor(s.spanUs, Math.min(width, s.newest - s.heldFrom));
  const held = Math.max(s.whole ? 1e6 : MINUTE, s.newest - s.heldFrom);
  if (us === 0 && s.whole) return { from: s.newest - held, to: s.newest };
  // A width that changes seldom: what was fetched for it stays of use.
  if (us === 0) return { from: s.newest - roundWidth(held * 1.002), to: s.newest };
  if (s.live || s.view.from >= s.newest - us) return { from: s.newest - us, to: s.newest };
  // A page of the past: whole quarters of it, so that the strip stands still while the view moves a little.
  const quarter = us / 4;
  const middle = (s.view.from + s.view.to) / 2;
  const to = Math.min(s.newest, (Math.ceil(middle / quarter) + 2) * quarter);
  return { from: to - us, to };
}

export type Hit = 'left' | 'right' | 'box' | 'out';

/** Part of the box [a, b] under x; a narrow box has its edges outside. */
export function hit(x: number, a: number, b: number): Hit {
  const wide = b - a >= 14;
  const inner = wide ? 4 : 0;
  if (x >= a - 6 && x < a + inner) return 'left';
  if (x > b - inner && x <= b + 6) return 'right';
  return x >= a && x <= b ? 'box' : 'out';
}

/** Narrowest view. */
export const LEAST_US = 300_000;

/** The view with one edge at t. */
export function widened(v: View, edge: 'left' | 'right', t: MonoUs, heldFrom: MonoUs, newest: MonoUs): View {
  const at = Math.max(heldFrom, Math.min(newest, t));
  const [lo, hi] = edge === 'left' ? [at, v.to] : [v.from, at];
  if (hi - lo >= LEAST_US) return { from: Math.round(lo), to: Math.round(hi) };
  // Dragged over the other edge: the view turns round.
  if (hi - lo <= -LEAST_US) return { from: Math.round(hi), to: Math.round(lo) };
  return edge === 'left'
    ? { from: Math.round(v.to - LEAST_US), to: v.to }
    : { from: v.from, to: Math.round(v.from + LEAST_US) };
}

/** A new view from one moment to another, within what is held. */
export function between(a: MonoUs, b: MonoUs, heldFrom: MonoUs, newest: MonoUs): View {
  const lo = Math.max(heldFrom, Math.min(a, b));
  return widened({ from: lo, to: lo }, 'right', Math.max(a, b, lo + LEAST_US), heldFrom, newest);
}

export interface StripTick {
  readonly t: MonoUs;
  readonly text: string;
}

const EVERY = [600, 1800, 3600, 7200, 21_600, 43_200, 86_400, 172_800, 604_800];

/** Round wall-clock times, at most seven or so; midnights by their day. */
export function stripTicks(view: View, wallMs: (t: MonoUs) => number, mono: (ms: number) => MonoUs) {
  const seconds = (view.to - view.from) / 1e6;
  const ms = (EVERY.find((e) => seconds / e <= 7) ?? 604_800) * 1000;
  const [from, to] = [wallMs(view.from), wallMs(view.to)];
  const zone = zoneMs(to);
  const out: StripTick[] = [];
  for (let w = Math.ceil((from + zone) / ms) * ms - zone; w < to && out.length < 60; w += ms) {
    const midnight = (w + zone) % 86_400_000 === 0;
    out.push({ t: mono(w), text: (midnight && dayText(w)) || minuteText(w) });
  }
  return out;
}

const WORDS = { restart: 'Agent restarted', reboot: 'Host rebooted', gap: 'Nothing recorded' };

/** "Host rebooted: 12 min not recorded, 13:02:10 – 13:14:02". */
export function seamText(s: Seam, wallMs: (t: MonoUs) => number): string {
  const length = s.to - s.from;
  const [a, b] = [wallMs(s.from), wallMs(s.to)];
  const span = sameDay(a, b)
    ? `${clockText(a)} – ${clockText(b)}`
    : `${dayText(a)} ${clockText(a)} – ${dayText(b)} ${clockText(b)}`;
  if (length < 1e6) return `${WORDS[s.what]} ${clockText(b)}`;
  return s.what === 'gap'
    ? `Nothing recorded for ${durationText(length)}, ${span}`
    : `${WORDS[s.what]}: ${durationText(length)} not recorded, ${span}`;
}

/** What is held of a view as rollups only. */
export function rolledIn(view: View, held: Held): View | null {
  const from = Math.max(view.from, held.oldestUs);
  const to = Math.min(view.to, held.fullUs);
  return to > from ? { from, to } : null;
}

/** "Wed 26 Nov": what the charts show, for those who hear it. */
export function viewText(v: View, live: boolean, wallMs: (t: MonoUs) => number, now = Date.now()): string {
  if (live) return `live, the last ${durationText(v.to - v.from)}`;
  const [a, b] = [wallMs(v.from), wallMs(v.to)];
  const day = sameDay(a, now) ? '' : `${dayText(a)} `;
  return `${day}${clockText(a)} to ${sameDay(a, b) ? '' : `${dayText(b)} `}${clockText(b)}`;
}
