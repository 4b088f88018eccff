// What the page shows of time: live, paused or a range; the selection; the cursor. Signals, read by the
// chrome; the scheduler reads viewNow() once a frame.
import { computed, signal } from '@preact/signals';
import type { MonoUs, Store, View } from '../store/api';

/** live: the right edge follows now. paused: still. range: still, and a selection is open. */
export type Mode = 'live' | 'paused' | 'range';

export const SECOND = 1_000_000;
export const WINDOWS: readonly { us: number; label: string }[] = [
  { us: 5 * SECOND, label: '5 s' },
  { us: 15 * SECOND, label: '15 s' },
  { us: 30 * SECOND, label: '30 s' },
  { us: 60 * SECOND, label: '1 min' },
  { us: 300 * SECOND, label: '5 min' },
  { us: 1800 * SECOND, label: '30 min' },
  { us: 3600 * SECOND, label: '1 h' },
  { us: 6 * 3600 * SECOND, label: '6 h' },
  { us: 24 * 3600 * SECOND, label: '24 h' },
  { us: 0, label: 'All' }, // all that is held
];

/** Width of the live window, µs; 0: all that is held. */
export const windowUs = signal(30 * SECOND);
/** Where time stands still; null: live. */
export const fixed = signal<View | null>(null);
/** The selected range, mono µs; edges already snapped. */
export const selection = signal<View | null>(null);
/** Ranges beside the selected one: the profile page adds them up. */
export const moreRanges = signal<readonly View[]>([]);
/** What ranges are compared with, pinned by the reader; null: the stretch before each. */
export const baseline = signal<View | null>(null);
export const mode = computed<Mode>(() =>
  fixed.value === null ? 'live' : selection.value ? 'range' : 'paused',
);

/** Synced crosshair: a time, or null. Written by the chart under the pointer or the focused one. */
export const hover = signal<MonoUs | null>(null);
/** Series keys (Source.key) hidden by legend toggles. */
export const hidden = signal<ReadonlySet<string>>(new Set());
/** 2 s without a tick: values dim, age counts. */
export const stale = signal(false);
/** Newest tick when the page was paused; new samples are counted from there. */
export const pausedAt = signal<MonoUs>(0);

const undoStack: (View | null)[] = [];

/** A width that holds `us` and changes seldom while `us` grows: what was fetched for it stays of use. */
export function roundWidth(us: number): number {
  const grain = 2 ** Math.floor(Math.log2(us)) / 16;
  return Math.round(Math.ceil(us / grain) * grain);
}

/** The view to draw now. Live views end at the newest tick; without ticks the axis goes on a second later. */
export function viewNow(store: Store): View {
  if (fixed.value) return fixed.value;
  const to = Math.max(store.newest, store.clock.now() - SECOND);
  const held = to - store.heldFrom;
  const width = windowUs.value || (store.host?.capture ? held : roundWidth(Math.max(60 * SECOND, held)));
  return { from: to - width, to };
}

/** Stops the axis where it is. */
export function pause(store: Store): void {
  if (fixed.value) return;
  fixed.value = viewNow(store);
  pausedAt.value = store.newest;
}

export function goLive(): void {
  undoStack.length = 0;
  selection.value = null;
  moreRanges.value = [];
  fixed.value = null;
}

/** A drag or keyboard range ended: pauses and opens the range. */
export function select(store: Store, range: View): void {
  pause(store);
  selection.value = range;
}

/** The stretch before a range: ten times as long, at least 30 samples. */
export function before(range: View): View {
  const length = Math.max(10 * (range.to - range.from), 3 * SECOND);
  return { from: range.from - length, to: range.from };
}

/** What a range is compared with. */
export const baseOf = (range: View): View => baseline.value ?? before(range);

/** B: the range becomes the baseline of those to come; again, or without a range, none is pinned. */
export function pinBaseline(): void {
  const s = selection.peek();
  const b = baseline.peek();
  baseline.value = !s || (b && b.from === s.from && b.to === s.to) ? null : s;
}

export function clearSelection(): void {
  moreRanges.value = [];
  selection.value = null;
}

/** Shows `view`, remembering the present one for undo. */
export function zoomTo(store: Store, view: View): void {
  undoStack.push(fixed.value);
  if (undoStack.length > 50) undoStack.shift();
  if (!fixed.value) pausedAt.value = store.newest;
  fixed.value = view;
  selection.value = null;
}

export function undoZoom(): void {
  const v = undoStack.pop();
  if (v === undefined) return;
  selection.value = null;
  fixed.value = v;
}

/** Legend click: only this one of `all`; a second time: all again. */
export function solo(key: string, all: readonly string[]): void {
  const h = new Set(hidden.value);
  const others = all.filter((k) => k !== key);
  const isSolo = !h.has(key) && others.length > 0 && others.every((k) => h.has(k));
  for (const k of others) isSolo ? h.delete(k) : h.add(k);
  h.delete(key);
  hidden.value = h;
}

/** Legend Ctrl-click. */
export function toggle(key: string): void {
  const h = new Set(hidden.value);
  if (!h.delete(key)) h.add(key);
  hidden.value = h;
}
