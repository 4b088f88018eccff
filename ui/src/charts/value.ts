// The value that is shown now: under the line, the maximum of the range, or the newest.
import { fixed, hover, selection } from '../state/view';
import type { Source, Store } from '../store/api';
import { draft } from './cursor';

export interface Shown {
  readonly v: number;
  readonly t: number;
}

/** null: there is no value there. `edge`: the newest of the view, whatever the line and the range. */
export function shownValue(store: Store, source: Source, edge = false): Shown | null {
  const at = edge ? null : hover.peek();
  if (at !== null) {
    const p = store.at(source, at);
    return p ? { v: p.hi, t: p.t } : null;
  }
  const range = edge ? null : (draft.peek() ?? selection.peek());
  if (range) {
    const s = store.stats(source, range.from, range.to);
    return s ? { v: s.max, t: range.to } : null;
  }
  const view = fixed.peek();
  if (view) {
    // The middle of the last tick: a view ends with one, and a read comes a little after it. Slower groups
    // are asked for the read before.
    const tick = 1e6 / (store.host?.rateHz || 10);
    const end = Math.min(view.to, store.newest) - tick / 2;
    const p = store.at(source, end) ?? store.at(source, end - 600_000);
    return p ? { v: p.v, t: p.t } : null;
  }
  return store.latest(source);
}
