// History at a resolution: what the ring does not hold is asked from the agent in chunks of columns and
// kept. One request serves every series that misses the same columns.
//
// Invariants
//  - Column i of a step covers [i * step, (i + 1) * step) of mono time, whatever the view.
//  - Values are in stored units (a counter: stored units per second).
//  - A chunk whose end lay in the future when it was asked for is only good up to `upTo`.
import type { Range, RangeSeries } from '../gen/strobe_pb';
import type { RangeAsk } from '../transport/outgoing';
import type { MonoUs, SeriesRef } from './api';

export const CHUNK = 64; // columns
const MAX_CHUNKS = 6000;
const RETRY_MS = 1000;
/** The agent scans one request after another: more than these only wait there. */
const FLYING = 2;
const SERIES_PER_ASK = 200;

export class Chunk {
  readonly n = new Float64Array(CHUNK);
  readonly v = new Float64Array(CHUNK).fill(Number.NaN);
  readonly lo = new Float64Array(CHUNK).fill(Number.NaN);
  readonly hi = new Float64Array(CHUNK).fill(Number.NaN);
  upTo: MonoUs = 0;
  used = 0;
}

interface Pending {
  step: number;
  fromChunk: number;
  toChunk: number; // exclusive
  series: Map<string, SeriesRef>;
  upTo: MonoUs;
  oneShot: OneShotDone[] | null;
}

/** null: not answered, ask again. */
export type OneShotDone = (r: Map<string, OneShot> | null) => void;

export interface OneShot {
  n: number;
  min: number;
  mean: number;
  max: number;
}

export const seriesKey = (r: SeriesRef) => `${r.metric}\u0000${r.instance ?? ''}`;

export class RangeCache {
  private chunks = new Map<string, Chunk>();
  private wanted = new Map<string, Pending>();
  private flying = new Map<number, Pending>();
  private busy = new Set<string>(); // chunk keys asked for and not answered
  private notBefore = 0;
  private nextReq = 1;
  private scheduled = false;
  private clockTick = 0;
  private steps: number[] = []; // those of cached chunks, narrowest first

  /** isCounter: a counter's points are rates in thousandths. */
  constructor(
    private readonly send: (ask: RangeAsk) => boolean,
    private readonly isCounter: (metric: string) => boolean,
    private readonly changed: () => void,
  ) {}

  clear(): void {
    this.chunks.clear();
    this.wanted.clear();
    this.flying.clear();
    this.busy.clear();
    this.notBefore = 0;
  }

  /** The link broke: what was under way will not come. */
  lost(): void {
    for (const p of [...this.wanted.values(), ...this.flying.values()])
      for (const done of p.oneShot ?? []) done(null);
    this.wanted.clear();
    this.flying.clear();
    this.busy.clear();
  }

  private key(ref: SeriesRef, step: number, chunk: number): string {
    return `${seriesKey(ref)}\u0000${step}\u0000${chunk}`;
  }

  /** The chunk of columns of a series, as far as it is known; asks for it where it is missing or ends
   *  more than `tolUs` before `needTo`. */
  chunk(
    ref: SeriesRef,
    step: number,
    chunk: number,
    needTo: MonoUs,
    newest: MonoUs,
    tolUs: number,
  ): Chunk | null {
    const key = this.key(ref, step, chunk);
    const c = this.chunks.get(key);
    if (c) c.used = ++this.clockTick;
    const end = Math.min((chunk + 1) * CHUNK * step, needTo);
    if (c && c.upTo >= end - tolUs) return c;
    if (!this.busy.has(key)) this.want(ref, step, chunk, newest);
    return c ?? null;
  }

  /** The value of the narrowest cached column that holds t; NaN: none. */
  at(ref: SeriesRef, t: MonoUs, field: 'v' | 'lo' | 'hi'): number {
    const prefix = `${seriesKey(ref)}\u0000`;
    for (const step of this.steps) {
      const col = Math.floor(t / step);
      const chunk = Math.floor(col / CHUNK);
      const c = this.chunks.get(`${prefix}${step}\u0000${chunk}`);
      // Samples are asked for finer than they come: look back a few columns.
      for (let j = col - chunk * CHUNK, k = 0; c && j >= 0 && k < 10; j--, k++)
        if (c.n[j]! > 0) return c[field][j]!;
    }
    return Number.NaN;
  }

  private want(ref: SeriesRef, step: number, chunk: number, newest: MonoUs): void {
    const id = `${step}`;
    let p = this.wanted.get(id);
    if (!p) {
      p = { step, fromChunk: chunk, toChunk: chunk + 1, series: new Map(), upTo: newest, oneShot: null };
      this.wanted.set(id, p);
    }
    p.fromChunk = Math.min(p.fromChunk, chunk);
    p.toChunk = Math.max(p.toChunk, chunk + 1);
    p.series.set(seriesKey(ref), ref);
    this.schedule();
  }

  /** min, mean, max of a span exactly. */
  once(refs: readonly SeriesRef[], from: MonoUs, to: MonoUs, done: OneShotDone): void {
    const id = `once ${from} ${to}`;
    const same = this.wanted.get(id);
    if (same?.oneShot) {
      for (const r of refs) same.series.set(seriesKey(r), r);
      same.oneShot.push(done);
      return;
    }
    const p: Pending = {
      step: Math.max(1, Math.round(to - from)),
      fromChunk: from,
      toChunk: to,
      series: new Map(refs.map((r) => [seriesKey(r), r])),
      upTo: to,
      oneShot: [done],
    };
    this.wanted.set(id, p);
    this.schedule();
  }

  private schedule(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    const wait = this.notBefore - Date.now();
    // After this frame has said all it misses.
    if (wait > 0) setTimeout(() => this.flush(), wait);
    else queueMicrotask(() => this.flush());
  }

  /** Asks for what is wanted most recently first; the rest when an answer came. */
  private flush(): void {
    this.scheduled = false;
    if (Date.now() < this.notBefore) {
      this.schedule();
      return;
    }
    for (const [id, p] of this.wanted) {
      if (this.flying.size >= FLYING) return;
      this.wanted.delete(id);
      const refs = [...p.series.values()];
      const rest = refs.slice(SERIES_PER_ASK);
      if (rest.length) this.wanted.set(id, { ...p, series: new Map(rest.map((r) => [seriesKey(r), r])) });
      this.ask(p, refs.slice(0, SERIES_PER_ASK));
    }
  }

  private ask(p: Pending, refs: readonly SeriesRef[]): void {
    const req = this.nextReq++;
    const part: Pending = { ...p, series: new Map(refs.map((r) => [seriesKey(r), r])) };
    let { fromChunk } = p;
    // No more than 10,000 points in a request; the oldest are asked for with the next frame.
    if (!p.oneShot) fromChunk = Math.max(fromChunk, p.toChunk - Math.floor(10_000 / CHUNK));
    part.fromChunk = fromChunk;
    const span = CHUNK * p.step;
    if (p.oneShot && !(p.toChunk > p.fromChunk && p.toChunk > 0)) {
      for (const done of p.oneShot) done(new Map());
      return;
    }
    const ask: RangeAsk = {
      req,
      series: refs.map((r) => ({ metric: r.metric, instance: r.instance ?? '' })),
      fromUs: Math.max(0, p.oneShot ? Math.floor(p.fromChunk) : fromChunk * span),
      toUs: p.oneShot ? Math.ceil(p.toChunk) : p.toChunk * span,
      points: p.oneShot ? 1 : (p.toChunk - fromChunk) * CHUNK,
    };
    if (!this.send(ask)) {
      for (const done of p.oneShot ?? []) done(null);
      return;
    }
    this.flying.set(req, part);
    if (!p.oneShot) for (const key of this.keysOf(part)) this.busy.add(key);
  }

  private *keysOf(p: Pending): Generator<string> {
    for (const r of p.series.values())
      for (let c = p.fromChunk; c < p.toChunk; c++) yield this.key(r, p.step, c);
  }

  /** An answer, or a part of one. */
  receive(m: Range): void {
    const p = this.flying.get(m.req);
    if (!p) return;
    if (p.oneShot) this.receiveOnce(p, m);
    else {
      for (const s of m.series) this.store(p, s);
      if (m.last) {
        for (const r of p.series.values())
          for (let c = p.fromChunk; c < p.toChunk; c++) this.ensure(r, p.step, c).upTo = p.upTo;
        for (const key of this.keysOf(p)) this.busy.delete(key);
      }
    }
    if (m.last) {
      this.flying.delete(m.req);
      if (this.wanted.size) this.schedule();
    }
    this.evict();
    this.changed();
  }

  private ensure(r: SeriesRef, step: number, chunk: number): Chunk {
    const key = this.key(r, step, chunk);
    let c = this.chunks.get(key);
    if (!c) {
      c = new Chunk();
      c.used = ++this.clockTick;
      this.chunks.set(key, c);
      if (!this.steps.includes(step)) this.steps = [...this.steps, step].sort((a, b) => a - b);
    }
    return c;
  }

  /** Several holders of one name (a restarted process, a device that came back) share the columns. */
  private store(p: Pending, s: RangeSeries): void {
    const ref: SeriesRef = s.instance ? { metric: s.metric, instance: s.instance } : { metric: s.metric };
    const f = this.isCounter(s.metric) ? 0.001 : 1;
    const fresh = new Set<Chunk>();
    let i = -1;
    for (let k = 0; k < s.gap.length; k++) {
      i += s.gap[k]! + 1;
      const chunk = p.fromChunk + Math.floor(i / CHUNK);
      if (chunk >= p.toChunk) break;
      const c = this.ensure(ref, p.step, chunk);
      if (c.upTo !== p.upTo && !fresh.has(c)) {
        // What an earlier answer had of this chunk is superseded.
        c.n.fill(0);
        c.upTo = p.upTo;
      }
      fresh.add(c);
      const j = i % CHUNK;
      const n = s.count[k] ?? 1;
      const had = c.n[j]!;
      const mean = (s.mean[k] ?? Number.NaN) * f;
      const lo = Number(s.min[k] ?? 0n) * f;
      const hi = Number(s.max[k] ?? 0n) * f;
      c.v[j] = had > 0 ? (c.v[j]! * had + mean * n) / (had + n) : mean;
      c.lo[j] = had > 0 ? Math.min(c.lo[j]!, lo) : lo;
      c.hi[j] = had > 0 ? Math.max(c.hi[j]!, hi) : hi;
      c.n[j] = had + n;
    }
  }

  private receiveOnce(p: Pending, m: Range): void {
    const out = new Map<string, OneShot>();
    for (const s of m.series) {
      const f = this.isCounter(s.metric) ? 0.001 : 1;
      const n = s.count[0] ?? 0;
      if (n === 0) continue;
      const key = seriesKey(s.instance ? { metric: s.metric, instance: s.instance } : { metric: s.metric });
      const o: OneShot = {
        n,
        min: Number(s.min[0]!) * f,
        mean: s.mean[0]! * f,
        max: Number(s.max[0]!) * f,
      };
      out.set(key, o);
    }
    for (const done of p.oneShot ?? []) done(out);
  }

  /** The agent refused: busy ones are asked again later, the others stay empty. */
  refused(req: number, code: number): void {
    const p = this.flying.get(req);
    if (!p) return;
    this.flying.delete(req);
    if (!p.oneShot) for (const key of this.keysOf(p)) this.busy.delete(key);
    if (code === 429 || code === 500) this.notBefore = Date.now() + RETRY_MS;
    if (this.wanted.size) this.schedule();
    for (const done of p.oneShot ?? []) done(null);
    if (code !== 429 && code !== 500 && !p.oneShot)
      for (const r of p.series.values())
        for (let c = p.fromChunk; c < p.toChunk; c++)
          this.ensure(r, p.step, c).upTo = Number.POSITIVE_INFINITY;
    this.changed();
  }

  private evict(): void {
    if (this.chunks.size <= MAX_CHUNKS) return;
    const old = [...this.chunks].sort((a, b) => a[1].used - b[1].used).slice(0, MAX_CHUNKS / 4);
    for (const [key] of old) this.chunks.delete(key);
  }
}
