// The data as it arrives: connection, subscription and resume, rings, clock, events.
import { fromBinary } from '@bufbuild/protobuf';
import { type Hello, ServerMessageSchema } from '../gen/strobe_pb';
import { readAttrs } from '../transport/attrs';
import { readCatalog } from '../transport/catalog';
import { AgentClock } from '../transport/clock';
import { type BatchVisitor, type ClockRecord, type GroupTick, readBatch } from '../transport/decode';
import { pingBytes, rangeBytes, subscribeBytes, textsBytes } from '../transport/outgoing';
import type { SocketEvents } from '../transport/socket';
import type { HostEvent, HostInfo, MonoUs, Want } from './api';
import { Catalog } from './catalog';
import { GapLog } from './gaps';
import { GroupData } from './group';
import { hex, hostOf } from './host';
import { eventOf, Past } from './past';
import { RangeCache } from './ranges';
import { type Plan, plan, samePlan } from './wants';

/** The rings reach back so far, and never more than RING_ROWS rows. */
const RING_US = 300_000_000;
const RING_ROWS = 6000;
export const HIDDEN_LEVEL = 10;
const PING_MS = 10_000;
/** Silent for so long on an open link: it is dead. */
const SILENT_MS = 12_000;
const AWAIT_MS = 3000;
const SOON_MS = 50;
/** The first picture is painted so long after the first data, also on a slow machine. */
const PAINTED_MS = 1000;
const EVENTS_KEPT = 2000;
/** Events that a subscription brings. */
const EVENTS_US = 3_600_000_000;
const TICKS_KEPT = 65536;

export interface Wire {
  send(bytes: Uint8Array<ArrayBuffer>): boolean;
  restart(): void;
}

export interface FeedOptions {
  /** Raw history a new subscription asks for, µs. */
  readonly windowUs: () => number;
  readonly nowMs?: () => number;
  /** Called before the time axis becomes another boot's; what it returns is called after that. */
  readonly reboot?: () => () => void;
}

export class Feed implements SocketEvents, BatchVisitor {
  readonly clock: AgentClock;
  readonly gapLog: GapLog;
  readonly ranges: RangeCache;
  readonly past: Past;
  readonly listeners = new Set<() => void>();
  host: HostInfo | null = null;
  catalog = new Catalog();
  events: HostEvent[] = [];
  heldFrom: MonoUs = 0;
  newest: MonoUs = 0;
  version = 0;
  /** Ticks a message as served now; 2: because the connection is slow. */
  level = 1;
  levelReason = 1;
  /** Messages that could not be read or were refused, newest last. */
  problems: string[] = [];
  wire: Wire | null = null;
  /** Reads the profiler's answers, which come after the first screen; true: it was one. */
  profile: ((bytes: Uint8Array) => boolean) | null = null;

  private data: (GroupData | undefined)[] = [];
  private owners = new Map<string, readonly Want[]>();
  private plan: Plan = [];
  private planDue = false;
  private bumping = false;
  private logId = '';
  private logIdBytes: Uint8Array = new Uint8Array(0);
  private bootId = '';
  private startedUs = 0;
  private seq = 0;
  private ready = false;
  private askedTexts = false;
  private dataSinceMs = Number.POSITIVE_INFINITY;
  private hidden = false;
  private lastMessageMs = 0;
  private lastPingMs = 0;
  private openedUs = 0;
  private pings = new Map<number, number>();
  private nextPing = 1;
  private subscribedMs = Number.NEGATIVE_INFINITY;
  private askedFrom: MonoUs = 0;
  private readonly tickTimes = new Float64Array(TICKS_KEPT);
  private nTicks = 0;
  private readonly nowMs: () => number;

  constructor(private readonly opts: FeedOptions) {
    this.nowMs = opts.nowMs ?? (() => performance.now());
    this.clock = new AgentClock(() => this.nowMs() * 1000);
    this.gapLog = new GapLog(this.clock);
    this.ranges = new RangeCache(
      (ask) => this.ready && (this.wire?.send(rangeBytes(ask)) ?? false),
      (m) => this.catalog.metrics.get(m)?.meta.counter ?? false,
      () => this.bump(),
    );
    this.past = new Past(
      (b) => this.ready && (this.wire?.send(b) ?? false),
      this.clock,
      () => this.pastChanged(),
    );
    this.gapLog.past = this.past;
  }

  private pastChanged(): void {
    const { held } = this.past;
    if (held.known) {
      this.heldFrom = held.oldestUs;
      if (this.host?.capture) this.stand(held.to);
    }
    this.bump();
  }

  /** A capture ends here; nothing comes after it. */
  private stand(at: MonoUs): void {
    this.newest = Math.max(this.newest, at);
    this.clock.standAt(this.newest);
  }

  group(id: number): GroupData | null {
    return this.data[id] ?? null;
  }

  groupByName(name: string): GroupData | null {
    const g = this.catalog.byName.get(name);
    return g ? this.group(g.id) : null;
  }

  bump(): void {
    this.version++;
    for (const fn of this.listeners) fn();
  }

  /** For what is not ticks: the next batch tells of it too, and draws everything once instead of twice. */
  private bumpSoon(): void {
    this.version++;
    if (this.bumping) return;
    this.bumping = true;
    setTimeout(() => {
      this.bumping = false;
      this.bump();
    }, SOON_MS);
  }

  // ---- what is wanted

  setOwner(owner: string, wants: readonly Want[] | null): void {
    if (wants) this.owners.set(owner, wants);
    else this.owners.delete(owner);
    if (this.planDue) return;
    this.planDue = true;
    queueMicrotask(() => {
      this.planDue = false;
      this.replan();
    });
  }

  private replan(): void {
    if (!this.ready) return;
    const next = plan([...this.owners.values()].flat(), this.catalog);
    if (samePlan(this.plan, next)) return;
    const has = new Map(this.plan.map((e) => [e.name, e.level]));
    // What is dropped or served coarser needs no history sent again.
    const onlyLess = next.every((e) => (has.get(e.name) ?? 0) >= 1 && has.get(e.name)! <= e.level);
    this.plan = next;
    for (const id of this.data.keys())
      if (this.data[id] && !next.some((e) => e.id === id)) this.data[id] = undefined;
    this.subscribe(onlyLess);
  }

  private subscribe(resume: boolean): void {
    if (!this.ready || this.plan.length === 0) return;
    const level = this.hidden ? HIDDEN_LEVEL : 1;
    const can = resume && this.seq > 0;
    if (!can) {
      this.subscribedMs = this.nowMs();
      this.askedFrom = this.clock.now() - this.opts.windowUs();
    }
    const groups = this.plan.map((e) => ({ id: e.id, level: Math.max(level, e.level) }));
    const from = can ? { logId: this.logIdBytes, seq: this.seq } : null;
    this.wire?.send(subscribeBytes(groups, this.opts.windowUs(), from));
  }

  /** The history of a group that a fresh subscription is about to bring begins here; Infinity: it came, or
   *  is overdue. */
  awaited(d: GroupData | null): MonoUs {
    const waited = this.nowMs() - this.subscribedMs;
    if (waited > AWAIT_MS) return Number.POSITIVE_INFINITY;
    const caughtUp = d && d.rows > d.first && d.newestUs > this.askedFrom + this.opts.windowUs() - 1.5e6;
    return caughtUp ? Number.POSITIVE_INFINITY : this.askedFrom;
  }

  /** A hidden tab gets one message a second; shown again, its window anew at full rate. */
  setHidden(hidden: boolean): void {
    if (hidden === this.hidden) return;
    this.hidden = hidden;
    this.subscribe(hidden);
  }

  // ---- the link

  open(sinceMs = this.nowMs()): void {
    this.openedUs = sinceMs * 1000;
    this.lastMessageMs = this.lastPingMs = this.nowMs();
    this.clock.restart();
    this.pings.clear();
  }

  closed(): void {
    this.ready = false;
    this.ranges.lost();
    this.past.lost();
    this.bump();
  }

  /** Once a second: keeps the clock honest, notices a dead link, and asks for what the first picture can do
   *  without. */
  heartbeat(): void {
    if (!this.wire || this.openedUs === 0) return;
    const now = this.nowMs();
    if (this.ready && !this.hidden) this.past.tick(now);
    if (this.ready && now - this.lastMessageMs > SILENT_MS && now - this.lastPingMs < PING_MS * 2) {
      this.lastMessageMs = now;
      this.wire.restart();
      return;
    }
    if (this.ready && now - this.lastPingMs >= PING_MS) this.ping(now);
    if (this.ready && !this.askedTexts && now - this.dataSinceMs >= PAINTED_MS)
      this.askedTexts = this.wire.send(textsBytes());
  }

  private ping(now: number): void {
    const id = this.nextPing++;
    this.lastPingMs = now;
    this.pings.set(id, now * 1000);
    this.wire?.send(pingBytes(id));
  }

  // ---- messages

  message(bytes: Uint8Array, atMs = this.nowMs()): void {
    this.lastMessageMs = atMs;
    try {
      const seq = readBatch(bytes, this);
      if (seq >= 0) {
        this.dataSinceMs = Math.min(this.dataSinceMs, atMs);
        if (seq > this.seq) this.seq = seq;
        this.bump();
      } else this.control(bytes);
    } catch (e) {
      // Not to be resumed from: begin with a fresh window.
      this.problem(`a message could not be read: ${e instanceof Error ? e.message : String(e)}`);
      this.seq = 0;
      this.wire?.restart();
    }
  }

  private problem(text: string): void {
    this.problems = [...this.problems.slice(-19), text];
    console.warn(`strobe: ${text}`);
  }

  private control(bytes: Uint8Array): void {
    const catalog = readCatalog(bytes);
    if (catalog) this.catalogCame(Catalog.from(catalog));
    const known =
      catalog || readAttrs(bytes, (a) => this.data[a.group]?.setAttr(a.slot, a.gen, a.key, a.value));
    if (known) {
      this.bumpSoon();
      return;
    }
    if (this.profile?.(bytes)) return;
    const { of } = fromBinary(ServerMessageSchema, bytes);
    switch (of.case) {
      case 'hello':
        this.hello(of.value);
        break;
      case 'texts':
        if (of.value.version === this.catalog.version) this.catalog.setTexts(of.value);
        break;
      case 'events':
        if (of.value.req) {
          this.past.asks.receive(of.value.req, of.value);
          return;
        }
        for (const e of of.value.events) this.addEvent(eventOf(e));
        break;
      case 'held':
      case 'rank':
        this.past.asks.receive(of.value.req, of.value);
        return;
      case 'totals':
        this.past.asks.receive(of.value.req, of.value, of.value.last);
        return;
      case 'range':
        if (of.value.oldestUs && !this.past.held.known) this.heldFrom = Number(of.value.oldestUs);
        this.ranges.receive(of.value);
        return;
      case 'gap':
        this.gapLog.add(Number(of.value.fromUs), Number(of.value.toUs), of.value.reason);
        for (const d of this.data) d?.breakLine();
        break;
      case 'error':
        if (of.value.req && this.past.asks.refused(of.value.req, of.value.code, of.value.text)) return;
        if (of.value.req) this.ranges.refused(of.value.req, of.value.code);
        if (of.value.code !== 429) this.problem(of.value.text);
        break;
      case 'level':
        this.level = of.value.ticks;
        this.levelReason = of.value.reason;
        break;
      case 'pong': {
        const sent = this.pings.get(Number(of.value.id));
        this.pings.delete(Number(of.value.id));
        if (sent !== undefined) this.clock.observe(Number(of.value.nowUs), sent);
        break;
      }
      default:
        return;
    }
    this.bumpSoon();
  }

  private hello(h: Hello): void {
    const logId = hex(h.logId);
    const another = this.logId !== '' && logId !== this.logId;
    const back = this.bootId !== '' && h.bootId !== this.bootId ? this.opts.reboot?.() : undefined;
    this.bootId = h.bootId;
    this.clock.standAt(null);
    this.clock.observe(Number(h.nowUs), this.openedUs, this.lastMessageMs * 1000);
    if (another) this.forgetAll();
    this.clock.reset(
      h.clocks.map((c) => ({
        monoUs: Number(c.monoUs),
        realOffUs: Number(c.realOffUs),
        bootOffUs: Number(c.bootOffUs),
        reason: c.reason,
      })),
    );
    this.logId = logId;
    this.logIdBytes = h.logId;
    this.heldFrom = Number(h.historyOldestUs || h.oldestUs);
    const startedUs = Number(h.startedUs);
    if (another || (this.startedUs !== 0 && startedUs !== this.startedUs))
      this.addEvent({
        seq: -startedUs,
        t: startedUs,
        kind: 1,
        severity: 1,
        source: 'strobe',
        text: 'agent restarted',
      });
    this.startedUs = startedUs;
    this.host = hostOf(h);
    if (h.capture) this.stand(Number(h.nowUs));
    back?.();
  }

  /** Another log: nothing of the old one can be continued. */
  private forgetAll(): void {
    this.data = [];
    this.plan = [];
    this.seq = 0;
    this.newest = 0;
    this.nTicks = 0;
    this.events = [];
    this.gapLog.events = this.events;
    this.gapLog.clear();
    this.ranges.clear();
    this.past.forget();
  }

  private catalogCame(c: Catalog): void {
    const first = !this.ready;
    // Group ids and metric order hold within one version of the catalog only.
    if (this.catalog.groups.length > 0 && !sameGroups(this.catalog, c)) {
      this.data = [];
      this.plan = [];
    }
    c.keepTexts(this.catalog);
    this.catalog = c;
    this.ready = true;
    this.askedTexts = false;
    if (!first) return;
    this.past.opened(this.nowMs(), this.clock.now() - EVENTS_US);
    const next = plan([...this.owners.values()].flat(), c);
    const resume = samePlan(this.plan, next) && this.seq > 0;
    this.plan = next;
    this.subscribe(resume);
    this.ping(this.nowMs());
  }

  private addEvent(e: HostEvent): void {
    if (this.events.some((x) => x.seq === e.seq && x.t === e.t)) return;
    const i = this.events.findLastIndex((x) => x.t <= e.t);
    this.events = [...this.events.slice(0, i + 1), e, ...this.events.slice(i + 1)].slice(-EVENTS_KEPT);
    this.gapLog.events = this.events;
  }

  // ---- batches

  clockRecord(c: ClockRecord): void {
    this.clock.record(c);
  }

  groupTick(monoUs: number, _tick: number, g: GroupTick): void {
    const meta = this.catalog.groups[g.group];
    if (!meta) return;
    let d = this.data[g.group];
    if (!d) {
      if (!g.reset) return; // of a subscription that was replaced
      d = this.data[g.group] = new GroupData(meta, this.ringRows(meta.name), this.tickUs);
    }
    if (d.apply(g, monoUs, this.levelOf(meta.name)) && d.shadow) this.data[g.group] = d.shadow;
  }

  tickEnd(monoUs: number): void {
    if (monoUs <= this.newest) return;
    this.newest = monoUs;
    this.tickTimes[this.nTicks++ % TICKS_KEPT] = monoUs;
    this.clock.atLeast(monoUs);
  }

  get tickUs(): number {
    return 1e6 / (this.host?.rateHz ?? 10);
  }

  private levelOf(name: string): number {
    return Math.max(this.hidden ? HIDDEN_LEVEL : 1, this.plan.find((e) => e.name === name)?.level ?? 1);
  }

  private ringRows(name: string): number {
    const level = this.plan.find((e) => e.name === name)?.level ?? 1;
    const period = Math.max(this.tickUs * level, this.catalog.byName.get(name)?.periodUs ?? 0);
    return Math.min(RING_ROWS, Math.ceil(RING_US / period) + 16);
  }

  ticksSince(since: MonoUs): number {
    let n = 0;
    const oldest = Math.max(0, this.nTicks - TICKS_KEPT);
    for (let i = this.nTicks - 1; i >= oldest && this.tickTimes[i % TICKS_KEPT]! > since; i--) n++;
    return n;
  }
}

function sameGroups(a: Catalog, b: Catalog): boolean {
  return (
    a.groups.length === b.groups.length &&
    a.groups.every(
      (g, i) => g?.name === b.groups[i]?.name && g?.metrics.length === b.groups[i]?.metrics.length,
    )
  );
}
