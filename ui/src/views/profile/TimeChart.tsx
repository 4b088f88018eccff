// The flame chart: what each thread of a process ran, in order of time, for a short range.
import { useSignal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { type Hit, Timeline } from '../../charts/flame/timeline';
import { clockText, durationText } from '../../charts/time';
import { chips, filter } from '../../state/profile';
import { select } from '../../state/view';
import type { View } from '../../store/api';
import { store } from '../../store/store';
import { type ChartThread, chartOf, type TimeChartData } from '../../transform/flame/chart';
import { askChart } from '../../transform/profiler';
import type { Task } from '../../transport/profile';
import { countText, timeText } from './words';

/** Longer ranges are no flame chart. */
export const LONGEST_US = 60_000_000;

const lastOf = (range: View): View => {
  const to = Math.min(range.to, store.newest);
  return { from: to - 10_000_000, to };
};

/** "python3 796", "thread worker 801 · 251 samples". */
function titleOf(t: ChartThread, comm: string, pid: number, off: boolean): readonly [string, string] {
  const process = `${comm || t.comm} ${t.pid || pid || t.tid}`;
  const own =
    t.tid === (t.pid || pid)
      ? 'main thread'
      : `thread ${t.comm && t.comm !== comm ? `${t.comm} ` : ''}${t.tid}`;
  const n = off ? (t.samples === 1 ? 'wait' : 'waits') : t.samples === 1 ? 'sample' : 'samples';
  return [process, `${own} · ${countText(t.samples)} ${n}`];
}

export function TimeChart({
  range,
  tasks,
  re,
  theme,
  hz,
  off,
  onKey,
  children,
}: {
  range: View;
  tasks: readonly Task[];
  re: RegExp | null;
  theme: number;
  hz: number;
  off: boolean;
  onKey: (e: KeyboardEvent) => boolean;
  children?: ComponentChildren;
}) {
  const host = useRef<HTMLDivElement>(null);
  const line = useRef<Timeline | null>(null);
  const data = useSignal<TimeChartData | null>(null);
  const why = useSignal('');
  const said = useSignal<Hit | null>(null);
  const zoomed = useSignal<View | null>(null);
  const long = range.to - range.from > LONGEST_US;
  const pid = chips.value.pid || (chips.value.tid ? 0 : (tasks[0]?.pid ?? 0));
  const comm = tasks.find((t) => t.pid === pid)?.comm ?? chips.value.comm;
  const now = useRef({ comm, pid, off, onKey });
  now.current = { comm, pid, off, onKey };
  useEffect(() => {
    if (!host.current) return undefined;
    const t = new Timeline(host.current, {
      say: (hit) => void (said.value = hit),
      zoomed: (v) => void (zoomed.value = v),
      title: (th) => titleOf(th, now.current.comm, now.current.pid, now.current.off),
      wallMs: (us) => store.clock.wallMs(us),
      clock: clockText,
      key: (e) => now.current.onKey(e),
    });
    line.current = t;
    return () => t.destroy();
  }, []);
  useEffect(() => {
    zoomed.value = null;
    data.value = null;
    if (long || (!pid && !chips.value.tid)) return undefined;
    let over = false;
    void askChart(range, { ...filter.value, pid }).then(({ value, why: no }) => {
      if (over) return;
      data.value = value && chartOf(value, (off ? 1.5e6 : 1e6) / (hz || 99), off);
      why.value = value ? '' : (no?.text ?? 'No answer.');
    });
    return () => {
      over = true;
    };
  }, [range.from, range.to, pid, filter.value, long]);
  useEffect(() => line.current?.set(data.value, range, re), [data.value, range.from, range.to, re, theme]);
  const d = data.value;
  const at = said.value;
  const nodes = d?.nodes;
  const message = long
    ? `A flame chart shows up to ${durationText(LONGEST_US)} in order of time: select a shorter range on the map.`
    : why.value || (d && !d.threads.length ? 'No samples of this process in the range.' : '');
  return (
    <>
      <div class="fg">
        <div class="inner" ref={host} />
        {message && (
          <p class="why over">
            {message}
            {long && (
              <button type="button" class="btn" onClick={() => select(store, lastOf(range))}>
                Show its last 10 s
              </button>
            )}
          </p>
        )}
      </div>
      <div class="bar det" data-details="">
        <label class="kv">
          process{' '}
          <select
            value={String(pid)}
            onChange={(e) => {
              const t = tasks.find((x) => String(x.pid) === e.currentTarget.value);
              chips.value = { ...chips.peek(), pid: t?.pid ?? 0, tid: 0, comm: t?.comm ?? '' };
            }}
          >
            {!tasks.some((t) => t.pid === pid) && (
              <option value={String(pid)}>{chips.value.comm || pid}</option>
            )}
            {tasks.map((t) => (
              <option key={t.pid} value={String(t.pid)}>
                {t.comm} {t.pid} · {countText(t.n)}
              </option>
            ))}
          </select>
        </label>
        {zoomed.value && (
          <button type="button" class="btn" onClick={() => line.current?.zoom(null)}>
            Whole range <kbd>Esc</kbd>
          </button>
        )}
        {at && nodes ? (
          <>
            <b>{nodes.strings[nodes.name[at.box.node]!]}</b>
            <span class="kv mod">{nodes.strings[nodes.module[at.box.node]!]}</span>
            <span class="kv">
              from <b>{clockText(store.clock.wallMs(at.box.from), 3)}</b>
            </span>
            <span class="kv">
              for <b>{timeText(at.box.to - at.box.from)}</b>
            </span>
            <span class="kv">
              <b>{countText(at.box.samples)}</b> {off ? 'waits' : 'samples'}
            </span>
            <span class="kv opt">{titleOf(at.thread, comm, pid, off)[1].split(' · ')[0]}</span>
          </>
        ) : (
          d && (
            <span class="kv">
              <b>{d.threads.length}</b> {d.threads.length === 1 ? 'thread' : 'threads'}
              {d.leftOut > 0 && `, ${countText(d.leftOut)} samples left out`}.{' '}
              {off ? 'Between two waits it ran.' : 'Between two samples anything may have run.'} Drag or Ctrl
              and the wheel zoom.
            </span>
          )
        )}
        <span class="sp" />
        {children}
      </div>
    </>
  );
}
