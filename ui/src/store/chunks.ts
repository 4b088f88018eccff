// Columns of history that were fetched, by series, step and chunk. Bounded: what was not looked at for
// longest goes first, what is on screen stays.
import type { MonoUs, SeriesRef } from './api';

export const CHUNK = 64; // columns
const MAX_CHUNKS = 6000;
/** What was looked at so lately is on screen. */
const IN_USE_MS = 3000;

export type RangeField = 'v' | 'lo' | 'hi';

export class Chunk {
  readonly n = new Float64Array(CHUNK);
  readonly v = new Float64Array(CHUNK).fill(Number.NaN);
  readonly lo = new Float64Array(CHUNK).fill(Number.NaN);
  readonly hi = new Float64Array(CHUNK).fill(Number.NaN);
  /** Good up to here; -Infinity: nothing came yet. */
  upTo: MonoUs = Number.NEGATIVE_INFINITY;
  /** Asked for and not answered. */
  busy = false;
  used = 0;

  get known(): boolean {
    return this.upTo > Number.NEGATIVE_INFINITY;
  }
}

export const seriesKey = (r: SeriesRef) => `${r.metric}\u0000${r.instance ?? ''}`;

export class ChunkStore {
  private readonly series = new Map<string, Map<number, Map<number, Chunk>>>();
  private count = 0;

  constructor(private readonly nowMs: () => number = Date.now) {}

  get size(): number {
    return this.count;
  }

  clear(): void {
    this.series.clear();
    this.count = 0;
  }

  get(key: string, step: number, chunk: number): Chunk | undefined {
    return this.series.get(key)?.get(step)?.get(chunk);
  }

  ensure(key: string, step: number, chunk: number): Chunk {
    let steps = this.series.get(key);
    if (!steps) {
      steps = new Map();
      this.series.set(key, steps);
    }
    let chunks = steps.get(step);
    if (!chunks) {
      chunks = new Map();
      steps.set(step, chunks);
    }
    let c = chunks.get(chunk);
    if (!c) {
      c = new Chunk();
      c.used = this.nowMs();
      chunks.set(chunk, c);
      this.count++;
    }
    return c;
  }

  touch(c: Chunk): void {
    c.used = this.nowMs();
  }

  /** The value of the narrowest cached column that holds t, or lies a little before it; NaN: none. */
  at(key: string, t: MonoUs, field: RangeField): number {
    const steps = this.series.get(key);
    if (!steps) return Number.NaN;
    for (const step of [...steps.keys()].sort((a, b) => a - b)) {
      const col = Math.floor(t / step);
      const chunk = Math.floor(col / CHUNK);
      const c = steps.get(step)?.get(chunk);
      // Samples are asked for finer than they come: look back a few columns.
      for (let j = col - chunk * CHUNK, k = 0; c && j >= 0 && k < 10; j--, k++)
        if (c.n[j]! > 0) return c[field][j]!;
    }
    return Number.NaN;
  }

  /** What other steps know of a chunk that is still to come: for the moments until it is there. */
  guess(key: string, step: number, chunk: number): Chunk | null {
    const steps = this.series.get(key);
    if (!steps || steps.size === 0) return null;
    const off = (s: number) => Math.abs(Math.log(s / step)) + (s < step ? 1 : 0);
    const near = [...steps.keys()].filter((s) => s !== step).sort((a, b) => off(a) - off(b));
    const out = new Chunk();
    let any = false;
    for (let j = 0; j < CHUNK; j++) {
      const t = (chunk * CHUNK + j + 0.5) * step;
      for (const s of near.slice(0, 3)) {
        const col = Math.floor(t / s);
        const at = Math.floor(col / CHUNK);
        const c = steps.get(s)?.get(at);
        const k = col - at * CHUNK;
        if (!c?.n[k]) continue;
        out.n[j] = 1;
        out.v[j] = c.v[k]!;
        out.lo[j] = c.lo[k]!;
        out.hi[j] = c.hi[k]!;
        any = true;
        break;
      }
    }
    return any ? out : null;
  }

  /** Forgets the least lately used quarter when there are too many. */
  evict(most = MAX_CHUNKS): void {
    if (this.count <= most) return;
    const since = this.nowMs() - IN_USE_MS;
    const all: { key: string; step: number; chunk: number; used: number }[] = [];
    for (const [key, steps] of this.series)
      for (const [step, chunks] of steps)
        for (const [chunk, c] of chunks)
          if (c.used < since && !c.busy) all.push({ key, step, chunk, used: c.used });
    all.sort((a, b) => a.used - b.used);
    for (const e of all.slice(0, this.count - Math.floor(most * 0.75))) this.drop(e);
  }

  private drop(e: { key: string; step: number; chunk: number }): void {
    const steps = this.series.get(e.key);
    const chunks = steps?.get(e.step);
    if (!chunks?.delete(e.chunk)) return;
    this.count--;
    if (chunks.size === 0) steps?.delete(e.step);
    if (steps?.size === 0) this.series.delete(e.key);
  }
}
