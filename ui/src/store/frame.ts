// Builds Frames: the newest part from the rings, the older one from cached ranges.
import type { Column, Frame, Gap, MonoUs, Source, View } from './api';
import type { Catalog } from './catalog';
import type { Field } from './column';
import { argsOf, bounded, combine, fillLane, type Input, resolve, rowInForce } from './eval';
import type { GroupData } from './group';
import { CHUNK, type Chunk, type RangeCache } from './ranges';
import { GAP_PERIODS } from './ring';

export interface FrameSource {
  readonly catalog: Catalog;
  readonly ranges: RangeCache;
  readonly tickUs: number;
  readonly newest: MonoUs;
  readonly heldFrom: MonoUs;
  /** The view moves with now: its edge need not be complete. */
  readonly live: boolean;
  data(group: number): GroupData | null;
  /** A subscription under way will bring this group's history from this time on; Infinity: none will. */
  awaited(d: GroupData | null): MonoUs;
  /** What is known of the stretch between two reads. */
  gapReason(from: MonoUs, to: MonoUs): Pick<Gap, 'reason' | 'text'>;
  before(view: View): Gap | null;
}

class Buf implements Column {
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

interface Scratch {
  t: Float64Array;
  cols: Buf[];
}

/** Samples a pixel above which columns are drawn instead. */
const DENSE = 1.9;

export const formatSeconds = (s: number): string =>
  s < 1 ? `${Number(s.toPrecision(1))} s` : s < 10 ? `${Number(s.toPrecision(2))} s` : `${Math.round(s)} s`;

function resolution(raw: boolean, stepUs: number, coarseRows: boolean): string {
  if (raw && !coarseRows) {
    const hz = 1e6 / stepUs;
    return hz >= 1 ? `${Number(hz.toPrecision(3))} Hz` : `every ${formatSeconds(stepUs / 1e6)}`;
  }
  return `min–max per ${formatSeconds(stepUs / 1e6)}`;
}

export class FrameBuilder {
  private scratch = new Map<string, Scratch>();
  private t = new Float64Array(4096);
  private cutAt = new Uint8Array(4096);
  private readonly rows = new WeakMap<GroupData, Int32Array>();
  private readonly lanes: Float64Array[] = [];

  build(st: FrameSource, sources: readonly Source[], view: View, width: number): Frame {
    const inputs = sources.map((s) => resolve(s, st.catalog, (g) => st.data(g)));
    const groups: GroupData[] = [];
    let ringFrom = Number.NEGATIVE_INFINITY;
    let period = Number.POSITIVE_INFINITY;
    let awaited = Number.POSITIVE_INFINITY;
    for (const list of inputs)
      for (const inp of list) {
        if (!inp) continue;
        const d = inp.data;
        const every = Math.max(d?.periodUs ?? inp.at.group.periodUs, st.tickUs);
        period = Math.min(period, every);
        awaited = Math.min(awaited, st.awaited(d));
        if (!d || d.rows === d.first) ringFrom = Number.POSITIVE_INFINITY;
        else {
          if (!groups.includes(d)) groups.push(d);
          // A ring that begins where the log begins has it all.
          if (d.firstUs > st.heldFrom + every * GAP_PERIODS) ringFrom = Math.max(ringFrom, d.firstUs);
        }
      }
    if (!Number.isFinite(period)) period = st.tickUs;
    const span = view.to - view.from;
    const raw = span / period <= Math.max(1, width) * DENSE;
    const step = raw
      ? Math.max(1, Math.round(period / 4))
      : Math.max(1, Math.round(span / Math.max(1, width)));
    const n = this.axis(groups, view, ringFrom, period);
    const gaps: Gap[] = [];
    const before = st.before(view);
    if (before) gaps.push(before);
    const old = Math.min(view.to, ringFrom, awaited, st.newest || view.to);
    const needOld = old > Math.max(view.from, st.heldFrom) + period;
    const loading = { on: awaited < view.to };
    const out = this.buffers(
      sources,
      (raw ? n + 1024 : 0) + Math.ceil(span / step) + 8,
      `${raw ? 'r' : 'c'}${width}`,
    );
    const rows = new Map<GroupData, Int32Array>();
    for (const g of groups) rows.set(g, this.rowsOf(g, groups.length === 1, n));
    const banded = groups.some((g) => g.sawCoarse);
    const parts: Parts = { st, sources, inputs, view, step, period, out, gaps, loading, rows, banded };
    let len = 0;
    if (raw) {
      if (needOld) len = this.older(parts, old, true);
      len = this.rawPart(parts, n, len);
    } else {
      // Columns wholly covered by the ring come from it; the rest from ranges.
      const firstCol = Math.floor(view.from / step);
      const ringCol = needOld ? Math.ceil(old / step) : firstCol;
      if (needOld) len = this.older(parts, ringCol * step, false);
      len = this.binPart(parts, n, len, Math.max(firstCol, ringCol));
    }
    this.ringGaps(st, groups[0], view, gaps);
    gaps.sort((a, b) => a.from - b.from);
    const lead = groups[0];
    const coarseRows = !!lead && lead.rows > lead.first && lead.coarse[(lead.rows - 1) % lead.cap]! > 1;
    const stepUs = raw ? (coarseRows ? lead.spanUs[(lead.rows - 1) % lead.cap]! || period : period) : step;
    return {
      view,
      kind: raw ? 'raw' : 'coarse',
      t: out.t.subarray(0, len),
      cols: out.cols.map((c) => ({
        v: c.v.subarray(0, len),
        lo: c.lo.subarray(0, len),
        hi: c.hi.subarray(0, len),
        cut: c.cut.subarray(0, len),
      })),
      stepUs,
      resolution: resolution(raw, stepUs, coarseRows),
      gaps,
      loading: loading.on,
    };
  }

  private buffers(sources: readonly Source[], cap: number, what: string): Scratch {
    const key = `${what}|${sources.map((s) => s.key).join('|')}`;
    let s = this.scratch.get(key);
    if (s) this.scratch.delete(key);
    if (!s || s.t.length < cap) {
      const size = Math.ceil(cap * 1.25) + 64;
      s = { t: new Float64Array(size), cols: sources.map(() => new Buf(size)) };
    }
    this.scratch.set(key, s);
    if (this.scratch.size > 160) this.scratch.delete(this.scratch.keys().next().value!);
    return s;
  }

  /** Times of the reads of all groups within the view (and one before it), merged. */
  private axis(groups: readonly GroupData[], view: View, ringFrom: MonoUs, period: number): number {
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
        c.set(this.cutAt);
        this.cutAt = c;
      }
      this.cutAt[n] = cut;
      this.t[n++] = t;
    }
  }

  /** For each point of the axis the row of a group in force there, or -1. */
  private rowsOf(g: GroupData, single: boolean, n: number): Int32Array {
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

  private lane(i: number, n: number): Float64Array {
    const a = this.lanes[i];
    if (a && a.length >= n) return a;
    return (this.lanes[i] = new Float64Array(Math.max(1024, n * 2)));
  }

  /** A source over the axis: out[0..n). */
  private evaluate(p: Parts, s: number, field: Field, n: number, out: Float64Array): void {
    const src = p.sources[s]!;
    const inputs = p.inputs[s]!;
    const many = inputs.length;
    for (let i = 0; i < many; i++) {
      const inp = inputs[i];
      const lane = many === 1 ? out : this.lane(i, n);
      const rows = inp?.data && p.rows.get(inp.data);
      if (inp && rows) fillLane(inp, rows, n, fieldOf(src, i, field), lane);
      else lane.fill(Number.NaN, 0, n);
    }
    if (many === 1 && !src.fn) return;
    const x = argsOf(many);
    for (let k = 0; k < n; k++) {
      for (let i = 0; i < many; i++) x[i] = many === 1 ? out[k]! : this.lanes[i]![k]!;
      out[k] = combine(src, x);
    }
  }

  private rawPart(p: Parts, n: number, len: number): number {
    p.out.t.set(this.t.subarray(0, n), len);
    p.sources.forEach((_, s) => {
      const c = p.out.cols[s]!;
      const v = c.v.subarray(len, len + n);
      this.evaluate(p, s, 'v', n, v);
      c.lo.set(v, len);
      c.hi.set(v, len);
      if (p.banded) this.band(p, s, n, v, c.lo.subarray(len), c.hi.subarray(len));
      c.cut.set(this.cutAt.subarray(0, n), len);
      if (len > 0 && n > 0) c.cut[len] = p.out.t[len]! - p.out.t[len - 1]! > p.period * GAP_PERIODS ? 1 : 0;
    });
    return len + n;
  }

  /** Smallest and largest of coarse rows, around their mean. */
  private band(p: Parts, s: number, n: number, v: Float64Array, lo: Float64Array, hi: Float64Array): void {
    const a = this.lane(64, n);
    this.evaluate(p, s, 'lo', n, a);
    for (let k = 0; k < n; k++) if (a[k]! < v[k]!) lo[k] = a[k]!;
    this.evaluate(p, s, 'hi', n, a);
    for (let k = 0; k < n; k++) if (a[k]! > v[k]!) hi[k] = bounded(p.sources[s]!, a[k]!, v[k]!);
  }

  private binPart(p: Parts, n: number, len: number, firstCol: number): number {
    const cols = Math.max(0, Math.floor(p.view.to / p.step) - firstCol + 1);
    for (let i = 0; i < cols; i++) p.out.t[len + i] = (firstCol + i) * p.step;
    const v = this.lane(65, n);
    const lo = p.banded ? this.lane(66, n) : v;
    const hi = p.banded ? this.lane(67, n) : v;
    p.sources.forEach((_, s) => {
      const c = p.out.cols[s]!;
      c.v.fill(Number.NaN, len, len + cols);
      c.cut.fill(0, len, len + cols);
      this.evaluate(p, s, 'v', n, v);
      if (p.banded) {
        lo.set(v.subarray(0, n));
        hi.set(v.subarray(0, n));
        this.band(p, s, n, v, lo, hi);
      }
      this.intoBins(p, c, n, len, cols, firstCol, v, lo, hi);
      let every = p.period;
      for (const i of p.inputs[s]!) every = Math.max(every, i?.data?.periodUs ?? 0);
      bridge(c, len, len + cols, p.step, every);
    });
    return len + cols;
  }

  private intoBins(
    p: Parts,
    c: Buf,
    n: number,
    len: number,
    cols: number,
    firstCol: number,
    v: Float64Array,
    lo: Float64Array,
    hi: Float64Array,
  ): void {
    let at = -1;
    let sum = 0;
    let count = 0;
    for (let k = 0; k < n; k++) {
      const i = Math.floor(this.t[k]! / p.step) - firstCol;
      if (i < 0 || i >= cols) continue;
      const o = len + i;
      if (this.cutAt[k]) c.cut[o] = 1;
      const x = v[k]!;
      if (Number.isNaN(x)) continue;
      if (i !== at) {
        at = i;
        sum = count = 0;
        c.lo[o] = lo[k]!;
        c.hi[o] = hi[k]!;
      }
      sum += x;
      c.v[o] = sum / ++count;
      if (lo[k]! < c.lo[o]!) c.lo[o] = lo[k]!;
      if (hi[k]! > c.hi[o]!) c.hi[o] = hi[k]!;
    }
  }

  /** Columns before `to` from cached ranges. As samples (`raw`): only those that hold one. */
  private older(p: Parts, to: MonoUs, raw: boolean): number {
    const { st, step, view } = p;
    const from = Math.max(view.from, st.heldFrom - step);
    const c0 = Math.floor((raw ? from : view.from) / step);
    const c1 = Math.max(c0, Math.ceil(to / step));
    const tol = st.live ? Math.max(1e6, step / 2) : 1;
    let len = 0;
    let hole = 0;
    let seen = false;
    let chunk = Number.NaN;
    let chunks: (Chunk | null)[][] = [];
    for (let col = c0; col < c1; col++) {
      const at = Math.floor(col / CHUNK);
      if (at !== chunk) {
        chunk = at;
        chunks = p.sources.map((src, s) =>
          src.inputs.map((r, i) => {
            const c = p.inputs[s]![i] ? st.ranges.chunk(r, step, chunk, to, st.newest, tol) : null;
            if (p.inputs[s]![i] && !c) p.loading.on = true;
            return c;
          }),
        );
      }
      const any = olderCell(p, chunks, col - chunk * CHUNK, len);
      if (any) {
        if (hole * step > p.period * GAP_PERIODS) {
          const gap = { from: Math.max(from, (col - hole) * step), to: col * step };
          const why = st.gapReason(gap.from, gap.to);
          // Before the first sample of a series that just came there is no gap, unless the agent says so.
          if (seen || why.text) p.gaps.push({ ...gap, ...why });
          for (const c of p.out.cols) c.cut[len] = 1;
        }
        hole = 0;
        seen = true;
      } else hole++;
      if (raw && !any) continue;
      p.out.t[len] = col * step + (raw ? step / 2 : 0);
      len++;
    }
    if (!raw) for (const c of p.out.cols) bridge(c, 0, len, step, p.period);
    // Nothing up to where the ring begins: a gap if the agent says that it started there.
    const holeFrom = Math.max(view.from, st.heldFrom, seen ? (c1 - hole) * step : 0);
    if (!p.loading.on && to - holeFrom > p.period * GAP_PERIODS && hole > 0) {
      const why = st.gapReason(holeFrom, to);
      if (why.text) p.gaps.push({ from: holeFrom, to, ...why });
    }
    return len;
  }

  private ringGaps(st: FrameSource, g: GroupData | undefined, view: View, gaps: Gap[]): void {
    if (!g) return;
    const end = g.rowAt(view.to) + 2;
    for (let r = Math.max(g.first + 1, g.rowAt(view.from)); r < Math.min(end, g.rows); r++) {
      if (!g.cut[r % g.cap]) continue;
      const from = g.readUs[(r - 1) % g.cap]!;
      const to = g.readUs[r % g.cap]!;
      if (to <= view.from || from >= view.to) continue;
      gaps.push({ from: Math.max(from, view.from), to: Math.min(to, view.to), ...st.gapReason(from, to) });
    }
  }
}

interface Parts {
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

/** Which of an input's values makes the source's: one that falls is smallest where the input is largest. */
export function fieldOf(src: Source, i: number, field: Field): Field {
  if (field === 'v' || (src.fn && !src.dirs)) return 'v';
  return src.dirs?.[i] === -1 ? (field === 'lo' ? 'hi' : 'lo') : field;
}

/** One column of all sources from chunks; whether any holds a sample. */
function olderCell(p: Parts, chunks: readonly (Chunk | null)[][], j: number, len: number): boolean {
  let any = false;
  for (let s = 0; s < p.sources.length; s++) {
    const src = p.sources[s]!;
    const list = chunks[s]!;
    const out = p.out.cols[s]!;
    const x = argsOf(list.length);
    out.cut[len] = 0;
    let n = 0;
    for (let i = 0; i < list.length; i++) if (list[i] && list[i]!.n[j]! > 0) n++;
    if (n === 0) {
      out.v[len] = out.lo[len] = out.hi[len] = Number.NaN;
      continue;
    }
    any = true;
    for (const field of FIELDS) {
      for (let i = 0; i < list.length; i++) {
        const c = list[i];
        x[i] = c && c.n[j]! > 0 ? c[fieldOf(src, i, field)][j]! * p.inputs[s]![i]!.at.meta.scale : Number.NaN;
      }
      const v = combine(src, x);
      out[field][len] = field === 'v' ? v : bounded(src, v, out.v[len]!);
    }
  }
  return any;
}

const FIELDS: readonly Field[] = ['v', 'lo', 'hi'];

/** Columns without a read between two that have one, close enough to be no gap: the read holds. */
function bridge(c: Buf, from: number, to: number, step: number, period: number): void {
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
