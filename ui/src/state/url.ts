// The page's state in the address: view, window or from and to in wall time, selection, hidden series,
// pins. A pasted address shows the same thing.
import type { Clock, View } from '../store/api';

export interface UrlState {
  page: string;
  /** Search of the raw page. */
  query: string;
  /** Live window, µs; 0: all that is held. */
  windowUs: number;
  /** Wall time, ms with fractions; null: live. */
  fixed: { from: number; to: number } | null;
  selection: { from: number; to: number } | null;
  /** The pinned baseline. */
  base: { from: number; to: number } | null;
  /** Further ranges of the profile page. */
  more: { from: number; to: number }[];
  /** The profile page's own state, opaque here. */
  profile: string;
  hidden: string[];
  pins: string[] | null;
  utc: boolean | null;
}

export const DEFAULT: UrlState = {
  page: 'overview',
  query: '',
  windowUs: 30_000_000,
  fixed: null,
  selection: null,
  base: null,
  more: [],
  profile: '',
  hidden: [],
  pins: null,
  utc: null,
};

/** Milliseconds with three decimals: a microsecond survives. */
const ms = (v: number) => v.toFixed(3).replace(/\.?0+$/, '');
const span = (s: { from: number; to: number }) => `${ms(s.from)}~${ms(s.to)}`;

function parseSpan(s: string | null): { from: number; to: number } | null {
  const m = /^(\d+(?:\.\d+)?)~(\d+(?:\.\d+)?)$/.exec(s ?? '');
  if (!m) return null;
  const from = Number(m[1]);
  const to = Number(m[2]);
  return to > from ? { from, to } : null;
}

/** Names may hold anything but a comma after escaping. */
const join = (names: readonly string[]) => names.map((n) => n.replace(/[%,]/g, encodeURIComponent)).join(',');
const split = (s: string) => s.split(',').filter(Boolean).map(decodeURIComponent);

/** windowUs: the window that an address without one means. */
export function formatHash(s: UrlState, windowUs = DEFAULT.windowUs): string {
  const p = new URLSearchParams();
  if (s.page !== DEFAULT.page) p.set('page', s.page);
  if (s.query) p.set('q', s.query);
  if (s.windowUs === windowUs) p.delete('w');
  else if (s.windowUs === 0) p.set('w', 'all');
  else p.set('w', `${s.windowUs / 1e6}`);
  if (s.fixed) p.set('t', span(s.fixed));
  if (s.selection) p.set('sel', span(s.selection));
  if (s.base) p.set('base', span(s.base));
  if (s.more.length) p.set('more', s.more.map(span).join(' '));
  if (s.profile) p.set('p', s.profile);
  if (s.hidden.length) p.set('hide', join(s.hidden));
  if (s.pins?.length) p.set('pin', join(s.pins));
  if (s.utc) p.set('tz', 'utc');
  return p.toString();
}

export function parseHash(hash: string, windowUs = DEFAULT.windowUs): UrlState {
  const p = new URLSearchParams(hash.replace(/^#/, ''));
  const w = p.get('w');
  const seconds = Number(w);
  const safe = (name: string) => {
    try {
      return split(p.get(name) ?? '');
    } catch {
      return [];
    }
  };
  return {
    page: p.get('page') ?? DEFAULT.page,
    query: p.get('q') ?? '',
    windowUs: w === 'all' ? 0 : w && seconds > 0 && seconds <= 86400 * 30 ? seconds * 1e6 : windowUs,
    fixed: parseSpan(p.get('t')),
    selection: parseSpan(p.get('sel')),
    base: parseSpan(p.get('base')),
    more: (p.get('more') ?? '')
      .split(' ')
      .map(parseSpan)
      .filter((x) => x !== null)
      .slice(0, 15),
    profile: p.get('p') ?? '',
    hidden: safe('hide'),
    pins: p.has('pin') ? safe('pin') : null,
    utc: p.has('tz') ? p.get('tz') === 'utc' : null,
  };
}

export const toWall = (c: Clock, v: View) => ({ from: c.wallMs(v.from), to: c.wallMs(v.to) });
export const toMono = (c: Clock, v: { from: number; to: number }): View => ({
  from: Math.round(c.mono(v.from)),
  to: Math.round(c.mono(v.to)),
});
