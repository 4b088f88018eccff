// The USE strip: drawn once, its text and sparklines follow twice a second.
import { useEffect, useRef } from 'preact/hooks';
import { bin, type Columns, newColumns } from '../charts/columns';
import { sched } from '../charts/sched';
import { drawSpark } from '../charts/spark';
import { setText } from '../charts/title';
import { shownValue } from '../charts/value';
import { gridNow } from '../charts/view';
import { num, scaleFor } from '../lib/format';
import { env } from '../panels/env';
import { fixed } from '../state/view';
import type { Source, View } from '../store/api';
import { levelOf, type UseCell, type UseRow, useCells } from './use';

const SHAPE = { '': '', warn: '▲', crit: '◆' };
const CLASSES = ['r ut', 'r sa', 'r e'];
const ROWS = ['Utilisation', 'Saturation', 'Errors'];

interface RowNodes {
  row: HTMLElement;
  shape: HTMLElement;
  value: HTMLElement;
  words: HTMLElement;
  spark: HTMLCanvasElement;
}

class Strip {
  private cells: { name: Text; detail: HTMLElement; rows: RowNodes[] }[] = [];
  private columns: Columns | null = null;

  private ticks = 0;
  private still: View | null = null;
  private since = 0;
  /** Width of the sparklines by the style sheet; 0 while they are hidden. */
  sparkWidth = 0;

  constructor(private readonly root: HTMLElement) {
    for (let i = 0; i < 6; i++) this.cells.push(this.cell());
  }

  /** Width of the sparklines by the style sheet, none while a range is open. */
  measure(): void {
    this.sparkWidth = this.root.clientHeight < 40 ? 0 : innerWidth > 1400 ? 64 : 40;
    this.ticks = 0;
    this.since = 0;
  }

  private cell() {
    const div = document.createElement('div');
    const n = make('div', 'n');
    const name = document.createTextNode('');
    const detail = make('small', '');
    n.append(name, detail);
    div.append(n);
    const rows = ROWS.map((_, k) => {
      const row = make('div', CLASSES[k] as string);
      const spark = document.createElement('canvas');
      spark.setAttribute('aria-hidden', 'true');
      const nodes = {
        row,
        shape: make('span', 'shape'),
        value: make('b', ''),
        words: make('span', 'w'),
        spark,
      };
      row.append(nodes.shape, nodes.value, nodes.words, spark);
      div.append(row);
      return nodes;
    });
    this.root.append(div);
    return { name, detail, rows };
  }

  update(): void {
    this.ticks++;
    // The pictures of a still view stay as they are once all has arrived.
    const view = fixed.peek();
    if (view !== this.still || view === null) this.since = this.ticks;
    this.still = view;
    useCells(env).forEach((cell, i) => {
      const nodes = this.cells[i];
      if (!nodes) return;
      if (nodes.name.data !== cell.name) nodes.name.data = cell.name;
      setText(nodes.detail, cell.detail);
      for (const [k, row] of cell.rows.entries()) this.row(cell, row, k, nodes.rows[k] as RowNodes);
    });
  }

  private row(cell: UseCell, row: UseRow, k: number, n: RowNodes): void {
    const series = `${cell.id}.${['util', 'sat', 'err'][k]}`;
    n.value.dataset.series = series;
    if (!row.source || !known(row.source)) {
      this.none(row, k, n);
      return;
    }
    const shown = shownValue(env.store, row.source);
    const p = shown && Number.isFinite(shown.v) ? shown : null;
    const v = p?.v ?? Number.NaN;
    const level = Number.isNaN(v) ? '' : levelOf(row, v);
    setClass(n.row, `${CLASSES[k]} ${level}`.trim());
    setText(n.shape, SHAPE[level]);
    setText(n.value, p ? valueText(v, row) : '–');
    setText(n.words, row.words);
    n.row.title = '';
    n.row.removeAttribute('tabindex');
    n.value.dataset.value = p ? String(v) : '';
    n.value.dataset.t = String(p?.t ?? 0);
    n.spark.style.display = row.full === undefined ? 'none' : '';
    if (row.full !== undefined) this.spark(n.spark, row.source, row.full, cell);
  }

  private none(row: UseRow, k: number, n: RowNodes): void {
    setClass(n.row, `${CLASSES[k]} none`);
    setText(n.shape, '');
    setText(n.value, row.words ? '–' : 'not measured');
    setText(n.words, row.words);
    n.row.title = row.missing ?? `This agent does not supply ${row.source?.inputs[0]?.metric ?? 'it'}`;
    n.row.tabIndex = 0;
    n.value.dataset.value = '';
    n.spark.style.display = 'none';
  }

  private spark(canvas: HTMLCanvasElement, source: Source, full: number, cell: UseCell): void {
    const w = this.sparkWidth;
    if (!w || this.ticks % 2 === 0 || this.ticks - this.since > 6) return;
    const grid = gridNow(env.store, w);
    if (this.columns?.n !== w) this.columns = newColumns(w);
    const frame = env.store.frame([source], { from: grid.t0, to: grid.t0 + w * grid.dt }, w);
    const col = frame.cols[0];
    if (!col) return;
    const { hi } = bin(frame, col, grid, this.columns);
    const top = full > 0 ? full : largest(hi) * 1.15;
    drawSpark(canvas, w, 14, hi, top, cell.colour);
  }
}

function largest(values: Float64Array): number {
  let top = 1e-9;
  for (const v of values) if (v > top) top = v;
  return top;
}

function known(s: Source): boolean {
  return s.inputs.some((r) => env.store.info(r.metric) !== undefined && status(r.metric));
}

function status(metric: string): boolean {
  const { state } = env.store.status(metric);
  return state !== 'absent' && state !== 'off';
}

/** "46 %", "58", "3.2 Mb/s", "46/s". */
function valueText(v: number, row: UseRow): string {
  const kind = row.kind ?? row.source?.kind ?? 'count';
  const s = scaleFor(kind, v);
  const n = kind === 'ratio' ? (v * 100).toFixed(v * 100 >= 99.95 ? 0 : 1) : num(v / s.div);
  if (kind === 'count/s') return v === 0 ? '0' : `${n}${s.unit.startsWith('/') ? '' : ' '}${s.unit}`;
  return s.unit ? `${n} ${s.unit}` : n;
}

function make(tag: string, cls: string): HTMLElement {
  const e = document.createElement(tag);
  if (cls) e.className = cls;
  return e;
}

export function setClass(e: HTMLElement, cls: string): void {
  if (e.className !== cls) e.className = cls;
}

export function UseStrip() {
  const at = useRef<HTMLElement>(null);
  useEffect(() => {
    if (!at.current) return;
    const strip = new Strip(at.current);
    const draw = () => strip.update();
    draw();
    const sized = new ResizeObserver(() => {
      strip.measure();
      draw();
    });
    sized.observe(at.current);
    const stop = sched.onText(draw);
    return () => {
      sized.disconnect();
      stop();
    };
  }, []);
  return (
    <section class="use" ref={at} aria-label="Utilisation, saturation, errors">
      <div>
        <div />
        {ROWS.map((r) => (
          <div class="r" key={r}>
            {r}
          </div>
        ))}
      </div>
    </section>
  );
}
