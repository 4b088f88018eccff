// Evaluates a Source over rows of the rings: inputs to base units, then its function.

import type { MonoUs, SeriesRef, Source } from './api';
import type { Catalog, MetricAt } from './catalog';
import type { Field } from './column';
import type { GroupData } from './group';
import { holderAt, type Inst } from './instances';
import { GAP_PERIODS } from './ring';

export interface Input {
  readonly ref: SeriesRef;
  readonly at: MetricAt;
  readonly data: GroupData | null;
  readonly insts: readonly Inst[];
}

const NONE: readonly Inst[] = [];

/** The inputs of a source; null where the agent has no such metric. */
export function resolve(
  src: Source,
  catalog: Catalog,
  data: (group: number) => GroupData | null,
): (Input | null)[] {
  return src.inputs.map((ref) => {
    const at = catalog.metrics.get(ref.metric);
    if (!at) return null;
    const d = data(at.group.id);
    return { ref, at, data: d, insts: d?.insts.byName.get(ref.instance ?? '') ?? NONE };
  });
}

const args = new Float64Array(64);
const views = Array.from({ length: 65 }, (_, n) => args.subarray(0, n));

/** fn over x[0..n): `partial` counts absent ones as 0. */
export function combine(src: Source, x: Float64Array): number {
  if (src.partial) {
    let any = false;
    for (let i = 0; i < x.length; i++)
      if (Number.isNaN(x[i]!)) x[i] = 0;
      else any = true;
    if (!any) return Number.NaN;
  } else for (let i = 0; i < x.length; i++) if (Number.isNaN(x[i]!)) return Number.NaN;
  const v = src.fn ? src.fn(x) : x[0]!;
  return Number.isFinite(v) ? v : Number.NaN; // a share of nothing is no number
}

/** The smallest or largest value of a source from those of its inputs is a bound that need not have been
 *  reached: parts of a whole do not peak together. A share stays below the whole. */
export function bounded(src: Source, bound: number, mean: number): number {
  return src.kind === 'ratio' && src.inputs.length > 1 ? Math.min(bound, Math.max(1, mean)) : bound;
}

/** Argument buffer for n inputs; overwritten by the next use. */
export const argsOf = (n: number): Float64Array => views[n] ?? new Float64Array(n);

/** Base-unit value of an input at a row of its group. */
export function inputAt(inp: Input, row: number, field: Field): number {
  const d = inp.data;
  if (!d || row < d.first) return Number.NaN;
  const inst = inp.insts.length === 1 ? inp.insts[0]! : holderAt(inp.insts, row);
  return inst ? d.value(inst, inp.at.index, row, field) * inp.at.meta.scale : Number.NaN;
}

/** Base-unit values of an input at rows that do not fall, but for -1 where none is in force. */
export function fillLane(inp: Input, rows: Int32Array, n: number, field: Field, out: Float64Array): void {
  const d = inp.data!;
  const inst = inp.insts[0];
  if (inp.insts.length !== 1 || !inst) {
    for (let k = 0; k < n; k++) out[k] = inputAt(inp, rows[k]!, field);
    return;
  }
  const { index, meta } = inp.at;
  const col = inst.cols[index];
  if (col) col.read(rows, n, field, meta.scale, out);
  else out.fill(meta.counter ? 0 : Number.NaN, 0, n);
  const first = Math.max(d.first, inst.startRow);
  for (let k = 0; k < n; k++) {
    const r = rows[k]!;
    if (r < first || r >= inst.endRow || (meta.counter && (r === inst.startRow || d.cut[r % d.cap] === 1)))
      out[k] = Number.NaN;
  }
}

/** The value of a source where each input stands at its row; rows[i] belongs to inputs[i]. */
export function sourceAt(
  src: Source,
  inputs: readonly (Input | null)[],
  rows: Int32Array,
  field: Field,
): number {
  const x = argsOf(inputs.length);
  for (let i = 0; i < inputs.length; i++) {
    const inp = inputs[i];
    // A source that falls with an input is smallest where that input is largest.
    const down = src.dirs?.[i] === -1;
    const f = field === 'v' ? 'v' : src.fn && !src.dirs ? 'v' : down ? (field === 'lo' ? 'hi' : 'lo') : field;
    x[i] = inp ? inputAt(inp, rows[i]!, f) : Number.NaN;
  }
  return combine(src, x);
}

/** The row of a group that is in force at t, or -1: reads hold until the next, at most 2.5 periods. */
export function rowInForce(d: GroupData, t: MonoUs, row = d.rowAt(t)): number {
  if (row < d.first) return -1;
  const hold = Math.max(d.periodUs, d.tickPeriodUs, d.coarse[row % d.cap]! > 1 ? d.spanUs[row % d.cap]! : 0);
  return t - d.readUs[row % d.cap]! <= hold * GAP_PERIODS ? row : -1;
}
