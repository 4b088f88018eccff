// The flame graph of the ranges: asked for when they, the baseline or the filter change, and every few seconds
// of a window that moves. The picture stays until the next one is there.
import { signal } from '@preact/signals';
import type { View } from '../../store/api';
import { store } from '../../store/store';
import { askFlame, type FlameAnswer, type FlameAsk } from '../../transform/profiler';

export interface FlameState {
  readonly answer: FlameAnswer | null;
  readonly loading: boolean;
  /** Why there is none. */
  readonly why: string;
  /** Milliseconds from the question to the answer. */
  readonly ms: number;
}

export const NONE: FlameState = { answer: null, loading: false, why: '', ms: 0 };

const RETRIES = 4;

/** One follower of a question that changes: the last one asked wins. */
export class FlameFeed {
  readonly state = signal<FlameState>(NONE);
  private n = 0;
  private key = '';

  /** Asks unless the same was asked last. */
  ask(a: FlameAsk | null, again = false): void {
    const key = JSON.stringify(a);
    if (key === this.key && !again) return;
    this.key = key;
    this.n++;
    if (!a) {
      this.state.value = NONE;
      return;
    }
    void this.run(a, this.n, 0);
  }

  private async run(a: FlameAsk, n: number, tries: number): Promise<void> {
    const began = performance.now();
    this.state.value = { ...this.state.peek(), loading: true };
    const { value, why } = await askFlame(a);
    if (n !== this.n) return;
    if (value) {
      this.state.value = { answer: value, loading: false, why: '', ms: performance.now() - began };
      return;
    }
    if (!why && tries < RETRIES) {
      setTimeout(() => n === this.n && void this.run(a, n, tries + 1), 500);
      return;
    }
    this.state.value = { ...this.state.peek(), loading: false, why: why?.text ?? 'No answer.' };
  }

  stop(): void {
    this.n++;
    this.key = '';
  }
}

const SECOND = 1_000_000;

/** What ranges are compared with when nobody chose: the stretch before, long enough to mean something. */
export function stretchBefore(ranges: readonly View[], oldest: number): View | null {
  const from = Math.min(...ranges.map((r) => r.from));
  const length = ranges.reduce((s, r) => s + r.to - r.from, 0);
  const wanted = length >= 10 * SECOND ? length : Math.max(3 * SECOND, Math.min(10 * length, 10 * SECOND));
  const begin = Math.max(from - wanted, oldest);
  return from - begin >= Math.min(wanted / 4, SECOND) ? { from: begin, to: from } : null;
}

/** Ranges within what can be asked for. */
export function held(ranges: readonly View[]): View[] {
  const now = store.clock.now();
  return ranges.map((r) => ({ from: r.from, to: Math.min(r.to, now) })).filter((r) => r.to > r.from);
}
