// Keeps the address and the page's signals the same, both ways.
import { effect, signal } from '@preact/signals';
import type { View } from '../store/api';
import type { StoreImpl } from '../store/store';
import { takeToken } from '../transport/token';
import { page, profileText, query } from './page';
import { pins, prefsOf, utc } from './prefs';
import { capture, held, host } from './pulse';
import { DEFAULT, formatHash, parseHash, toMono, toWall, type UrlState } from './url';
import { baseline, fixed, hidden, moreRanges, pausedAt, selection, viewNow, windowUs } from './view';

/** Times of the address wait for the clock of the host. */
const pending = signal<UrlState | null>(null);
let written = '';
/** Times before this boot wait for the clocks of what is held, but not for ever. */
const PATIENCE_MS = 2000;
const patient = signal(true);

/** The window of an address that names none: a capture is shown whole. */
const usual = () => (capture.peek() === null ? DEFAULT.windowUs : 0);

function apply(s: UrlState): void {
  page.value = s.page;
  query.value = s.query;
  profileText.value = s.profile;
  windowUs.value = s.windowUs;
  hidden.value = new Set(s.hidden);
  if (s.pins) pins.value = s.pins;
  if (s.utc !== null) utc.value = s.utc;
  pending.value = s;
}

/** Whether the clocks known so far map the times of an address. */
function mappable(store: StoreImpl, s: UrlState): boolean {
  const first = Math.min(...[s.fixed, s.base].map((v) => v?.from ?? Number.POSITIVE_INFINITY));
  return store.past.settled || !patient.value || first >= store.clock.firstMs;
}

function applyTimes(store: StoreImpl, s: UrlState): void {
  pausedAt.value = store.newest;
  fixed.value = s.fixed ? toMono(store.clock, s.fixed) : null;
  selection.value = s.selection && s.fixed ? toMono(store.clock, s.selection) : null;
  baseline.value = s.base && toMono(store.clock, s.base);
  moreRanges.value = s.fixed ? s.more.map((r) => toMono(store.clock, r)) : [];
}

/** What is shown, standing still at `at` or live. */
function stateOf(store: StoreImpl, at: View | null): UrlState {
  return {
    page: page.value,
    query: page.value === 'raw' ? query.value : '',
    windowUs: windowUs.value,
    fixed: at && toWall(store.clock, at),
    selection: selection.value && toWall(store.clock, selection.value),
    base: baseline.value && toWall(store.clock, baseline.value),
    more: moreRanges.value.map((r) => toWall(store.clock, r)),
    profile: page.value === 'profile' || selection.value ? profileText.value : '',
    hidden: [...hidden.value],
    pins: [...pins.value],
    utc: utc.value,
  };
}

/** The address of exactly what is shown now, also when the page is live. */
export function addressNow(store: StoreImpl): string {
  const hash = formatHash(stateOf(store, viewNow(store)), usual());
  return `${location.origin}${location.pathname}${location.search}#${hash}`;
}

export function startAddress(store: StoreImpl): void {
  const first = parseHash(location.hash);
  apply(first);
  const pinsFromUrl = first.pins !== null;
  addEventListener('hashchange', () => {
    if (location.hash.slice(1) === written) return;
    if (location.hash.includes('token=')) {
      takeToken();
      location.reload();
      return;
    }
    apply(parseHash(location.hash, usual()));
  });
  effect(() => {
    const h = host.value;
    const s = pending.value;
    if (!h) return;
    prefsOf(h.machineId, pinsFromUrl);
    void held.value;
    if (!s || !mappable(store, s)) return;
    if (capture.peek() !== null && !/(^#?|&)w=/.test(location.hash)) windowUs.value = 0;
    pending.value = null;
    applyTimes(store, s);
  });
  setTimeout(() => {
    patient.value = false;
  }, PATIENCE_MS);
  let timer = 0;
  effect(() => {
    if (pending.value || !host.value) return;
    const state = stateOf(store, fixed.value);
    const pushed = page.peek();
    clearTimeout(timer);
    timer = window.setTimeout(() => {
      written = formatHash(state, usual());
      if (location.hash.slice(1) === written) return;
      const url = `${location.pathname}${location.search}${written ? `#${written}` : ''}`;
      // A change of page is a step of the browser's history; the rest is not.
      const before = parseHash(location.hash).page;
      if (before !== pushed) history.pushState(null, '', url);
      else history.replaceState(null, '', url);
    }, 250);
  });
}
