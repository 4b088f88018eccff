// Shift-drag moves the view, Ctrl-wheel zooms at the pointer, on every chart of the page. Plain dragging is
// the chart's own: it selects.
import { charts } from '../charts/Chart';
import { timeAt } from '../charts/view';
import { fixed, goLive, pausedAt, selection, viewNow, zoomTo } from '../state/view';
import type { MonoUs, View } from '../store/api';
import { store } from '../store/store';

/** The narrowest view: a few samples. */
const LEAST_US = 300_000;

interface At {
  t: MonoUs;
  /** Time of a CSS pixel. */
  perPx: number;
}

/** The time under the pointer, if it is over a plot. */
function timeUnder(e: MouseEvent): At | null {
  const el = (e.target as Element | null)?.closest<HTMLElement>('[data-panel]');
  const chart = el && charts.get(el.dataset.panel ?? '');
  if (!chart) return null;
  const r = chart.plotHost.getBoundingClientRect();
  const x = e.clientX - r.left - chart.box.x;
  if (x < 0 || x > chart.box.w || e.clientY < r.top) return null;
  const { grid } = chart;
  return { t: timeAt(grid, (x / chart.box.w) * grid.n), perPx: (grid.dt * grid.n) / chart.box.w };
}

/** A view moved by `by`, kept within what is held; at the right end it is live. */
export function moved(v: View, by: number, heldFrom: MonoUs, newest: MonoUs): View | null {
  const width = v.to - v.from;
  if (v.to + by >= newest) return null;
  const from = Math.max(Math.min(heldFrom, v.from), v.from + by);
  return { from, to: from + width };
}

/** A view scaled by `factor` about t. */
export function scaled(v: View, t: MonoUs, factor: number, heldFrom: MonoUs, newest: MonoUs): View {
  const most = Math.max(v.to - v.from, newest - heldFrom);
  const width = Math.min(most, Math.max(LEAST_US, (v.to - v.from) * factor));
  const part = (t - v.from) / (v.to - v.from);
  const to = Math.min(newest, t + width * (1 - part));
  return { from: Math.round(to - width), to: Math.round(to) };
}

export function startPan(): () => void {
  let pan: { x: number; view: View; perPx: number } | null = null;
  const down = (e: PointerEvent) => {
    if (!e.shiftKey || e.button !== 0) return;
    const at = timeUnder(e);
    if (!at) return;
    e.stopPropagation();
    e.preventDefault();
    pan = { x: e.clientX, view: viewNow(store), perPx: at.perPx };
    (e.target as Element).setPointerCapture(e.pointerId);
  };
  const move = (e: PointerEvent) => {
    if (!pan) return;
    e.stopPropagation();
    const v = moved(pan.view, (pan.x - e.clientX) * pan.perPx, store.heldFrom, store.newest);
    if (!v) {
      goLive();
      return;
    }
    if (!fixed.peek()) pausedAt.value = store.newest;
    selection.value = null;
    fixed.value = v;
  };
  const up = (e: PointerEvent) => {
    if (pan) e.stopPropagation();
    pan = null;
  };
  const wheel = (e: WheelEvent) => {
    if (!e.ctrlKey) return;
    const at = timeUnder(e);
    if (!at) return;
    e.preventDefault();
    zoomTo(store, scaled(viewNow(store), at.t, e.deltaY > 0 ? 1.25 : 0.8, store.heldFrom, store.newest));
  };
  addEventListener('pointerdown', down, true);
  addEventListener('pointermove', move, true);
  addEventListener('pointerup', up, true);
  addEventListener('pointercancel', up, true);
  addEventListener('wheel', wheel, { passive: false });
  return () => {
    removeEventListener('pointerdown', down, true);
    removeEventListener('pointermove', move, true);
    removeEventListener('pointerup', up, true);
    removeEventListener('pointercancel', up, true);
    removeEventListener('wheel', wheel);
  };
}
