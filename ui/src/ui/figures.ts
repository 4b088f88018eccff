// A few numbers of the agent itself for the chrome, at 2 Hz.
import { signal } from '@preact/signals';
import { durationText } from '../charts/time';
import { format } from '../lib/format';
import type { StoreImpl } from '../store/store';
import { one } from '../transform/source';

export interface Figures {
  readonly series: string; // "2,412 series"
  readonly held: string; // "4 h 12 min held, 41 MiB"
}

export const figures = signal<Figures>({ series: '', held: '' });

const SERIES = one('count', 'strobe.series');
const HELD = one('bytes', 'strobe.log.held');

/** What the chrome shows all the time; subscribed after everything else. */
export const CHROME = [SERIES, HELD, one('ratio', 'strobe.cpu.user'), one('ratio', 'strobe.cpu.sys')];

export function refreshFigures(store: StoreImpl): void {
  const n = store.latest(SERIES)?.v;
  const bytes = store.latest(HELD)?.v;
  const span = store.heldFrom > 0 ? store.newest - store.heldFrom : 0;
  const next: Figures = {
    series: n === undefined ? '' : `${Math.round(n).toLocaleString('en-US')} series`,
    held:
      span > 0 ? `${durationText(span)} held${bytes === undefined ? '' : `, ${format(bytes, 'bytes')}`}` : '',
  };
  const now = figures.peek();
  if (now.series !== next.series || now.held !== next.held) figures.value = next;
}
