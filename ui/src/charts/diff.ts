// Which columns of a chart changed since it was drawn last. Pure: what was drawn is kept as copies.
import type { Gap } from '../store/api';
import type { Columns, Grid } from './columns';
import type { Picture } from './plot';

/** What a plot shows. */
export interface Seen {
  grid: Grid;
  key: string;
  data: { lo: Float64Array; hi: Float64Array; mean: Float64Array }[];
  gaps: string[];
  events: number;
  note: string;
}

type Drawn = Pick<Picture, 'grid' | 'data' | 'gaps' | 'events' | 'note'>;

/** Bevels and half-covered pixels reach this many columns to the left. */
const REACH = 2;

/** First column that must be drawn again after what is shown was shifted; 0: all of it; n: none. */
export function changedFrom(seen: Seen | null, p: Drawn, key: string): number {
  const { grid } = p;
  if (!seen || seen.key !== key || seen.note !== p.note || p.note) return 0;
  if (seen.grid.n !== grid.n || Math.abs(seen.grid.dt - grid.dt) > 1e-6 * grid.dt) return 0;
  if (seen.data.length !== p.data.length) return 0;
  const moved = (grid.t0 - seen.grid.t0) / grid.dt;
  const shift = Math.round(moved);
  if (shift < 0 || shift >= grid.n / 2 || Math.abs(moved - shift) > 1e-3) return 0;
  let from = grid.n - shift;
  for (let i = 0; i < p.data.length && from > 0; i++) {
    from = Math.min(from, firstOther(seen.data[i] as Seen['data'][0], p.data[i] as Columns, shift, from));
  }
  from = Math.min(from, gapsFrom(seen, p), eventsFrom(seen, p));
  if (from >= grid.n) return grid.n;
  from -= REACH;
  return from < grid.n / 3 ? 0 : from;
}

function firstOther(was: Seen['data'][0], now: Columns, shift: number, most: number): number {
  for (let p = 0; p < most; p++) {
    if (!Object.is(was.mean[p + shift], now.mean[p])) return p;
    if (!Object.is(was.hi[p + shift], now.hi[p]) || !Object.is(was.lo[p + shift], now.lo[p])) return p;
  }
  return most;
}

const columnOf = (p: Drawn, t: number) => Math.round((t - p.grid.t0) / p.grid.dt);

/** Gaps by what is drawn of them: one that reaches over the left edge has no label and only moves. */
function gapKeys(p: Drawn): string[] {
  return p.gaps.map((g) => {
    const from = columnOf(p, g.from) <= 0 ? 'edge' : Math.round(g.from);
    return `${from} ${Math.round(g.to)} ${g.reason}`;
  });
}

/** First column of a gap that is not shown as it is. */
export function gapsFrom(seen: Pick<Seen, 'gaps'>, p: Drawn): number {
  const known = new Set(seen.gaps);
  let from = p.grid.n;
  gapKeys(p).forEach((key, i) => {
    const g = p.gaps[i] as Gap;
    // The words before the start stay in the middle of what is left of it.
    if (known.has(key) && !(g.reason === 'before' && g.text)) return;
    from = Math.min(from, Math.max(0, columnOf(p, g.from)));
  });
  return from;
}

function eventsFrom(seen: Seen, p: Drawn): number {
  let from = p.grid.n;
  for (let i = p.events.length - 1; i >= 0; i--) {
    const e = p.events[i];
    if (!e || e.seq <= seen.events) break;
    from = Math.min(from, Math.max(0, Math.floor((e.t - p.grid.t0) / p.grid.dt)));
  }
  return from;
}

/** Remembers `p` as shown; reuses the copies of `old`. */
export function see(old: Seen | null, p: Drawn, key: string): Seen {
  const data = p.data.map((c, i) => {
    const o = old?.data[i];
    if (!o || o.mean.length !== c.n) return { lo: c.lo.slice(), hi: c.hi.slice(), mean: c.mean.slice() };
    o.lo.set(c.lo);
    o.hi.set(c.hi);
    o.mean.set(c.mean);
    return o;
  });
  const last = p.events[p.events.length - 1];
  return { grid: p.grid, key, data, gaps: gapKeys(p), events: last?.seq ?? -1, note: p.note };
}
