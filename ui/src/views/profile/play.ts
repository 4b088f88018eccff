// Stepping and playing the ranges over the map.
import { signal } from '@preact/signals';
import { fixed, moreRanges, pause, SECOND, selection } from '../../state/view';
import type { View } from '../../store/api';
import { store } from '../../store/store';
import type { Geometry } from '../../transform/scope';

export const playing = signal(false);

const by = (v: View, us: number): View => ({ from: v.from + us, to: v.to + us });

/** All ranges move by the whole stretch they span; false at the end of what is held. */
export function stepRange(sign: 1 | -1): boolean {
  const s = selection.peek();
  if (!s) return false;
  const all = [s, ...moreRanges.peek()];
  const from = Math.min(...all.map((r) => r.from));
  const to = Math.max(...all.map((r) => r.to));
  const us = sign * (to - from);
  if (from + us < store.heldFrom || to + us > store.clock.now()) return false;
  selection.value = by(s, us);
  moreRanges.value = all.slice(1).map((r) => by(r, us));
  // The map goes along.
  const f = fixed.peek();
  if (f && (to + us > f.to || from + us < f.from)) fixed.value = by(f, us);
  return true;
}

/** As fast as time goes by, but no faster than can be seen. */
const everyMs = (): number => {
  const s = selection.peek();
  return Math.max(400, Math.min(2000, s ? (s.to - s.from) / (SECOND / 1000) : 1000));
};

/** Stops the page where the map was painted last, so that no cell moves under the pointer. True: it was live. */
export function standStill(g: Geometry | null): boolean {
  if (fixed.peek()) return false;
  pause(store);
  const f = fixed.peek() as View | null;
  if (g && f) {
    const to = Math.min(f.to, g.anchorUs + (g.first + g.n) * g.columnUs);
    fixed.value = { from: to - (f.to - f.from), to };
  }
  return true;
}

export function play(): void {
  playing.value = !playing.peek();
  const go = () => {
    if (!playing.peek()) return;
    if (!stepRange(1)) {
      playing.value = false;
      return;
    }
    setTimeout(go, everyMs());
  };
  if (playing.peek()) setTimeout(go, everyMs());
}
