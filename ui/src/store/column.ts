// One series' values by row, kept by change: of 100 samples about 97 are what the one before was.
//
// Invariants
//  - Rows are put in rising order; a row put again replaces the newest entry.
//  - A level holds until the next entry. A rate is 0 where there is no entry.
//  - GONE holds too: not readable until the next entry. NaN is the one row's own.

/** Not readable from this row on. */
export const GONE = Number.NEGATIVE_INFINITY;

export type Field = 'v' | 'lo' | 'hi';

export class Column {
  private row: Int32Array = new Int32Array(4);
  private v: Float64Array = new Float64Array(4);
  /** Only where a coarse row's differ from v. */
  private lo: Float64Array | null = null;
  private hi: Float64Array | null = null;
  private n = 0;

  constructor(readonly counter: boolean) {}

  get entries(): number {
    return this.n;
  }

  /** Value of the newest entry; NaN: none. */
  get last(): number {
    const v = this.n ? this.v[this.n - 1]! : Number.NaN;
    return v === GONE ? Number.NaN : v;
  }

  /** Entries before row `first` may be forgotten. */
  put(row: number, v: number, first: number, lo = v, hi = v): void {
    if (this.n > 0 && this.row[this.n - 1] === row) this.n--;
    else if (this.n === this.row.length) this.makeRoom(first);
    if ((lo !== v || hi !== v) && !Number.isNaN(v) && !this.lo) {
      this.lo = this.v.slice();
      this.hi = this.v.slice();
    }
    this.row[this.n] = row;
    this.v[this.n] = v;
    if (this.lo && this.hi) {
      this.lo[this.n] = lo;
      this.hi[this.n] = hi;
    }
    this.n++;
  }

  private makeRoom(first: number): void {
    // A level's newest entry before `first` still holds there.
    const drop = Math.max(0, this.find(first));
    if (drop > this.n / 4) {
      for (const a of [this.row, this.v, this.lo, this.hi]) a?.copyWithin(0, drop, this.n);
      this.n -= drop;
      return;
    }
    const size = Math.ceil(this.row.length * 1.75);
    const grown = (a: Float64Array): Float64Array => {
      const b = new Float64Array(size);
      b.set(a);
      return b;
    };
    const row = new Int32Array(size);
    row.set(this.row);
    this.row = row;
    this.v = grown(this.v);
    if (this.lo) this.lo = grown(this.lo);
    if (this.hi) this.hi = grown(this.hi);
  }

  /** The newest entry not after a row; -1: none. */
  private find(row: number): number {
    let lo = 0;
    let hi = this.n;
    while (lo < hi) {
      const mid = (lo + hi) >>> 1;
      if (this.row[mid]! <= row) lo = mid + 1;
      else hi = mid;
    }
    return lo - 1;
  }

  private value(k: number, row: number, a: Float64Array): number {
    if (k < 0) return this.counter ? 0 : Number.NaN;
    if (this.v[k] === GONE) return Number.NaN;
    if (this.counter && this.row[k] !== row) return 0;
    return a[k]!;
  }

  at(row: number, field: Field = 'v'): number {
    return this.value(this.find(row), row, this[field] ?? this.v);
  }

  /** out[k] = value at rows[k] * scale, for rows that never fall. */
  read(rows: Int32Array, n: number, field: Field, scale: number, out: Float64Array): void {
    const a = this[field] ?? this.v;
    let k = n > 0 ? this.find(rows[0]!) : -1;
    for (let i = 0; i < n; i++) {
      const r = rows[i]!;
      while (k + 1 < this.n && this.row[k + 1]! <= r) k++;
      out[i] = this.value(k, r, a) * scale;
    }
  }
}
