// Sources over the rows of the rings: evaluated read by read, as samples or in columns.
import type { Source } from './api';
import type { Axis } from './axis';
import type { Field } from './column';
import { argsOf, bounded, combine, fillLane } from './eval';
import { type Buf, bridge, type Parts } from './parts';
import { GAP_PERIODS } from './ring';

/** Which of an input's values makes the source's: one that falls is smallest where the input is largest. */
export function fieldOf(src: Source, i: number, field: Field): Field {
  if (field === 'v' || (src.fn && !src.dirs)) return 'v';
  return src.dirs?.[i] === -1 ? (field === 'lo' ? 'hi' : 'lo') : field;
}

export class Lanes {
  private readonly lanes: Float64Array[] = [];

  constructor(private readonly axis: Axis) {}

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

  /** Samples as they are, from entry `len` on; the new length. */
  raw(p: Parts, n: number, len: number): number {
    p.out.t.set(this.axis.t.subarray(0, n), len);
    p.sources.forEach((_, s) => {
      const c = p.out.cols[s]!;
      const v = c.v.subarray(len, len + n);
      this.evaluate(p, s, 'v', n, v);
      c.lo.set(v, len);
      c.hi.set(v, len);
      if (p.banded) this.band(p, s, n, v, c.lo.subarray(len), c.hi.subarray(len));
      c.cut.set(this.axis.cut.subarray(0, n), len);
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

  /** Columns of p.step with their smallest, mean and largest, from entry `len` on; the new length. */
  bins(p: Parts, n: number, len: number, firstCol: number): number {
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
      const i = Math.floor(this.axis.t[k]! / p.step) - firstCol;
      if (i < 0 || i >= cols) continue;
      const o = len + i;
      if (this.axis.cut[k]) c.cut[o] = 1;
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
}
