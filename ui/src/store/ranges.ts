// History at a resolution: what the ring does not hold is asked from the agent in chunks of columns and
// kept. One request serves every series that misses the same columns.
//
// Invariants
//  - Column i of a step covers [i * step, (i + 1) * step) of mono time, whatever the view.
//  - Values are in stored units (a counter: stored units per second).
//  - A chunk whose end lay in the future when it was asked for is only good up to `upTo`.
//  - Nothing is asked for that is known or under way. What the newest frame misses is asked for first, in
//    the order in which it was missed: charts before sparklines.
import type { Range, RangeSeries } from '../gen/strobe_pb';
import type { RangeAsk } from '../transport/outgoing';
import type { MonoUs, SeriesRef } from './api';
import { CHUNK, type Chunk, ChunkStore, type RangeField, seriesKey } from './chunks';

export { CHUNK, type Chunk, seriesKey } from './chunks';

const RETRY_MS = 1000;
/** The agent scans one request after another: more than these only wait there. */
const FLYING = 2;
const SERIES_PER_ASK = 1000;
/** Bytes of selectors in a request: a message may have 64 KiB. */
const ASK_BYTES = 48_000;
const POINTS_PER_ASK = 10_000;
/** Values an answer may have in all. */
const VALUES_PER_ASK = 2 ** 20;
/** What no frame missed again for so long is off the screen. */
const STALE_MS = 4000;

interface Missing {
  readonly ref: SeriesRef;
  readonly chunks: Set<number>;
}

/** What is missing of one step. */
interface Want {
  readonly step: number;
  readonly series: Map<string, Missing>;
  /** Frame that missed it last, and when. */
  round: number;
  at: number;
  upTo: MonoUs;
}

interface Asked {
  readonly step: number;
  readonly fromChunk: number;
  readonly toChunk: number; // exclusive
  readonly series: ReadonlyMap<string, SeriesRef>;
  readonly upTo: MonoUs;
}

interface Once {
  readonly from: MonoUs;
  readonly to: MonoUs;
  series: Map<string, SeriesRef>;
  done: OneShotDone[];
  parts: Map<string, OneShot>;
}

/** null: not answered, ask again. */
export type OneShotDone = (r: Map<string, OneShot> | null) => void;

export interface OneShot {
  n: number;
  min: number;
  mean: number;
  max: number;
}

export class RangeCache {
  private readonly chunks: ChunkStore;
  private wanted = new Map<number, Want>();
  private onces = new Map<string, Once>();
  private flying = new Map<number, Asked | Once>();
  private notBefore = 0;
  private nextReq = 1;
  private scheduled = false;
  private round = 0;
  private seriesPerAsk = SERIES_PER_ASK;

  /** isCounter: a counter's points are rates in thousandths. */
  constructor(
    private readonly send: (ask: RangeAsk) => boolean,
    private readonly isCounter: (metric: string) => boolean,
    private readonly changed: () => void,
    private readonly nowMs: () => number = Date.now,
  ) {
    this.chunks = new ChunkStore(nowMs);
  }

  clear(): void {
    this.chunks.clear();
    this.wanted.clear();
    this.onces.clear();
    this.flying.clear();
    this.notBefore = 0;
  }

  /** Chunks kept. */
  get size(): number {
    return this.chunks.size;
  }

  /** The link broke: what was under way will not come. */
  lost(): void {
    const flying = [...this.flying.values()];
    const onces = [...this.onces.values()];
    this.flying.clear();
    this.wanted.clear();
    this.onces.clear();
    for (const p of flying)
      if ('done' in p) onces.push(p);
      else this.free(p);
    for (const o of onces) for (const done of o.done) done(null);
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
    const key = seriesKey(ref);
    const c = this.chunks.get(key, step, chunk);
    if (c) this.chunks.touch(c);
    const end = Math.min((chunk + 1) * CHUNK * step, needTo);
    if (c && c.upTo >= end - tolUs) return c;
    if (!c?.busy) this.want(key, ref, step, chunk, newest);
    return c?.known ? c : null;
  }

  /** What is to be drawn in place of a chunk that is on its way; null: nothing. */
  guess(ref: SeriesRef, step: number, chunk: number): Chunk | null {
    return this.chunks.guess(seriesKey(ref), step, chunk);
  }

  /** The value of the narrowest cached column that holds t; NaN: none. */
  at(ref: SeriesRef, t: MonoUs, field: RangeField): number {
    return this.chunks.at(seriesKey(ref), t, field);
  }

  private want(key: string, ref: SeriesRef, step: number, chunk: number, newest: MonoUs): void {
    this.schedule();
    let w = this.wanted.get(step);
    if (!w) {
      w = { step, series: new Map(), round: this.round, at: 0, upTo: newest };
      this.wanted.set(step, w);
    }
    w.round = this.round;
    w.at = this.nowMs();
    w.upTo = newest;
    const m = w.series.get(key);
    if (m) m.chunks.add(chunk);
    else w.series.set(key, { ref, chunks: new Set([chunk]) });
  }

  /** min, mean, max of a span exactly. */
  once(refs: readonly SeriesRef[], from: MonoUs, to: MonoUs, done: OneShotDone): void {
    if (!(to > from)) {
      done(new Map());
      return;
    }
    const id = `${from} ${to}`;
    let o = this.onces.get(id);
    if (!o) {
      o = { from, to, series: new Map(), done: [], parts: new Map() };
      this.onces.set(id, o);
    }
    for (const r of refs) o.series.set(seriesKey(r), r);
    o.done.push(done);
    this.schedule();
  }

  private schedule(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    this.round++;
    const wait = this.notBefore - this.nowMs();
    // After this frame has said all it misses.
    if (wait > 0) setTimeout(() => this.flush(), wait);
    else queueMicrotask(() => this.flush());
  }

  private flush(): void {
    this.scheduled = false;
    if (this.nowMs() < this.notBefore) {
      this.schedule();
      return;
    }
    const dropped = this.dropStale();
    while (this.flying.size < FLYING) {
      const next = this.next();
      if (!next) break;
      if (!this.ask(next)) return;
    }
    // Whoever still looks at it asks again.
    if (dropped) this.changed();
  }

  private dropStale(): boolean {
    const before = this.nowMs() - STALE_MS;
    let dropped = false;
    for (const [step, w] of this.wanted)
      if (w.at < before) {
        this.wanted.delete(step);
        dropped = true;
      }
    return dropped;
  }

  private next(): Asked | Once | null {
    const w = [...this.wanted.values()].sort((a, b) => b.round - a.round)[0];
    if (w) return this.take(w);
    const [id, o] = this.onces.entries().next().value ?? [];
    if (id === undefined || !o) return null;
    this.onces.delete(id);
    return o;
  }

  /** Of what is missing of a step, those columns that most series miss: one request. */
  private take(w: Want): Asked {
    const runs = new Map<string, { from: number; to: number; keys: string[] }>();
    for (const [key, m] of w.series) {
      const sorted = [...m.chunks].sort((a, b) => a - b);
      const to = sorted.at(-1)! + 1;
      let from = to - 1;
      // The newest run, no longer than a request may be; the rest with the next one.
      while (m.chunks.has(from - 1) && (to - from + 1) * CHUNK <= POINTS_PER_ASK) from--;
      const run = runs.get(`${from} ${to}`);
      if (run) run.keys.push(key);
      else runs.set(`${from} ${to}`, { from, to, keys: [key] });
    }
    const best = [...runs.values()].reduce((a, b) => (b.keys.length > a.keys.length ? b : a));
    const points = (best.to - best.from) * CHUNK;
    const most = Math.max(1, Math.min(this.seriesPerAsk, Math.floor(VALUES_PER_ASK / points)));
    const series = new Map<string, SeriesRef>();
    let bytes = 0;
    for (const key of best.keys) {
      const m = w.series.get(key)!;
      bytes += key.length + 6;
      if (series.size === most || bytes > ASK_BYTES) break;
      series.set(key, m.ref);
      for (let c = best.from; c < best.to; c++) m.chunks.delete(c);
      if (m.chunks.size === 0) w.series.delete(key);
    }
    if (w.series.size === 0) this.wanted.delete(w.step);
    return { step: w.step, fromChunk: best.from, toChunk: best.to, series, upTo: w.upTo };
  }

  private ask(p: Asked | Once): boolean {
    const req = this.nextReq++;
    const series = [...p.series.values()].map((r) => ({ metric: r.metric, instance: r.instance ?? '' }));
    const span = 'done' in p ? 0 : CHUNK * p.step;
    const sent = this.send(
      'done' in p
        ? { req, series, fromUs: Math.floor(p.from), toUs: Math.ceil(p.to), points: 1 }
        : {
            req,
            series,
            fromUs: p.fromChunk * span,
            toUs: p.toChunk * span,
            points: (p.toChunk - p.fromChunk) * CHUNK,
          },
    );
    if (!sent) {
      if ('done' in p) for (const done of p.done) done(null);
      return false;
    }
    this.flying.set(req, p);
    if (!('done' in p)) for (const c of this.chunksOf(p)) c.busy = true;
    return true;
  }

  private *chunksOf(p: Asked): Generator<Chunk> {
    for (const key of p.series.keys())
      for (let c = p.fromChunk; c < p.toChunk; c++) yield this.chunks.ensure(key, p.step, c);
  }

  private free(p: Asked): void {
    for (const c of this.chunksOf(p)) c.busy = false;
  }

  /** An answer, or a part of one. */
  receive(m: Range): void {
    const p = this.flying.get(m.req);
    if (!p) return;
    if ('done' in p) this.receiveOnce(p, m);
    else {
      for (const s of m.series) this.store(p, s);
      if (m.last)
        for (const c of this.chunksOf(p)) {
          c.upTo = p.upTo;
          c.busy = false;
        }
    }
    if (m.last) {
      this.flying.delete(m.req);
      if (this.wanted.size || this.onces.size) this.schedule();
    }
    this.chunks.evict();
    this.changed();
  }

  /** Several holders of one name (a restarted process, a device that came back) share the columns. */
  private store(p: Asked, s: RangeSeries): void {
    const key = seriesKey({ metric: s.metric, instance: s.instance });
    const f = this.isCounter(s.metric) ? 0.001 : 1;
    const fresh = new Set<Chunk>();
    let i = -1;
    for (let k = 0; k < s.gap.length; k++) {
      i += s.gap[k]! + 1;
      const chunk = p.fromChunk + Math.floor(i / CHUNK);
      if (chunk >= p.toChunk) break;
      const c = this.chunks.ensure(key, p.step, chunk);
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

  private receiveOnce(p: Once, m: Range): void {
    for (const s of m.series) {
      const f = this.isCounter(s.metric) ? 0.001 : 1;
      const n = s.count[0] ?? 0;
      if (n === 0) continue;
      p.parts.set(seriesKey({ metric: s.metric, instance: s.instance }), {
        n,
        min: Number(s.min[0]!) * f,
        mean: s.mean[0]! * f,
        max: Number(s.max[0]!) * f,
      });
    }
    if (m.last) for (const done of p.done) done(p.parts);
  }

  /** The agent refused: busy ones are asked again later, too large ones in parts, the others stay empty. */
  refused(req: number, code: number): void {
    const p = this.flying.get(req);
    if (!p) return;
    this.flying.delete(req);
    const again = code === 429 || code === 500;
    const smaller = code === 413 && p.series.size > 1;
    if (again) this.notBefore = this.nowMs() + RETRY_MS;
    if (smaller) this.seriesPerAsk = Math.max(1, Math.ceil(p.series.size / 2));
    if ('done' in p) for (const done of p.done) done(null);
    else {
      this.free(p);
      if (!again && !smaller) for (const c of this.chunksOf(p)) c.upTo = Number.POSITIVE_INFINITY;
    }
    if (this.wanted.size || this.onces.size) this.schedule();
    this.changed();
  }
}
