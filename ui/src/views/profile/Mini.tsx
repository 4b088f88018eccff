// "CPU samples" on the first screen: the sub-second map of the last minute or so, on which a range can be dragged.
import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { themeVersion } from '../../charts/palette';
import { sched } from '../../charts/sched';
import { ScopeMap } from '../../charts/scope/map';
import type { ScopePicture } from '../../charts/scope/paint';
import { clockText, zoneMs } from '../../charts/time';
import { profiling } from '../../state/page';
import { theme } from '../../state/prefs';
import { fixed, select, selection, viewNow } from '../../state/view';
import { store } from '../../store/store';
import { cellMost } from '../../transform/cells';
import { ALL } from '../../transform/profiler';
import type { Geometry } from '../../transform/scope';
import { Drafting } from './drafting';
import { HeatFeed, OFFSETS } from './heat';
import { profiler, watchProfiler } from './profiler';
import { Ends, scaleText } from './scale';

const LEFT = 44;
const RIGHT = 15;
const TOP = 3;
const AXIS = 16;
const SECOND = 1_000_000;
const WANT = { columnUs: SECOND, by: 'offset', filter: ALL, pattern: '' } as const;
const COLUMN_PX = 5;

class Small {
  private readonly map: ScopeMap;
  private readonly feed = new HeatFeed(() => this.map.paintSoon());
  private readonly ends = new Ends();
  private readonly draft = new Drafting(() => this.map);
  private key = '';
  private readonly off: () => void;
  private readonly seen: IntersectionObserver;
  private visible = true;

  constructor(
    host: HTMLElement,
    private readonly say: (end: string) => void,
  ) {
    this.map = new ScopeMap(host, (w, h) => this.picture(w, h), {
      range: (s) => select(store, s),
      ...this.draft.events,
      hover: () => undefined,
      row: () => undefined,
      label: () => '',
      key: () => false,
    });
    this.off = sched.onText(() => this.beat());
    this.seen = new IntersectionObserver((e) => {
      this.visible = e[e.length - 1]?.isIntersecting ?? true;
    });
    this.seen.observe(host);
  }

  stop(): void {
    this.off();
    this.seen.disconnect();
    this.feed.stop();
    this.map.destroy();
  }

  redraw(): void {
    this.map.paintSoon();
  }

  private beat(): void {
    if (!this.visible) return;
    const g = this.map.geometry;
    if (g) this.feed.want(WANT, g.first, g.first + g.n - 1);
    const live = fixed.peek() === null;
    const key = `${live ? Math.floor(store.clock.now() / SECOND) : fixed.peek()?.to} ${themeVersion()}`;
    if (key !== this.key) this.map.paintSoon();
    this.key = key;
  }

  private picture(w: number, h: number): ScopePicture | null {
    if (!store.host || !store.newest) return null;
    const view = viewNow(store);
    const cells = this.feed.cells(WANT);
    const rowHeight = Math.max(1, Math.floor((h - TOP - AXIS) / OFFSETS));
    const height = rowHeight * OFFSETS;
    const n = Math.floor((w - LEFT - RIGHT) / COLUMN_PX);
    const end = view.to - 1;
    const first = cells.columnAt(end) - n + 1;
    const g: Geometry = {
      x: LEFT,
      y: Math.max(TOP, h - AXIS - height),
      height,
      columnWidth: COLUMN_PX,
      first,
      n,
      columnUs: SECOND,
      anchorUs: cells.anchorUs,
      rows: OFFSETS,
      rowHeight,
      offset: true,
    };
    this.feed.want(WANT, first, first + n - 1);
    const cpus = profiler.peek()?.nCpus || store.host.nCpus;
    const cellUs = cellMost(SECOND, OFFSETS, cpus);
    const top = this.ends.end('', cells, g, cellUs, false, []);
    this.say(scaleText(top, false, 'offset', cpus));
    const from = store.clock.wallMs(cells.startOf(first));
    const zone = zoneMs(from);
    const began = profiler.peek()?.oldestUs || store.heldFrom;
    const ticks: [number, string][] = [];
    for (let t = Math.ceil((from + zone) / 20_000) * 20_000 - zone; t <= from + n * 1000; t += 20_000)
      ticks.push([store.clock.mono(t), clockText(t)]);
    return {
      g,
      cells,
      order: [],
      cellUs,
      end: top,
      searched: false,
      now: store.clock.now(),
      began,
      beganText: `stacks since ${clockText(store.clock.wallMs(began))}`,
      ranges: selection.peek() ? [selection.peek()!] : [],
      base: null,
      draft: this.draft.now?.span ?? null,
      draftIsBase: this.draft.now?.base ?? false,
      label: '',
      marks: [],
      ticks,
      clock: (us) => clockText(store.clock.wallMs(us), 2),
      rowLabels: [
        [g.y, '1.0 s'],
        [g.y + height / 2, '0.5'],
        [g.y + height, '0'],
      ],
      margin: 0,
      marginText: '',
    };
  }
}

/** Tells the first screen whether there is a profiler, until the returned function is called. */
export function watch(): () => void {
  const stop = watchProfiler();
  const off = profiler.subscribe((p) => {
    profiling.value = Boolean(p && (p.on || p.oldestUs > 0));
    document.documentElement.toggleAttribute('data-profiling', profiling.value);
  });
  return () => {
    off();
    stop();
  };
}

export function Mini({ children }: { children?: ComponentChildren }) {
  const host = useRef<HTMLDivElement>(null);
  const end = useRef<HTMLSpanElement>(null);
  const small = useRef<Small | null>(null);
  useEffect(() => {
    if (!host.current) return undefined;
    const s = new Small(host.current, (text) => {
      if (end.current && end.current.textContent !== text) end.current.textContent = text;
    });
    small.current = s;
    return () => s.stop();
  }, []);
  useEffect(() => small.current?.redraw(), [fixed.value, selection.value, theme.value]);
  return (
    <div class="cell">
      {/* biome-ignore lint/a11y/useSemanticElements: as the other panels are */}
      <div
        class="p samples"
        role="figure"
        data-panel="cpu.samples"
        data-state="ok"
        aria-label="CPU samples, a column a second"
      >
        <div class="head">
          <h2 title="Samples of the profiler: a column is a second, a row 20 ms of it. Drag or click twice for a range">
            CPU samples
          </h2>
          <span class="u">1 s × 20 ms</span>
          <span class="lg">
            <span class="rampbox">
              0<i class="ramp" />
              <span ref={end} />
            </span>
          </span>
        </div>
        <div class="plot" ref={host} />
        {children}
      </div>
    </div>
  );
}
