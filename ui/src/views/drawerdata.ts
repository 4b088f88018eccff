// What the drawer of a range shows: every series on screen against the stretch before, processes as amounts.
import { durationText } from '../charts/time';
import { format } from '../lib/format';
import type { Env, Mark, PanelSpec } from '../panels/types';
import { before } from '../state/view';
import type { Kind, RangeStats, Source, View } from '../store/api';
import { COLUMNS, type ColumnSpec, comm, PROCESS, type Sources } from './procdata';

export interface SeriesRow {
  readonly name: string;
  readonly where: string;
  readonly kind: Kind;
  readonly source: Source;
  readonly colour: Mark['colour'];
  readonly before: number;
  readonly min: number;
  readonly avg: number;
  readonly max: number;
  /** avg ÷ before; NaN where there is no before. */
  readonly factor: number;
  /** How far the range left what was usual before, in units of how much that moved. */
  readonly score: number;
}

/** Every mark of the panels, the most changed first. */
export function seriesRows(
  env: Env,
  panels: readonly PanelSpec[],
  range: View,
  base = before(range),
): SeriesRow[] {
  const rows: SeriesRow[] = [];
  const seen = new Set<string>();
  for (const p of panels) {
    const marks = [...p.transform(env), ...(p.band?.(env) ?? [])];
    const where = typeof p.title === 'function' ? p.title(env) : p.title;
    for (const m of marks) {
      if (m.style === 'dash' || seen.has(m.source.key)) continue;
      seen.add(m.source.key);
      const s = env.store.stats(m.source, range.from, range.to);
      if (!s) continue;
      const b = env.store.stats(m.source, base.from, base.to);
      rows.push({
        name: m.label,
        where,
        kind: m.kind ?? m.source.kind,
        source: m.source,
        colour: m.colour,
        before: b?.avg ?? Number.NaN,
        ...s,
        factor: factorOf(b?.avg ?? Number.NaN, s.avg),
        score: b ? score(s, b, noise(m.kind ?? m.source.kind)) : 0,
      });
    }
  }
  return rows.sort((a, b) => b.score - a.score);
}

const factorOf = (b: number, a: number) =>
  b > 0 ? a / b : a > 0 ? Number.POSITIVE_INFINITY : b === 0 ? 1 : Number.NaN;

/** Change of the mean or a new peak, whichever is larger, against half the spread of before. */
export function score(now: RangeStats, was: RangeStats, least: number): number {
  const spread = Math.max((was.max - was.min) / 2, least);
  return Math.max(Math.abs(now.avg - was.avg), now.max - was.max) / spread;
}

/** Amounts below which a change says nothing. */
function noise(kind: Kind): number {
  switch (kind) {
    case 'ratio':
      return 0.005;
    case 'bytes/s':
      return 4096;
    case 'bytes':
      return 2 ** 20;
    case 'bits/s':
      return 2000;
    default:
      return 0.5;
  }
}

/** "×75", "×0.42", "new", "=". */
export function factorText(f: number): string {
  if (Number.isNaN(f)) return '–';
  if (f === Number.POSITIVE_INFINITY) return 'new';
  if (f > 0.97 && f < 1.03) return '=';
  if (f === 0) return 'none';
  if (f >= 999.5) return `×${f < 9950 ? (f / 1000).toFixed(1) : Math.min(999, Math.round(f / 1000))}k`;
  return `×${f >= 99.5 ? Math.round(f) : f >= 9.95 ? f.toFixed(0) : f >= 1 ? f.toFixed(1) : f.toFixed(2)}`;
}

const MIN = 60e6;

/** How long in few letters, for the narrow columns: "320 ms", "48 s", "2 min". */
export function spanText(us: number): string {
  const unit = us < MIN ? 1 : us < 60 * MIN ? MIN : 60 * MIN;
  return durationText(Math.round(us / unit) * unit);
}

export const valueText = (v: number, kind: Kind) => format(v, kind);

export interface ProcRow {
  readonly pid: string;
  readonly comm: string;
  readonly cpuMs: number;
  readonly delayMs: number;
  readonly readBytes: number;
  readonly writeBytes: number;
  readonly factor: number;
}

export interface Procs {
  readonly rows: readonly ProcRow[];
  /** What the amounts are of: the range, or what is around it while (or because) no read lies within. */
  readonly over: View;
}

/** Reads of processes may be half a second apart, and a message of them stands for as long. */
const AROUND = 2_000_000;

/** Amounts of each process, most CPU first. */
export function procRows(env: Env, sources: Sources, range: View, most: number, base = before(range)): Procs {
  const wide = { from: range.from - AROUND, to: range.to + AROUND };
  const by = (id: string) => COLUMNS.find((c) => c.id === id) as ColumnSpec;
  const columns = [by('cpu'), by('delay'), by('read'), by('write')];
  const avg = (pid: string, c: ColumnSpec, v: View) =>
    env.store.stats(sources.get(pid, c), v.from, v.to)?.avg;
  // Who did something around the range is asked about in detail.
  const live = env.store
    .instances(PROCESS, range)
    .filter((i) => columns.some((c) => (avg(i.name, c, wide) ?? 0) > 0));
  const exact = live.map((i) => columns.map((c) => avg(i.name, c, range)));
  const over = exact.some((r) => r[0] !== undefined) ? range : wide;
  const seconds = (over.to - over.from) / 1e6;
  const rows = live.map((i, k) => {
    const own = over === range ? exact[k] : undefined;
    const [cpu = 0, delay = 0, read = 0, write = 0] = own ?? columns.map((c) => avg(i.name, c, wide));
    return { i, cpu, delay, read, write };
  });
  rows.sort((a, b) => b.cpu - a.cpu || b.delay - a.delay);
  return {
    over,
    rows: rows
      .filter((r) => r.cpu > 0 || r.delay > 0 || r.read > 0 || r.write > 0)
      .slice(0, most)
      .map(({ i, ...r }, k) => ({
        pid: i.name,
        comm: comm(i),
        cpuMs: r.cpu * seconds * 1000,
        delayMs: r.delay * seconds * 1000,
        readBytes: r.read * seconds,
        writeBytes: r.write * seconds,
        // The stretch before may have to be asked for: of the first rows only.
        factor: factorOf(
          k < 12 ? (avg(i.name, columns[0] as ColumnSpec, base) ?? Number.NaN) : Number.NaN,
          r.cpu,
        ),
      })),
  };
}

/** "4,000", "12", "0.4", "0". */
export function msText(ms: number): string {
  if (ms === 0) return '0';
  if (ms < 0.05) return '<0.1';
  return ms >= 99.95 ? Math.round(ms).toLocaleString('en-US') : ms.toFixed(1);
}

/** Unit in which times up to `mostMs` keep to six characters: ms, s, min or h. */
export function timeUnit(mostMs: number): { readonly name: string; readonly ms: number } {
  const units = [
    { name: 'ms', ms: 1 },
    { name: 's', ms: 1000 },
    { name: 'min', ms: 60_000 },
  ];
  return units.find((u) => mostMs / u.ms < 99_999.5) ?? { name: 'h', ms: 3_600_000 };
}

export const amountText = (bytes: number) => (bytes < 1 ? '0' : format(bytes, 'bytes'));
