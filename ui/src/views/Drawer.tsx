// The drawer of a selected range: what the series on screen did, the processes, the events around it.
import { signal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { charts } from '../charts/Chart';
import { bin, newColumns } from '../charts/columns';
import { origin } from '../charts/cursor';
import { sched } from '../charts/sched';
import { drawSpark } from '../charts/spark';
import { clockText, durationText } from '../charts/time';
import { download, toCsv } from '../lib/export';
import { env } from '../panels/env';
import { firstScreen } from '../panels/registry';
import { before, clearSelection, zoomTo } from '../state/view';
import type { HostEvent, View } from '../store/api';
import {
  amountText,
  factorText,
  msText,
  type Procs,
  procRows,
  type SeriesRow,
  seriesRows,
  valueText,
} from './drawerdata';
import { EventRows, eventsOf } from './Events';
import { Sources } from './procdata';

const AROUND = 2_000_000;
const sources = new Sources();

const series = signal<readonly SeriesRow[]>([]);
const procs = signal<Procs>({ rows: [], over: { from: 0, to: 0 } });
const events = signal<readonly HostEvent[]>([]);

function read(range: View): void {
  series.value = seriesRows(env, firstScreen, range);
  procs.value = procRows(env, sources, range, 40);
  events.value = eventsOf(env.store.events, { from: range.from - AROUND, to: range.to + AROUND }, 50);
}

export function Drawer({ range }: { range: View }) {
  useEffect(() => {
    read(range);
    // Ranges older than the ring arrive later: read again whenever something came.
    let seen = env.store.version;
    let left = 20;
    return sched.onText(() => {
      if (left-- <= 0 || env.store.version === seen) return;
      seen = env.store.version;
      read(range);
    });
  }, [range]);
  return (
    <div class="drawer opening" data-drawer="">
      <Summary range={range} />
      <div class="dr">
        <Changed range={range} />
        <Processes range={range} />
        <section aria-label="Events of the range">
          <div class="head">
            <h2>Events</h2>
            <span class="u">range ± 2 s</span>
          </div>
          <EventRows events={events.value} />
        </section>
      </div>
      <div class="keys">
        <span>
          <kbd>⏎</kbd> zoom
        </span>
        <span>
          <kbd>Z</kbd> undo zoom
        </span>
        <span>
          <kbd>L</kbd> go live
        </span>
        <span>
          <kbd>Esc</kbd> clear
        </span>
        <span class="sp" />
        <span>
          Titles show the maximum in the range. Nothing zooms until <kbd>⏎</kbd>
        </span>
      </div>
    </div>
  );
}

function Summary({ range }: { range: View }) {
  const { store } = env;
  const wall = (t: number) => clockText(store.clock.wallMs(t), 3);
  const ticks = Math.max(1, Math.round(((range.to - range.from) / 1e6) * (store.host?.rateHz ?? 10)));
  const name = () => `${store.host?.host ?? 'strobe'}-${wall(range.from).replaceAll(':', '')}`;
  const csv = () => {
    const rows = series.peek();
    const columns = Math.max(400, (range.to - range.from) / 10_000);
    const frame = store.frame(
      rows.map((r) => r.source),
      range,
      Math.min(20_000, columns),
    );
    const labels = rows.map((r) => `${r.where} ${r.name}`);
    download(`${name()}.csv`, new Blob([toCsv(frame, labels, store.clock)], { type: 'text/csv' }));
  };
  const png = () => {
    const c = charts.get(origin.peek()) ?? charts.values().next().value;
    c?.image().toBlob((b) => b && download(`${name()}-${c.spec.id}.png`, b));
  };
  return (
    <div class="sum">
      <span class="dur">{durationText(range.to - range.from)}</span>
      <b>
        {wall(range.from)} –{' '}
        {wall(range.to).slice(wall(range.from).slice(0, 6) === wall(range.to).slice(0, 6) ? 6 : 0)}
      </b>
      <span class="kv">
        <b>{ticks}</b> {ticks === 1 ? 'tick' : 'ticks'}
      </span>
      <span class="sp" />
      <button type="button" class="btn" onClick={() => zoomTo(store, range)}>
        Zoom <kbd>⏎</kbd>
      </button>
      <button type="button" class="btn" onClick={csv} title="Values of the series below, one row a sample">
        CSV
      </button>
      <button type="button" class="btn" onClick={png} title="The chart in which the range was dragged">
        PNG
      </button>
      <button type="button" class="btn" onClick={() => void navigator.clipboard?.writeText(location.href)}>
        Copy link
      </button>
      <button type="button" class="ic" aria-label="Close" onClick={clearSelection}>
        ✕
      </button>
    </div>
  );
}

function Changed({ range }: { range: View }) {
  const base = before(range);
  return (
    <section aria-label="What changed">
      <div class="head">
        <h2>What changed</h2>
        <span class="u">{series.value.length} series on screen, most changed first</span>
      </div>
      <table data-table="changed">
        <colgroup>
          <col width="27%" />
          <col width="58" />
        </colgroup>
        <thead>
          <tr>
            <th scope="col" class="l">
              Series
            </th>
            <th scope="col" class="l">
              {durationText(range.to - range.from)}
            </th>
            <th scope="col" title={`Average of the ${durationText(base.to - base.from)} before`}>
              before
            </th>
            <th scope="col">min</th>
            <th scope="col">avg</th>
            <th scope="col">max</th>
            <th scope="col">change</th>
          </tr>
        </thead>
        <tbody>
          {series.value.map((s) => (
            <tr key={s.source.key} data-key={s.source.key}>
              <td class="l" title={`${s.where} ${s.name}`}>
                {s.where} <span class="u">{s.name}</span>
              </td>
              <td>
                <Spark row={s} range={range} />
              </td>
              <td class="m">{valueText(s.before, s.kind)}</td>
              <td class="m">{valueText(s.min, s.kind)}</td>
              <td>{valueText(s.avg, s.kind)}</td>
              <td>{valueText(s.max, s.kind)}</td>
              <td class={s.factor > 1.5 || s.factor < 0.66 ? 'up' : 'm'}>{factorText(s.factor)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function Spark({ row, range }: { row: SeriesRow; range: View }) {
  const at = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    if (!at.current) return;
    const w = 46;
    const pad = Math.max((range.to - range.from) * 0.5, 300_000);
    const view = { from: range.from - pad, to: range.to + pad };
    const grid = { t0: view.from, dt: (view.to - view.from) / w, n: w };
    const frame = env.store.frame([row.source], view, w);
    const col = frame.cols[0];
    if (!col) return;
    const { hi } = bin(frame, col, grid, newColumns(w));
    drawSpark(
      at.current,
      w,
      13,
      hi,
      Math.max(1e-9, row.max, ...hi.filter((v) => !Number.isNaN(v))),
      row.colour,
    );
  });
  return <canvas class="ds" ref={at} />;
}

function Processes({ range }: { range: View }) {
  const { rows, over } = procs.value;
  const length = durationText(over.to - over.from);
  return (
    <section aria-label="Processes of the range">
      <div class="head">
        <h2>Processes</h2>
        <span class="u">
          {over.from === range.from ? 'amounts in the range' : `amounts in ${length} around it`}
        </span>
      </div>
      <table data-table="range-processes">
        <colgroup>
          <col />
          <col width="54" />
          <col width="58" />
          <col width="56" />
          <col width="66" />
          <col width="72" />
          <col width="76" />
        </colgroup>
        <thead>
          <tr>
            <th scope="col" class="l">
              Command
            </th>
            <th scope="col">PID</th>
            <th scope="col">CPU ms</th>
            <th scope="col">change</th>
            <th scope="col">delay ms</th>
            <th scope="col">read</th>
            <th scope="col">write</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((p) => (
            <tr key={p.pid} data-pid={p.pid}>
              <td class="l">{p.comm}</td>
              <td class="d">{p.pid}</td>
              <td>{msText(p.cpuMs)}</td>
              <td class={p.factor > 1.5 ? 'up' : 'm'}>{factorText(p.factor)}</td>
              <td>{msText(p.delayMs)}</td>
              <td>{amountText(p.readBytes)}</td>
              <td>{amountText(p.writeBytes)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
