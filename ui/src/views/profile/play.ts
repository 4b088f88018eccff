// Stepping and playing the ranges over the map.
import { signal } from '@preact/signals';
import { fixed, moreRanges, SECOND, selection } from '../../state/view';
import type { View } from '../../store/api';
import { store } from '../../store/store';

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
