// Processes as rows: their newest values for the table, amounts over a range for the drawer.
import { shownValue } from '../charts/value';
import type { Env } from '../panels/types';
import type { Instance, Kind, Source } from '../store/api';
import { one, sum } from '../transform/source';

export type ColumnId = 'cpu' | 'delay' | 'rss' | 'read' | 'write' | 'switches' | 'threads';

export interface ColumnSpec {
  readonly id: ColumnId;
  readonly title: string;
  readonly help: string;
  readonly source: (pid: string) => Source;
}

const kindOf: Record<ColumnId, Kind> = {
  cpu: 'ratio',
  delay: 'ratio',
  rss: 'bytes',
  read: 'bytes/s',
  write: 'bytes/s',
  switches: 'count/s',
  threads: 'count',
};

const column = (id: ColumnId, title: string, help: string, ...metrics: string[]): ColumnSpec => ({
  id,
  title,
  help,
  source: (pid) =>
    metrics.length > 1 ? sum(kindOf[id], metrics, pid) : one(kindOf[id], metrics[0] as string, pid),
});

export const COLUMNS: readonly ColumnSpec[] = [
  column('cpu', 'CPU %', 'CPU time, 100 % is one CPU', 'proc.schedstat.cpu_time'),
  column('delay', 'Delay ms/s', 'Time spent ready to run but waiting for a CPU', 'proc.schedstat.run_delay'),
  column('rss', 'RSS', 'Resident memory', 'proc.psinfo.rss'),
  column('read', 'Read MiB/s', 'Fetched from storage', 'proc.io.read_bytes'),
  column('write', 'Write MiB/s', 'To be sent to storage', 'proc.io.write_bytes'),
  column(
    'switches',
    'Switches/s',
    'Context switches, voluntary and not',
    'proc.psinfo.vctxsw',
    'proc.psinfo.nvctxsw',
  ),
  column('threads', 'Threads', 'Threads of the process', 'proc.psinfo.threads'),
];

export const PROCESS = 'proc.schedstat.cpu_time';

/** Sources of one process, made once. */
export class Sources {
  private cache = new Map<string, Partial<Record<ColumnId, Source>>>();

  get(pid: string, c: ColumnSpec): Source {
    let row = this.cache.get(pid);
    if (!row) {
      if (this.cache.size > 4096) this.cache.clear();
      row = {};
      this.cache.set(pid, row);
    }
    return (row[c.id] ??= c.source(pid));
  }
}

/** What a cell of the table shows, base units: the newest half second; NaN for nothing. */
export function cellValue(env: Env, sources: Sources, pid: string, c: ColumnSpec): number {
  return shownValue(env.store, sources.get(pid, c), true)?.v ?? Number.NaN;
}

/** "248", "0.4", "38.4 GiB", "9.8 k": a cell's text. */
export function cellText(c: ColumnId, v: number): string {
  if (Number.isNaN(v)) return '–';
  switch (c) {
    case 'cpu':
      return short(v * 100);
    case 'delay':
      return short(v * 1000);
    case 'rss':
      return v === 0 ? '0' : bytes(v);
    case 'read':
    case 'write':
      return v === 0 ? '0' : short(v / 2 ** 20);
    case 'switches':
      return v >= 9995 ? `${(v / 1000).toFixed(1)} k` : short(v);
    default:
      return String(Math.round(v));
  }
}

function short(v: number): string {
  if (v < 0.05) return v > 0 ? '<0.1' : '0';
  return v >= 99.95 ? Math.round(v).toLocaleString('en-US') : v.toFixed(1);
}

function bytes(v: number): string {
  const mib = v / 2 ** 20;
  if (mib < 0.95) return `${Math.round(v / 1024)} KiB`;
  if (mib < 9.95) return `${mib.toFixed(1)} MiB`;
  return mib < 999.5 ? `${Math.round(mib)} MiB` : `${(mib / 1024).toFixed(1)} GiB`;
}

/** Sorts by `value`, largest first, moving a row only past one that it clearly exceeds. */
export function settleRows<T>(old: readonly T[], rows: readonly T[], value: (r: T) => number): T[] {
  const rank = new Map(old.map((r, i) => [r, i]));
  const v = new Map(rows.map((r) => [r, value(r) || 0]));
  const get = (r: T) => v.get(r) ?? 0;
  const out = [...rows].sort((a, b) => get(b) - get(a));
  // Rows of nearly the same value keep the order they had.
  for (let pass = 0; pass < 2; pass++)
    for (let i = 1; i < out.length; i++) {
      const a = out[i - 1] as T;
      const b = out[i] as T;
      const ra = rank.get(a);
      const rb = rank.get(b);
      if (ra === undefined || rb === undefined || rb > ra) continue;
      if (get(a) - get(b) <= 0.15 * get(a)) [out[i - 1], out[i]] = [b, a];
    }
  return out;
}

export const comm = (i: Instance) => i.attrs.comm || i.name;
/** The systemd unit, container or cgroup; the id of a container is cut to what its tools show. */
export function unit(i: Instance): string {
  const u = i.attrs.unit || i.attrs.cgroup || (i.attrs.exe ? '' : 'kernel');
  return u.replace(/\b([0-9a-f]{12})[0-9a-f]{20,}\b/, '$1');
}
