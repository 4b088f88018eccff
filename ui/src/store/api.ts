// What charts and panels see of the data. Implemented in store.ts; nothing above this layer touches the
// wire, a slot or a raw counter.
//
// Invariants
//  - A time is a number of microseconds of the agent's CLOCK_MONOTONIC ("mono"). wallMs() maps it.
//  - A value is in the base unit of its kind (bytes, bytes/s, bits/s, seconds, ratio 0..1, count,
//    count/s). Counters are rates by measured time; a counter of time is a ratio (s/s). NaN: no value.
//  - Series go by metric and instance name, never by slot.
//  - Nothing is interpolated. No value exists across a gap, a reset or a new holder of a slot.

export type MonoUs = number;

export interface SeriesRef {
  readonly metric: string;
  /** Instance name; left out for a singular metric. */
  readonly instance?: string;
}

/** How a value is shown, and its base unit. */
export type Kind =
  | 'bytes' // B, shown KiB MiB GiB
  | 'bytes/s' // shown KiB/s ...
  | 'bits/s' // links, shown kb/s Mb/s Gb/s
  | 'ratio' // 1 = 100 %
  | 'seconds' // shown µs ms s
  | 'count' // shown k M G
  | 'count/s'
  | 'state'; // an integer with a word, see MetricInfo.names

/** What a line, a heat row or a cell shows: one series, or a function of several. Make it with
 *  transform/source.ts; a Source is plain data and may be built per render, `key` is its identity. */
export interface Source {
  readonly key: string;
  readonly inputs: readonly SeriesRef[];
  readonly kind: Kind;
  /** Inputs in base units at one read -> value. Without it the value is inputs[0]. Must be pure; NaN in
   *  any input gives NaN unless `partial`. */
  readonly fn?: (x: Float64Array) => number;
  /** Whether fn rises (1) or falls (-1) with each input: lets min and max of coarse data through. Without
   *  it fn of several inputs has only a mean on windows that come from Range. */
  readonly dirs?: readonly number[];
  /** Absent inputs count as 0 if at least one is present. */
  readonly partial?: boolean;
}

export interface View {
  readonly from: MonoUs;
  readonly to: MonoUs;
}

export type GapReason =
  | 'lost' // evicted before this client read it, or the client was too slow
  | 'missed' // the agent recorded nothing (stopped, missed ticks)
  | 'suspend' // the host slept
  | 'before' // before the agent started or before the oldest held
  | 'failed'; // the collector was down

export interface Gap {
  readonly from: MonoUs;
  readonly to: MonoUs;
  readonly reason: GapReason;
  /** Words for the label or hover, e.g. "agent started 14:02:13". */
  readonly text?: string;
}

/** One source over a Frame's columns. Arrays are as long as Frame.t and belong to the store: valid until
 *  the next frame() with the same sources. */
export interface Column {
  readonly v: Float64Array; // the sample (raw), or the mean of the column
  readonly lo: Float64Array; // = v when raw
  readonly hi: Float64Array;
  /** At this cell the line must not be joined to the one before it (1) even if both are numbers. */
  readonly cut: Uint8Array;
}

export interface Frame {
  readonly view: View;
  /** raw: one entry a sample at its time. coarse: one entry a column of stepUs, t is its left edge;
   *  columns lie on multiples of stepUs, so they do not shimmer while the window moves. */
  readonly kind: 'raw' | 'coarse';
  readonly t: Float64Array;
  readonly cols: readonly Column[];
  /** raw: the period between samples now; coarse: width of a column. */
  readonly stepUs: number;
  /** "10 Hz", or "min–max per 0.9 s". */
  readonly resolution: string;
  /** In time order, clipped to the view; the live edge is no gap. */
  readonly gaps: readonly Gap[];
  /** Part of the view is still being fetched: draw what there is. */
  readonly loading: boolean;
}

export interface Point {
  readonly t: MonoUs;
  readonly v: number;
  readonly lo: number;
  readonly hi: number;
}

export interface RangeStats {
  readonly min: number;
  readonly avg: number; // by time
  readonly max: number;
  readonly n: number; // samples
}

export interface MetricInfo {
  readonly name: string;
  readonly group: string;
  readonly collector: string;
  readonly indom: string; // '' : singular
  readonly unit: string; // as the catalog says it
  readonly kind: Kind;
  readonly counter: boolean;
  readonly quantum: number; // in base units (of the value shown: a rate's step at the present period); 0 exact
  /** Where the value comes from and what it is, in words: '' until they came, soon after the first data. */
  readonly source: string;
  readonly help: string;
  readonly names: readonly string[];
}

export interface Instance {
  readonly name: string;
  readonly gen: number;
  readonly attrs: Readonly<Record<string, string>>;
  readonly startUs: MonoUs; // 0: before what is held
  readonly endUs: MonoUs | null; // null: live
}

export interface SourceStatus {
  readonly state: 'ok' | 'reduced' | 'partial' | 'failed' | 'absent' | 'off' | 'unknown';
  readonly tier: string;
  readonly reason: string; // path, kernel option, errno in words; '' when well
  readonly periodUs: number; // between reads now; 0: not read
  readonly retryUs: MonoUs | null; // next try
}

export interface HostEvent {
  readonly seq: number;
  readonly t: MonoUs;
  readonly kind: number; // enum event_kind of agent/store/frame.h
  readonly severity: 0 | 1 | 2;
  readonly source: string;
  readonly text: string;
}

export interface HostInfo {
  readonly host: string;
  readonly machineId: string;
  readonly kernel: string;
  readonly version: string;
  readonly nCpus: number;
  readonly memTotal: number; // bytes
  readonly rateHz: number;
  readonly startedUs: MonoUs;
  readonly recoverable: boolean;
  readonly bootId: string;
  /** Name of the file that is looked at; null: a live agent. */
  readonly capture: string | null;
  /** Hue 0..359 derived from the host name. */
  readonly hue: number;
}

/** What something on screen needs live. Groups are subscribed in order of `prio` (0 = first). */
export interface Want {
  readonly sources: readonly Source[];
  /** Group names wanted whole (process table), beside those of `sources`. */
  readonly groups?: readonly string[];
  readonly prio?: number;
  /** Ticks a message for the groups only this Want needs: 1, 2, 5, 10, 50. */
  readonly level?: number;
}

export interface Clock {
  wallMs(t: MonoUs): number;
  mono(wallMs: number): MonoUs;
  /** The agent's clock now, by the page's own monotonic clock; moves while the link is down. */
  now(): MonoUs;
}

export interface Store {
  readonly clock: Clock;
  /** null until the first Hello. */
  readonly host: HostInfo | null;
  /** Rises with every change of anything below. */
  readonly version: number;
  /** Calls fn (no arguments, no order) after each applied message or change; unsubscribes when called. */
  subscribe(fn: () => void): () => void;

  /** Declares what `owner` shows; replaces its earlier list. hide() when it leaves the screen. */
  show(owner: string, wants: readonly Want[]): void;
  hide(owner: string): void;

  /** Sources over a view, `width` CSS px wide. Samples where they fit (one a pixel or fewer), else min-max columns.
   *  Draws from the ring of raw ticks where it reaches back far enough, else from cached ranges; asks for what
   *  is missing (loading) and rises `version` when it came. */
  frame(sources: readonly Source[], view: View, width: number): Frame;
  /** The newest sample, not older than 2.5 periods before the newest tick; null: none. */
  latest(src: Source): Point | null;
  /** The sample whose interval holds t, that is the next read: a read stands for the time since the one
   *  before it. null in gaps and beyond the newest. */
  at(src: Source, t: MonoUs): Point | null;
  /** Over the reads in (from, to]; null: none there, or not fetched yet (asked for then). */
  stats(src: Source, from: MonoUs, to: MonoUs): RangeStats | null;

  /** Metric by name; undefined: not in this agent's catalog. */
  info(metric: string): MetricInfo | undefined;
  metrics(): readonly MetricInfo[];
  /** Instances of a metric's group: the live ones, with `view` also those that ended within it. In the
   *  order in which the kernel lists them. */
  instances(metric: string, view?: View): readonly Instance[];
  status(metric: string): SourceStatus;

  /** Oldest first. */
  readonly events: readonly HostEvent[];
  /** Gaps that concern all groups within a view (suspend, agent stopped, evicted). */
  gaps(view: View): readonly Gap[];
  /** What the agent's log holds now. */
  readonly heldFrom: MonoUs;
  /** Time of the newest tick received; 0: none yet. */
  readonly newest: MonoUs;
  /** Ticks received since `since`. */
  ticksSince(since: MonoUs): number;
}
