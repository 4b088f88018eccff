// Charts for those who do not see them: one polite live region that says the values at the line once it
// rests, and a table of the numbers on demand.
import { format } from '../lib/format';
import type { MonoUs } from '../store/api';
import type { Chart } from './chart';
import { clockText, decimalsFor } from './time';
import { timeAt } from './view';

let region: HTMLElement | null = null;
let timer = 0;

function live(): HTMLElement {
  if (!region) {
    region = document.createElement('div');
    region.className = 'sr';
    region.setAttribute('aria-live', 'polite');
    region.setAttribute('role', 'status');
    document.body.append(region);
  }
  return region;
}

/** Says the chart's values at `t`, 600 ms after the last call. */
export function announce(chart: Chart, t: MonoUs): void {
  clearTimeout(timer);
  timer = setTimeout(() => {
    const { store } = chart.env;
    const values = chart.model.marks.map((m) => {
      const p = store.at(m.source, t);
      return `${m.label} ${p ? format(p.v, m.kind ?? m.source.kind) : 'no data'}`;
    });
    const time = clockText(store.clock.wallMs(t), decimalsFor(chart.grid.dt));
    live().textContent = `${chart.titleText()} at ${time}: ${values.join(', ')}`;
  }, 600) as unknown as number;
}

/** The chart's columns as a table in a dialog; Escape closes it. */
export function openTable(chart: Chart): void {
  const dialog = document.createElement('dialog');
  dialog.className = 'tabledlg';
  dialog.setAttribute('aria-label', `${chart.titleText()}: values`);
  const head = document.createElement('div');
  head.className = 'head';
  const h = Object.assign(document.createElement('h2'), { textContent: chart.titleText() });
  const close = Object.assign(document.createElement('button'), { textContent: 'Close', className: 'btn' });
  close.onclick = () => dialog.close();
  head.append(h, close);
  const scroller = document.createElement('div');
  scroller.className = 'scroller';
  scroller.tabIndex = 0;
  scroller.append(tableOf(chart));
  dialog.append(head, scroller);
  dialog.addEventListener('close', () => {
    dialog.remove();
    chart.el.focus();
  });
  document.body.append(dialog);
  dialog.showModal();
}

function tableOf(chart: Chart): HTMLTableElement {
  const { store } = chart.env;
  const { grid, model } = chart;
  const marks = model.marks.slice(0, 12);
  const { columns } = model.read(marks, grid, 'table ');
  const table = document.createElement('table');
  const cap = table.createCaption();
  cap.textContent = `${grid.n} columns, newest first; largest value of each column`;
  const top = table.createTHead().insertRow();
  for (const text of ['Time', ...marks.map((m) => m.label)]) {
    const th = document.createElement('th');
    th.scope = 'col';
    th.textContent = text;
    top.append(th);
  }
  const body = table.createTBody();
  for (let p = grid.n - 1; p >= 0; p--) {
    const row = body.insertRow();
    row.insertCell().textContent = clockText(store.clock.wallMs(timeAt(grid, p)), decimalsFor(grid.dt));
    marks.forEach((m, i) => {
      const v = columns[i]?.hi[p] ?? Number.NaN;
      row.insertCell().textContent = Number.isNaN(v) ? 'no data' : format(v, m.kind ?? m.source.kind);
    });
  }
  return table;
}
