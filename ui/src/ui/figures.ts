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

/** "4 h 12 min held, 41 MiB": without the gaps between. */
function heldText(store: StoreImpl, span: number, bytes: number | undefined): string {
  const { held } = store;
  if (span <= 0) return '';
  const us = held.known ? held.lengthUs + Math.max(0, store.newest - held.to) : span;
  const room = held.known && held.bytes > 0 ? held.bytes : bytes;
  const text = durationText(us < 600e6 ? us : Math.floor(us / 60e6) * 60e6);
  return `${text} ${store.host?.capture ? 'captured' : 'held'}${room === undefined ? '' : `, ${format(room, 'bytes')}`}`;
}

export function refreshFigures(store: StoreImpl): void {
  const n = store.latest(SERIES)?.v;
  const bytes = store.latest(HELD)?.v;
  const span = store.host ? store.newest - store.heldFrom : 0;
  const next: Figures = {
    series: n === undefined ? '' : `${Math.round(n).toLocaleString('en-US')} series`,
    held: heldText(store, span, bytes),
  };
  const now = figures.peek();
  if (now.series !== next.series || now.held !== next.held) figures.value = next;
}
