// The agent's monotonic clock as this page knows it, and its mapping to wall time.
import type { Clock, MonoUs } from '../store/api';
import type { ClockRecord } from './decode';

interface Estimate {
  at: number; // local µs
  off: number; // agent - local, µs
  rtt: number;
}

const KEEP_US = 120_000_000;

export class AgentClock implements Clock {
  private records: ClockRecord[] = [];
  private estimates: Estimate[] = [];
  private offUs = 0;

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

  /** A tick that lies ahead of our estimate proves it late. */
  atLeast(agentUs: MonoUs): void {
    const ahead = agentUs - this.now();
    if (ahead > 0) {
      this.offUs += ahead;
      for (const e of this.estimates) e.off = Math.max(e.off, this.offUs);
    }
  }

  now(): MonoUs {
    return this.localUs() + this.offUs;
  }

  record(c: ClockRecord): void {
    const i = this.records.findIndex((r) => r.monoUs >= c.monoUs);
    if (i < 0) this.records.push(c);
    else if (this.records[i]!.monoUs === c.monoUs) this.records[i] = c;
    else this.records.splice(i, 0, c);
  }

  reset(records: readonly ClockRecord[]): void {
    this.records = [];
    for (const c of records) this.record(c);
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

  /** The offset in force at t: that of the newest record not after it. Small slews between two
   *  records are spread evenly, so that time does not jump by them. */
  private realOff(t: MonoUs): number {
    const rs = this.records;
    if (rs.length === 0) return Date.now() * 1000 - this.now();
    let i = rs.length - 1;
    while (i > 0 && rs[i]!.monoUs > t) i--;
    const a = rs[i]!;
    const b = rs[i + 1];
    if (!b || t <= a.monoUs || Math.abs(b.realOffUs - a.realOffUs) > 100_000) return a.realOffUs;
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
