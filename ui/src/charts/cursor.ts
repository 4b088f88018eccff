// The pointer over all charts: where the line is, and the range being dragged. State shared by every chart.
import { effect, signal } from '@preact/signals';
import {
  baseline,
  clearSelection,
  fixed,
  goLive,
  hidden,
  hover,
  pause,
  select,
  selection,
  windowUs,
} from '../state/view';
import type { MonoUs, Store, View } from '../store/api';
import { sched } from './sched';
import { gridNow, timeAt } from './view';

/** The range under the mouse or between Enter and Enter; not yet selected. */
export const draft = signal<View | null>(null);
/** Panel in which the range was made: it carries the duration. */
export const origin = signal('');

let pointer: { column: number; n: number } | null = null;

/** The line stays under a resting pointer while the data move. */
export function pointAt(column: number, n: number): void {
  pointer = { column, n };
}

export function pointAway(): void {
  pointer = null;
  hover.value = null;
}

/** Before each frame: the line's time follows the pointer. */
export function followPointer(store: Store): void {
  if (!pointer) return;
  hover.value = timeAt(gridNow(store, pointer.n), pointer.column + 0.5);
}

export interface Drag {
  move(t: MonoUs, px: number): void;
  end(): void;
  cancel(): void;
}

const LEAST_US = 20_000;

/** A drag that began at `t0`: nothing happens below 2 px and 20 ms; then the axis stands still. */
export function startDrag(
  store: Store,
  id: string,
  t0: MonoUs,
  snap: (t: MonoUs, up: boolean) => MonoUs,
): Drag {
  let began = false;
  const wasLive = fixed.peek() === null;
  return {
    move(t, px) {
      if (!began && (px < 2 || Math.abs(t - t0) < LEAST_US)) return;
      if (!began) {
        began = true;
        clearSelection();
        pause(store);
        origin.value = id;
      }
      draft.value = { from: snap(Math.min(t0, t), false), to: snap(Math.max(t0, t), true) };
    },
    end() {
      const d = draft.peek();
      draft.value = null;
      if (began && d) select(store, d);
    },
    cancel() {
      draft.value = null;
      if (began && wasLive) goLive();
    },
  };
}

/** Everything the reader does is drawn on the next frame. */
export function watchReader(): () => void {
  return effect(() => {
    void [hover.value, draft.value, selection.value, fixed.value, windowUs.value, hidden.value];
    void baseline.value;
    sched.invalidate();
  });
}
