// The profile page: the sub-second map above, the flame graph of what is selected on it below.
import { useComputed, useSignal } from '@preact/signals';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { FlameGraph } from '../../charts/flame/graph';
import { themeVersion } from '../../charts/palette';
import { sched } from '../../charts/sched';
import { clockText } from '../../charts/time';

import { isTyping } from '../../lib/keys';
import { theme } from '../../state/prefs';
import {
  byName,
  chips,
  diff,
  edits,
  elided,
  filter,
  fn,
  pattern,
  ROWS,
  rows,
  tab,
  which,
} from '../../state/profile';
import { capture, host } from '../../state/pulse';
import { baseline, clearSelection, fixed, moreRanges, SECOND, selection, windowUs } from '../../state/view';
import type { View } from '../../store/api';
import { store } from '../../store/store';
import type { Edit } from '../../transform/flame/edit';
import { type Found, matcher } from '../../transform/flame/search';
import { nameOf, placeOf, type Tree } from '../../transform/flame/tree';
import { askLines, type FlameAnswer } from '../../transform/profiler';
import { Edits } from './Edits';
import { type FlameActions, FlameBox, FlameLegend, shownTree } from './FlameBox';
import { FnTable } from './FnTable';
import { FlameFeed, held, stretchBefore } from './flames';
import { Aside, Detail } from './Head';
import { linesText } from './lines';
import { play, playing, stepRange } from './play';
import { noProfiler, profiler, watchProfiler } from './profiler';
import { Sandwich } from './Sandwich';
import { ScopePanel } from './Scope';
import { TimeChart } from './TimeChart';
import { Waits } from './Waits';
import { emptyText, lostText, sentence, shareText } from './words';

/** The map wants at least a minute; what is opened with less shows five. */
const LEAST_US = 60 * SECOND;
const USUAL_US = 300 * SECOND;
/** A window that moves is folded anew so often. */
const AGAIN_MS = 5000;

/** Shows enough for the map; what is returned gives back the view of before, unless another was chosen since. */
function widen(): () => void {
  const f = fixed.peek();
  const us = windowUs.peek();
  if (f && f.to - f.from < LEAST_US) {
    const to = Math.min(Math.max(store.newest, f.to), f.to + USUAL_US / 2);
    fixed.value = { from: to - USUAL_US, to };
  }
  if (us && us < LEAST_US) windowUs.value = USUAL_US;
  const [wide, wideUs] = [fixed.peek(), windowUs.peek()];
  return () => {
    if (fixed.peek() === wide) fixed.value = f;
    if (windowUs.peek() === wideUs) windowUs.value = us;
  };
}

async function sourceOf(t: Tree, i: number): Promise<string> {
  const { value, why } = await askLines(
    t.strings[t.module[i]!] ?? '',
    t.strings[t.buildId[i]!] ?? '',
    t.addr[i]!,
    placeOf(t, i),
  );
  if (!value) return why?.text ?? '';
  return linesText(value.lines, t.self[i]! > 0) || (value.missing && `no lines: ${value.missing}`);
}

function NoProfiler({ text }: { text: string }) {
  return (
    <div class="no-access" data-no-profiler="">
      <h2>There is no profiler here</h2>
      <p>{sentence(text)}</p>
      <p class="hint">
        {text.includes('--no-profile')
          ? 'Started without that option, it keeps the stacks of every CPU, and any range of any chart opens as a flame graph.'
          : 'What the profiler needs stands in the README under “Flame graphs of any moment”.'}{' '}
        Metrics go on as before.
      </p>
    </div>
  );
}

export function Profile() {
  const shown = useSignal<View | null>(null);
  const hint = useSignal('');
  const share = useSignal('');
  const input = useRef<HTMLInputElement>(null);
  const graph = useRef<FlameGraph | null>(null);
  const feed = useMemo(() => new FlameFeed(), []);
  const [beat, setBeat] = useState(0);
  useEffect(() => {
    const stop = watchProfiler();
    return () => {
      stop();
      feed.stop();
      playing.value = false;
    };
  }, []);
  useEffect(() => (host.value ? widen() : undefined), [host.value !== null]);

  // What the flame graph is of.
  const ranges = selection.value ? [selection.value, ...moreRanges.value] : shown.value ? [shown.value] : [];
  const live = fixed.value === null && !selection.value;
  const oldest = profiler.value?.oldestUs || store.heldFrom;
  const auto = ranges.length ? stretchBefore(ranges, oldest) : null;
  const base = baseline.value ?? auto;
  const p = profiler.value;
  const ready = p !== undefined && p !== null && (p.on || p.oldestUs > 0);
  const last = useRef({ ms: Number.NEGATIVE_INFINITY, what: '' });
  useEffect(() => {
    if (!ready || !ranges.length) return;
    const length = Math.round(ranges.reduce((n, r) => n + r.to - r.from, 0) / 1e6);
    const what = JSON.stringify([filter.value, elided.value && diff.value, baseline.value, live, length]);
    const now = performance.now();
    // The moving window is folded anew every few seconds, one question at a time; all else at once.
    if (live && what === last.current.what && (feed.state.peek().loading || now - last.current.ms < AGAIN_MS))
      return;
    last.current = { ms: now, what };
    feed.ask({
      ranges: held(ranges),
      baseline: base ? held([base]) : [],
      filter: filter.value,
      elided: elided.value && diff.value,
      tasks: 30,
    });
  }, [
    ready,
    JSON.stringify(ranges),
    JSON.stringify(base),
    filter.value,
    elided.value && diff.value,
    live,
    beat,
  ]);
  useEffect(() => {
    if (!live) return undefined;
    return sched.onText(() => {
      if (performance.now() - last.current.ms >= AGAIN_MS) setBeat((n) => n + 1);
    });
  }, [live]);

  const state = feed.state.value;
  const { answer } = state;
  const off = answer ? answer.ask.filter.offCpu : which.value !== 'on';
  // An elided graph is of what the baseline had.
  const lost = Boolean(answer?.ask.elided && answer.baseline);
  const graphed = useMemo<FlameAnswer | null>(
    () => (lost && answer ? { ...answer, sum: answer.baseline!, baseline: null } : answer),
    [answer],
  );
  const isDiff = !lost && diff.value && Boolean(answer?.baseline);
  const re = useComputed(() => matcher(pattern.value)).value;
  const themed = useComputed(() => {
    void theme.value;
    return themeVersion();
  }).value;
  const tree = useMemo(() => (answer ? shownTree(answer, edits.value) : null), [answer, edits.value]);
  const edit = (e: Edit) => {
    const once = e.do === 'recursion' || e.do === 'modules';
    if (!once || !edits.peek().some((x) => x.do === e.do)) edits.value = [...edits.peek(), e];
  };
  const actions: FlameActions = {
    edit,
    sandwich: (name) => {
      fn.value = name;
      tab.value = 'sandwich';
    },
    search: (s) => void (pattern.value = s),
    source: sourceOf,
    more: (t, i) => {
      const task = taskOf(t, i);
      const all = commOf(t, i);
      if (all)
        return [{ label: `Only ${all}`, run: () => void (chips.value = { ...chips.peek(), process: all }) }];
      return task
        ? [
            {
              label: `Only ${task.comm} ${task.pid}`,
              run: () => void (chips.value = { ...chips.peek(), ...task, tid: 0 }),
            },
          ]
        : [];
    },
  };
  const found = (f: Found | null, t: Tree) => {
    share.value = f ? shareText(f.weight / (t.total[0] || 1)) : '';
  };
  const open = (name: string) => {
    fn.value = name;
    tab.value = 'sandwich';
  };
  const onKey = (e: KeyboardEvent): boolean => keyOf(e, input.current, graph.current, edit);
  useEffect(() => {
    const key = (e: KeyboardEvent) => {
      if (document.querySelector('dialog[open], [role="menu"], [role="dialog"]')) return;
      if (isTyping(e.target as HTMLElement | null) || e.ctrlKey || e.metaKey || e.altKey) return;
      if (e.target instanceof HTMLCanvasElement) return; // the map and the graph ask themselves
      if (onKey(e)) {
        e.preventDefault();
        e.stopPropagation();
      }
    };
    addEventListener('keydown', key, true);
    return () => removeEventListener('keydown', key, true);
  }, []);
  const canvasKey = (e: KeyboardEvent) => onKey(e);
  if (p === null || (p && !p.on && p.oldestUs === 0))
    return (
      <NoProfiler text={p?.reason || noProfiler.value || 'It was started without one (--no-profile).'} />
    );
  const common = { off, lost, diff: isDiff, hash: byName.value, re, theme: themed };
  const body = () => {
    if (!answer || !graphed || !tree)
      return (
        <>
          <div class="fg">
            <p class="why over">{state.why || 'The stacks of the range are being put together.'}</p>
          </div>
          <div class="bar det" data-details="" />
        </>
      );
    const c = chips.value;
    const of =
      c.comm || c.process || c.cgroup || (c.cpu >= 0 ? `CPU ${c.cpu}` : c.pid ? `process ${c.pid}` : '');
    const began = oldest ? clockText(store.clock.wallMs(oldest)) : '';
    const empty = emptyText(answer.sum, off, of, began);
    if (empty)
      return (
        <>
          <div class="fg" data-empty="">
            <p class="why over">{empty}</p>
          </div>
          <div class="bar det" data-details="" />
        </>
      );
    if (tab.value === 'table')
      return (
        <FnTable
          profile={graphed}
          tree={tree}
          off={off}
          re={re}
          open={open}
          aside={<Aside answer={answer} tree={tree} off={off} typed />}
        />
      );
    if (tab.value === 'sandwich')
      return (
        <Sandwich
          {...common}
          profile={graphed}
          tree={tree}
          name={fn.value}
          choose={(n) => void (fn.value = n)}
          actions={{ ...actions, key: canvasKey }}
          aside={<Aside answer={answer} tree={tree} off={off} />}
        />
      );
    if (tab.value === 'chart')
      return (
        <TimeChart
          range={ranges[0]!}
          tasks={answer.tasks}
          re={re}
          theme={themed}
          hz={answer.sum.hzMax}
          off={off}
          onKey={canvasKey}
        >
          <FlameLegend diff={false} scale={1} />
        </TimeChart>
      );
    return (
      <FlameBox
        {...common}
        profile={graphed}
        rootLabel={lost && answer.baseline ? lostText(tree, answer.baseline, off) : undefined}
        edits={edits.value}
        icicle={tab.value === 'icicle'}
        label={`Flame graph of ${answer.sum.n} samples: arrows walk frames, Enter zooms, Escape shows all`}
        actions={{ ...actions, key: canvasKey }}
        aside={<Aside answer={answer} tree={tree} off={off} />}
        onFound={found}
        onGraph={(g) => {
          graph.current = g;
        }}
      />
    );
  };
  return (
    <div class="profile" data-page="profile">
      <h2 class="sr">Profile</h2>
      <ScopePanel shown={shown} hint={hint} share={share} input={input} onKey={canvasKey} />
      {which.value !== 'on' && <Waits ranges={ranges} filter={filter.value} live={live} />}
      <Detail
        ranges={ranges}
        base={base}
        pinned={baseline.value !== null}
        answer={answer}
        live={live}
        loading={state.loading}
        off={off}
      />
      <Edits list={edits.value} set={(e) => void (edits.value = e)} />
      <div class="lower" data-tab={tab.value} data-loading={state.loading ? '1' : '0'}>
        {body()}
      </div>
      <Keys hint={hint.value} ranged={selection.value !== null} />
    </div>
  );
}

/** The command of the processes that a frame belongs to, from the frame "comm ×n" below the root. */
export function commOf(t: Tree, i: number): string {
  for (let p = i; p > 0; p = t.parent[p]!) {
    const m = t.type[p] === 6 && t.depth[p] === 1 ? /^(.*) ×\d+$/.exec(nameOf(t, p)) : null;
    if (m) return m[1]!;
  }
  return '';
}

/** The process that a frame belongs to, from the frame "comm pid" below the root. */
export function taskOf(t: Tree, i: number): { pid: number; comm: string } | null {
  for (let p = i; p > 0; p = t.parent[p]!) {
    const m = t.type[p] === 6 && t.depth[p] === 1 ? /^(.*) (\d+)$/.exec(nameOf(t, p)) : null;
    if (m) return { comm: m[1]!, pid: Number(m[2]) };
  }
  return null;
}

const next = <T,>(list: readonly { id: T }[], now: T): T => {
  const i = list.findIndex((x) => x.id === now);
  return list[(i + 1) % list.length]!.id;
};

function keyOf(
  e: KeyboardEvent,
  input: HTMLInputElement | null,
  g: FlameGraph | null,
  edit: (e: Edit) => void,
): boolean {
  switch (e.key.toLowerCase()) {
    case ',':
      stepRange(-1);
      return true;
    case '.':
      stepRange(1);
      return true;
    case ' ':
      if (!selection.peek()) return false;
      play();
      return true;
    case 'r':
      rows.value = next(ROWS, rows.peek());
      return true;
    case 'i':
      tab.value = tab.peek() === 'icicle' ? 'flame' : 'icicle';
      return true;
    case 'd':
      diff.value = !diff.peek();
      return true;
    case 'h': {
      const i = g ? (g.hover > 0 ? g.hover : g.selected) : -1;
      const t = g?.treeNow;
      if (i <= 0 || !t || t.type[i] === 6) return false;
      edit({ do: 'hide', name: nameOf(t, i) });
      return true;
    }
    case '/':
      input?.focus();
      input?.select();
      return true;
    case 'escape':
      return escapeOne(g);
    default:
      return false;
  }
}

/** Out of one thing at a time: playing, zoom, search, edits, the range. */
function escapeOne(g: FlameGraph | null): boolean {
  if (playing.peek()) playing.value = false;
  else if (g?.escape()) return true;
  else if (pattern.peek()) pattern.value = '';
  else if (edits.peek().length) edits.value = [];
  else if (selection.peek()) clearSelection();
  else return false;
  return true;
}

function Keys({ hint, ranged }: { hint: string; ranged: boolean }) {
  return (
    <div class="keys">
      <span>
        <kbd>,</kbd>
        <kbd>.</kbd> step range
      </span>
      <span>
        <kbd>Space</kbd>{' '}
        {playing.value ? 'stop' : ranged ? 'play' : capture.value === null ? 'pause' : 'play'}
      </span>
      <span>
        <kbd>R</kbd> rows
      </span>
      {tab.value === 'chart' ? (
        <>
          <span>
            <kbd>+</kbd>
            <kbd>−</kbd> zoom
          </span>
          <span>
            <kbd>←</kbd>
            <kbd>→</kbd> move
          </span>
          <span>
            <kbd>Home</kbd> whole range
          </span>
        </>
      ) : (
        <>
          <span>
            <kbd>I</kbd> flame or icicle
          </span>
          <span>
            <kbd>D</kbd> differential
          </span>
          <span>
            <kbd>⏎</kbd> zoom to frame
          </span>
          <span>
            <kbd>H</kbd> hide frame
          </span>
        </>
      )}
      <span>
        <kbd>Esc</kbd> clear
      </span>
      <span class="sp" />
      <span data-hint="" role="status">
        {hint || (
          <>
            Click a start, click an end. <kbd>⇧</kbd> adds a range, <kbd>⌃</kbd> sets the baseline
          </>
        )}
      </span>
    </div>
  );
}
