// The drawer of a selected range: what changed in it against a baseline, its processes as amounts, the
// events around it.
import { useEffect, useRef } from 'preact/hooks';
import { charts } from '../charts/Chart';
import { bin, newColumns } from '../charts/columns';
import { origin } from '../charts/cursor';
import { drawSpark } from '../charts/spark';
import { clockText, dayText, durationText, sameDay } from '../charts/time';
import { download, toCsv } from '../lib/export';
import { addressNow } from '../state/address';
import { capture } from '../state/pulse';
import { baseline, before, clearSelection, fixed, pinBaseline, selection, zoomTo } from '../state/view';
import type { View } from '../store/api';
import { store } from '../store/store';
import { captureJob, saveCapture } from '../ui/capture';
import type { ChangedRow } from './changed';
import { openMetric, Processes } from './DrawerProcs';
import { spanText, valueText } from './drawerdata';
import { EventRows } from './Events';
import { canFlame, DrawerFlame, openProfile } from './profile/DrawerFlame';
import { profiler, watchProfiler } from './profile/profiler';
import { baseUsed, changed, follow, rangeEvents } from './range';

export function Drawer({ range }: { range: View }) {
  const base = baseline.value ?? before(range);
  const pinned = baseline.value !== null;
  useEffect(() => follow(range, base, pinned), [range, base.from, base.to, pinned]);
  useEffect(watchProfiler, []);
  const flame = canFlame();
  // Without enough before the range nothing is new.
  const from = Math.max(base.from, profiler.value?.oldestUs || store.heldFrom);
  const flameBase = base.to - from >= (base.to - base.from) / 4 ? { from, to: base.to } : null;
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const key = (e: KeyboardEvent) => moveRange(e, range);
    box.current?.addEventListener('keydown', key);
    return () => box.current?.removeEventListener('keydown', key);
  }, [range]);
  return (
    <div class="drawer opening" data-drawer="" ref={box}>
      <Summary range={range} base={base} pinned={pinned} />
      <div class={flame ? 'dr flames' : 'dr'}>
        <Changed range={range} base={baseUsed.value ?? base} narrow={flame} />
        <div class="mid">
          <Processes range={range} base={flameBase} narrow={flame} />
          <section class="ev" aria-label="Events of the range">
            <div class="head">
              <h2>Events</h2>
              <span class="u">range ± 2 s</span>
            </div>
            <EventRows events={rangeEvents.value} />
          </section>
        </div>
        {flame && <DrawerFlame range={range} base={flameBase} />}
      </div>
      <div class="keys">
        <span>
          <kbd>⏎</kbd> zoom
        </span>
        <span>
          <kbd>Z</kbd> undo zoom
        </span>
        <span>
          <kbd>B</kbd> {pinned ? 'compare with the stretch before again' : 'pin as baseline'}
        </span>
        <span>
          <kbd>L</kbd> {capture.value === null ? 'go live' : 'end of capture'}
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

/** "14:02:16.060 – 16.380", with the days where they are not today. */
function timesText(range: View): string {
  const [a, b] = [store.clock.wallMs(range.from), store.clock.wallMs(range.to)];
  const [x, y] = [clockText(a, 3), clockText(b, 3)];
  const now = Date.now();
  const day = (ms: number) => (sameDay(a, now) && sameDay(b, now) ? '' : `${dayText(ms)} `);
  if (!sameDay(a, b)) return `${day(a)}${x} – ${day(b)}${y}`;
  return `${day(a)}${x} – ${y.slice(x.slice(0, 6) === y.slice(0, 6) ? 6 : 0)}`;
}

/** Arrows move the range by its own width, with Shift its right edge by a tick. */
function moveRange(e: KeyboardEvent, range: View): void {
  const sign = e.key === 'ArrowLeft' ? -1 : e.key === 'ArrowRight' ? 1 : 0;
  if (!sign || e.ctrlKey || e.metaKey || e.altKey) return;
  e.preventDefault();
  e.stopPropagation();
  const tick = store.tickUs;
  const by = sign * (e.shiftKey ? tick : range.to - range.from);
  const next = e.shiftKey
    ? { from: range.from, to: Math.max(range.from + tick, range.to + by) }
    : { from: range.from + by, to: range.to + by };
  if (next.from < store.heldFrom || next.to > store.newest) return;
  const v = fixed.peek();
  if (v && (next.from < v.from || next.to > v.to)) fixed.value = { from: v.from + by, to: v.to + by };
  selection.value = next;
}

function Summary({ range, base, pinned }: { range: View; base: View; pinned: boolean }) {
  const ticks = Math.max(1, Math.round((range.to - range.from) / store.tickUs));
  const at = timesText(range);
  const name = () => `${store.host?.host ?? 'strobe'}-${at.replace(/[^\w.]+/g, '')}`;
  const csv = () => {
    const rows = changed.peek().rows;
    const columns = Math.max(400, (range.to - range.from) / 10_000);
    const frame = store.frame(
      rows.map((r) => r.source),
      range,
      Math.min(20_000, columns),
    );
    const labels = rows.map((r) => `${r.name} ${r.of}`.trim());
    download(`${name()}.csv`, new Blob([toCsv(frame, labels, store.clock)], { type: 'text/csv' }));
  };
  const png = () => {
    const c = charts.get(origin.peek()) ?? charts.values().next().value;
    c?.image().toBlob((b) => b && download(`${name()}-${c.spec.id}.png`, b));
  };
  return (
    <div class="sum">
      <span class="dur">{durationText(range.to - range.from)}</span>
      <b data-range="">{at}</b>
      <span class="kv">
        <b>{ticks.toLocaleString('en-US')}</b> {ticks === 1 ? 'tick' : 'ticks'}
      </span>
      <span class="sp" />
      <span class="kv" role="status" data-capture-job={captureJob.value.state}>
        {captureJob.value.text}
      </span>
      <span class="kv opt">against</span>
      <button
        type="button"
        class="btn"
        aria-pressed={pinned}
        title={
          pinned
            ? `Pinned baseline ${timesText(base)}. Click to compare with the stretch before again`
            : 'The stretch before the range. Click to pin this range as the baseline of those to come'
        }
        onClick={() => (pinned ? void (baseline.value = null) : pinBaseline())}
      >
        {pinned ? `${clockText(store.clock.wallMs(base.from))}, ` : 'preceding '}
        {durationText(base.to - base.from)} <kbd>B</kbd>
      </button>
      <button type="button" class="btn" onClick={() => zoomTo(store, range)}>
        Zoom <kbd>⏎</kbd>
      </button>
      {canFlame() && (
        <button type="button" class="btn" onClick={openProfile} title="The range on the profile page">
          Profile <kbd>P</kbd>
        </button>
      )}
      <button type="button" class="btn" onClick={csv} title="Values of the series below, one row a sample">
        CSV
      </button>
      <button type="button" class="btn" onClick={png} title="The chart in which the range was dragged">
        PNG
      </button>
      <button
        type="button"
        class="btn"
        title="The range with everything that was recorded in it, as a file that strobe open shows"
        disabled={captureJob.value.state === 'running'}
        onClick={() => void saveCapture(range)}
      >
        Capture
      </button>
      <button
        type="button"
        class="btn opt"
        onClick={() => void navigator.clipboard?.writeText(addressNow(store))}
      >
        Copy link
      </button>
      <button type="button" class="ic" aria-label="Close" onClick={clearSelection}>
        ✕
      </button>
    </div>
  );
}

function Changed({ range, base, narrow }: { range: View; base: View; narrow: boolean }) {
  const { rows, words, byAgent } = changed.value;
  return (
    <section aria-label="What changed" data-ranked={byAgent ? 'agent' : 'page'}>
      <div class="head">
        <h2>What changed</h2>
        <span class="u">{words}</span>
      </div>
      <table data-table="changed">
        <colgroup>
          <col />
          <col width={narrow ? 44 : 62} />
          <col width={narrow ? 42 : 58} />
          <col width={narrow ? 76 : 84} />
          <col width={narrow ? 76 : 84} />
          <col width="88" />
        </colgroup>
        <thead>
          <tr>
            <th scope="col" class="l">
              Series
            </th>
            <th scope="col" class="l">
              {spanText(base.to - base.from)}
            </th>
            <th scope="col" class="l">
              {spanText(range.to - range.from)}
            </th>
            <th scope="col">before</th>
            <th scope="col">range</th>
            <th scope="col">change</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((s) => (
            <tr key={s.key} data-key={s.key}>
              <td class="l">
                <button type="button" class="name" title={s.search} onClick={() => openMetric(s.search)}>
                  {s.name} <span class="u">{s.of}</span>
                  {s.others > 0 && <em> and {s.others === 1 ? '1 other' : `${s.others} others`}</em>}
                </button>
              </td>
              <td>
                <Spark row={s} view={base} w={narrow ? 34 : 50} />
              </td>
              <td>
                <Spark row={s} view={range} w={narrow ? 32 : 46} />
              </td>
              <td class="m">{valueText(s.before, s.kind)}</td>
              <td>{valueText(s.now, s.kind)}</td>
              <td class={s.strong ? 'up' : 'm'}>{s.change}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {byAgent && rows.length === 0 && <p class="why">Nothing moved more than it did before.</p>}
    </section>
  );
}

/** Baseline and range on one scale, so that one beside the other shows the change. */
function Spark({ row, view, w }: { row: ChangedRow; view: View; w: number }) {
  const at = useRef<HTMLCanvasElement>(null);
  void rangeEvents.value;
  useEffect(() => {
    if (!at.current) return;
    const grid = { t0: view.from, dt: (view.to - view.from) / w, n: w };
    const frame = store.frame([row.source], view, w);
    const col = frame.cols[0];
    if (!col) return;
    const { hi } = bin(frame, col, grid, newColumns(w));
    const top = Math.max(1e-9, row.before, row.now, ...hi.filter((v) => !Number.isNaN(v)));
    drawSpark(at.current, w, 13, hi, top, row.colour);
  });
  return <canvas class="ds" style={{ width: `${w}px` }} ref={at} />;
}
