// What the parts of a frame share while it is built.
import type { Column, Gap, MonoUs, Source, View } from './api';
import type { Catalog } from './catalog';
import type { Input } from './eval';
import type { GroupData } from './group';
import type { RangeCache } from './ranges';
import { GAP_PERIODS } from './ring';

export interface FrameSource {
  readonly catalog: Catalog;
  readonly ranges: RangeCache;
  readonly tickUs: number;
  readonly newest: MonoUs;
  readonly heldFrom: MonoUs;
  /** Before it only rollups are held. */
  readonly fullFrom: MonoUs;
  /** The view moves with now: its edge need not be complete. */
  readonly live: boolean;
  data(group: number): GroupData | null;
  /** A subscription under way will bring this group's history from this time on; Infinity: none will. */
  awaited(d: GroupData | null): MonoUs;
  /** What is known of the stretch between two reads. */
  gapReason(from: MonoUs, to: MonoUs): Pick<Gap, 'reason' | 'text'>;
  before(view: View): Gap | null;
}

export class Buf implements Column {
  v: Float64Array;
  lo: Float64Array;
  hi: Float64Array;
  cut: Uint8Array;
  constructor(readonly cap: number) {
    this.v = new Float64Array(cap);
    this.lo = new Float64Array(cap);
    this.hi = new Float64Array(cap);
    this.cut = new Uint8Array(cap);
  }
}

export interface Scratch {
  t: Float64Array;
  cols: Buf[];
}

export interface Parts {
  st: FrameSource;
  sources: readonly Source[];
  inputs: readonly (Input | null)[][];
  view: View;
  step: number;
  period: number;
  out: Scratch;
  gaps: Gap[];
  loading: { on: boolean };
  /** Per group the row in force at each point of the axis. */
  rows: ReadonlyMap<GroupData, Int32Array>;
  /** Some rows are coarse: lo and hi differ from v. */
  banded: boolean;
}

/** Columns without a read between two that have one, close enough to be no gap: the read holds. */
export function bridge(c: Buf, from: number, to: number, step: number, period: number): void {
  const max = Math.floor((period * GAP_PERIODS) / step);
  let last = -1;
  for (let i = from; i < to; i++) {
    if (Number.isNaN(c.v[i]!)) {
      c.lo[i] = c.hi[i] = Number.NaN;
      continue;
    }
    if (last >= 0 && i - last > 1 && i - last - 1 <= max && !c.cut[i])
      for (let k = last + 1; k < i; k++) c.v[k] = c.lo[k] = c.hi[k] = c.v[last]!;
    last = i;
  }
}
