// The agent's monotonic clock as this page knows it, and its mapping to wall time. The axis reaches back
// before this boot: what earlier boots and agents recorded has clock records of its own.
import type { Clock, MonoUs } from '../store/api';
import type { ClockRecord } from './decode';

interface Estimate {
  at: number; // local µs
  off: number; // agent - local, µs
  rtt: number;
}

const KEEP_US = 120_000_000;
/** Two offsets further apart are a step, not a slew. */
const STEP_US = 100_000;

export class AgentClock implements Clock {
  private records: ClockRecord[] = [];
  /** Those of Hello and of batches: this boot's. */
  private own: ClockRecord[] = [];
  private older: readonly ClockRecord[] = [];
  /** Beginnings of stretches recorded by one agent, rising: no slew reaches over one. */
  private starts: readonly MonoUs[] = [];
  private estimates: Estimate[] = [];
  private offUs = 0;
  private still: MonoUs | null = null;

  /** localUs: the page's own monotonic clock. */
  constructor(private readonly localUs: () => number = () => performance.now() * 1000) {}

  /** The agent said `agentUs` in answer to something sent at `sentUs` (local clock); it came at `now`. */
  observe(agentUs: MonoUs, sentUs: number, now = this.localUs()): void {
    const rtt = Math.max(0, now - sentUs);
    this.estimates = this.estimates.filter((e) => now - e.at < KEEP_US).slice(-15);
    this.estimates.push({ at: now, off: agentUs + rtt / 2 - now, rtt });
    // The quickest answer has the least room for error.
    let best = this.estimates[0]!;
    for (const e of this.estimates) if (e.rtt <= best.rtt * 1.2) best = e;
    this.offUs = best.off;
  }

  /** Forgets what was measured over an earlier connection: the page may have slept. */
  restart(): void {
    this.estimates = [];
  }

  /** A capture's time does not go on. null: it does. */
  standAt(t: MonoUs | null): void {
    this.still = t;
  }

  /** A tick that lies ahead of our estimate proves it late. */
  atLeast(agentUs: MonoUs): void {
    const ahead = agentUs - this.now();
    if (ahead > 0 && this.still === null) {
      this.offUs += ahead;
      for (const e of this.estimates) e.off = Math.max(e.off, this.offUs);
    }
  }

  now(): MonoUs {
    return this.still ?? this.localUs() + this.offUs;
  }

  record(c: ClockRecord): void {
    insert(this.own, c);
    this.merge();
  }

  reset(records: readonly ClockRecord[]): void {
    this.own = [];
    for (const c of records) insert(this.own, c);
    this.merge();
  }

  /** What the agent said of all that is held: where its stretches begin and the clocks of each. */
  history(starts: readonly MonoUs[], records: readonly ClockRecord[]): void {
    this.starts = [...starts].sort((a, b) => a - b);
    this.older = records;
    this.merge();
  }

  /** This boot's own records are the exact ones. */
  private merge(): void {
    const out: ClockRecord[] = [];
    for (const c of this.older) insert(out, c);
    for (const c of this.own) insert(out, c);
    this.records = out;
  }

  /** Wall time of the first record of this boot; before it the agent's word on what it holds is needed. */
  get firstMs(): number {
    const r = this.own[0];
    return r ? (r.monoUs + r.realOffUs) / 1000 : Number.POSITIVE_INFINITY;
  }

  /** Suspends within a span: where, and for how long the host slept. */
  suspends(from: MonoUs, to: MonoUs): { at: MonoUs; us: number }[] {
    const out: { at: MonoUs; us: number }[] = [];
    for (let i = 1; i < this.records.length; i++) {
      const c = this.records[i]!;
      if (c.reason === 3 && c.monoUs >= from && c.monoUs <= to)
        out.push({ at: c.monoUs, us: c.bootOffUs - this.records[i - 1]!.bootOffUs });
    }
    return out;
  }

  /** The newest stretch that begins at or before t. */
  private startOf(t: MonoUs): MonoUs {
    let s = Number.NEGATIVE_INFINITY;
    for (const x of this.starts) if (x <= t) s = x;
    return s;
  }

  /** The offset in force at t: that of the newest record not after it, of the stretch that t lies in. Small
   *  slews between two records are spread evenly, so that time does not jump by them. */
  private realOff(t: MonoUs): number {
    const rs = this.records;
    if (rs.length === 0) return Date.now() * 1000 - this.now();
    let i = rs.length - 1;
    while (i > 0 && rs[i]!.monoUs > t) i--;
    const a = rs[i]!;
    const b = rs[i + 1];
    if (!b || t <= a.monoUs) return a.realOffUs;
    const [sa, sb] = [this.startOf(a.monoUs), this.startOf(b.monoUs)];
    // The stretch's own first record may lie a little after its beginning.
    if (sa !== sb) return this.startOf(t) === sb ? b.realOffUs : a.realOffUs;
    if (Math.abs(b.realOffUs - a.realOffUs) > STEP_US) return a.realOffUs;
    return a.realOffUs + ((b.realOffUs - a.realOffUs) * (t - a.monoUs)) / (b.monoUs - a.monoUs);
  }

  wallMs(t: MonoUs): number {
    return (t + this.realOff(t)) / 1000;
  }

  mono(wallMs: number): MonoUs {
    const wall = wallMs * 1000;
    const rs = this.records;
    if (rs.length === 0) return wall - this.realOff(0);
    let i = rs.length - 1;
    while (i > 0 && rs[i]!.monoUs + rs[i]!.realOffUs > wall) i--;
    let t = wall - rs[i]!.realOffUs;
    for (let k = 0; k < 3; k++) t = wall - this.realOff(t);
    const next = rs[i + 1];
    return next ? Math.min(t, next.monoUs) : t;
  }
}

/** In time order; a record of the same time is replaced. */
function insert(list: ClockRecord[], c: ClockRecord): void {
  const last = list[list.length - 1];
  const i = !last || last.monoUs < c.monoUs ? -1 : list.findIndex((r) => r.monoUs >= c.monoUs);
  if (i < 0) list.push(c);
  else if (list[i]!.monoUs === c.monoUs) list[i] = c;
  else list.splice(i, 0, c);
}
