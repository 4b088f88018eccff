// How the collector behind a metric fares, from the agent's own series ("strobe.collector").
import type { SourceStatus } from './api';
import type { Feed } from './feed';

const STATES: readonly SourceStatus['state'][] = ['ok', 'reduced', 'partial', 'failed', 'absent', 'off'];
const GROUP = 'strobe.collector';

export interface CollectorState extends SourceStatus {
  readonly name: string;
}

function read(feed: Feed, collector: string): CollectorState | null {
  const d = feed.groupByName(GROUP);
  const meta = feed.catalog.byName.get(GROUP);
  if (!meta) return null;
  const metric = (tail: string) => meta.metrics.findIndex((m) => m.name.endsWith(tail));
  const inst = d?.insts.byName.get(collector)?.findLast((i) => i.endUs === null);
  const known = inst ?? meta.instances.find((i) => i.name === collector);
  if (!known) return null;
  const value = (tail: string) => {
    const m = metric(tail);
    return d && inst && m >= 0 ? d.raw(inst, m) : Number.NaN;
  };
  const state = value('.state');
  const retry = value('.retry_at');
  const period = value('.period');
  return {
    name: collector,
    state: STATES[state] ?? 'unknown',
    tier: known.attrs.tier ?? '',
    reason: known.attrs.reason ?? '',
    periodUs: Number.isNaN(period) ? 0 : period * 1000,
    retryUs: retry > 0 ? retry : null,
  };
}

export function collectors(feed: Feed): CollectorState[] {
  const d = feed.groupByName(GROUP);
  const names = d
    ? [...d.insts.byName.keys()]
    : (feed.catalog.byName.get(GROUP)?.instances.map((i) => i.name) ?? []);
  return names.map((n) => read(feed, n)).filter((x) => x !== null);
}

export function statusOf(feed: Feed, metric: string): SourceStatus {
  const at = feed.catalog.metrics.get(metric);
  const none = { tier: '', reason: '', periodUs: 0, retryUs: null };
  if (!at) return { state: feed.catalog.groups.length ? 'absent' : 'unknown', ...none };
  const s = read(feed, at.group.collector);
  const periodUs = feed.group(at.group.id)?.periodUs ?? at.group.periodUs;
  return s ? { ...s, periodUs } : { state: 'unknown', ...none, periodUs };
}
