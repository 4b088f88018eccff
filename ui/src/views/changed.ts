// Rows of "What changed": as the agent ranked them over all series, or, while it does not answer, of the
// series on screen by what the page knows.
import type { Colour } from '../charts/palette';
import type { RankRow } from '../gen/strobe_pb';
import { format } from '../lib/format';
import { colourOf } from '../panels/metric';
import type { Env, PanelSpec } from '../panels/types';
import type { Kind, MetricInfo, Source, View } from '../store/api';
import { one, scaled } from '../transform/source';
import { factorText, seriesRows } from './drawerdata';
import { nameOf } from './names';

export interface ChangedRow {
  readonly key: string;
  readonly name: string;
  /** The instance, in words where there are some. */
  readonly of: string;
  /** Other instances of the metric that moved too. */
  readonly others: number;
  /** What the raw page searches for. */
  readonly search: string;
  readonly kind: Kind;
  readonly source: Source;
  readonly colour: Colour;
  readonly before: number;
  readonly now: number;
  readonly change: string;
  /** Clearly more or less than before. */
  readonly strong: boolean;
}

/** What the agent's rows need to become values. */
export interface Known {
  info(metric: string): MetricInfo | undefined;
  /** Base units of a stored unit. */
  scale(metric: string): number;
  /** Words for an instance: the command of a process. */
  words(metric: string, instance: string): string;
}

/** "×75", "new", "+12 MiB", or the words of a state. */
export function changeText(before: number, now: number, kind: Kind, names: readonly string[] = []): string {
  if (kind === 'state') return names[now] ?? String(now);
  const f = before > 0 ? now / before : now > 0 && before === 0 ? Number.POSITIVE_INFINITY : Number.NaN;
  if (f >= 0.95 && f <= 1.05 && now !== before)
    return `${now > before ? '+' : '−'}${format(Math.abs(now - before), kind)}`;
  return factorText(f);
}

const strong = (before: number, now: number) => now < before * 0.66 || now > before * 1.5;

export function rowsOfRank(
  rows: readonly RankRow[],
  known: Known,
  panels: readonly PanelSpec[],
): ChangedRow[] {
  const out: ChangedRow[] = [];
  for (const r of rows) {
    const info = known.info(r.metric);
    if (!info) continue;
    const named = nameOf(r.metric, panels);
    const kind = named.kind ?? info.kind;
    const unit = known.scale(r.metric) * (info.counter ? 1e-3 : 1) * (named.factor ?? 1);
    const before = Number(r.before) * unit;
    const now = Number(r.now) * unit;
    const source = named.factor
      ? scaled(kind, named.factor, r.metric, r.instance)
      : one(kind, r.metric, r.instance);
    out.push({
      key: `${r.metric}[${r.instance}]`,
      name: named.name,
      of: r.instance ? known.words(r.metric, r.instance) : '',
      others: r.others,
      search: r.instance ? `${r.metric}[${r.instance}]` : r.metric,
      kind,
      source,
      colour: colourOf(r.metric),
      before,
      now,
      change: changeText(before, now, kind, info.names),
      strong: strong(before, now),
    });
  }
  return out;
}

/** Of the series on screen, by the page's own measure. */
export function rowsOfScreen(env: Env, panels: readonly PanelSpec[], range: View, base: View): ChangedRow[] {
  return seriesRows(env, panels, range, base).map((s) => {
    const metric = s.source.inputs[0]?.metric ?? '';
    const instance = s.source.inputs[0]?.instance ?? '';
    return {
      key: s.source.key,
      name: s.where,
      of: s.name,
      others: 0,
      search: instance ? `${metric}[${instance}]` : metric,
      kind: s.kind,
      source: s.source,
      colour: s.colour,
      before: s.before,
      now: s.avg,
      change: changeText(s.before, s.avg, s.kind),
      strong: strong(s.before, s.avg),
    };
  });
}
