// Who used the range: processes by what they did, and, where there is a profiler, by samples; its threads, its cgroups.
import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { page, query } from '../state/page';
import { chips, NO_CHIPS, WHO, type Who, who } from '../state/profile';
import type { View } from '../store/api';
import { store } from '../store/store';
import { ALL, type FlameAnswer } from '../transform/profiler';
import type { Task } from '../transport/profile';
import { amountText, factorText, msText, timeUnit } from './drawerdata';
import { drawerFeed, onlyProcess } from './profile/DrawerFlame';
import { FlameFeed } from './profile/flames';
import { countText } from './profile/words';
import { procs } from './range';
import type { RangeProc } from './rangeprocs';

const MOST = 200;
/** Who ran, of everybody: where the graph is of some of them only, and of threads. */
const feed = new FlameFeed();

/** Every metric is charted on the page of all metrics. */
export function openMetric(search: string): void {
  query.value = search;
  page.value = 'raw';
}

type By = 'samples' | 'cpu' | 'delay';

interface Row {
  readonly key: string;
  readonly name: string;
  readonly dim: string;
  readonly title: string;
  readonly fate: string;
  /** NaN: not known. */
  readonly samples: number;
  readonly cpuMs: number;
  readonly factor: number;
  readonly delayMs: number;
  readonly chosen: boolean;
  readonly choose: () => void;
}

/** CPU a second against the baseline's. */
function changeOf(now: number, before: number, a: FlameAnswer): number {
  const span = (s: FlameAnswer['baseline']) => (s ? s.coveredUs || s.spanUs : 0);
  if (!a.baseline || !span(a.baseline) || !span(a.sum)) return Number.NaN;
  if (!before) return now ? Number.POSITIVE_INFINITY : Number.NaN;
  return now / span(a.sum) / (before / span(a.baseline));
}

function processRows(list: readonly RangeProc[], a: FlameAnswer | null): Row[] {
  const tasks = new Map(a?.tasks.map((t) => [String(t.pid), t]));
  const row = (pid: string, comm: string, cmdline: string, fate: string, t: Task | undefined) => ({
    key: pid,
    name: comm,
    dim: pid,
    title: `${cmdline || comm}: its flame graph`,
    fate,
    samples: a ? (t?.n ?? 0) : Number.NaN,
    chosen: String(chips.value.pid) === pid && chips.value.tid === 0,
    choose: () => onlyProcess(Number(pid), comm),
  });
  const rows: Row[] = list.map((p) => {
    const t = tasks.get(p.pid);
    tasks.delete(p.pid);
    return {
      ...row(p.pid, p.comm, p.cmdline, p.fate, t),
      cpuMs: p.cpuMs,
      factor: p.factor,
      delayMs: p.delayMs,
    };
  });
  // Who came and went between two readings of /proc was sampled all the same.
  if (list.length)
    for (const [pid, t] of tasks)
      rows.push({
        ...row(pid, t.comm, '', '', t),
        cpuMs: t.weightUs / 1000,
        factor: changeOf(t.weightUs, t.baseUs, a!),
        delayMs: Number.NaN,
      });
  return rows;
}

function threadRows(a: FlameAnswer | null): Row[] {
  const names = new Map(procs.value.rows.map((p) => [p.pid, p.comm]));
  return (a?.tasks ?? []).map((t) => {
    const process = names.get(String(t.pid)) ?? '';
    return {
      key: `${t.pid}/${t.tid}`,
      name: t.comm,
      dim: `${t.tid}${process && process !== t.comm ? ` of ${process}` : ''}`,
      title: `${t.comm} ${t.tid}, a thread of ${process || 'process'} ${t.pid}: its flame graph`,
      fate: '',
      samples: t.n,
      cpuMs: t.weightUs / 1000,
      factor: changeOf(t.weightUs, t.baseUs, a!),
      delayMs: Number.NaN,
      chosen: chips.value.tid === t.tid,
      choose: () => {
        const same = chips.peek().tid === t.tid;
        chips.value = same ? NO_CHIPS : { ...NO_CHIPS, pid: t.pid, tid: t.tid, comm: t.comm };
      },
    };
  });
}

function cgroupRows(a: FlameAnswer | null): Row[] {
  const sums = new Map<string, { n: number; us: number; base: number }>();
  for (const t of a?.tasks ?? []) {
    const s = sums.get(t.cgroup) ?? { n: 0, us: 0, base: 0 };
    s.n += t.n;
    s.us += t.weightUs;
    s.base += t.baseUs;
    sums.set(t.cgroup, s);
  }
  return [...sums].map(([path, s]) => ({
    key: path,
    name: path.split('/').filter(Boolean).pop() ?? (path || 'none known'),
    dim: path.split('/').filter(Boolean).slice(0, -1).join('/'),
    title: `${path || 'no cgroup known'}: its flame graph`,
    fate: '',
    samples: s.n,
    cpuMs: s.us / 1000,
    factor: changeOf(s.us, s.base, a!),
    delayMs: Number.NaN,
    chosen: path !== '' && chips.value.cgroup === path,
    choose: () => {
      if (path) chips.value = chips.peek().cgroup === path ? NO_CHIPS : { ...NO_CHIPS, cgroup: path };
    },
  }));
}

const VALUE: Record<By, (r: Row) => number> = {
  samples: (r) => r.samples || 0,
  cpu: (r) => r.cpuMs,
  delay: (r) => r.delayMs || 0,
};

/** Everybody's samples: the graph's own answer where that is of everybody. */
function useTasks(range: View, base: View | null, on: boolean): FlameAnswer | null {
  const c = chips.value;
  const some = Boolean(c.pid || c.tid || c.cgroup || c.process || c.cpu >= 0);
  const own = who.value === 'thread' || some;
  const first = drawerFeed.state.value.answer;
  useEffect(() => {
    if (!on || !own || !first) return;
    const baseline = base && base.to > base.from ? [base] : [];
    const threads = who.value === 'thread';
    feed.ask({ ranges: [range], baseline, filter: ALL, tasks: MOST, threads, maxNodes: 16 });
  }, [on, own, first === null, range.from, range.to, base?.from, base?.to, who.value]);
  useEffect(() => () => feed.stop(), []);
  const mine = feed.state.value.answer;
  if (!own) return first;
  return mine && Boolean(mine.ask.threads) === (who.value === 'thread') ? mine : null;
}

function Switch() {
  return (
    // biome-ignore lint/a11y/useSemanticElements: a toolbar of buttons
    <div class="seg small" role="group" aria-label="Samples of">
      {WHO.map((w) => (
        <button
          type="button"
          key={w.id}
          aria-pressed={who.value === w.id}
          onClick={() => void (who.value = w.id)}
        >
          {w.title}
        </button>
      ))}
    </div>
  );
}

const NAMES: Record<Who, string> = { process: 'Command', thread: 'Thread', cgroup: 'cgroup' };

/** With `flames` the table of samples, else what /proc says of processes. */
export function Processes({
  range,
  base,
  narrow: flames,
}: {
  range: View;
  base: View | null;
  narrow: boolean;
}) {
  const by = useSignal<By>('samples');
  const answer = useTasks(range, base, flames);
  if (!flames) return <Plain range={range} />;
  const kind = who.value;
  const all =
    kind === 'thread'
      ? threadRows(answer)
      : kind === 'cgroup'
        ? cgroupRows(answer)
        : processRows(procs.value.rows, answer);
  const value = VALUE[by.value];
  const rows = all.sort((a, b) => value(b) - value(a) || b.cpuMs - a.cpuMs).slice(0, MOST);
  const cpu = timeUnit(Math.max(0, ...rows.map((r) => r.cpuMs)));
  const delay = timeUnit(Math.max(0, ...rows.map((r) => r.delayMs || 0)));
  const head = (id: By, label: string) => (
    <th scope="col" aria-sort={by.value === id ? 'descending' : undefined}>
      <button type="button" onClick={() => void (by.value = id)}>
        {label}
      </button>
    </th>
  );
  return (
    <section class="procs" aria-label="Processes of the range">
      <div class="head">
        <h2>{WHO.find((w) => w.id === kind)!.title}</h2>
        <span class="sp" />
        <Switch />
      </div>
      <table data-table="range-processes" data-who={kind}>
        <colgroup>
          <col />
          <col width="58" />
          <col width="58" />
          <col width={kind === 'process' ? 50 : 64} />
          {kind === 'process' && <col width="64" />}
        </colgroup>
        <thead>
          <tr>
            <th scope="col" class="l">
              {NAMES[kind]}
            </th>
            {head('samples', 'samples')}
            {head('cpu', `CPU ${cpu.name}`)}
            <th scope="col">change</th>
            {kind === 'process' && head('delay', `delay ${delay.name}`)}
          </tr>
        </thead>
        <tbody>
          {rows.map((r) => (
            <tr key={r.key} data-pid={r.key} data-fate={r.fate} aria-selected={r.chosen}>
              <td class="l">
                <button type="button" class="name" title={r.title} onClick={r.choose}>
                  {r.name} <span class="u">{r.dim}</span> {r.fate && <em>{r.fate}</em>}
                </button>
              </td>
              <td>{Number.isNaN(r.samples) ? '–' : countText(r.samples)}</td>
              <td>{msText(r.cpuMs / cpu.ms)}</td>
              <td class={r.factor > 1.5 ? 'up' : 'm'}>{factorText(r.factor)}</td>
              {kind === 'process' && <td>{Number.isNaN(r.delayMs) ? '–' : msText(r.delayMs / delay.ms)}</td>}
            </tr>
          ))}
        </tbody>
      </table>
      {answer && rows.length === 0 && <p class="why">Nobody was sampled in this range.</p>}
    </section>
  );
}

function Plain({ range }: { range: View }) {
  const { rows, words } = procs.value;
  const nothing = range.to <= store.heldFrom;
  const cpu = timeUnit(Math.max(0, ...rows.map((r) => r.cpuMs)));
  const delay = timeUnit(Math.max(0, ...rows.map((r) => r.delayMs)));
  return (
    <section class="procs" aria-label="Processes of the range">
      <div class="head">
        <h2>Processes</h2>
        <span class="u">{words}</span>
      </div>
      <table data-table="range-processes">
        <colgroup>
          <col />
          <col width="58" />
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
            <th scope="col" aria-sort="descending">
              CPU {cpu.name}
            </th>
            <th scope="col">change</th>
            <th scope="col">delay {delay.name}</th>
            <th scope="col">read</th>
            <th scope="col">write</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((p) => (
            <tr key={p.pid} data-pid={p.pid} data-fate={p.fate}>
              <td class="l">
                <button
                  type="button"
                  class="name"
                  title={p.cmdline || p.comm}
                  onClick={() => openMetric(`proc[${p.pid}]`)}
                >
                  {p.comm} {p.fate && <em>{p.fate}</em>}
                </button>
              </td>
              <td class="d">{p.pid}</td>
              <td>{msText(p.cpuMs / cpu.ms)}</td>
              <td class={p.factor > 1.5 ? 'up' : 'm'}>{factorText(p.factor)}</td>
              <td>{msText(p.delayMs / delay.ms)}</td>
              <td>{amountText(p.readBytes)}</td>
              <td>{amountText(p.writeBytes)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {rows.length === 0 && nothing && <p class="why">Nothing is held of who ran in this range.</p>}
    </section>
  );
}
