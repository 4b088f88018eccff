// The past beyond what the page received live: what is held, events of earlier hours, what changed in a
// range, totals of a range. An agent that knows none of it answers nothing or an error: then the page does
// with what it has.
import type { EventList, Held as PbHeld, Rank, RankRow, Totals, TotalsRow } from '../gen/strobe_pb';
import type { AgentClock } from '../transport/clock';
import { eventsBytes, heldBytes, rankBytes, type TotalsAsk, totalsBytes } from '../transport/outgoing';
import type { HostEvent, MonoUs, View } from './api';
import { Asks, type Refusal } from './asks';
import { Held } from './held';

const REFRESH_MS = 20_000;
const EVENTS_MOST = 20_000;

export interface Ranked {
  readonly base: View;
  readonly nSeries: number;
  readonly nScored: number;
  readonly rows: readonly RankRow[];
}

export interface Summed {
  readonly rows: readonly TotalsRow[];
  readonly nInstances: number;
}

export type Answer<T> = { readonly value: T | null; readonly why: Refusal | null };

type Send = (bytes: Uint8Array<ArrayBuffer>) => boolean;

export const eventOf = (e: EventList['events'][0]): HostEvent => ({
  seq: Number(e.seq),
  t: Number(e.monoUs),
  kind: e.kind,
  severity: Math.min(2, e.severity) as 0 | 1 | 2,
  source: e.source,
  text: e.text,
});

export class Past {
  readonly asks = new Asks();
  held = new Held();
  /** Held came, or will not: times before this boot can be mapped as well as they ever will. */
  settled = false;
  /** Older than those that came with the subscription, oldest first. */
  events: HostEvent[] = [];
  private asking = false;
  private askedMs = Number.NEGATIVE_INFINITY;
  private knows = true;
  /** All events from here on are known. */
  private eventsFrom: MonoUs = Number.POSITIVE_INFINITY;
  private eventsDue = false;

  constructor(
    private readonly send: Send,
    private readonly clock: AgentClock,
    private readonly changed: () => void,
  ) {}

  /** A new connection: another agent may have other answers. */
  opened(nowMs: number, eventsFrom: MonoUs): void {
    this.knows = true;
    this.asking = false;
    this.eventsFrom = this.eventsDue ? this.eventsFrom : Math.min(this.eventsFrom, eventsFrom);
    this.refresh(nowMs);
  }

  forget(): void {
    this.held = new Held();
    this.clock.history([], []);
    this.settled = false;
    this.events = [];
    this.eventsFrom = Number.POSITIVE_INFINITY;
  }

  lost(): void {
    this.asks.lost();
    this.asking = false;
  }

  /** Once a second. */
  tick(nowMs: number): void {
    if (this.knows && nowMs - this.askedMs > REFRESH_MS) this.refresh(nowMs);
  }

  private refresh(nowMs: number): void {
    if (this.asking) return;
    this.asking = true;
    this.askedMs = nowMs;
    void this.asks
      .ask<PbHeld>((req) => this.send(heldBytes(req)))
      .then(({ parts, why }) => {
        this.asking = false;
        const m = parts?.[0];
        if (m) this.heldCame(m);
        else if (why) this.knows = false;
        if (m || why) this.settled = true;
        this.changed();
      });
  }

  private heldCame(m: PbHeld): void {
    this.held = new Held(m);
    this.clock.history(
      this.held.spans.map((s) => s.from),
      m.clocks.map((c) => ({
        monoUs: Number(c.monoUs),
        realOffUs: Number(c.realOffUs),
        bootOffUs: Number(c.bootOffUs),
        reason: c.reason,
      })),
    );
  }

  /** Whether the agent may answer questions about the past. */
  get answers(): boolean {
    return this.knows;
  }

  async rank(over: View, base: View | null, limit: number): Promise<Answer<Ranked>> {
    const { parts, why } = await this.asks.ask<Rank>((req) => this.send(rankBytes(req, over, base, limit)));
    const m = parts?.[0];
    if (!m) return { value: null, why };
    return {
      value: {
        base: { from: Number(m.baseFromUs), to: Number(m.baseToUs) },
        nSeries: m.nSeries,
        nScored: m.nScored,
        rows: m.rows,
      },
      why: null,
    };
  }

  async totals(ask: TotalsAsk): Promise<Answer<Summed>> {
    const { parts, why } = await this.asks.ask<Totals>((req) => this.send(totalsBytes(req, ask)));
    if (!parts) return { value: null, why };
    return {
      value: {
        rows: parts.flatMap((p) => p.rows),
        nInstances: Math.max(0, ...parts.map((p) => p.nInstances)),
      },
      why: null,
    };
  }

  /** Sees to it that the events since `from` are known, as far as the agent has them. */
  wantEvents(from: MonoUs): void {
    if (!this.knows || this.eventsDue || !Number.isFinite(this.eventsFrom) || from >= this.eventsFrom) return;
    this.eventsDue = true;
    const over = { from: Math.floor(from), to: this.eventsFrom };
    void this.asks
      .ask<EventList>((req) => this.send(eventsBytes(req, over)))
      .then(({ parts, why }) => {
        this.eventsDue = false;
        if (!parts) {
          // Not to be asked again and again: what is not known there stays unknown.
          if (why) this.eventsFrom = over.from;
          return;
        }
        this.eventsFrom = over.from;
        const came = parts.flatMap((p) => p.events).map(eventOf);
        this.events = numbered([...came, ...this.events].sort((a, b) => a.t - b.t)).slice(-EVENTS_MOST);
        this.changed();
      });
  }
}

/** Events of an older log have no number of their own: negative ones, by their time. */
function numbered(events: readonly HostEvent[]): HostEvent[] {
  const seen = new Set<string>();
  const out: HostEvent[] = [];
  for (const e of events) {
    const key = `${e.t} ${e.kind} ${e.source} ${e.text}`;
    if (seen.has(key)) continue;
    seen.add(key);
    out.push(e.seq > 0 ? e : { ...e, seq: -1 - out.length });
  }
  return out;
}
