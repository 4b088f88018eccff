// The data behind a sub-second map: which columns are shown, what of them is missing, and asking for it, the
// newest twice a second while the page is live.

import { store } from '../../store/store';
import { Cells } from '../../transform/cells';
import { askHeat, type Filter, type HeatRows } from '../../transform/profiler';

export const OFFSETS = 50;
/** Rows asked for of processes and the like; fewer are shown. */
const LABELLED = 64;
const CACHES = 6;
const AT_ONCE = 2;
const RETRY_MS = 1500;
/** What has not ended is asked for again so often. */
const AGAIN_MS = 450;

export interface HeatWant {
  readonly columnUs: number;
  readonly by: HeatRows;
  readonly filter: Filter;
  readonly pattern: string;
}

const keyOf = (w: HeatWant) => JSON.stringify([w.columnUs, w.by, w.filter, w.pattern]);

const anchors = new Map<number, number>();

/** A boundary of columns of that length: whole seconds, minutes of the wall clock. */
export function anchorOf(columnUs: number): number {
  const wall = store.clock.wallMs(store.clock.now()) * 1000;
  const fresh = Math.round(store.clock.mono((Math.floor(wall / columnUs) * columnUs) / 1000));
  const kept = anchors.get(columnUs);
  // A clock that is being slewed does not move the columns; one that was set does.
  if (kept !== undefined) {
    const off = Math.abs(fresh - kept) % columnUs;
    if (Math.min(off, columnUs - off) < 20_000) return kept;
  }
  anchors.set(columnUs, fresh);
  return fresh;
}

export class HeatFeed {
  private readonly caches = new Map<string, Cells>();
  private flying = 0;
  private waitMs = 0;
  private againMs = 0;
  private over = false;
  private refused = { key: '', why: '' };

  constructor(private readonly changed: () => void) {}

  stop(): void {
    this.over = true;
  }

  cells(w: HeatWant): Cells {
    const anchor = anchorOf(w.columnUs);
    const key = JSON.stringify([w.columnUs, anchor, w.by, w.filter, w.pattern]);
    let c = this.caches.get(key);
    if (c) this.caches.delete(key);
    else c = new Cells(w.columnUs, anchor, w.by === 'offset' ? OFFSETS : 0);
    this.caches.set(key, c);
    if (this.caches.size > CACHES) this.caches.delete(this.caches.keys().next().value!);
    return c;
  }

  /** What the agent said against this question last, or that it cannot. */
  why(w: HeatWant): string {
    return this.refused.key === keyOf(w) ? this.refused.why : '';
  }

  /** Asks for what is missing in [first, last]. */
  want(w: HeatWant, first: number, last: number): void {
    const cells = this.cells(w);
    const now = performance.now();
    if (this.flying >= AT_ONCE || now < this.waitMs || !store.host) return;
    const end = Math.min(last, cells.columnAt(store.clock.now()));
    const again = now >= this.againMs;
    const runs = cells.missing(first, end, again);
    if (again) this.againMs = now + AGAIN_MS;
    for (const [from, n] of runs.slice(0, AT_ONCE - this.flying)) void this.ask(w, cells, from, n);
  }

  private async ask(w: HeatWant, cells: Cells, from: number, n: number): Promise<void> {
    this.flying++;
    const asked = store.clock.now();
    const { value, why } = await askHeat({
      from: cells.startOf(from),
      columnUs: w.columnUs,
      nColumns: n,
      by: w.by,
      nRows: w.by === 'offset' ? OFFSETS : LABELLED,
      filter: w.filter,
      pattern: w.pattern,
    });
    this.flying--;
    if (this.over) return;
    if (value) cells.add(value, asked, w.pattern !== '');
    else this.waitMs = performance.now() + RETRY_MS;
    this.refused = { key: keyOf(w), why: value ? '' : (why?.text ?? '') };
    this.changed();
  }
}
