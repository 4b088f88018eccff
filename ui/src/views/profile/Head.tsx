// The line over the flame graph: views, what the range holds, what it is compared with.
import { useMemo, useState } from 'preact/hooks';
import { clockText, durationText } from '../../charts/time';
import { byName, diff, elided, TABS, tab } from '../../state/profile';
import { capture } from '../../state/pulse';
import { baseline, clearSelection, selection } from '../../state/view';
import type { View } from '../../store/api';
import { store } from '../../store/store';
import type { Tree } from '../../transform/flame/tree';
import type { FlameAnswer } from '../../transform/profiler';
import { FlameLegend } from './FlameBox';
import { Menu, type MenuAt } from './Menu';
import { Missing } from './Missing';
import { Sums } from './Sums';
import { FORMATS, saveProfile, saveText } from './save';
import { walkTabs } from './tabs';
import { changeScale, countText } from './words';

const preciseText = (us: number) =>
  us < 1e6 ? `${Math.round(us / 1000)} ms` : us < 60e6 ? `${(us / 1e6).toFixed(3)} s` : durationText(us);

export function Detail(props: {
  ranges: readonly View[];
  base: View | null;
  pinned: boolean;
  answer: FlameAnswer | null;
  live: boolean;
  loading: boolean;
  off: boolean;
}) {
  const { ranges, base, pinned, answer, live, loading, off } = props;
  const [menu, setMenu] = useState<MenuAt | null>(null);
  const us = ranges.reduce((s, r) => s + r.to - r.from, 0);
  const sum = answer?.sum;
  const opener = (label: string, items: () => MenuAt['items']) => (e: MouseEvent) => {
    const r = (e.currentTarget as HTMLElement).getBoundingClientRect();
    setMenu({ x: r.left, y: r.bottom + 1, label, items: items() });
  };
  const first = ranges[0];
  const from = first && clockText(store.clock.wallMs(first.from), us < 60e6 || ranges.length > 1 ? 3 : 0);
  return (
    <div class="bar tb two" data-loading={loading ? '1' : '0'}>
      <div class="left">
        <div class="tabs" role="tablist" aria-label="Views" onKeyDown={walkTabs}>
          {TABS.map((t) => (
            <button
              type="button"
              role="tab"
              key={t.id}
              aria-selected={tab.value === t.id}
              tabIndex={tab.value === t.id ? 0 : -1}
              onClick={() => void (tab.value = t.id)}
            >
              {t.title}
            </button>
          ))}
        </div>
        <i class="bar1" />
        {first && (
          <span class="kv" data-range="" title={`from ${from}`}>
            <b class="strong">{live ? durationText(us) : preciseText(us)}</b>
            {ranges.length > 1 && ` in ${ranges.length} ranges`}
            {live ? (
              ` up to ${capture.value === null ? 'now' : 'its end'}`
            ) : (
              <span class="opt3"> from {from}</span>
            )}
          </span>
        )}
        {selection.value && (
          <button
            type="button"
            class="ic small"
            aria-label="Whole window"
            title="Everything that the map shows"
            onClick={clearSelection}
          >
            ✕
          </button>
        )}
        {sum && <Sums sum={sum} off={off} />}
      </div>
      {tab.value !== 'chart' && (
        <button
          type="button"
          class="btn"
          aria-haspopup="menu"
          data-against=""
          title="What the range is compared with"
          onClick={opener('Baseline', () => baselines(ranges, pinned, Boolean(answer?.baseline)))}
        >
          <span class="kv">against</span>
          <span>
            {base && (
              <span class={pinned ? '' : 'opt3'}>
                {pinned ? `${clockText(store.clock.wallMs(base.from))}, ` : 'preceding '}
              </span>
            )}
            {base ? durationText(base.to - base.from) : 'nothing'}
          </span>
          <span aria-hidden="true">▾</span>
        </button>
      )}
      {tab.value !== 'table' && tab.value !== 'chart' && <Switch based={Boolean(answer?.baseline)} />}
      {menu && <Menu at={menu} close={() => setMenu(null)} />}
    </div>
  );
}

function baselines(ranges: readonly View[], pinned: boolean, based: boolean): MenuAt['items'] {
  const first = ranges[0];
  const earlier = (us: number, label: string) => ({
    label,
    disabled: !first || first.from - us < store.heldFrom,
    run: () => {
      if (first) baseline.value = { from: first.from - us, to: first.to - us };
    },
  });
  return [
    { label: 'The stretch before', checked: !pinned, run: () => void (baseline.value = null) },
    earlier(60e6, 'A minute earlier'),
    earlier(600e6, '10 minutes earlier'),
    earlier(3600e6, 'An hour earlier'),
    { label: 'Ctrl and drag on the map: your own', disabled: true, run: () => undefined },
    null,
    {
      label: 'Elided: only stacks that the range has lost',
      checked: diff.value && elided.value,
      disabled: !based,
      run: () => {
        const on = !(diff.peek() && elided.peek());
        elided.value = on;
        diff.value = on;
      },
    },
  ];
}

function Switch({ based }: { based: boolean }) {
  const set = (d: boolean, e: boolean, n: boolean) => {
    diff.value = d;
    elided.value = e;
    byName.value = n;
  };
  const why = based ? undefined : 'Nothing is held to compare with';
  return (
    // biome-ignore lint/a11y/useSemanticElements: a toolbar of buttons
    <div class="seg" role="group" aria-label="Colour">
      <button
        type="button"
        aria-pressed={!diff.value && !byName.value}
        title="Colours are what a frame is: kernel, library, program, JIT, inlined"
        onClick={() => set(false, false, false)}
      >
        Type
      </button>
      <button
        type="button"
        aria-pressed={!diff.value && byName.value}
        title="Colours are of the name: the same function has the same everywhere"
        onClick={() => set(false, false, true)}
      >
        Name
      </button>
      <button
        type="button"
        aria-pressed={diff.value}
        disabled={!based && !diff.value}
        title={why ?? 'Colours are the change in CPUs against the baseline'}
        onClick={() => set(true, false, byName.value)}
      >
        {diff.value && elided.value ? 'Elided' : 'Differential'}
      </button>
    </div>
  );
}

/** The legend of what is shown now. */
export function Legend({ answer, tree, off }: { answer: FlameAnswer; tree: Tree; off: boolean }) {
  const isDiff = diff.value && Boolean(answer.baseline);
  const scale = useMemo(
    () => (isDiff ? changeScale(tree, { off, sum: answer.sum, baseline: answer.baseline }) : 1),
    [answer, tree, isDiff, off],
  );
  const lost = Boolean(answer.ask.elided && answer.baseline);
  return <FlameLegend diff={isDiff} lost={lost} hash={byName.value} scale={scale} off={off} tree={tree} />;
}

/** What stands at the right end of the details: what the colours mean, what has no names, saving. */
export function Aside({
  answer,
  tree,
  off,
  typed = false,
}: {
  answer: FlameAnswer;
  tree: Tree;
  off: boolean;
  /** Colours are those of types whatever the graph's are. */
  typed?: boolean;
}) {
  const { ask } = answer;
  const [menu, setMenu] = useState<MenuAt | null>(null);
  const open = (e: MouseEvent) => {
    const r = (e.currentTarget as HTMLElement).getBoundingClientRect();
    const items = FORMATS.map((f) => ({
      label: f.label,
      run: () => {
        const range = ask.ranges[0];
        if (range) void saveProfile(f.id, range, ask.baseline[0] ?? null, ask.filter);
      },
    }));
    setMenu({ x: r.left, y: r.top, label: 'Save as', items });
  };
  return (
    <>
      {answer.leftOut > 0 && (
        <span class="kv opt left-out">{countText(answer.leftOut)} smallest frames left out</span>
      )}
      {saveText.value && (
        <span class={saveText.value.startsWith('▲') ? 'kv warn' : 'kv'} role="status">
          {saveText.value}
        </span>
      )}
      {typed ? (
        <FlameLegend diff={false} scale={1} tree={tree} />
      ) : (
        <Legend answer={answer} tree={tree} off={off} />
      )}
      <Missing list={answer.missing} tree={answer.tree} />
      <button
        type="button"
        class="btn"
        aria-haspopup="menu"
        title="The stacks of the range as a file"
        onClick={open}
      >
        Save <span aria-hidden="true">▾</span>
      </button>
      {menu && <Menu at={menu} close={() => setMenu(null)} />}
    </>
  );
}
