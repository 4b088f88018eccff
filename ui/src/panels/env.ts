// What panels may ask of the page: the store, and which disk and interface are the worst of late.
import type { Source, Store } from '../store/api';
import { store } from '../store/store';
import { one, sum } from '../transform/source';
import type { Env } from './types';

const SECOND = 1_000_000;
/** An instance takes another's place only when it is this much busier, and at most once in two seconds. */
const MARGIN = 1.5;
const PATIENCE_MS = 2000;

/** Ranks instances by how busy they were in the last seconds, worst first, without dancing. */
export class Ranking {
  private order: string[] = [];
  private ranked = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly names: (store: Store) => string[],
    private readonly load: (name: string) => Source,
  ) {}

  get(s: Store, rank: number, nowMs: number): string | undefined {
    const names = this.names(s);
    const kept = this.order.filter((n) => names.includes(n));
    const came = names.length !== this.order.length || kept.length !== names.length;
    if (came || nowMs - this.ranked >= PATIENCE_MS) {
      this.ranked = nowMs;
      const score = new Map(names.map((n) => [n, this.score(s, n)]));
      this.order = reorder(kept, names, (n) => score.get(n) ?? 0);
    }
    return this.order[rank];
  }

  private score(s: Store, name: string): number {
    const to = s.newest;
    if (!to) return 0;
    return s.stats(this.load(name), to - 5 * SECOND, to)?.max ?? 0;
  }
}

/** `names` worst first; neighbours of `old` swap only where one is clearly worse. */
export function reorder(
  old: readonly string[],
  names: readonly string[],
  score: (n: string) => number,
): string[] {
  const fresh = names.filter((n) => !old.includes(n)).sort((a, b) => score(b) - score(a));
  const out = [...old, ...fresh];
  for (let pass = 0; pass < out.length; pass++) {
    for (let i = 1; i < out.length; i++) {
      const a = out[i - 1] as string;
      const b = out[i] as string;
      const margin = old.includes(a) && old.includes(b) ? MARGIN : 1;
      if (score(b) > score(a) * margin) [out[i - 1], out[i]] = [b, a];
    }
  }
  return out;
}

/** Whole disks: what is made of others (loop, ram, zram, device mapper) only when there is nothing else. */
export function wholeDisks(names: readonly string[]): string[] {
  const real = names.filter((n) => !/^(loop|ram|zram|dm-|md|sr|fd)\d/.test(n));
  return real.length ? real : [...names];
}

/** Interfaces with the outside first; loopback only when there is nothing else. */
export function outsideFirst(names: readonly string[]): string[] {
  const real = names.filter((n) => n !== 'lo');
  return real.length ? real : [...names];
}

const disks = new Ranking(
  (s) => wholeDisks(s.instances('disk.dev.avactive').map((i) => i.name)),
  (n) => one('ratio', 'disk.dev.avactive', n),
);
const ifaces = new Ranking(
  (s) => outsideFirst(s.instances('network.interface.in.bytes').map((i) => i.name)),
  (n) => sum('bytes/s', ['network.interface.in.bytes', 'network.interface.out.bytes'], n),
);

export const env: Env = {
  store,
  disk: (rank) => disks.get(store, rank, performance.now()),
  iface: (rank) => ifaces.get(store, rank, performance.now()),
};
