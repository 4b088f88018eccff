// What a chart says of itself beside its data: stale, reduced, failed, not there. Pure.
import type { SourceStatus } from '../store/api';
import type { TagKind } from './legend';
import { durationText } from './time';

export type ChartState = 'ok' | 'loading' | 'nodata' | 'reduced' | 'failed' | 'stale';

export interface Saying {
  state: ChartState;
  tag: { kind: TagKind; text: string };
  /** In the plot's top left, while data are drawn. */
  note: string;
  /** In the plot's place or its right half: one sentence and a line of reason. */
  message: { title: string; lines: string[] } | null;
}

export interface Facts {
  /** The catalog has arrived. */
  connected: boolean;
  /** The catalog knows the panel's first metric. */
  known: boolean;
  metric: string;
  status: SourceStatus;
  /** Microseconds since the newest tick. */
  age: number;
  /** Live and no tick for 2 s. */
  stale: boolean;
  paused: boolean;
  any: boolean;
  now: number;
}

const none = { kind: 'plain' as const, text: '' };

export function saying(f: Facts): Saying {
  const ok: Saying = { state: 'ok', tag: none, note: '', message: null };
  if (!f.connected) return { ...ok, state: 'loading' };
  if (!f.known) return nodata('Not measured', `This agent has no metric ${f.metric}`);
  const { state, reason } = f.status;
  if (state === 'absent') return nodata('No such source on this host', reason);
  if (state === 'off') return nodata('Switched off', reason || 'Left out by --collectors');
  if (state === 'failed') return failed(f);
  if (f.stale) {
    return { ...ok, state: 'stale', tag: { kind: 'warn', text: `stale ${durationText(f.age)}` } };
  }
  if (state === 'reduced') {
    const hz = f.status.periodUs && !/\bHz\b/.test(reason) ? `${rate(f.status.periodUs)}, ` : '';
    return { ...ok, state: 'reduced', tag: { kind: 'warn', text: 'reduced' }, note: `${hz}${reason}` };
  }
  if (state === 'partial') return { ...ok, tag: { kind: 'warn', text: 'partial' }, note: reason };
  if (!f.any) return { ...ok, state: 'loading' };
  if (f.paused) return { ...ok, tag: { kind: 'plain', text: 'Paused' } };
  return ok;
}

function nodata(title: string, line: string): Saying {
  return { state: 'nodata', tag: none, note: '', message: { title, lines: line ? [line] : [] } };
}

function failed(f: Facts): Saying {
  const [head, ...rest] = f.status.reason.split(': ');
  const lines = rest.length ? [rest.join(': ')] : [];
  const wait = f.status.retryUs === null ? null : Math.max(0, f.status.retryUs - f.now);
  if (wait !== null) lines.push(`next try in ${durationText(wait)}`);
  return {
    state: 'failed',
    tag: { kind: 'crit', text: 'failed' },
    note: '',
    message: { title: head || 'The collector failed', lines },
  };
}

/** "10 Hz", "every 5 s". */
export function rate(periodUs: number): string {
  const hz = 1e6 / periodUs;
  return hz >= 0.95 ? `${Number(hz.toFixed(hz < 9.5 ? 1 : 0))} Hz` : `every ${durationText(periodUs)}`;
}
