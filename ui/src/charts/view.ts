// Where time lies on the charts: a grid of whole pixel columns, the same for every chart of one width, that
// moves by whole columns only.
import { fixed, viewNow } from '../state/view';
import type { MonoUs, Store } from '../store/api';
import type { Grid } from './columns';

let anchor = 0;

/** The columns of a plot `n` pixels wide now. A sample keeps its column for as long as it is on screen. */
export function gridNow(store: Store, n: number): Grid {
  if (!anchor && store.newest) anchor = store.newest;
  const view = viewNow(store);
  return gridOf(view.from, view.to, n, anchor);
}

/** The grid whose last column holds `to`, its edges whole columns away from `anchor`. */
export function gridOf(from: MonoUs, to: MonoUs, n: number, anchor: MonoUs): Grid {
  const dt = Math.max(1, (to - from) / n);
  const end = Math.ceil((to - anchor) / dt - 0.05);
  return { t0: anchor + (end - n) * dt, dt, n };
}

export const timeAt = (g: Grid, x: number): MonoUs => g.t0 + x * g.dt;
export const xOf = (g: Grid, t: MonoUs): number => (t - g.t0) / g.dt;
export const spanOf = (g: Grid): number => g.n * g.dt;

/** Whether `b` shows another stretch than `a`, not one that moved on. */
export const elsewhere = (a: Grid, b: Grid): boolean =>
  Math.abs(a.dt / b.dt - 1) > 0.01 || Math.abs(a.t0 - b.t0) > spanOf(b) / 2;

/** Whether the page's time stands still. */
export const still = () => fixed.peek() !== null;
