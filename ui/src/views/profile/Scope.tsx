// The upper half of the profile page: rows, kinds, filters and search over the sub-second map.
import { type Signal, useComputed, useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { flameColours } from '../../charts/flame/colours';
import { textWidth } from '../../charts/own';
import { palette, themeVersion } from '../../charts/palette';
import { sched } from '../../charts/sched';
import { ScopeMap } from '../../charts/scope/map';
import type { Mark, ScopePicture } from '../../charts/scope/paint';
import { clockText, durationText, minuteText, zoneMs } from '../../charts/time';
import { theme } from '../../state/prefs';
import { chips, filter, pattern, ROWS, rows, which } from '../../state/profile';
import { capture } from '../../state/pulse';
import { baseline, fixed, moreRanges, select, selection, viewNow } from '../../state/view';
import type { View } from '../../store/api';
import { store } from '../../store/store';
import { type Cells, cellMost } from '../../transform/cells';
import { searched } from '../../transform/flame/search';
import {
  type Cell,
  columnFor,
  columnWidth,
  type Geometry,
  MINUTE,
  mergedRanges,
} from '../../transform/scope';
import { Burst } from './Burst';
import { Drafting } from './drafting';
import { HeatFeed, OFFSETS } from './heat';
import { profiler } from './profiler';
import { Columns, Filters, Kinds } from './ScopeBar';
import { Ends, rowText, scaleText } from './scale';
import { countText, sentence, shareText } from './words';

const LEFT = 96;
/** Labels of rows take what they need, so much at most. */
const LEFT_MOST = 190;
const TOP = 8;
const AXIS = 22;
const LABEL_PX = 12;

export interface ScopeView {
  /** Time that the map shows. */
  readonly shown: Signal<View | null>;
}

/** Everything that is selected. */
export const rangesNow = (): View[] => (selection.peek() ? [selection.peek()!, ...moreRanges.peek()] : []);

class Scope {
  readonly map: ScopeMap;
  private readonly feed = new HeatFeed(() => this.map.paintSoon());
  private readonly ends = new Ends();
  private readonly draft = new Drafting(() => this.map);
  private order: number[] = [];
  private orderKey = '';
  private drawn = '';
  private gutter = { by: '', px: LEFT };
  cells: Cells | null = null;
  private readonly off: () => void;

  constructor(
    host: HTMLElement,
    private readonly on: {
      hover(text: string): void;
      shown(v: View): void;
      legend(text: string): void;
      why(text: string): void;
      key(e: KeyboardEvent): boolean;
    },
  ) {
    this.map = new ScopeMap(host, (w, h) => this.picture(w, h), {
      range: (s, add) => {
        if (add && selection.peek()) {
          const all = mergedRanges([...rangesNow(), s]);
          select(store, all[0]!);
          moreRanges.value = all.slice(1);
        } else {
          moreRanges.value = [];
          select(store, s);
        }
      },
      ...this.draft.events,
      hover: (c) => on.hover(c ? this.describe(c) : ''),
      row: (i) => this.filterBy(i),
      label: (i) => {
        const id = this.order[i];
        const l = id === undefined ? undefined : this.cells?.labels[id];
        const text = l ? rowText(l, rows.peek()) : '';
        if (text) on.hover(l!.label.length > text.length ? l!.label : text);
        return text && `${l!.label.length > text.length ? l!.label : text}: click for it alone`;
      },
      key: (e) => on.key(e),
    });
    this.off = sched.onText(() => this.beat());
  }

  stop(): void {
    this.off();
    this.feed.stop();
    this.map.destroy();
  }

  /** Twice a second: what is missing is asked for; live, the map moves on. */
  private beat(): void {
    const g = this.map.geometry;
    if (g) this.feed.want(this.want(g.columnUs), g.first, g.first + g.n - 1);
    this.on.why(g ? this.feed.why(this.want(g.columnUs)) : '');
    const live = fixed.peek() === null;
    const key = `${themeVersion()} ${live ? Math.floor(store.clock.now() / (g?.columnUs ?? 1e6)) : 0}`;
    if (key !== this.drawn) this.map.paintSoon();
    this.drawn = key;
  }

  /** Another view, filter or pattern. */
  changed(): void {
    this.map.paintSoon();
    requestAnimationFrame(() => {
      const g = this.map.geometry;
      if (g) this.feed.want(this.want(g.columnUs), g.first, g.first + g.n - 1);
    });
  }

  private want(columnUs: number) {
    return { columnUs, by: rows.peek(), filter: filter.peek(), pattern: searched(pattern.peek()) };
  }

  private picture(w: number, h: number): ScopePicture | null {
    if (!store.host || !store.newest) return null;
    const view = viewNow(store);
    const columnUs = columnFor(view.to - view.from);
    const margin = w >= 1400 ? 112 : 72;
    const left = this.left();
    const room = w - left - 16 - margin - 16;
    const cw = columnWidth(room, Math.ceil((view.to - view.from) / columnUs - 0.01));
    const cells = this.feed.cells(this.want(columnUs));
    this.cells = cells;
    const last = cells.columnAt(view.to - 1);
    const began = profiler.peek()?.oldestUs || store.heldFrom;
    // Nothing will ever stand before the first column of a file.
    const most = capture.peek() === null ? Number.POSITIVE_INFINITY : last - cells.columnAt(began) + 1;
    const n = Math.max(1, Math.min(Math.floor(room / cw), most));
    const first = last - n + 1;
    const offset = rows.peek() === 'offset';
    const plot = h - TOP - AXIS;
    const order = offset ? [] : this.ranked(cells, first, n, plot);
    if (this.grown(cells, order)) return this.picture(w, h);
    const count = offset ? OFFSETS : Math.max(1, order.length);
    const rowHeight = Math.max(1, Math.floor(plot / count));
    const g: Geometry = {
      x: left,
      y: TOP,
      height: rowHeight * count,
      columnWidth: cw,
      first,
      n,
      columnUs,
      anchorUs: cells.anchorUs,
      rows: count,
      rowHeight,
      offset,
    };
    // What is held of it, to the end of the second that runs.
    const to = Math.min(
      cells.startOf(first + n),
      cells.startOf(first) + ceilSecond(store.clock.now() - cells.startOf(first)),
    );
    this.on.shown({ from: began < to ? Math.max(cells.startOf(first), began) : cells.startOf(first), to });
    this.feed.want(this.want(columnUs), first, first + n - 1);
    const off = which.peek() !== 'on';
    const cpus = off || rows.peek() === 'cpu' ? 1 : profiler.peek()?.nCpus || store.host.nCpus;
    const cellUs = cellMost(columnUs, offset ? OFFSETS : 1, cpus);
    const scaleKey = `${rows.peek()} ${JSON.stringify(filter.peek())} ${columnUs}`;
    const top = this.ends.end(scaleKey, cells, g, cellUs, off, order);
    this.on.legend(scaleText(top, off, rows.peek(), cpus));
    return {
      g,
      cells,
      order,
      cellUs,
      end: top,
      searched: pattern.peek() !== '',
      now: store.clock.now(),
      began,
      beganText: `stacks since ${clockText(store.clock.wallMs(began))}`,
      ranges: rangesNow(),
      base: baseline.peek(),
      draft: this.draft.now?.span ?? null,
      draftIsBase: this.draft.now?.base ?? false,
      label: this.label(),
      marks: this.marks(g),
      ticks: this.ticks(g),
      clock: (us) => clockText(store.clock.wallMs(us), offset && columnUs === 1e6 ? 2 : 0),
      rowLabels: offset ? offsetLabels(g) : this.rowLabels(g, cells, order),
      margin,
      marginText: `${margin > 100 ? 'mean, ' : ''}${scaleText(top, off, rows.peek(), cpus)
        .replace(/ of \d+$/, '')
        .replace(/^0? ?/, '0 – ')}`,
    };
  }

  /** Room for the labels of rows; it only grows while the rows are of the same kind. */
  private left(): number {
    const by = rows.peek();
    if (this.gutter.by !== by) this.gutter = { by, px: LEFT };
    return this.gutter.px;
  }

  /** Whether the labels want more room than they have; they get it. */
  private grown(cells: Cells, order: readonly number[]): boolean {
    const was = this.gutter.px;
    const font = `11px ${palette().font}`;
    for (const id of order) {
      const w = textWidth(rowText(cells.labels[id]!, rows.peek()), font);
      this.gutter.px = Math.min(LEFT_MOST, Math.max(this.gutter.px, Math.ceil(w) + 18));
    }
    return this.gutter.px > was;
  }

  private label(): string {
    const d = this.draft.now;
    const all = d && !d.base ? [d.span] : rangesNow();
    const us = all.reduce((s, r) => s + r.to - r.from, 0);
    return us ? `${all.length > 1 ? `${all.length} ranges, ` : ''}${durationText(us)}` : '';
  }

  private ranked(cells: Cells, first: number, n: number, plot: number): number[] {
    // Rows dance only every few seconds.
    const key = `${rows.peek()} ${JSON.stringify(filter.peek())} ${pattern.peek()} ${Math.floor(first / 8)} ${n} ${cells.labels.length > 0}`;
    if (key === this.orderKey && this.order.length) return this.order;
    const most = rows.peek() === 'cpu' ? plot : Math.floor(plot / LABEL_PX);
    this.order = cells.ranked(first, first + n - 1).slice(0, most);
    this.orderKey = key;
    return this.order;
  }

  private rowLabels(g: Geometry, cells: Cells, order: readonly number[]): [number, string][] {
    const every = Math.max(
      1,
      Math.ceil((rows.peek() === 'cpu' && order.length > 12 ? 24 : LABEL_PX) / g.rowHeight),
    );
    return order
      .map((id, i): [number, string] => [
        g.y + (i + 0.5) * g.rowHeight,
        rowText(cells.labels[id]!, rows.peek()),
      ])
      .filter((_, i) => i % every === 0);
  }

  private marks(g: Geometry): Mark[] {
    const from = g.anchorUs + g.first * g.columnUs;
    const to = from + g.n * g.columnUs;
    return store.events
      .filter((e) => e.severity > 0 && e.t >= from && e.t < to)
      .map((e) => ({ at: e.t, title: e.text }));
  }

  private ticks(g: Geometry): [number, string][] {
    const perPx = g.columnUs / g.columnWidth;
    const steps = [5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400];
    const step = (steps.find((s) => (s * 1e6) / perPx >= 110) ?? 86400) * 1000;
    const from = store.clock.wallMs(g.anchorUs + g.first * g.columnUs);
    const to = from + (g.n * g.columnUs) / 1000;
    const zone = zoneMs(from);
    const out: [number, string][] = [];
    for (let t = Math.ceil((from + zone) / step) * step - zone; t <= to; t += step)
      out.push([store.clock.mono(t), step >= 60_000 ? minuteText(t) : clockText(t)]);
    return out;
  }

  private describe(c: Cell): string {
    const { cells } = this;
    const col = cells?.get(c.column);
    const at = clockText(store.clock.wallMs(c.from), c.to - c.from < 1e6 ? 3 : 0);
    const id = rows.peek() === 'offset' ? c.row : this.order[c.row];
    const who =
      rows.peek() === 'offset' || id === undefined ? '' : `${rowText(cells!.labels[id]!, rows.peek())} · `;
    const span = `${who}${at}, ${durationText(c.to - c.from)}`;
    if (!col) return c.from > store.clock.now() ? `${span} · not yet` : `${span} · loading`;
    if (col.covered === 0) return `${span} · no profiler ran`;
    const us = id === undefined ? 0 : (col.w[id] ?? 0);
    const off = which.peek() !== 'on';
    const rate = us / (c.to - c.from);
    const hz = profiler.peek()?.hz || 99;
    const n = off ? '' : ` · ${countText((us * hz) / 1e6)} samples`;
    const amount = `${n} · ${rate.toFixed(rate >= 10 ? 1 : 2)} ${off ? 'tasks' : 'CPUs'}`;
    const m = id === undefined ? 0 : (col.m?.[id] ?? 0);
    const found = col.m ? ` · match ${shareText(us ? m / us : 0)}` : '';
    const lost = col.lost ? ` · ▲ ${countText(col.lost)} lost in this column` : '';
    return span + amount + found + lost;
  }

  private filterBy(i: number): void {
    const id = this.order[i];
    const l = id === undefined ? undefined : this.cells?.labels[id];
    if (!l) return;
    const c = chips.peek();
    const by = rows.peek();
    if (by === 'cpu') chips.value = { ...c, cpu: l.cpu };
    else if (by === 'process') chips.value = { ...c, pid: l.pid, tid: 0, comm: l.label };
    else if (by === 'thread') chips.value = { ...c, pid: l.pid, tid: l.tid, comm: l.label };
    else chips.value = { ...c, cgroup: l.label };
  }
}

function offsetLabels(g: Geometry): [number, string][] {
  const [n, unit, per] =
    g.columnUs === 1e6 ? [5, 'ms', 200] : g.columnUs === MINUTE ? [4, 's', 15] : [5, 'min', 1];
  return Array.from({ length: n + 1 }, (_, i): [number, string] => [
    g.y + g.height - (i / n) * g.height,
    `${i * per}${i === n ? ` ${unit}` : ''}`,
  ]);
}

const ceilSecond = (us: number) => Math.ceil(us / 1e6) * 1e6;

const TITLES = { on: 'On-CPU samples', off: 'Off-CPU time', queue: 'Run-queue time' };

export function ScopePanel({
  shown,
  hint,
  share,
  input,
  onKey,
}: {
  shown: Signal<View | null>;
  hint: Signal<string>;
  share: Signal<string>;
  input: { current: HTMLInputElement | null };
  onKey: (e: KeyboardEvent) => boolean;
}) {
  const host = useRef<HTMLDivElement>(null);
  const scope = useRef<Scope | null>(null);
  const legend = useSignal('');
  const why = useSignal('');
  const typed = useSignal(pattern.value);
  const columnUs = useComputed(() => {
    const v = fixed.value ?? viewNow(store);
    void shown.value;
    return columnFor(v.to - v.from);
  });
  useEffect(() => {
    if (!host.current) return undefined;
    const s = new Scope(host.current, {
      hover: (t) => void (hint.value = t),
      shown: (v) => {
        const at = shown.peek();
        if (at?.from !== v.from || at.to !== v.to) queueMicrotask(() => void (shown.value = v));
      },
      legend: (t) => queueMicrotask(() => void (legend.value = t)),
      why: (t) => void (why.value = t),
      key: onKey,
    });
    scope.current = s;
    return () => s.stop();
  }, []);
  const deps = [
    rows.value,
    filter.value,
    pattern.value,
    selection.value,
    moreRanges.value,
    baseline.value,
    fixed.value,
    theme.value,
    profiler.value?.nCpus,
  ];
  useEffect(() => scope.current?.changed(), deps);
  useEffect(() => {
    typed.value = pattern.value;
  }, [pattern.value]);
  const timer = useRef(0);
  const search = (text: string) => {
    typed.value = text;
    clearTimeout(timer.current);
    timer.current = window.setTimeout(() => void (pattern.value = text), 120);
  };
  const literal = searched(pattern.value) !== pattern.value;
  const said = why.value || (literal ? 'no regular expression: searched as written' : '');
  const k = flameColours();
  void theme.value;
  return (
    <>
      <div class="bar tb">
        <h3>{TITLES[which.value]}</h3>
        <Columns columnUs={columnUs.value} />
        {/* biome-ignore lint/a11y/useSemanticElements: a toolbar of buttons */}
        <div class="seg" role="group" aria-label="Rows">
          {ROWS.map((r) => (
            <button
              type="button"
              key={r.id}
              aria-pressed={rows.value === r.id}
              onClick={() => void (rows.value = r.id)}
            >
              {r.title}
            </button>
          ))}
        </div>
        <Kinds />
        <Filters />
        <div class="sp" />
        {said && (
          <span class="kv warn" title={said}>
            ▲ {said}
          </span>
        )}
        <Burst />
        <label class="search q">
          <svg class="icon" width="12" height="12" viewBox="0 0 12 12" aria-hidden="true">
            <circle cx="5" cy="5" r="3.6" />
            <path d="m8 8 3 3" />
          </svg>
          <input
            ref={input}
            type="text"
            aria-label="Search functions"
            placeholder="Function or regex"
            spellcheck={false}
            value={typed.value}
            onInput={(e) => search(e.currentTarget.value)}
            onKeyDown={(e) => {
              if (e.key !== 'Escape') return;
              if (typed.peek()) {
                e.stopPropagation();
                search('');
              }
            }}
          />
          <span class="kv" data-share="">
            {share.value}
          </span>
          <kbd>/</kbd>
        </label>
        <span class="sw ends" data-legend="">
          {pattern.value ? (
            <>
              <i style={{ background: palette().css.neutral }} /> other <i style={{ background: k.hit }} />{' '}
              match
            </>
          ) : (
            <>
              0
              <i
                class="rampbar"
                style={{ background: `linear-gradient(90deg,${palette().rampStops.join()})` }}
              />
              {legend.value}
            </>
          )}
        </span>
      </div>
      {profiler.value?.on && profiler.value.reason && (
        <div class="bar reduced warn" data-reduced="" title={profiler.value.reason}>
          ▲ {sentence(profiler.value.reason)}
        </div>
      )}
      <div class="hm" ref={host} />
    </>
  );
}
