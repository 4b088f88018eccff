// The dashboard's store: answers charts and panels (api.ts) from what the feed holds.

import { baseline, fixed, mode, selection, windowUs } from '../state/view';
import { Socket } from '../transport/socket';
import type {
  Frame,
  Gap,
  HostEvent,
  HostInfo,
  Instance,
  MetricInfo,
  MonoUs,
  Point,
  RangeStats,
  Source,
  SourceStatus,
  Store,
  View,
  Want,
} from './api';
import { argsOf, bounded, combine, resolve, rowInForce, sourceAt } from './eval';
import { Feed } from './feed';
import { FrameBuilder } from './frame';
import type { GroupData } from './group';
import { ROLLUP_US } from './held';
import type { FrameSource } from './parts';
import { seriesKey } from './ranges';
import { GAP_PERIODS } from './ring';
import { statusOf } from './status';

const SPANS_KEPT = 500;

export class StoreImpl implements Store, FrameSource {
  private readonly frames = new FrameBuilder();
  private readonly spans = new Map<string, RangeStats | null>();

  constructor(
    readonly feed: Feed,
    private readonly isLive: () => boolean,
  ) {}

  get clock() {
    return this.feed.clock;
  }
  get host(): HostInfo | null {
    return this.feed.host;
  }
  get version(): number {
    return this.feed.version;
  }
  get events(): readonly HostEvent[] {
    const [a, b] = [this.feed.past.events, this.feed.events];
    if (a.length === 0) return b;
    if (a !== this.joined.a || b !== this.joined.b) this.joined = { a, b, all: join(a, b) };
    return this.joined.all;
  }
  private joined: { a: readonly HostEvent[]; b: readonly HostEvent[]; all: readonly HostEvent[] } = {
    a: [],
    b: [],
    all: [],
  };
  get heldFrom(): MonoUs {
    return this.feed.heldFrom;
  }
  get newest(): MonoUs {
    return this.feed.newest;
  }
  get held() {
    return this.feed.past.held;
  }
  get past() {
    return this.feed.past;
  }
  get fullFrom(): MonoUs {
    return this.held.fullUs;
  }
  get catalog() {
    return this.feed.catalog;
  }
  get ranges() {
    return this.feed.ranges;
  }
  get tickUs(): number {
    return this.feed.tickUs;
  }
  get live(): boolean {
    return this.isLive();
  }
  data(id: number): GroupData | null {
    return this.feed.group(id);
  }

  awaited(d: GroupData | null): MonoUs {
    return this.feed.awaited(d);
  }

  subscribe(fn: () => void): () => void {
    this.feed.listeners.add(fn);
    return () => this.feed.listeners.delete(fn);
  }

  show(owner: string, wants: readonly Want[]): void {
    this.feed.setOwner(owner, wants);
  }
  hide(owner: string): void {
    this.feed.setOwner(owner, null);
  }

  frame(sources: readonly Source[], view: View, width: number): Frame {
    return this.frames.build(this, sources, view, width);
  }

  private inputs(src: Source) {
    return resolve(src, this.catalog, (g) => this.data(g));
  }

  private point(src: Source, rowOf: (d: GroupData) => number): Point | null {
    const inputs = this.inputs(src);
    const rows = new Int32Array(inputs.length).fill(-1);
    let t = 0;
    inputs.forEach((inp, i) => {
      if (!inp?.data) return;
      rows[i] = rowOf(inp.data);
      if (rows[i]! >= 0) t = Math.max(t, inp.data.readUs[rows[i]! % inp.data.cap]!);
    });
    const v = sourceAt(src, inputs, rows, 'v');
    if (Number.isNaN(v)) return null;
    return { t, v, lo: sourceAt(src, inputs, rows, 'lo'), hi: sourceAt(src, inputs, rows, 'hi') };
  }

  latest(src: Source): Point | null {
    return this.point(src, (d) => rowInForce(d, this.newest, d.rows - 1));
  }

  at(src: Source, t: MonoUs): Point | null {
    const inputs = this.inputs(src);
    if (inputs.some((i) => i?.data && t < i.data.firstUs)) return this.pointOfRange(src, t);
    // A read stands for the time since the one before it.
    return this.point(src, (d) => {
      const r = d.rowAt(t - 0.5) + 1;
      if (r >= d.rows || r < d.first) return -1;
      const every = Math.max(d.periodUs, d.tickPeriodUs);
      return d.readUs[r % d.cap]! - t <= (d.spanUs[r % d.cap]! || every) ? r : -1;
    });
  }

  /** From the column a chart drew last. */
  private pointOfRange(src: Source, t: MonoUs): Point | null {
    const x = argsOf(src.inputs.length);
    const out = { t, v: Number.NaN, lo: Number.NaN, hi: Number.NaN };
    for (const field of ['v', 'lo', 'hi'] as const) {
      src.inputs.forEach((r, i) => {
        const scale = this.catalog.metrics.get(r.metric)?.meta.scale ?? Number.NaN;
        const down = src.dirs?.[i] === -1;
        const f = src.fn && !src.dirs ? 'v' : down && field !== 'v' ? (field === 'lo' ? 'hi' : 'lo') : field;
        x[i] = this.ranges.at(r, t, f) * scale;
      });
      out[field] = bounded(src, combine(src, x), out.v);
    }
    if (!Number.isNaN(out.v)) return out;
    // No chart has fetched it: the read next to it, asked for now and there with a later call.
    const least = t < this.fullFrom ? ROLLUP_US : this.tickUs;
    const every = Math.max(...src.inputs.map((r) => this.status(r.metric).periodUs), least);
    const near = this.stats(src, Math.floor(t - every * GAP_PERIODS), Math.floor(t));
    return near && { t, v: near.avg, lo: near.min, hi: near.max };
  }

  stats(src: Source, from: MonoUs, to: MonoUs): RangeStats | null {
    const inputs = this.inputs(src);
    const lead = inputs[0]?.data;
    if (lead && !this.tooCoarse(lead, from, to) && inputs.every((i) => i?.data && this.covers(i.data, from)))
      return this.statsOfRing(src, from, to, lead);
    const key = `${src.key}|${from}|${to}`;
    const known = this.spans.get(key);
    if (known !== undefined) return known;
    this.spans.set(key, null);
    if (this.spans.size > SPANS_KEPT) this.spans.delete(this.spans.keys().next().value!);
    this.ranges.once(src.inputs, from + 1, to + 1, (found) => {
      if (!found) {
        this.spans.delete(key);
        return;
      }
      const x = argsOf(src.inputs.length);
      let n = 0;
      const value = (field: 'min' | 'mean' | 'max') => {
        src.inputs.forEach((r, i) => {
          const o = found.get(seriesKey(r));
          n = Math.max(n, o?.n ?? 0);
          const down = src.dirs?.[i] === -1;
          const f =
            src.fn && !src.dirs
              ? 'mean'
              : down && field !== 'mean'
                ? field === 'min'
                  ? 'max'
                  : 'min'
                : field;
          x[i] = (o?.[f] ?? Number.NaN) * (this.catalog.metrics.get(r.metric)?.meta.scale ?? Number.NaN);
        });
        return combine(src, x);
      };
      const avg = value('mean');
      if (!Number.isNaN(avg))
        this.spans.set(key, { min: value('min'), avg, max: bounded(src, value('max'), avg), n });
    });
    return null;
  }

  /** Rows that stand for several reads do not tell a short range from what is around it: the log does. */
  private tooCoarse(d: GroupData, from: MonoUs, to: MonoUs): boolean {
    const r = Math.min(d.rowAt(to) + 1, d.rows - 1);
    if (r < d.first || d.coarse[r % d.cap]! <= 1) return false;
    return to - from < 4 * d.spanUs[r % d.cap]!;
  }

  private covers(d: GroupData, from: MonoUs): boolean {
    return d.rows > d.first && (d.firstUs <= from || d.firstUs <= this.heldFrom + d.periodUs * GAP_PERIODS);
  }

  private statsOfRing(src: Source, from: MonoUs, to: MonoUs, lead: GroupData): RangeStats | null {
    const inputs = this.inputs(src);
    const rows = new Int32Array(inputs.length);
    const s = { min: Number.POSITIVE_INFINITY, max: Number.NEGATIVE_INFINITY, sum: 0, w: 0, n: 0 };
    for (let r = Math.max(lead.first, lead.rowAt(from) + 1); r < lead.rows; r++) {
      const t = lead.readUs[r % lead.cap]!;
      if (t > to) break;
      inputs.forEach((inp, i) => {
        rows[i] = !inp?.data ? -1 : inp.data === lead ? r : rowInForce(inp.data, t);
      });
      const v = sourceAt(src, inputs, rows, 'v');
      if (Number.isNaN(v)) continue;
      const w = lead.spanUs[r % lead.cap]! || lead.periodUs || this.tickUs;
      s.min = Math.min(s.min, v, sourceAt(src, inputs, rows, 'lo'));
      s.max = Math.max(s.max, v, sourceAt(src, inputs, rows, 'hi'));
      s.sum += v * w;
      s.w += w;
      s.n++;
    }
    return s.n ? { min: s.min, avg: s.sum / s.w, max: s.max, n: s.n } : null;
  }

  info(metric: string): MetricInfo | undefined {
    return this.catalog.metrics.get(metric)?.meta.info;
  }
  metrics(): readonly MetricInfo[] {
    return this.catalog.infos;
  }

  instances(metric: string, view?: View): readonly Instance[] {
    const at = this.catalog.metrics.get(metric);
    if (!at) return [];
    const d = this.data(at.group.id);
    if (!d || d.rows === d.first) return at.group.instances;
    const all = [...d.insts.values()].filter((i) =>
      view ? i.startUs < view.to && (i.endUs === null || i.endUs > view.from) : i.endUs === null,
    );
    return all.sort((a, b) => a.slot - b.slot || a.gen - b.gen);
  }

  status(metric: string): SourceStatus {
    return statusOf(this.feed, metric);
  }

  gaps(view: View): readonly Gap[] {
    const before = this.before(view);
    const rest = this.feed.gapLog.within(view);
    return before ? [before, ...rest] : rest;
  }

  gapReason(from: MonoUs, to: MonoUs): Pick<Gap, 'reason' | 'text'> {
    return this.feed.gapLog.reason(from, to);
  }

  before(view: View): Gap | null {
    const held = this.heldFrom;
    if (!this.host || view.from >= held) return null;
    const started = this.host.startedUs;
    const fresh = !this.host.capture && Math.abs(held - started) < 3e6;
    const at = this.clock.wallMs(fresh ? started : held);
    return {
      from: view.from,
      to: Math.min(view.to, held),
      reason: 'before',
      text: `${this.host.capture ? 'capture begins' : fresh ? 'agent started' : 'held from'} ${clockText(at)}`,
    };
  }

  ticksSince(since: MonoUs): number {
    return this.feed.ticksSince(since);
  }
}

/** Both in time order, what is in both once. */
function join(a: readonly HostEvent[], b: readonly HostEvent[]): HostEvent[] {
  const own = new Set(b.map((e) => `${e.t} ${e.kind} ${e.text}`));
  return [...a.filter((e) => !own.has(`${e.t} ${e.kind} ${e.text}`)), ...b].sort((x, y) => x.t - y.t);
}

let clockText = (wallMs: number): string => new Date(wallMs).toISOString().slice(11, 19);
/** The page's choice of local time or UTC, for texts made here. */
export function setClockText(f: (wallMs: number) => string): void {
  clockText = f;
}

/** At least what sparklines show. */
const subscribeWindow = () => Math.min(300e6, Math.max(30e6, windowUs.peek() || 300e6));

/** What stands still keeps its wall time when the axis becomes another boot's. */
function keepTimes(): () => void {
  const kept = [fixed, selection, baseline].map((s) => {
    const v = s.peek();
    return { s, at: v && { from: feed.clock.wallMs(v.from), to: feed.clock.wallMs(v.to) } };
  });
  return () => {
    for (const { s, at } of kept)
      if (at)
        s.value = { from: Math.round(feed.clock.mono(at.from)), to: Math.round(feed.clock.mono(at.to)) };
  };
}

export const feed = new Feed({ windowUs: subscribeWindow, reboot: keepTimes });
export const store = new StoreImpl(feed, () => mode.peek() === 'live');

/** Opens the link; the page calls it once. */
export function startStore(): Socket {
  const socket = new Socket(feed);
  feed.wire = socket;
  socket.start();
  setInterval(() => feed.heartbeat(), 1000);
  let hideTimer = 0;
  document.addEventListener('visibilitychange', () => {
    clearTimeout(hideTimer);
    if (document.hidden) hideTimer = window.setTimeout(() => feed.setHidden(true), 5000);
    else {
      socket.now();
      feed.setHidden(false);
    }
  });
  return socket;
}
