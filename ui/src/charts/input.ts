// Pointer and keys of one chart: the line, dragging a range, the row of a heat map, arrows by a sample.
import { hover, select, selection } from '../state/view';
import type { MonoUs } from '../store/api';
import type { Chart } from './chart';
import { type Drag, draft, origin, pointAt, pointAway, startDrag } from './cursor';
import { sched } from './sched';
import { announce, openTable } from './spoken';
import { timeAt } from './view';

/** Bounds of the sample that stands for `t` of the chart's first mark; the column's where it is coarse. */
function bounds(chart: Chart, t: MonoUs): [MonoUs, MonoUs] {
  const { grid, model } = chart;
  const { store } = chart.env;
  const source = model.marks[0]?.source;
  const metric = source?.inputs[0]?.metric ?? '';
  const period = store.status(metric).periodUs || 100_000;
  const p = source && grid.dt <= period * 1.5 ? store.at(source, t) : null;
  if (!p) {
    const column = Math.floor((t - grid.t0) / grid.dt);
    return [timeAt(grid, column), timeAt(grid, column + 1)];
  }
  const before = source ? store.at(source, p.t - period * 1.05) : null;
  const from = before && p.t - before.t < 2 * period && before.t < p.t ? before.t : p.t - period;
  return [from, p.t];
}

/** Moves `t` outward to a sample bound: down for the left edge, up for the right one. */
export function snapper(chart: Chart, free: () => boolean): (t: MonoUs, up: boolean) => MonoUs {
  return (t, up) => {
    if (free()) return t;
    const [a, b] = bounds(chart, t);
    // A right edge just past a bound means that bound.
    return up ? (t - a < (b - a) * 0.08 ? a : b) : b - t < (b - a) * 0.08 ? b : a;
  };
}

export function listen(chart: Chart): () => void {
  const { el } = chart;
  let drag: Drag | null = null;
  let downX = 0;
  let alt = false;

  const local = (e: PointerEvent) => {
    const r = chart.plotHost.getBoundingClientRect();
    const { box, grid } = chart;
    const px = ((e.clientX - r.left - box.x) / box.w) * grid.n;
    return { column: px, y: e.clientY - r.top, inside: px >= 0 && px < grid.n && e.clientY >= r.top };
  };
  const clampTime = (column: number) => timeAt(chart.grid, Math.max(0, Math.min(chart.grid.n, column)));

  const move = (e: PointerEvent) => {
    alt = e.altKey;
    const p = local(e);
    if (drag) drag.move(clampTime(p.column), Math.abs(e.clientX - downX));
    const row = chart.rowAt(p.y);
    if (row !== chart.row) {
      chart.row = row;
      sched.invalidate();
    }
    if (!p.inside) return drag ? undefined : pointAway();
    const column = Math.floor(p.column);
    pointAt(column, chart.grid.n);
    hover.value = timeAt(chart.grid, column + 0.5);
  };
  const leave = () => {
    chart.row = -1;
    if (!drag) pointAway();
  };
  const down = (e: PointerEvent) => {
    if (e.button !== 0 || (e.target as Element).closest('button, .head')) return;
    const p = local(e);
    if (!p.inside) return;
    downX = e.clientX;
    alt = e.altKey;
    drag = startDrag(
      chart.env.store,
      chart.spec.id,
      clampTime(p.column),
      snapper(chart, () => alt),
    );
    el.setPointerCapture(e.pointerId);
  };
  const up = () => {
    drag?.end();
    drag = null;
  };
  const cancel = () => {
    drag?.cancel();
    drag = null;
  };
  const key = (e: KeyboardEvent) => {
    if (e.key === 'Escape' && drag) {
      cancel();
      e.stopPropagation();
      return;
    }
    if (e.target === el && keys(chart, e)) {
      e.preventDefault();
      e.stopPropagation();
    }
  };

  el.addEventListener('pointermove', move);
  el.addEventListener('pointerleave', leave);
  el.addEventListener('pointerdown', down);
  el.addEventListener('pointerup', up);
  el.addEventListener('pointercancel', cancel);
  el.addEventListener('keydown', key);
  el.addEventListener('blur', () => {
    if (!el.matches(':hover')) hover.value = null;
  });
  return () => cancel();
}

/** Where a range began by Enter. */
let mark: MonoUs | null = null;

/** Keys of a focused chart; true when the key was one of them. */
function keys(chart: Chart, e: KeyboardEvent): boolean {
  if (e.ctrlKey || e.metaKey || e.altKey) return false;
  switch (e.code) {
    case 'ArrowLeft':
    case 'ArrowRight':
      if (selection.peek()) return false;
      step(chart, (e.code === 'ArrowLeft' ? -1 : 1) * (e.shiftKey ? 10 : 1));
      return true;
    case 'Home':
      place(chart, timeAt(chart.grid, 0.5));
      return true;
    case 'End':
      place(chart, Math.min(chart.env.store.newest - 1, timeAt(chart.grid, chart.grid.n - 0.5)));
      return true;
    case 'Enter':
      return enter(chart);
    case 'Escape':
      if (mark === null && hover.peek() === null) return false;
      if (mark === null && selection.peek()) return false;
      mark = null;
      draft.value = null;
      pointAway();
      return true;
    case 'KeyT':
      openTable(chart);
      return true;
    default:
      return false;
  }
}

function step(chart: Chart, samples: number): void {
  const { store } = chart.env;
  const at = hover.peek() ?? Math.min(store.newest - 1, timeAt(chart.grid, chart.grid.n - 0.5));
  const [a, b] = bounds(chart, at);
  place(chart, (a + b) / 2 + samples * (b - a));
}

function place(chart: Chart, t: MonoUs): void {
  const { grid } = chart;
  const at = Math.max(timeAt(grid, 0.5), Math.min(timeAt(grid, grid.n - 0.5), t));
  hover.value = at;
  if (mark !== null) {
    const snap = snapper(chart, () => false);
    draft.value = { from: snap(Math.min(mark, at), false), to: snap(Math.max(mark, at), true) };
  }
  announce(chart, at);
}

/** Starts a range at the line, or ends it. With a range open, Enter means zoom and is not ours. */
function enter(chart: Chart): boolean {
  const at = hover.peek();
  if (mark === null) {
    if (selection.peek() || at === null) return false;
    mark = at;
    origin.value = chart.spec.id;
    place(chart, at);
    return true;
  }
  const d = draft.peek();
  mark = null;
  draft.value = null;
  if (d) select(chart.env.store, d);
  return true;
}
