// One group's live state and its ring of raw rows. A row is one read of the group (or, at a coarser
// level, an interval of reads with their lo and hi).
//
// Invariants
//  - Row numbers only rise; a row r lies at r % cap and is held while r >= first.
//  - A series' column exists only once the series changed: until then it is constant (rate 0).
//  - Columns hold stored units: levels as they are, counters as rates per second. NaN: no value.
//  - A row with cut=1 has no rate, and nothing is joined to it: it follows a gap.
import type { GroupTick, StartedInstance } from '../transport/decode';
import type { GroupMeta } from './catalog';

export class Col {
  readonly v: Float64Array;
  lo: Float64Array | null = null;
  hi: Float64Array | null = null;
  constructor(cap: number) {
    this.v = new Float64Array(cap);
  }
}

export interface Inst {
  readonly slot: number;
  readonly gen: number;
  readonly name: string;
  readonly attrs: Record<string, string>;
  /** First row, and the row after the last one (Infinity while live). */
  startRow: number;
  endRow: number;
  startUs: number; // 0: it was there before what is held
  endUs: number | null;
  readonly cols: (Col | null)[];
  /** Value of a metric without a column: the level, or 0 for a counter; NaN: never readable. */
  readonly flat: Float64Array;
}

/** Reads further apart than this many periods have no rate between them. */
export const GAP_PERIODS = 2.5;

const instKey = (slot: number, gen: number) => slot * 4294967296 + gen;

export class GroupData {
  /** Reading time, covered span (0 after a gap), tick time and number of each row held. */
  readonly readUs: Float64Array;
  readonly spanUs: Float64Array;
  readonly tickUs: Float64Array;
  readonly cut: Uint8Array;
  /** Reads in a row: above 1 it is a coarse one. */
  readonly coarse: Uint8Array;
  rows = 0; // next row's number
  first = 0; // oldest row held
  periodUs: number;
  /** Bumped with every row. */
  version = 0;
  /** A better-filled successor of this ring is being loaded behind it. */
  shadow: GroupData | null = null;
  /** Everything held, ended ones included, by slot and gen. */
  readonly insts = new Map<number, Inst>();
  readonly bySlot: (Inst | undefined)[] = [];
  readonly names = new Map<string, Inst[]>(); // oldest first
  private cur = new Float64Array(0);
  private present = new Uint8Array(0);
  /** Some row held may be a coarse one. */
  sawCoarse = false;
  private pendingCut = true;
  private lastRead = -1; // time of the newest read applied, pushed or not
  private touched = new Set<Col>();

  constructor(
    readonly meta: GroupMeta,
    readonly cap: number,
    readonly tickPeriodUs: number,
  ) {
    this.readUs = new Float64Array(cap);
    this.spanUs = new Float64Array(cap);
    this.tickUs = new Float64Array(cap);
    this.cut = new Uint8Array(cap);
    this.coarse = new Uint8Array(cap);
    this.periodUs = meta.periodUs;
  }

  get firstUs(): number {
    return this.rows > this.first ? this.readUs[this.first % this.cap]! : Number.NaN;
  }
  get newestUs(): number {
    return this.rows > this.first ? this.readUs[(this.rows - 1) % this.cap]! : Number.NaN;
  }

  /** The last raw value of a metric of a live instance (not a rate); NaN: absent. */
  raw(inst: Inst, metric: number): number {
    const i = inst.slot * this.meta.metrics.length + metric;
    return inst.endUs === null && this.present[i] ? this.cur[i]! : Number.NaN;
  }

  /** The next row follows a gap. */
  breakLine(): void {
    this.pendingCut = true;
    this.shadow?.breakLine();
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
    const key = instKey(s.slot, s.gen);
    let inst = this.insts.get(key);
    if (!inst) {
      const attrs: Record<string, string> = {};
      for (const a of s.attrs) attrs[this.meta.attrKeys[a.key] ?? `${a.key}`] = a.value;
      inst = {
        slot: s.slot,
        gen: s.gen,
        name: s.name,
        attrs,
        startRow: row,
        endRow: Number.POSITIVE_INFINITY,
        startUs: us,
        endUs: null,
        cols: new Array(nm).fill(null),
        flat: new Float64Array(nm).fill(Number.NaN),
      };
      this.insts.set(key, inst);
      const list = this.names.get(s.name);
      if (list) list.push(inst);
      else this.names.set(s.name, [inst]);
    }
    inst.endRow = Number.POSITIVE_INFINITY;
    inst.endUs = null;
    this.bySlot[s.slot] = inst;
  }

  private end(slot: number, us: number): void {
    const inst = this.bySlot[slot];
    if (!inst) return;
    inst.endRow = Math.min(inst.endRow, this.rows);
    inst.endUs = us;
    this.bySlot[slot] = undefined;
    this.present.fill(0, slot * this.meta.metrics.length, (slot + 1) * this.meta.metrics.length);
  }

  setAttr(slot: number, gen: number, key: number, value: string): void {
    const inst = this.insts.get(instKey(slot, gen));
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
      if (!(this.shadow.newestUs >= this.newestUs)) return false;
      return true;
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
    const nm = this.meta.metrics.length;
    const at = monoUs + g.offUs;
    // A reset row of a group that was never read, or is not read now, has instances and no values.
    const unread = g.reset && ((at === 0 && monoUs > 0) || g.periodMs === 0);
    const isNew = !unread && (this.rows === this.first || at > this.newestUs + 1);
    const row = this.rows;
    let before: Float64Array | null = null;
    let beforePresent: Uint8Array | null = null;
    const beforeInst = g.reset ? this.bySlot.slice() : null;
    if (g.reset) {
      before = this.cur.slice();
      beforePresent = this.present.slice();
      this.cur.fill(0);
      this.present.fill(0);
      this.bySlot.fill(undefined);
      // The rates of the row after a replayed one need the very row before it.
      if (!isNew) this.lastRead = at;
    }
    for (const slot of g.ends) this.end(slot, at);
    for (const s of g.starts) this.start(s, row, g.reset && beforeInst?.length === 0 ? 0 : at);
    if (beforeInst)
      for (const inst of beforeInst)
        if (inst && this.bySlot[inst.slot] !== inst && inst.endUs === null) {
          inst.endRow = Math.min(inst.endRow, row);
          inst.endUs = at;
        }
    // Does this row continue the one before?
    const every = Math.max(this.periodUs, this.tickPeriodUs);
    const span = g.n > 1 && g.spanUs > 0 ? g.spanUs : at - this.lastRead;
    const hole = at - this.lastRead - (g.n > 1 ? g.spanUs : every) > every * (GAP_PERIODS - 1);
    const joined = this.lastRead >= 0 && !this.pendingCut && !hole && span > 0;
    if (isNew) this.pushRow(at, monoUs, joined ? span : 0, Math.min(255, g.n));
    const ctx: RowCtx = { row, isNew, joined, span, g };
    this.applyAbsent(ctx, nm);
    if (g.reset) this.applyReset(ctx, nm, before!, beforePresent!);
    else this.applyChanges(ctx, nm);
    this.lastRead = unread ? -1 : at;
    if (isNew) {
      this.pendingCut = false;
      this.fillRest(row, joined);
      this.version++;
    }
  }

  private pushRow(at: number, tickUs: number, span: number, n: number): void {
    const i = this.rows % this.cap;
    this.readUs[i] = at;
    this.tickUs[i] = tickUs;
    this.spanUs[i] = span;
    this.cut[i] = span > 0 ? 0 : 1;
    this.coarse[i] = n;
    if (n > 1) this.sawCoarse = true;
    this.rows++;
    if (this.rows - this.first > this.cap) {
      this.first = this.rows - this.cap;
      if ((this.rows & 255) === 0) this.forget();
    }
  }

  /** Drops instances whose rows are all gone. */
  private forget(): void {
    for (const [key, inst] of this.insts) {
      if (inst.endRow > this.first) continue;
      this.insts.delete(key);
      const list = this.names.get(inst.name)?.filter((x) => x !== inst) ?? [];
      if (list.length) this.names.set(inst.name, list);
      else this.names.delete(inst.name);
    }
  }

  private applyAbsent(c: RowCtx, nm: number): void {
    let idx = -1;
    for (let k = 0; k < c.g.nAbsent; k++) {
      idx += c.g.absent[k]! + 1;
      this.reserve(Math.floor(idx / nm));
      this.cur[idx] = 0;
      this.present[idx] = 0;
      const inst = this.bySlot[Math.floor(idx / nm)];
      if (!inst || !c.isNew) continue;
      const m = idx % nm;
      const col = inst.cols[m];
      if (col) this.put(col, c.row, Number.NaN);
      else if (!Number.isNaN(inst.flat[m]!)) this.put(this.makeCol(inst, m, c.row), c.row, Number.NaN);
    }
  }

  private applyChanges(c: RowCtx, nm: number): void {
    const { g } = c;
    let idx = -1;
    for (let k = 0; k < g.nGap; k++) {
      idx += g.gap[k]! + 1;
      const slot = Math.floor(idx / nm);
      const inst = this.bySlot[slot];
      if (!inst || idx >= this.cur.length) continue;
      const m = idx - slot * nm;
      const was = this.present[idx] === 1 && c.row > inst.startRow;
      this.cur[idx] = this.cur[idx]! + g.delta[k]!;
      this.present[idx] = 1;
      if (c.isNew) this.change(c, inst, m, this.cur[idx]!, g.delta[k]!, was, k);
    }
  }

  /** After a reset row all values are absolute: compare them with what we knew. */
  private applyReset(c: RowCtx, nm: number, before: Float64Array, beforePresent: Uint8Array): void {
    const { g } = c;
    let idx = -1;
    for (let k = 0; k < g.nGap; k++) {
      idx += g.gap[k]! + 1;
      if (idx >= this.cur.length) continue;
      this.cur[idx] = this.cur[idx]! + g.delta[k]!;
      this.present[idx] = 1;
    }
    if (!c.isNew) return;
    for (const inst of this.bySlot) {
      if (!inst) continue;
      for (let m = 0; m < nm; m++) {
        const i = inst.slot * nm + m;
        if (!this.present[i]) continue;
        const was = c.row > inst.startRow && beforePresent[i] === 1;
        this.change(c, inst, m, this.cur[i]!, was ? this.cur[i]! - before[i]! : 0, was, -1);
      }
    }
  }

  /** A value was read and differs from the one before, or is the first. */
  private change(
    c: RowCtx,
    inst: Inst,
    m: number,
    now: number,
    delta: number,
    was: boolean,
    k: number,
  ): void {
    const counter = this.meta.metrics[m]!.counter;
    const { g } = c;
    let v: number;
    if (counter) v = !was || !c.joined || delta < 0 ? Number.NaN : (delta / c.span) * 1e6;
    else v = k >= 0 && k < g.nSum && g.n > 1 ? g.sum[k]! / g.n : now;
    // At a coarse level hi < lo says that no rate is known.
    if (counter && k >= 0 && k < g.nHi && g.hi[k]! < g.lo[k]!) v = Number.NaN;
    let col = inst.cols[m];
    if (!col) {
      // The first value of an instance, or again the same one: no column needed yet.
      if (c.row === inst.startRow || (Number.isNaN(inst.flat[m]!) && c.row <= inst.startRow)) {
        inst.flat[m] = counter ? 0 : v;
        if (!(k >= 0 && k < g.nLo)) return;
      }
      if (v === inst.flat[m] && !(k >= 0 && k < g.nLo)) return;
      if (counter && Number.isNaN(v) && this.cut[c.row % this.cap] === 1) return; // cut rows have no rate anyway
      col = this.makeCol(inst, m, c.row);
    }
    this.put(col, c.row, v);
    if (k < 0 || k >= g.nLo || k >= g.nHi || Number.isNaN(v)) return;
    const f = counter ? 0.001 : 1; // rates arrive in thousandths
    if (!col.lo || !col.hi) {
      col.lo = col.v.slice();
      col.hi = col.v.slice();
    }
    col.lo[c.row % this.cap] = Math.min(g.lo[k]! * f, v);
    col.hi[c.row % this.cap] = Math.max(g.hi[k]! * f, v);
  }

  private makeCol(inst: Inst, m: number, row: number): Col {
    const col = new Col(this.cap);
    inst.cols[m] = col;
    const counter = this.meta.metrics[m]!.counter;
    const flat = inst.flat[m]!;
    for (let r = Math.max(inst.startRow, this.first); r < row; r++) {
      const i = r % this.cap;
      col.v[i] = counter && (this.cut[i] === 1 || r === inst.startRow) ? Number.NaN : flat;
    }
    return col;
  }

  private put(col: Col, row: number, v: number): void {
    const i = row % this.cap;
    col.v[i] = v;
    if (col.lo && col.hi) {
      col.lo[i] = v;
      col.hi[i] = v;
    }
    this.touched.add(col);
  }

  /** What was read and not listed is unchanged: a rate of 0, the same level, still absent. */
  private fillRest(row: number, joined: boolean): void {
    const nm = this.meta.metrics.length;
    const i = row % this.cap;
    for (const inst of this.bySlot) {
      if (!inst) continue;
      for (let m = 0; m < nm; m++) {
        const col = inst.cols[m];
        if (!col) {
          const at = inst.slot * nm + m;
          // Not listed in its first row: 0 since its start, or what an earlier reset row brought.
          if (row === inst.startRow && this.present[at] && Number.isNaN(inst.flat[m]!))
            inst.flat[m] = this.meta.metrics[m]!.counter ? 0 : this.cur[at]!;
          continue;
        }
        if (this.touched.has(col)) continue;
        const here = this.present[inst.slot * nm + m] === 1;
        const counter = this.meta.metrics[m]!.counter;
        let v = Number.NaN;
        if (here && counter) v = joined && row > inst.startRow ? 0 : Number.NaN;
        else if (here) v = this.cur[inst.slot * nm + m]!;
        col.v[i] = v;
        if (col.lo && col.hi) col.lo[i] = col.hi[i] = v;
      }
    }
    this.touched.clear();
  }

  /** Newest row not after t; first - 1 if none. */
  rowAt(t: number): number {
    let lo = this.first;
    let hi = this.rows;
    while (lo < hi) {
      const mid = (lo + hi) >>> 1;
      if (this.readUs[mid % this.cap]! <= t) lo = mid + 1;
      else hi = mid;
    }
    return lo - 1;
  }

  /** Of the holders of a name, the one that has this row. */
  instAt(list: readonly Inst[], row: number): Inst | null {
    for (let i = list.length - 1; i >= 0; i--) {
      const x = list[i]!;
      if (row >= x.startRow && row < x.endRow) return x;
    }
    return null;
  }

  /** Stored-unit value of a metric at a held row; NaN: none. */
  value(inst: Inst, metric: number, row: number): number {
    if (row < inst.startRow || row >= inst.endRow) return Number.NaN;
    const col = inst.cols[metric];
    const i = row % this.cap;
    if (col) return col.v[i]!;
    if (this.meta.metrics[metric]!.counter && (this.cut[i] === 1 || row === inst.startRow)) return Number.NaN;
    return inst.flat[metric]!;
  }
}

interface RowCtx {
  row: number;
  isNew: boolean;
  joined: boolean;
  span: number;
  g: GroupTick;
}
