// How each collector fares: state, tier, period, cost, reason. The worst first.
import { signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { sched } from '../charts/sched';
import { clockText } from '../charts/time';
import { format, num } from '../lib/format';
import { type CollectorState, collectors } from '../store/status';
import { feed, store } from '../store/store';
import { one } from '../transform/source';

const SHAPE: Record<CollectorState['state'], string> = {
  ok: '',
  reduced: '▲ ',
  partial: '▲ ',
  failed: '◆ ',
  absent: '',
  off: '',
  unknown: '',
};
const RANK: CollectorState['state'][] = ['failed', 'partial', 'reduced', 'ok', 'absent', 'off', 'unknown'];

const rows = signal<readonly (CollectorState & { cost: number; wall: number; series: number })[]>([]);

function refresh(): void {
  const value = (metric: string, name: string) => store.latest(one('count', metric, name))?.v ?? Number.NaN;
  rows.value = collectors(feed)
    .map((c) => ({
      ...c,
      cost: value('strobe.collector.cost', c.name),
      wall: value('strobe.collector.wall', c.name),
      series: value('strobe.collector.series', c.name),
    }))
    .sort((a, b) => RANK.indexOf(a.state) - RANK.indexOf(b.state) || (b.cost || 0) - (a.cost || 0));
}

export function Collectors() {
  useEffect(() => {
    refresh();
    return sched.onText(refresh);
  }, []);
  return (
    <section aria-label="Collectors, one by one" class="collectors">
      <h2>Collectors, one by one</h2>
      <table>
        <thead>
          <tr>
            <th class="l">Collector</th>
            <th class="l">State</th>
            <th class="l">Tier</th>
            <th>Period</th>
            <th>Series</th>
            <th>CPU</th>
            <th>A read</th>
            <th class="l">Reason</th>
          </tr>
        </thead>
        <tbody>
          {rows.value.map((c) => (
            <tr key={c.name} data-collector={c.name} data-state={c.state}>
              <td class="l name">{c.name}</td>
              <td
                class={`l ${c.state === 'failed' ? 'crit' : c.state === 'partial' || c.state === 'reduced' ? 'warn' : ''}`}
              >
                {SHAPE[c.state]}
                {c.state}
              </td>
              <td class="l">{c.tier}</td>
              <td>{c.periodUs ? `${num(c.periodUs / 1000)} ms` : '–'}</td>
              <td>{num(c.series)}</td>
              <td>{format(c.cost, 'ratio')}</td>
              <td>{format(c.wall, 'seconds')}</td>
              <td class="l reason" title={c.reason}>
                {c.reason}
                {c.retryUs ? ` Next try ${clockText(store.clock.wallMs(c.retryUs))}.` : ''}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
