// The processes of the first screen. A fixed set of rows whose text changes at 2 Hz; F freezes it, and the
// rows under the pointer keep their order.
import { signal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { bin, type Columns, newColumns } from '../charts/columns';
import { sched } from '../charts/sched';
import { drawSpark, fillHoles } from '../charts/spark';
import { setText } from '../charts/title';
import { gridNow } from '../charts/view';
import { env } from '../panels/env';
import { page, profileText, query } from '../state/page';
import { capture } from '../state/pulse';
import { fixed, WINDOWS, windowUs } from '../state/view';
import type { Instance, View } from '../store/api';
import { store } from '../store/store';
import { PastProcs } from './pastprocs';
import {
  COLUMNS,
  type ColumnId,
  type ColumnSpec,
  cellText,
  cellValue,
  comm,
  PROCESS,
  Sources,
  settleRows,
  unit,
} from './procdata';

const SECOND = 1_000_000;
const ROW = 19;
const SPARK_W = 76;
/** Processes come five ticks a message (see Overview.tsx), microseconds. */
const MESSAGE = 500_000;

export const sortBy = signal<ColumnId>('cpu');
export const frozen = signal(false);

interface Row {
  tr: HTMLTableRowElement;
  cells: HTMLElement[];
  sparks: HTMLCanvasElement[];
  /** Process whose sparklines are drawn. */
  drawn: string;
}

class Table {
  private rows: Row[] = [];
  private order: string[] = [];
  private sources = new Sources();
  private columns: Columns = newColumns(SPARK_W);
  private over = false;
  private shown = 0;
  private ticks = 0;
  private still: View | null = null;
  private since = 0;
  private past = new PastProcs(store);
  private seen: unknown = null;

  constructor(
    private readonly body: HTMLTableSectionElement,
    private readonly count: HTMLElement,
    private readonly why: HTMLElement,
    private readonly room: () => number,
  ) {
    body.addEventListener('pointerenter', () => (this.over = true));
    body.addEventListener('pointerleave', () => (this.over = false));
  }

  /** A still view needs no more than the few updates in which what was on its way arrives. */
  private settled(): boolean {
    const view = fixed.peek();
    if (view !== this.still) this.since = this.ticks;
    this.still = view;
    return view !== null && this.ticks - this.since > 6;
  }

  /** The second in which a process must have lived: the newest, or the last one of a still view. */
  private span(): View {
    const to = Math.min(fixed.peek()?.to ?? Number.POSITIVE_INFINITY, env.store.newest);
    return { from: to - SECOND, to };
  }

  update(): void {
    if (frozen.peek() || !env.store.newest) return;
    this.ticks++;
    const over = this.span();
    // A moment that lies before what came live: as the agent has it.
    const past = this.past.at(over);
    if (past !== this.seen) this.since = this.ticks;
    this.seen = past;
    if (this.settled()) return;
    const byPid = past
      ? new Map([...past].map(([pid, r]) => [pid, r.inst]))
      : new Map(env.store.instances(PROCESS, over).map((i) => [i.name, i]));
    const cell = (pid: string, c: ColumnSpec) =>
      past ? (past.get(pid)?.values[c.id] ?? Number.NaN) : cellValue(env, this.sources, pid, c);
    const sort = COLUMNS.find((c) => c.id === sortBy.peek()) as ColumnSpec;
    if (!this.over || !this.order.length) {
      const value = (pid: string) => cell(pid, sort);
      this.order = settleRows(this.order, [...byPid.keys()], value);
    }
    const fit = Math.max(1, Math.floor(this.room() / ROW));
    const pids = this.order.filter((p) => byPid.has(p) || this.over).slice(0, fit);
    while (this.rows.length < pids.length) this.rows.push(this.make());
    this.rows.forEach((r, i) => {
      const pid = pids[i];
      r.tr.hidden = pid === undefined;
      if (pid !== undefined) this.fill(r, pid, byPid.get(pid), cell);
    });
    this.explain(byPid.size);
    this.shown = pids.length;
    const total = env.store.latest({
      key: 'proc.nprocs',
      inputs: [{ metric: 'proc.nprocs' }],
      kind: 'count',
    });
    const n = past ? past.size : Math.round(total?.v ?? byPid.size);
    setText(this.count, `${this.shown} of ${n}`);
  }

  /** Says why there are no rows. */
  private explain(n: number): void {
    const { state, reason } = env.store.status(PROCESS);
    const off = state === 'off' || state === 'absent' || state === 'failed';
    this.why.hidden = n > 0 || !off;
    if (off) setText(this.why, `Processes are not read. ${reason}`);
  }

  private fill(
    r: Row,
    pid: string,
    i: Instance | undefined,
    cell: (pid: string, c: ColumnSpec) => number,
  ): void {
    r.tr.classList.toggle('gone', !i);
    if (r.tr.dataset.pid !== pid) r.tr.dataset.pid = pid;
    const [p, c, u] = r.cells as [HTMLElement, HTMLElement, HTMLElement];
    setText(p, pid);
    if (!i) return;
    const link = c.firstChild as HTMLElement;
    setText(link, comm(i));
    if (i.attrs.cmdline && link.title !== i.attrs.cmdline) link.title = i.attrs.cmdline;
    setText(u, unit(i));
    u.title = i.attrs.cgroup || '';
    COLUMNS.forEach((col, k) => {
      const e = r.cells[3 + k] as HTMLElement;
      const v = cell(pid, col);
      setText(e, cellText(col.id, v));
      e.dataset.value = Number.isNaN(v) ? '' : String(v);
    });
    // Pictures follow once a second, or at once when the row has become another's.
    if (this.ticks % 2 && r.drawn === pid) return;
    r.drawn = pid;
    this.spark(r.sparks[0] as HTMLCanvasElement, pid, COLUMNS[0] as ColumnSpec);
    this.spark(r.sparks[1] as HTMLCanvasElement, pid, COLUMNS[1] as ColumnSpec);
  }

  private spark(canvas: HTMLCanvasElement, pid: string, c: ColumnSpec): void {
    const grid = gridNow(env.store, SPARK_W);
    const view = { from: grid.t0, to: grid.t0 + grid.n * grid.dt };
    const frame = env.store.frame([this.sources.get(pid, c)], view, SPARK_W);
    const col = frame.cols[0];
    if (!col) return;
    const { hi } = bin(frame, col, grid, this.columns);
    fillHoles(hi, Math.ceil((2 * MESSAGE) / grid.dt) - 1);
    let top = 0.05;
    for (const v of hi) if (v > top) top = v;
    drawSpark(canvas, SPARK_W, 13, hi, top, 'cpu');
  }

  private make(): Row {
    const tr = this.body.insertRow();
    const cells: HTMLElement[] = [];
    const sparks: HTMLCanvasElement[] = [];
    const cell = (cls: string) => {
      const td = tr.insertCell();
      td.className = cls;
      return td;
    };
    cells.push(cell('d'), cell('l'), cell('l m'));
    const link = document.createElement('button');
    link.type = 'button';
    link.className = 'name';
    link.onclick = () => {
      query.value = `proc[${tr.dataset.pid}]`;
      page.value = 'raw';
    };
    const flame = document.createElement('button');
    flame.type = 'button';
    flame.className = 'to-flame';
    flame.textContent = 'flame';
    flame.title = 'Its flame graph';
    flame.onclick = () => {
      profileText.value = new URLSearchParams({
        pid: tr.dataset.pid ?? '',
        name: link.textContent ?? '',
      }).toString();
      page.value = 'profile';
    };
    cells[1]?.append(link, flame);
    COLUMNS.forEach((_, k) => {
      cells.push(cell(''));
      if (k < 2) {
        const canvas = document.createElement('canvas');
        canvas.setAttribute('aria-hidden', 'true');
        cell('').append(canvas);
        sparks.push(canvas);
      }
    });
    return { tr, cells, sparks, drawn: '' };
  }

  resort(): void {
    this.order = [];
    this.since = this.ticks;
    this.update();
  }
}

const NAMES: Record<ColumnId, string> = {
  cpu: 'CPU',
  delay: 'run delay',
  rss: 'RSS',
  read: 'reads',
  write: 'writes',
  switches: 'switches',
  threads: 'threads',
};
const WIDTHS = [6.7, 12.2, 14.8, 5.8, 8.2, 7.4, 8.2, 7.6, 7.4, 7.6, 7.4, 6.7];

export function ProcTable() {
  const at = useRef<HTMLElement>(null);
  const count = useRef<HTMLSpanElement>(null);
  const why = useRef<HTMLParagraphElement>(null);
  useEffect(() => {
    const el = at.current;
    const body = el?.querySelector('tbody');
    if (!el || !body || !count.current || !why.current) return;
    let height = el.clientHeight;
    const sized = new ResizeObserver((e) => {
      height = e[0]?.contentRect.height ?? height;
    });
    sized.observe(el);
    const table = new Table(body, count.current, why.current, () => height - 22 - 18 - 2);
    const stops = [sched.onText(() => table.update()), sortBy.subscribe(() => table.resort())];
    const key = (e: KeyboardEvent) => {
      const typing = (e.target as Element).closest('input, textarea, select, dialog');
      if (e.code !== 'KeyF' || e.ctrlKey || e.metaKey || e.altKey || typing) return;
      frozen.value = !frozen.value;
    };
    document.addEventListener('keydown', key);
    return () => {
      for (const s of stops) s();
      sized.disconnect();
      document.removeEventListener('keydown', key);
    };
  }, []);
  return (
    <section class="p procs" ref={at} aria-label="Processes">
      <div class="head">
        <h2>Processes</h2>
        <span class="u">
          sorted by {NAMES[sortBy.value]}
          <span class="opt"> · 2 Hz</span>
        </span>
        <span class="lg">
          <span class="u" ref={count} />
          {capture.value === null && (
            <button
              type="button"
              class={frozen.value ? 'li frozen' : 'li'}
              aria-pressed={frozen.value}
              onClick={() => (frozen.value = !frozen.value)}
            >
              {frozen.value ? 'Frozen' : 'Freeze'} <kbd>F</kbd>
            </button>
          )}
        </span>
      </div>
      <table data-table="processes">
        <colgroup>
          {WIDTHS.map((w, i) => (
            <col key={i} width={`${w}%`} />
          ))}
        </colgroup>
        <thead>
          <tr>
            <th scope="col">PID</th>
            <th scope="col" class="l">
              Command
            </th>
            <th scope="col" class="l">
              Unit
            </th>
            {COLUMNS.map((c, k) => [
              <th
                scope="col"
                key={c.id}
                title={c.help}
                {...(sortBy.value === c.id ? { 'aria-sort': 'descending' as const } : {})}
              >
                <button type="button" onClick={() => (sortBy.value = c.id)}>
                  {c.title}
                </button>
              </th>,
              k < 2 ? (
                <th scope="col" key={`${c.id}s`}>
                  <span class="sr">{c.title} over </span>
                  {WINDOWS.find((w) => w.us === windowUs.value)?.label}
                </th>
              ) : null,
            ])}
          </tr>
        </thead>
        <tbody />
      </table>
      <p class="why" ref={why} hidden />
    </section>
  );
}
