// Processes of a range as amounts: from the agent's totals, those that ended in it included.
import type { TotalsRow } from '../gen/strobe_pb';
import type { View } from '../store/api';
import type { Answer, Past, Summed } from '../store/past';
import type { StoreImpl } from '../store/store';
import { PROCESS } from './procdata';

export interface RangeProc {
  readonly pid: string;
  readonly comm: string;
  readonly cmdline: string;
  readonly cpuMs: number;
  readonly delayMs: number;
  readonly readBytes: number;
  readonly writeBytes: number;
  /** CPU a second against the baseline's; NaN: not known; Infinity: none before. */
  readonly factor: number;
  /** "started", "ended", "started, ended" or "". */
  readonly fate: string;
}

export const METRICS = [
  PROCESS,
  'proc.schedstat.run_delay',
  'proc.io.read_bytes',
  'proc.io.write_bytes',
] as const;

/** Group, attributes and scales as the catalog has them; null: the agent has no processes. */
export interface ProcCatalog {
  readonly group: string;
  readonly metrics: readonly string[];
  readonly scales: readonly number[];
  readonly attrKeys: readonly string[];
}

export function procCatalog(store: StoreImpl, metrics: readonly string[] = METRICS): ProcCatalog | null {
  const at = store.catalog.metrics.get(metrics[0] ?? '');
  if (!at) return null;
  const own = metrics.filter((m) => store.catalog.metrics.get(m)?.group === at.group);
  return {
    group: at.group.name,
    metrics: own,
    scales: own.map((m) => store.catalog.metrics.get(m)?.meta.scale ?? Number.NaN),
    attrKeys: at.group.attrKeys,
  };
}

export const attrOf = (r: TotalsRow, cat: ProcCatalog, name: string): string =>
  r.attrs.find((a) => cat.attrKeys[a.key] === name)?.value ?? '';

/** Totals as rows, most CPU first. */
export function rangeProcs(s: Summed, cat: ProcCatalog, over: View): RangeProc[] {
  const seconds = (over.to - over.from) / 1e6;
  const rows = s.rows.map((r): RangeProc => {
    const value = (metric: string) => {
      const i = cat.metrics.indexOf(metric);
      return i < 0 ? 0 : Number(r.deltas[i] ?? 0n) * (cat.scales[i] ?? 0);
    };
    const cpu = value(METRICS[0]);
    const was = (r.before[0] ?? Number.NaN) * (cat.scales[0] ?? 0);
    const fate = [r.started ? 'started' : '', r.ended ? 'exited' : ''].filter(Boolean).join(', ');
    return {
      pid: r.instance,
      comm: attrOf(r, cat, 'comm') || r.instance,
      cmdline: attrOf(r, cat, 'cmdline'),
      cpuMs: cpu * 1000,
      delayMs: value(METRICS[1]) * 1000,
      readBytes: value(METRICS[2]),
      writeBytes: value(METRICS[3]),
      factor: factorOf(cpu / seconds, was),
      fate,
    };
  });
  return rows
    .filter((r) => r.cpuMs > 0 || r.delayMs > 0 || r.readBytes > 0 || r.writeBytes > 0 || r.fate)
    .sort((a, b) => b.cpuMs - a.cpuMs || b.delayMs - a.delayMs);
}

/** was < 0: it was not there. */
const factorOf = (now: number, was: number): number =>
  was > 0 ? now / was : was < 0 || now > 0 ? Number.POSITIVE_INFINITY : Number.NaN;

export function askProcs(
  past: Past,
  cat: ProcCatalog,
  over: View,
  base: View | null,
  limit: number,
): Promise<Answer<Summed>> {
  return past.totals({ group: cat.group, metrics: cat.metrics, over, base, limit });
}
