// Reads a ServerMessage that holds a Batch straight into typed arrays; every other message goes through
// the generated code. Field numbers are those of proto/strobe.proto; decode.test.ts holds this reader
// against the generated one.
//
// Invariants
//  - Integers are exact where |value| < 2^53.
//  - What reads outside the message throws RangeError; unknown fields are skipped.
//  - A GroupTick handed to the visitor is reused for the next one: copy what you keep.

export interface StartedInstance {
  slot: number;
  gen: number;
  name: string;
  attrs: { key: number; value: string }[];
}

export interface ClockRecord {
  monoUs: number;
  realOffUs: number;
  bootOffUs: number;
  reason: number;
}

/** One GroupTick. `changes` entries of gap/delta (and lo/hi/sum when `levels`) are valid. */
export class GroupTick {
  group = 0;
  offUs = 0;
  reset = false;
  periodMs = -1; // -1: not in the message
  ends: number[] = [];
  starts: StartedInstance[] = [];
  absent: Uint32Array = new Uint32Array(16);
  nAbsent = 0;
  gap: Uint32Array = new Uint32Array(256);
  nGap = 0;
  delta: Float64Array = new Float64Array(256);
  nDelta = 0;
  lo: Float64Array = new Float64Array(0);
  nLo = 0;
  hi: Float64Array = new Float64Array(0);
  nHi = 0;
  sum: Float64Array = new Float64Array(0);
  nSum = 0;
  n = 1;
  spanUs = 0;

  clear(): void {
    this.group = this.offUs = this.nAbsent = this.nGap = this.nDelta = 0;
    this.nLo = this.nHi = this.nSum = this.spanUs = 0;
    this.reset = false;
    this.periodMs = -1;
    this.n = 1;
    if (this.ends.length) this.ends = [];
    if (this.starts.length) this.starts = [];
  }
}

export interface BatchVisitor {
  /** Clock records of the batch. May come after the ticks. */
  clockRecord(c: ClockRecord): void;
  /** A GroupTick, in the order of the message. */
  groupTick(monoUs: number, tick: number, g: GroupTick): void;
  /** All groups of a tick were handed out. */
  tickEnd(monoUs: number, tick: number): void;
}

const utf8 = new TextDecoder();

export class Reader {
  pos = 0;
  constructor(
    readonly b: Uint8Array,
    public end: number = b.length,
  ) {}

  byte(): number {
    if (this.pos >= this.end) throw new RangeError('message ends early');
    return this.b[this.pos++]!;
  }

  /** Unsigned varint as a number. */
  uint(): number {
    let x = this.byte();
    if (x < 128) return x;
    let v = x & 127;
    let mul = 128;
    for (let i = 1; i < 10; i++) {
      x = this.byte();
      v += (x & 127) * mul;
      if (x < 128) return v;
      mul *= 128;
    }
    throw new RangeError('varint too long');
  }

  /** Varint of an int64 as a number: negative ones are ten bytes long. */
  int(): number {
    const { pos } = this;
    let n = 1;
    while (n < 10 && pos + n <= this.end && this.b[pos + n - 1]! > 127) n++;
    if (n < 10 || pos + n > this.end) return this.uint();
    let v = 0;
    let mul = 1;
    for (let i = 0; i < 9; i++) {
      v += (127 - (this.byte() & 127)) * mul;
      mul *= 128;
    }
    if (this.byte() !== 1) throw new RangeError('varint too long');
    return -v - 1;
  }

  /** Zigzag varint as a number: exact while |value| < 2^53. */
  sint(): number {
    let x = this.byte();
    const odd = x & 1;
    let half = (x & 127) >>> 1;
    let mul = 64;
    for (let i = 1; x >= 128; i++) {
      if (i === 10) throw new RangeError('varint too long');
      x = this.byte();
      half += (x & 127) * mul;
      mul *= 128;
    }
    return odd ? -half - 1 : half;
  }

  /** Enters a length-delimited field; returns the end to give back to leave(). */
  enter(): number {
    const len = this.uint();
    const outer = this.end;
    if (this.pos + len > outer) throw new RangeError('field longer than its message');
    this.end = this.pos + len;
    return outer;
  }

  leave(outer: number): void {
    this.pos = this.end;
    this.end = outer;
  }

  string(): string {
    const outer = this.enter();
    const s = utf8.decode(this.b.subarray(this.pos, this.end));
    this.leave(outer);
    return s;
  }

  skip(wire: number): void {
    if (wire === 0) this.uint();
    else if (wire === 1) this.pos += 8;
    else if (wire === 2) this.leave(this.enter());
    else if (wire === 5) this.pos += 4;
    else throw new RangeError(`wire type ${wire}`);
    if (this.pos > this.end) throw new RangeError('message ends early');
  }
}

function growU(a: Uint32Array, n: number): Uint32Array {
  if (n <= a.length) return a;
  const b = new Uint32Array(Math.max(64, n * 2));
  b.set(a);
  return b;
}

function growF(a: Float64Array, n: number): Float64Array {
  if (n <= a.length) return a;
  const b = new Float64Array(Math.max(64, n * 2));
  b.set(a);
  return b;
}

/** A packed (or single) repeated uint32 appended to `a` at `n`; calls back with both new. */
function uints(r: Reader, wire: number, a: Uint32Array, n: number): [Uint32Array, number] {
  if (wire === 0) {
    a = growU(a, n + 1);
    a[n++] = r.uint();
    return [a, n];
  }
  const outer = r.enter();
  a = growU(a, n + (r.end - r.pos)); // an entry is at least one byte
  const { b, end } = r;
  while (r.pos < end) {
    const x = b[r.pos]!;
    if (x < 128) {
      r.pos++;
      a[n++] = x;
    } else a[n++] = r.uint();
  }
  r.leave(outer);
  return [a, n];
}

function sints(r: Reader, wire: number, a: Float64Array, n: number): [Float64Array, number] {
  if (wire === 0) {
    a = growF(a, n + 1);
    a[n++] = r.sint();
    return [a, n];
  }
  const outer = r.enter();
  a = growF(a, n + (r.end - r.pos));
  while (r.pos < r.end) a[n++] = r.sint();
  r.leave(outer);
  return [a, n];
}

export function readInstance(r: Reader): StartedInstance {
  const outer = r.enter();
  const s: StartedInstance = { slot: 0, gen: 0, name: '', attrs: [] };
  while (r.pos < r.end) {
    const tag = r.uint();
    if (tag === 8) s.slot = r.uint();
    else if (tag === 16) s.gen = r.uint();
    else if (tag === 26) s.name = r.string();
    else if (tag === 34) {
      const o = r.enter();
      const at = { key: 0, value: '' };
      while (r.pos < r.end) {
        const t = r.uint();
        if (t === 8) at.key = r.uint();
        else if (t === 18) at.value = r.string();
        else r.skip(t & 7);
      }
      r.leave(o);
      s.attrs.push(at);
    } else r.skip(tag & 7);
  }
  r.leave(outer);
  return s;
}

function readGroupTick(r: Reader, g: GroupTick): void {
  g.clear();
  const outer = r.enter();
  while (r.pos < r.end) {
    const tag = r.uint();
    const wire = tag & 7;
    switch (tag >>> 3) {
      case 1:
        g.group = r.uint();
        break;
      case 2:
        g.offUs = r.sint();
        break;
      case 3:
        g.reset = r.uint() !== 0;
        break;
      case 4:
        g.periodMs = r.uint();
        break;
      case 5: {
        const [a, n] = uints(r, wire, new Uint32Array(4), 0);
        for (let i = 0; i < n; i++) g.ends.push(a[i]!);
        break;
      }
      case 6:
        g.starts.push(readInstance(r));
        break;
      case 7:
        [g.absent, g.nAbsent] = uints(r, wire, g.absent, g.nAbsent);
        break;
      case 8:
        [g.gap, g.nGap] = uints(r, wire, g.gap, g.nGap);
        break;
      case 9:
        [g.delta, g.nDelta] = sints(r, wire, g.delta, g.nDelta);
        break;
      case 10:
        [g.lo, g.nLo] = sints(r, wire, g.lo, g.nLo);
        break;
      case 11:
        [g.hi, g.nHi] = sints(r, wire, g.hi, g.nHi);
        break;
      case 12:
        [g.sum, g.nSum] = sints(r, wire, g.sum, g.nSum);
        break;
      case 13:
        g.n = r.uint() || 1;
        break;
      case 14:
        g.spanUs = r.uint();
        break;
      default:
        r.skip(wire);
    }
  }
  r.leave(outer);
  if (g.nGap !== g.nDelta) throw new RangeError('gap and delta differ in length');
}

function readTick(r: Reader, v: BatchVisitor, g: GroupTick): void {
  const outer = r.enter();
  let mono = 0;
  let tick = 0;
  while (r.pos < r.end) {
    const tag = r.uint();
    if (tag === 8) mono = r.uint();
    else if (tag === 16) tick = r.uint();
    else if (tag === 26) {
      readGroupTick(r, g);
      v.groupTick(mono, tick, g);
    } else r.skip(tag & 7);
  }
  r.leave(outer);
  v.tickEnd(mono, tick);
}

function readClock(r: Reader): ClockRecord {
  const outer = r.enter();
  const c: ClockRecord = { monoUs: 0, realOffUs: 0, bootOffUs: 0, reason: 0 };
  while (r.pos < r.end) {
    const tag = r.uint();
    if (tag === 8) c.monoUs = r.int();
    else if (tag === 16) c.realOffUs = r.sint();
    else if (tag === 24) c.bootOffUs = r.sint();
    else if (tag === 32) c.reason = r.uint();
    else r.skip(tag & 7);
  }
  r.leave(outer);
  return c;
}

const scratch = new GroupTick();

/** If the message is a Batch: walks it and returns its seq; else -1 and nothing was called. mono_us and
 *  tick must stand before the groups of a tick, as every protobuf writer puts them. */
export function readBatch(bytes: Uint8Array, v: BatchVisitor): number {
  const r = new Reader(bytes);
  if (bytes.length === 0 || bytes[0] !== 26) return -1;
  r.pos = 1;
  const outer = r.enter();
  let seq = 0;
  while (r.pos < r.end) {
    const tag = r.uint();
    if (tag === 10) readTick(r, v, scratch);
    else if (tag === 16) seq = r.uint();
    else if (tag === 26) v.clockRecord(readClock(r));
    else r.skip(tag & 7);
  }
  r.leave(outer);
  return seq;
}
