// The history of the agent as figures on its own page: bytes a sample, reach, ring fill, flush lag.
import { signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { sched } from '../charts/sched';
import { held } from '../state/pulse';
import type { Want } from '../store/api';
import { store } from '../store/store';
import { one } from '../transform/source';
import { type Figure, figuresOf } from './retention';

const LAG = one('seconds', 'strobe.history.flush_lag');
const ERROR = one('count', 'strobe.history.error');
export const retentionWants: Want = { sources: [LAG, ERROR], prio: 4, level: 10 };

const figures = signal<readonly Figure[]>([]);

function refresh(): void {
  const h = held.peek();
  if (!h.known) {
    if (figures.peek().length) figures.value = [];
    return;
  }
  const lag = store.latest(LAG)?.v ?? Number.NaN;
  const late = Math.max(0, store.newest - h.to);
  const next = figuresOf(
    {
      lengthUs: h.lengthUs + late,
      fullUs: h.spans.reduce((n, s) => n + (s.rollup ? 0 : s.to - s.from), 0) + late,
      bytes: h.bytes,
      diskSize: h.diskSize,
      diskUsed: h.diskUsed,
      bytesPerSample: h.bytesPerSample,
    },
    lag * 1e6,
    store.latest(ERROR)?.v ?? 0,
  );
  if (JSON.stringify(next) !== JSON.stringify(figures.peek())) figures.value = next;
}

export function Retention() {
  useEffect(() => {
    store.show('retention', [retentionWants]);
    refresh();
    const stop = sched.onText(refresh);
    return () => {
      stop();
      store.hide('retention');
    };
  }, []);
  if (figures.value.length === 0) return null;
  return (
    <section aria-label="History" class="retention">
      <h2>History</h2>
      <dl>
        {figures.value.map((f) => (
          <div key={f.id} data-figure={f.id} class={f.warn ? 'warn' : ''}>
            <dt>{f.name}</dt>
            <dd>
              <b>
                {f.warn ? '▲ ' : ''}
                {f.value}
              </b>{' '}
              <span>{f.words}</span>
            </dd>
          </div>
        ))}
      </dl>
    </section>
  );
}
