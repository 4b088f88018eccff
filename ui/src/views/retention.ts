// What the agent's history costs and how far it reaches, as figures. Pure.
import { durationText } from '../charts/time';
import { format, num } from '../lib/format';

export interface HeldFigures {
  /** Time of which something is held, µs, and from where on at full resolution. */
  readonly lengthUs: number;
  readonly fullUs: number;
  readonly bytes: number;
  readonly diskSize: number;
  readonly diskUsed: number;
  readonly bytesPerSample: number;
}

export interface Figure {
  readonly id: string;
  readonly name: string;
  readonly value: string;
  readonly words: string;
  readonly warn?: boolean;
}

const DAY = 86_400;

/** Bytes a second of time held; NaN where that is not known yet. */
export function rateOf(h: HeldFigures): number {
  const s = h.lengthUs / 1e6;
  const bytes = h.diskSize > 0 ? h.diskUsed : h.bytes;
  return s >= 10 && bytes > 0 ? bytes / s : Number.NaN;
}

/** How far the disk ring will reach at this rate, µs; NaN without one. */
export function retentionUs(h: HeldFigures): number {
  const rate = rateOf(h);
  return h.diskSize > 0 && rate > 0 ? (h.diskSize / rate) * 1e6 : Number.NaN;
}

/** Whole minutes or hours: an estimate has no seconds. */
export function roughly(us: number): string {
  const grain = us >= 2 * DAY * 1e6 ? 3600e6 : us >= 600e6 ? 60e6 : 1e6;
  return durationText(Math.floor(us / grain) * grain);
}

const ago = (us: number) => (us > 0 ? roughly(us) : '–');

/** flushUs, error: the agent's own metrics; NaN: it has none. */
export function figuresOf(h: HeldFigures, flushUs: number, error: number): Figure[] {
  const rate = rateOf(h);
  const disk = h.diskSize > 0;
  const keep = retentionUs(h);
  const fill = h.diskUsed / h.diskSize;
  const out: Figure[] = [
    {
      id: 'sample',
      name: 'A sample',
      value: Number.isFinite(h.bytesPerSample) && h.bytesPerSample > 0 ? `${num3(h.bytesPerSample)} B` : '–',
      words: 'in sealed blocks, on average',
    },
    {
      id: 'held',
      name: 'Held',
      value: ago(h.lengthUs),
      words:
        h.fullUs < h.lengthUs * 0.99
          ? `${roughly(h.fullUs)} of it at full resolution, the rest every 10 s`
          : 'all of it at full resolution',
    },
    {
      id: 'rate',
      name: 'A day takes',
      value: Number.isFinite(rate) ? format(rate * DAY, 'bytes') : '–',
      words: 'at the present rate',
    },
  ];
  if (disk)
    out.push(
      {
        id: 'retention',
        name: 'Retention',
        value: Number.isFinite(keep) ? roughly(keep) : '–',
        words: 'at the present rate, until the ring comes round',
      },
      {
        id: 'fill',
        name: 'Ring on disk',
        value: `${num(Math.min(1, fill) * 100)} %`,
        words: `${format(h.diskUsed, 'bytes')} of ${format(h.diskSize, 'bytes')}`,
      },
      {
        id: 'lag',
        name: 'Not yet on disk',
        value: Number.isFinite(flushUs) ? durationText(flushUs) : '–',
        words: 'what a loss of power would take',
        warn: flushUs > 5e6,
      },
    );
  else
    out.push({
      id: 'fill',
      name: 'No disk ring',
      value: format(h.bytes, 'bytes'),
      words: 'in memory only, gone with a reboot: start with --history DIR',
    });
  if (error > 0)
    out.push({
      id: 'error',
      name: 'The disk ring failed',
      value: `errno ${error}`,
      words: 'history goes on in memory',
      warn: true,
    });
  return out;
}

const num3 = (v: number) => (v < 1 ? v.toFixed(3) : num(v));
