// What the chrome shows of the link, at 2 Hz: age, stale, rates. The title says the worst of it.
import { computed, effect, signal } from '@preact/signals';
import { Held } from '../store/held';
import type { StoreImpl } from '../store/store';
import { link } from '../transport/socket';
import { mode, pausedAt, stale } from './view';

/** A newest tick older than this is stale. */
export const STALE_US = 2_000_000;

/** Seconds since the newest tick; NaN before the first. */
export const age = signal(Number.NaN);
export const newSamples = signal(0);
export const host = signal<StoreImpl['host']>(null);
/** What the agent says it holds. */
export const held = signal(new Held());
/** Name of the capture that is looked at; null: a live agent. */
export const capture = computed(() => host.value?.capture ?? null);
/** Rises when host, catalog or its texts changed: for chrome that lists them. */
export const epoch = signal(0);

export type Shown = 'capture' | 'live' | 'paused' | 'range' | 'stale' | 'connecting' | 'denied';

/** The one word for the state of the page. */
export const shown = computed<Shown>(() => {
  if (link.value.state === 'no-token' || link.value.state === 'refused') return 'denied';
  if (capture.value !== null) return 'capture';
  if (Number.isNaN(age.value)) return 'connecting';
  if (stale.value) return 'stale';
  return mode.value;
});

export const PREFIX: Record<Shown, string> = {
  capture: '',
  live: '',
  paused: 'PAUSED ',
  range: 'PAUSED ',
  stale: '▲ STALE ',
  connecting: '',
  denied: '',
};

export function startPulse(store: StoreImpl): () => void {
  let groups = -1;
  let texts = false;
  const beat = () => {
    const a = store.newest ? Math.max(0, store.clock.now() - store.newest) : Number.NaN;
    age.value = a / 1e6;
    stale.value = a > STALE_US && !store.host?.capture;
    host.value = store.host;
    held.value = store.held;
    if (mode.peek() !== 'live') newSamples.value = store.ticksSince(pausedAt.peek());
    if (store.catalog.groups.length !== groups || store.catalog.texts !== texts) {
      groups = store.catalog.groups.length;
      texts = store.catalog.texts;
      epoch.value++;
    }
  };
  const timer = setInterval(beat, 500);
  // The first data, and the end of a stale spell, show at once.
  const off = store.subscribe(() => {
    if (stale.peek() || Number.isNaN(age.peek()) || host.peek() !== store.host || held.peek() !== store.held)
      beat();
  });
  const stop = [
    effect(() => {
      document.documentElement.dataset.mode = shown.value;
    }),
    effect(() => {
      document.title = `${PREFIX[shown.value]}${host.value?.host ? `${host.value.host} · ` : ''}strobe`;
    }),
  ];
  return () => {
    clearInterval(timer);
    off();
    for (const s of stop) s();
  };
}
