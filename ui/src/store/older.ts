// The part of a frame that no ring holds: columns from the cache of ranges.
import type { MonoUs } from './api';
import type { Field } from './column';
import { argsOf, bounded, combine } from './eval';
import { fieldOf } from './lanes';
import { bridge, type Parts } from './parts';
import { CHUNK, type Chunk } from './ranges';
import { GAP_PERIODS } from './ring';

const FIELDS: readonly Field[] = ['v', 'lo', 'hi'];

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

/** Columns before `to` from cached ranges, asked for where they are missing. As samples (`raw`): only those
 *  that hold one. Returns how many entries there are. */
export function older(p: Parts, to: MonoUs, raw: boolean): number {
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
  let known = true;
  for (let col = c0; col < c1; col++) {
    const at = Math.floor(col / CHUNK);
    if (at !== chunk) {
      chunk = at;
      known = true;
      chunks = p.sources.map((src, s) =>
        src.inputs.map((r, i) => {
          if (!p.inputs[s]![i]) return null;
          const c = st.ranges.chunk(r, step, chunk, to, st.newest, tol);
          if (c) return c;
          known = false;
          p.loading.on = true;
          return st.ranges.guess(r, step, chunk);
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
    } else if (known) hole++;
    // What did not come yet is no gap.
    else hole = 0;
    if (raw && !any) continue;
    p.out.t[len] = col * step + (raw ? step / 2 : 0);
    len++;
  }
  if (!raw) for (const c of p.out.cols) bridge(c, 0, len, step, p.period);
  // Nothing up to where the ring begins: a gap if the agent says that it started there.
  const since = seen ? (c1 - hole) * step : Number.NEGATIVE_INFINITY;
  const holeFrom = Math.max(view.from, st.heldFrom, since);
  if (!p.loading.on && to - holeFrom > p.period * GAP_PERIODS && hole > 0) {
    const why = st.gapReason(holeFrom, to);
    if (why.text) p.gaps.push({ from: holeFrom, to, ...why });
  }
  return len;
}
