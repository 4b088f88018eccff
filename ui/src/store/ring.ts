// The rows of a group: when each was read, what it covers, whether it continues the one before.
//
// Invariants
//  - Row numbers only rise; a row r lies at r % cap and is held while r >= first.
//  - A row with cut=1 has no rate, and nothing is joined to it: it follows a gap.

/** Reads further apart than this many periods have no rate between them. */
export const GAP_PERIODS = 2.5;

export class Ring {
  /** Reading time, covered span (0 after a gap) and tick time of each row held. */
  readonly readUs: Float64Array;
  readonly spanUs: Float64Array;
  readonly tickUs: Float64Array;
  readonly cut: Uint8Array;
  /** Reads in a row: above 1 it is a coarse one. */
  readonly coarse: Uint8Array;
  rows = 0; // next row's number
  first = 0; // oldest row held
  /** Some row held may be a coarse one. */
  sawCoarse = false;

  constructor(readonly cap: number) {
    this.readUs = new Float64Array(cap);
    this.spanUs = new Float64Array(cap);
    this.tickUs = new Float64Array(cap);
    this.cut = new Uint8Array(cap);
    this.coarse = new Uint8Array(cap);
  }

  get firstUs(): number {
    return this.rows > this.first ? this.readUs[this.first % this.cap]! : Number.NaN;
  }
  get newestUs(): number {
    return this.rows > this.first ? this.readUs[(this.rows - 1) % this.cap]! : Number.NaN;
  }

  protected push(at: number, tickUs: number, span: number, n: number): void {
    const i = this.rows % this.cap;
    this.readUs[i] = at;
    this.tickUs[i] = tickUs;
    this.spanUs[i] = span;
    this.cut[i] = span > 0 ? 0 : 1;
    this.coarse[i] = n;
    if (n > 1) this.sawCoarse = true;
    this.rows++;
    this.first = Math.max(this.first, this.rows - this.cap);
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
}
