// The points in time at which a frame has samples: the reads of its groups, merged.
import type { MonoUs, View } from './api';
import { rowInForce } from './eval';
import type { GroupData } from './group';

export class Axis {
  /** Valid up to the length that fill() returned. */
  t = new Float64Array(4096);
  /** 1: some group's row there follows a gap. */
  cut = new Uint8Array(4096);
  private readonly rows = new WeakMap<GroupData, Int32Array>();

  /** Times of the reads of all groups within the view (and one before it), merged. */
  fill(groups: readonly GroupData[], view: View, ringFrom: MonoUs, period: number): number {
    const from = Math.max(view.from - period, Number.isFinite(ringFrom) ? ringFrom : view.from - period);
    let n = 0;
    if (ringFrom === Number.POSITIVE_INFINITY) return 0;
    const ptr = groups.map((g) => Math.max(g.first, g.rowAt(from - 1) + 1));
    const end = groups.map((g) => g.rowAt(view.to) + 1);
    const single = groups.length === 1;
    for (;;) {
      let t = Number.POSITIVE_INFINITY;
      for (let i = 0; i < groups.length; i++) {
        const g = groups[i]!;
        if (ptr[i]! < end[i]!) {
          const r = ptr[i]! % g.cap;
          t = Math.min(t, single ? g.readUs[r]! : g.tickUs[r]!);
        }
      }
      if (t === Number.POSITIVE_INFINITY) return n;
      let cut = 0;
      for (let i = 0; i < groups.length; i++) {
        const g = groups[i]!;
        while (ptr[i]! < end[i]! && (single ? g.readUs[ptr[i]! % g.cap]! : g.tickUs[ptr[i]! % g.cap]!) <= t) {
          cut |= g.cut[ptr[i]! % g.cap]!;
          ptr[i]!++;
        }
      }
      if (n === this.t.length) {
        const a = new Float64Array(n * 2);
        a.set(this.t);
        this.t = a;
        const c = new Uint8Array(n * 2);
        c.set(this.cut);
        this.cut = c;
      }
      this.cut[n] = cut;
      this.t[n++] = t;
    }
  }

  /** For each point of the axis the row of a group in force there, or -1. */
  rowsOf(g: GroupData, single: boolean, n: number): Int32Array {
    let rows = this.rows.get(g);
    if (!rows || rows.length < n) {
      rows = new Int32Array(Math.max(1024, n * 2));
      this.rows.set(g, rows);
    }
    if (n === 0) return rows;
    let r = Math.max(g.first - 1, g.rowAt(this.t[0]! - 1));
    const at = single ? g.readUs : g.tickUs;
    for (let k = 0; k < n; k++) {
      const t = this.t[k]!;
      while (r + 1 < g.rows && at[(r + 1) % g.cap]! <= t) r++;
      rows[k] = single ? r : rowInForce(g, t, r);
    }
    return rows;
  }
}
