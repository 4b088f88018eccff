// Builds Frames: the newest part from the rings, the older one from cached ranges.
import type { Frame, Gap, Source, View } from './api';
import { Axis } from './axis';
import { resolve } from './eval';
import type { GroupData } from './group';
import { ROLLUP_US } from './held';
import { Lanes } from './lanes';
import { older } from './older';
import { Buf, type FrameSource, type Parts, type Scratch } from './parts';
import { GAP_PERIODS } from './ring';

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
  private readonly scratch = new Map<string, Scratch>();
  private readonly axis = new Axis();
  private readonly lanes = new Lanes(this.axis);

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
    // Of what is only held as rollups nothing finer is known.
    const rolled = Math.max(view.from, st.heldFrom) < Math.min(view.to, st.fullFrom);
    const least = rolled ? ROLLUP_US : 1;
    period = Math.max(period, least);
    const raw = !rolled && span / period <= Math.max(1, width) * DENSE;
    const step = raw
      ? Math.max(1, Math.round(period / 4))
      : Math.max(least, Math.round(span / Math.max(1, width)));
    const n = this.axis.fill(groups, view, ringFrom, period);
    const gaps: Gap[] = [];
    const before = st.before(view);
    if (before) gaps.push(before);
    const old = Math.min(view.to, ringFrom, awaited, st.newest || view.to);
    const needOld = old > Math.max(view.from, st.heldFrom) + period;
    const loading = { on: awaited < view.to };
    const out = this.buffers(
      sources,
      (raw ? n + 64 : 0) + (raw && !needOld ? 0 : Math.ceil(span / step) + 8),
      `${raw ? 'r' : 'c'}${width}`,
    );
    const rows = new Map<GroupData, Int32Array>();
    for (const g of groups) rows.set(g, this.axis.rowsOf(g, groups.length === 1, n));
    const banded = groups.some((g) => g.sawCoarse);
    const parts: Parts = { st, sources, inputs, view, step, period, out, gaps, loading, rows, banded };
    let len = 0;
    if (raw) {
      if (needOld) len = older(parts, old, true);
      len = this.lanes.raw(parts, n, len);
    } else {
      // Columns wholly covered by the ring come from it; the rest from ranges.
      const firstCol = Math.floor(view.from / step);
      const ringCol = needOld ? Math.ceil(old / step) : firstCol;
      if (needOld) len = older(parts, ringCol * step, false);
      len = this.lanes.bins(parts, n, len, Math.max(firstCol, ringCol));
    }
    ringGaps(st, groups[0], view, gaps);
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
}

/** Gaps between the rows of a ring. */
function ringGaps(st: FrameSource, g: GroupData | undefined, view: View, gaps: Gap[]): void {
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
