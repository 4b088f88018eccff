// What the drawer asks of a range, and what came: one place that follows the range, its baseline and the
// link. The agent's answers take the place of the page's own as they come.
import { signal } from '@preact/signals';
import { sched } from '../charts/sched';
import { env } from '../panels/env';
import { firstScreen, panels } from '../panels/registry';
import type { HostEvent, View } from '../store/api';
import { store } from '../store/store';
import { type ChangedRow, type Known, rowsOfRank, rowsOfScreen } from './changed';
import { procRows } from './drawerdata';
import { eventsOf } from './Events';
import { Sources } from './procdata';
import { askProcs, procCatalog, type RangeProc, rangeProcs } from './rangeprocs';

export const AROUND = 2_000_000;
const RANKED = 40;
const PROCESSES = 100;
/** The page's own ranking is shown when the agent's is not there by then. */
const BEHIND_MS = 40;
const PATIENCE_MS = 400;
const RETRIES = 5;

export interface Changed {
  readonly rows: readonly ChangedRow[];
  /** "11 of 2,412 series, ranked by deviation". */
  readonly words: string;
  readonly byAgent: boolean;
}

export interface RangeProcs {
  readonly rows: readonly RangeProc[];
  readonly words: string;
}

const NONE: Changed = { rows: [], words: '', byAgent: false };
export const changed = signal<Changed>(NONE);
export const procs = signal<RangeProcs>({ rows: [], words: '' });
export const rangeEvents = signal<readonly HostEvent[]>([]);
/** The baseline that the ranking used. */
export const baseUsed = signal<View | null>(null);

const sources = new Sources();
const comms = new Map<string, string>();

const known: Known = {
  info: (m) => store.info(m),
  scale: (m) => store.catalog.metrics.get(m)?.meta.scale ?? Number.NaN,
  words: (metric, instance) => {
    if (!metric.startsWith('proc.')) return instance;
    const comm = comms.get(instance) ?? store.instances(metric).find((i) => i.name === instance)?.attrs.comm;
    return comm ? `${comm} ${instance}` : `PID ${instance}`;
  },
};

/** Follows one range until the returned function is called. */
export function follow(range: View, base: View, pinned: boolean): () => void {
  let over = false;
  let rankDone = false;
  let totalsDone = false;
  const began = performance.now();
  changed.value = NONE;
  baseUsed.value = base;
  store.past.wantEvents(range.from - AROUND);
  let lastRank: Parameters<typeof rowsOfRank>[0] = [];

  // Without anything to compare with nothing is new.
  const comparable =
    base.to - Math.max(base.from, store.heldFrom) >= Math.min(1e6, (base.to - base.from) / 2);
  const rank = async (tries: number): Promise<void> => {
    const { value, why } = await store.past.rank(range, pinned ? base : null, RANKED);
    if (over) return;
    if (!value) {
      if (!why && tries < RETRIES) setTimeout(() => over || void rank(tries + 1), 500);
      return;
    }
    rankDone = true;
    // What the agent does itself comes after what the host does.
    const own = (r: (typeof value.rows)[number]) => Number(r.metric.startsWith('strobe.'));
    lastRank = [...value.rows].sort((a, b) => own(a) - own(b));
    baseUsed.value = value.base;
    changed.value = {
      rows: rowsOfRank(lastRank, known, panels),
      words: `${value.rows.length} of ${value.nSeries.toLocaleString('en-US')} series, ranked by deviation`,
      byAgent: true,
    };
  };
  const totals = async (tries: number): Promise<void> => {
    const cat = procCatalog(store);
    if (!cat) return;
    const { value, why } = await askProcs(store.past, cat, range, comparable ? base : null, PROCESSES);
    if (over) return;
    if (!value) {
      if (!why && tries < RETRIES) setTimeout(() => over || void totals(tries + 1), 500);
      return;
    }
    totalsDone = true;
    const rows = rangeProcs(value, cat, range);
    for (const r of rows) comms.set(r.pid, r.comm);
    procs.value = { rows, words: `${rows.length} of ${value.nInstances.toLocaleString('en-US')}, amounts` };
    // Now the processes among the series have names.
    if (rankDone) changed.value = { ...changed.peek(), rows: rowsOfRank(lastRank, known, panels) };
  };

  const own = (): void => {
    rangeEvents.value = eventsOf(store.events, { from: range.from - AROUND, to: range.to + AROUND }, 50);
    if (store.past.answers && performance.now() - began < PATIENCE_MS) return;
    if (!rankDone) {
      const rows = rowsOfScreen(env, firstScreen, range, base);
      const words = comparable ? 'most changed first' : 'nothing is held before them to compare with';
      changed.value = { rows, words: `${rows.length} series on screen, ${words}`, byAgent: false };
    }
    if (!totalsDone) procs.value = ownProcs(range, base);
  };

  // The flame graph of the range is quick to make and asked for by the drawer: these, which are not, queue behind it.
  const behind = setTimeout(() => {
    void rank(0);
    void totals(0);
  }, BEHIND_MS);
  own();
  const late = setTimeout(own, PATIENCE_MS + 1);
  // Ranges older than the ring arrive later: looked at again whenever something came.
  let seen = -1;
  let left = 20;
  const stop = sched.onText(() => {
    if (left <= 0 || store.version === seen) return;
    left--;
    seen = store.version;
    own();
  });
  return () => {
    over = true;
    clearTimeout(behind);
    clearTimeout(late);
    stop();
  };
}

function ownProcs(range: View, base: View): RangeProcs {
  const { rows, over } = procRows(env, sources, range, 40, base);
  return {
    rows: rows.map((r) => ({ ...r, cmdline: '', fate: '' })),
    words: over.from === range.from ? 'amounts in the range' : 'amounts around the range',
  };
}
