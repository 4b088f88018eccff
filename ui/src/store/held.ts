// What the agent holds, as it says: stretches with the agent and the boot that recorded each, from where on
// at full resolution, how much room it takes. The gaps between stretches have their reason here.
import type { Held as PbHeld } from '../gen/strobe_pb';
import type { Gap, HostEvent, MonoUs, View } from './api';
import { hex } from './host';

export interface HeldSpan extends View {
  readonly bootId: string;
  readonly logId: string;
  /** Only as 10 s rollups. */
  readonly rollup: boolean;
}

/** Where recording stopped and went on, and what happened there. */
export interface Seam extends View {
  readonly what: 'restart' | 'reboot' | 'gap';
}

export const ROLLUP_US = 10_000_000;

export class Held {
  readonly spans: readonly HeldSpan[];
  readonly seams: readonly Seam[];
  readonly oldestUs: MonoUs;
  /** From here on at full resolution. */
  readonly fullUs: MonoUs;
  readonly bytes: number;
  readonly diskSize: number;
  readonly diskUsed: number;
  readonly bytesPerSample: number;

  constructor(m?: PbHeld) {
    this.spans = (m?.spans ?? []).map((s) => ({
      from: Number(s.fromUs),
      to: Number(s.toUs),
      bootId: s.bootId,
      logId: hex(s.logId),
      rollup: s.rollup,
    }));
    this.seams = seamsOf(this.spans);
    this.oldestUs = m ? Number(m.oldestUs) : Number.NaN;
    this.fullUs = m ? Number(m.fullUs) : Number.NEGATIVE_INFINITY;
    this.bytes = Number(m?.bytes ?? 0);
    this.diskSize = Number(m?.diskSizeBytes ?? 0);
    this.diskUsed = Number(m?.diskUsedBytes ?? 0);
    this.bytesPerSample = m?.bytesPerSample ?? Number.NaN;
  }

  get known(): boolean {
    return this.spans.length > 0;
  }

  /** End of what is held; NaN: nothing is. */
  get to(): MonoUs {
    return this.spans.at(-1)?.to ?? Number.NaN;
  }

  /** Time of which something is held, µs. */
  get lengthUs(): number {
    return this.spans.reduce((n, s) => n + (s.to - s.from), 0);
  }

  /** The seam that lies between two reads. */
  seamIn(from: MonoUs, to: MonoUs): Seam | null {
    return this.seams.find((s) => s.from < to + 1e6 && s.to > from - 1e6 && s.to - s.from > 0) ?? null;
  }
}

/** Two stretches of one log follow each other without a seam: only the resolution changes. */
function seamsOf(spans: readonly HeldSpan[]): Seam[] {
  const out: Seam[] = [];
  for (let i = 1; i < spans.length; i++) {
    const a = spans[i - 1]!;
    const b = spans[i]!;
    const what = a.bootId !== b.bootId ? 'reboot' : a.logId !== b.logId ? 'restart' : 'gap';
    if (what === 'gap' && b.from - a.to < 1e6) continue;
    out.push({ from: Math.min(a.to, b.from), to: b.from, what });
  }
  return out;
}

const EVENT_START = 1;
const EVENT_STOP = 2;
const EVENT_GAP = 3;
const NEAR_US = 3e6;

/** Seams of what is held, and the restarts of an agent that went on with its own log: those only events
 *  tell of. In time order. */
export function seamsWith(held: Held, events: readonly HostEvent[]): Seam[] {
  const out = [...held.seams];
  let stop = Number.NaN;
  let first = !held.known;
  for (const e of events) {
    if (e.kind === EVENT_STOP) stop = e.t;
    if (e.kind !== EVENT_START) continue;
    const from = stop < e.t ? stop : e.t - gapBefore(events, e.t);
    stop = Number.NaN;
    const begins = first || held.spans.some((s) => Math.abs(s.from - e.t) < NEAR_US);
    first = false;
    if (begins || out.some((s) => Math.abs(s.to - e.t) < NEAR_US)) continue;
    out.push({ from, to: e.t, what: 'restart' });
  }
  return out.sort((a, b) => a.to - b.to);
}

/** Length of the gap that the agent noted when it began, µs; 0: it noted none. */
function gapBefore(events: readonly HostEvent[], t: MonoUs): number {
  const e = events.find((x) => x.kind === EVENT_GAP && Math.abs(x.t - t) < 1e6);
  return Number(/for ([\d.]+) s/.exec(e?.text ?? '')?.[1] ?? 0) * 1e6;
}

const WHY = { restart: 'agent was not running', reboot: 'host was down', gap: 'nothing was recorded' };

/** Words for a gap that a seam explains. */
export const seamReason = (s: Seam): Pick<Gap, 'reason' | 'text'> => ({
  reason: 'missed',
  text: WHY[s.what],
});
