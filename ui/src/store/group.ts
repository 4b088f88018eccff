// One group's live state and its ring of raw rows. A row is one read of the group (or, at a coarser
// level, an interval of reads with their lo and hi).
//
// Invariants
//  - Columns hold stored units: levels as they are, counters as rates per second. NaN: no value.
//  - A counter has no rate in a cut row, in the first row of its instance, or over a reset.
//  - cur and present are what the wire says now, whether or not the row was new to the ring.
import type { GroupTick, StartedInstance } from '../transport/decode';
import type { GroupMeta } from './catalog';
import { Column, type Field, GONE } from './column';
import { type Inst, Instances } from './instances';
import { GAP_PERIODS, Ring } from './ring';

/** Those that ended are kept so long where there are very many. */
const SHORT_US = 75_000_000;

interface RowCtx {
  readonly row: number;
  readonly isNew: boolean;
  readonly joined: boolean;
  readonly span: number;
  readonly g: GroupTick;
}

export class GroupData extends Ring {
  periodUs: number;
  /** A better-filled successor of this ring is being loaded behind it. */
  shadow: GroupData | null = null;
  readonly insts: Instances;
  private cur = new Float64Array(0);
  private present = new Uint8Array(0);
  private pendingCut = true;
  private lastRead = -1; // time of the newest read applied, pushed or not
  /** Instances whose first row is still to come. */
  private fresh = new Set<Inst>();
  /** Levels whose newest entry is a coarse row's mean: the next row tells the value. */
  private unsettled: { inst: Inst; metric: number }[] = [];

  constructor(
    readonly meta: GroupMeta,
    cap: number,
    readonly tickPeriodUs: number,
  ) {
    super(cap);
    this.insts = new Instances(meta);
    this.periodUs = meta.periodUs;
  }

  /** The last raw value of a metric of a live instance (not a rate); NaN: absent. */
  raw(inst: Inst, metric: number): number {
    const i = inst.slot * this.meta.metrics.length + metric;
    return inst.endUs === null && this.present[i] ? this.cur[i]! : Number.NaN;
  }

  /** Stored-unit value of a metric at a held row; NaN: none. */
  value(inst: Inst, metric: number, row: number, field: Field = 'v'): number {
    if (row < inst.startRow || row >= inst.endRow) return Number.NaN;
    const col = inst.cols[metric];
    if (!this.meta.metrics[metric]!.counter) return col ? col.at(row, field) : Number.NaN;
    if (this.cut[row % this.cap] === 1 || row === inst.startRow) return Number.NaN;
    return col ? col.at(row, field) : 0;
  }

  /** The next row follows a gap. */
  breakLine(): void {
    this.pendingCut = true;
    this.shadow?.breakLine();
  }

  setAttr(slot: number, gen: number, key: number, value: string): void {
    const inst = this.insts.get(slot, gen);
    const name = this.meta.attrKeys[key];
    if (inst && name) inst.attrs[name] = value;
    this.shadow?.setAttr(slot, gen, key, value);
  }

  /** Applies a GroupTick of a subscription at `level`. True: this object is to be replaced by its shadow,
   *  now complete. */
  apply(g: GroupTick, monoUs: number, level = 1): boolean {
    const at = monoUs + g.offUs;
    if (g.reset && this.rows > this.first && at < this.newestUs - 1) {
      // History comes again: keep what we hold, unless it reaches further back or is finer.
      const finer = this.coarse[(this.rows - 1) % this.cap]! > level;
      if (finer || at < this.firstUs - this.tickPeriodUs * GAP_PERIODS) {
        this.shadow = new GroupData(this.meta, this.cap, this.tickPeriodUs);
        this.shadow.periodUs = this.periodUs;
      } else this.shadow = null;
    } else if (g.reset) this.shadow = null;
    if (this.shadow) {
      this.shadow.applyHere(g, monoUs);
      return this.shadow.newestUs >= this.newestUs;
    }
    this.applyHere(g, monoUs);
    return false;
  }

  private applyHere(g: GroupTick, monoUs: number): void {
    if (g.periodMs >= 0) {
      this.periodUs = g.periodMs * 1000;
      this.meta.periodUs = this.periodUs;
      if (g.periodMs === 0) this.pendingCut = true;
      if (g.periodMs === 0 && !g.reset) return;
    }
    const at = monoUs + g.offUs;
    // A reset row of a group that was never read, or is not read now, has instances and no values.
    const unread = g.reset && ((at === 0 && monoUs > 0) || g.periodMs === 0);
    const isNew = !unread && (this.rows === this.first || at > this.newestUs + 1);
    const before = g.reset ? this.forgetState() : null;
    // The rate of the row after a replayed one needs the very row before it.
    if (g.reset && !isNew) this.lastRead = at;
    const row = this.rows;
    for (const slot of g.ends) this.end(slot, at);
    for (const s of g.starts) this.start(s, row, before && before.insts.length === 0 ? 0 : at);
    for (const inst of before?.insts ?? [])
      if (inst && this.insts.bySlot[inst.slot] !== inst && inst.endUs === null) this.insts.end(inst, row, at);
    const ctx = this.begin(g, at, monoUs, isNew);
    this.applyAbsent(ctx);
    if (before) this.applyReset(ctx, before);
    else this.applyChanges(ctx);
    this.lastRead = unread ? -1 : at;
    if (!isNew) return;
    this.pendingCut = false;
    this.beginFresh(ctx);
    if ((this.rows & 63) === 0) this.insts.forget(this.first, at - SHORT_US);
  }

  /** Pushes the row, if it is one: does it continue the one before? */
  private begin(g: GroupTick, at: number, monoUs: number, isNew: boolean): RowCtx {
    const every = Math.max(this.periodUs, this.tickPeriodUs);
    const span = g.n > 1 && g.spanUs > 0 ? g.spanUs : at - this.lastRead;
    const hole = at - this.lastRead - (g.n > 1 ? g.spanUs : every) > every * (GAP_PERIODS - 1);
    const joined = this.lastRead >= 0 && !this.pendingCut && !hole && span > 0;
    const row = this.rows;
    if (isNew) {
      this.push(at, monoUs, joined ? span : 0, Math.min(255, g.n));
      for (const { inst, metric } of this.unsettled.splice(0)) {
        const now = this.raw(inst, metric);
        if (inst.endUs === null) inst.cols[metric]?.put(row, now, this.first);
      }
    }
    return { row, isNew, joined, span, g };
  }

  private forgetState() {
    const state = { cur: this.cur.slice(), present: this.present.slice(), insts: this.insts.bySlot.slice() };
    this.cur.fill(0);
    this.present.fill(0);
    this.insts.bySlot.fill(undefined);
    return state;
  }

  private reserve(slot: number): void {
    const need = (slot + 1) * this.meta.metrics.length;
    if (need <= this.cur.length) return;
    const n = Math.max(need, this.cur.length * 2);
    const c = new Float64Array(n);
    c.set(this.cur);
    this.cur = c;
    const p = new Uint8Array(n);
    p.set(this.present);
    this.present = p;
  }

  private start(s: StartedInstance, row: number, us: number): void {
    this.reserve(s.slot);
    const nm = this.meta.metrics.length;
    this.cur.fill(0, s.slot * nm, (s.slot + 1) * nm);
    this.present.fill(1, s.slot * nm, (s.slot + 1) * nm);
    const { inst, isNew } = this.insts.start(s, row, us);
    if (isNew) this.fresh.add(inst);
  }

  private end(slot: number, us: number): void {
    const inst = this.insts.bySlot[slot];
    if (!inst) return;
    this.insts.end(inst, this.rows, us);
    this.fresh.delete(inst);
    this.present.fill(0, slot * this.meta.metrics.length, (slot + 1) * this.meta.metrics.length);
  }

  private column(inst: Inst, metric: number): Column {
    let col = inst.cols[metric];
    if (!col) col = inst.cols[metric] = new Column(this.meta.metrics[metric]!.counter);
    return col;
  }

  private applyAbsent(c: RowCtx): void {
    const nm = this.meta.metrics.length;
    let idx = -1;
    for (let k = 0; k < c.g.nAbsent; k++) {
      idx += c.g.absent[k]! + 1;
      const slot = Math.floor(idx / nm);
      this.reserve(slot);
      this.cur[idx] = 0;
      this.present[idx] = 0;
      const inst = this.insts.bySlot[slot];
      if (inst && c.isNew) this.column(inst, idx % nm).put(c.row, GONE, this.first);
    }
  }

  private applyChanges(c: RowCtx): void {
    const nm = this.meta.metrics.length;
    const { g } = c;
    let idx = -1;
    for (let k = 0; k < g.nGap; k++) {
      idx += g.gap[k]! + 1;
      const slot = Math.floor(idx / nm);
      const inst = this.insts.bySlot[slot];
      if (!inst || idx >= this.cur.length) continue;
      const was = this.present[idx] === 1 && c.row > inst.startRow;
      this.cur[idx] = this.cur[idx]! + g.delta[k]!;
      this.present[idx] = 1;
      if (!c.isNew) continue;
      const m = idx - slot * nm;
      if (this.meta.metrics[m]!.counter) this.rate(c, inst, m, was ? g.delta[k]! : Number.NaN, k);
      else this.level(c, inst, m, this.cur[idx]!, k);
    }
  }

  /** After a reset row all values are absolute: compare them with what we knew. */
  private applyReset(c: RowCtx, before: { cur: Float64Array; present: Uint8Array }): void {
    const nm = this.meta.metrics.length;
    const { g } = c;
    let idx = -1;
    for (let k = 0; k < g.nGap; k++) {
      idx += g.gap[k]! + 1;
      if (idx >= this.cur.length) continue;
      this.cur[idx] = this.cur[idx]! + g.delta[k]!;
      this.present[idx] = 1;
    }
    if (!c.isNew) return;
    for (const inst of this.insts.bySlot) {
      if (!inst) continue;
      for (let m = 0; m < nm; m++) {
        const i = inst.slot * nm + m;
        if (!this.present[i]) continue;
        if (!this.meta.metrics[m]!.counter) this.level(c, inst, m, this.cur[i]!, -1);
        else if (c.row > inst.startRow)
          this.rate(c, inst, m, before.present[i] ? this.cur[i]! - before.cur[i]! : Number.NaN, -1);
      }
    }
  }

  /** delta NaN: nothing to compare with. Entry k of the message has its bounds, in thousandths. */
  private rate(c: RowCtx, inst: Inst, m: number, delta: number, k: number): void {
    const { g } = c;
    const bounds = k >= 0 && k < g.nLo && k < g.nHi;
    if (this.cut[c.row % this.cap] === 1 || c.row === inst.startRow) {
      // No rate here anyway; but what was not readable is again.
      if (inst.cols[m]) inst.cols[m]!.put(c.row, Number.NaN, this.first);
      return;
    }
    // hi < lo says that no rate is known. A fall is a reset.
    const unknown = !(delta >= 0) || (bounds && g.hi[k]! < g.lo[k]!);
    const v = unknown ? Number.NaN : (delta / c.span) * 1e6;
    if (v === 0 && !bounds && !inst.cols[m]) return;
    if (unknown || !bounds) this.column(inst, m).put(c.row, v, this.first);
    else
      this.column(inst, m).put(
        c.row,
        v,
        this.first,
        Math.min(g.lo[k]! / 1000, v),
        Math.max(g.hi[k]! / 1000, v),
      );
  }

  private level(c: RowCtx, inst: Inst, m: number, now: number, k: number): void {
    const { g } = c;
    const col = this.column(inst, m);
    if (k >= 0 && k < g.nLo && k < g.nHi && k < g.nSum && g.n > 1) {
      const mean = g.sum[k]! / g.n;
      col.put(c.row, mean, this.first, Math.min(g.lo[k]!, mean), Math.max(g.hi[k]!, mean));
      this.unsettled.push({ inst, metric: m });
    } else if (col.last !== now) col.put(c.row, now, this.first);
  }

  /** First rows: what was not listed is 0 since its start, or what an earlier reset row brought. */
  private beginFresh(c: RowCtx): void {
    const nm = this.meta.metrics.length;
    for (const inst of this.fresh) {
      if (this.insts.bySlot[inst.slot] !== inst) continue;
      for (let m = 0; m < nm; m++) {
        const i = inst.slot * nm + m;
        if (!this.present[i]) this.column(inst, m).put(c.row, GONE, this.first);
        else if (!this.meta.metrics[m]!.counter && !inst.cols[m]?.entries)
          this.column(inst, m).put(c.row, this.cur[i]!, this.first);
      }
    }
    this.fresh.clear();
  }
}
