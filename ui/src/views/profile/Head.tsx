// The line over the flame graph: views, what the range holds, what it is compared with.
import { useMemo, useState } from 'preact/hooks';
import { clockText, durationText } from '../../charts/time';
import { byName, diff, edits, elided, TABS, tab } from '../../state/profile';
import { baseline, clearSelection, selection } from '../../state/view';
import type { View } from '../../store/api';
import { store } from '../../store/store';
import { editWords } from '../../transform/flame/edit';
import type { Tree } from '../../transform/flame/tree';
import type { FlameAnswer, FlameAsk } from '../../transform/profiler';
import { FlameLegend } from './FlameBox';
import { Menu, type MenuAt } from './Menu';
import { burst, burstText, profiler } from './profiler';
import { Sums } from './Sums';
import { FORMATS, saveProfile, saveText } from './save';
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
  tree: Tree | null;
}) {
  const { ranges, base, pinned, answer, live, off, tree } = props;
  const [menu, setMenu] = useState<MenuAt | null>(null);
  const us = ranges.reduce((s, r) => s + r.to - r.from, 0);
  const sum = answer?.sum;
  const isDiff = diff.value && Boolean(answer?.baseline);
  const scale = useMemo(
    () =>
      isDiff && answer && tree ? changeScale(tree, { off, sum: answer.sum, baseline: answer.baseline }) : 1,
    [answer, tree, isDiff, off],
  );
  const opener = (label: string, items: () => MenuAt['items']) => (e: MouseEvent) => {
    const r = (e.currentTarget as HTMLElement).getBoundingClientRect();
    setMenu({ x: r.left, y: r.bottom + 1, label, items: items() });
  };
  const first = ranges[0];
  return (
    <div class="bar tb two">
      <div class="left">
        <div class="tabs" role="tablist">
          {TABS.map((t) => (
            <button
              type="button"
              role="tab"
              key={t.id}
              aria-selected={tab.value === t.id}
              onClick={() => void (tab.value = t.id)}
            >
              {t.title}
            </button>
          ))}
        </div>
        <i class="bar1" />
        {first && (
          <span class="kv" data-range="">
            <b class="strong">{live ? durationText(us) : preciseText(us)}</b>
            {ranges.length > 1
              ? ` in ${ranges.length} ranges from `
              : live
                ? ' up to now'
                : ` from ${clockText(store.clock.wallMs(first.from), us < 60e6 ? 3 : 0)}`}
            {ranges.length > 1 && clockText(store.clock.wallMs(first.from), 3)}
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
        {edits.value.map((e, i) => (
          <button
            type="button"
            class="chip"
            key={`${i} ${editWords(e)}`}
            title={`${editWords(e)}: click to undo`}
            onClick={() => void (edits.value = edits.value.filter((_, j) => j !== i))}
          >
            <b>{editWords(e)}</b> <span aria-hidden="true">✕</span>
          </button>
        ))}
      </div>
      {tab.value !== 'table' && (
        <span class={isDiff ? 'legend' : 'legend opt3'}>
          <FlameLegend diff={isDiff} hash={byName.value} scale={scale} off={off} />
        </span>
      )}
      <button
        type="button"
        class="btn"
        aria-haspopup="menu"
        data-against=""
        title="What the range is compared with"
        onClick={opener('Baseline', () => baselines(ranges, pinned, Boolean(answer?.baseline)))}
      >
        <span class="kv">against</span>
        {base
          ? `${pinned ? `${clockText(store.clock.wallMs(base.from))}, ` : 'preceding '}${durationText(base.to - base.from)}`
          : 'nothing'}{' '}
        <span aria-hidden="true">▾</span>
      </button>
      <Switch based={Boolean(answer?.baseline)} />
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
  const set = (d: boolean, e: boolean, n = false) => {
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
        aria-pressed={!diff.value}
        title={byName.value ? 'Coloured by name: click for types' : 'Click again to colour by name'}
        onClick={() => (diff.value ? set(false, false, byName.value) : (byName.value = !byName.value))}
      >
        {byName.value && !diff.value ? 'Name' : 'Type'}
      </button>
      <button
        type="button"
        aria-pressed={diff.value}
        disabled={!based && !diff.value}
        title={why ?? 'Colours are the change in CPUs against the baseline'}
        onClick={() => set(true, false)}
      >
        {diff.value && elided.value ? 'Elided' : 'Differential'}
      </button>
    </div>
  );
}

/** What stands at the right end of the details: the profiler's own state and what it cannot name. */
export function Aside({
  missing,
  leftOut,
  ask,
}: {
  missing: readonly string[];
  leftOut: number;
  ask: FlameAsk;
}) {
  const [menu, setMenu] = useState<MenuAt | null>(null);
  const open = (label: string, items: () => MenuAt['items']) => (e: MouseEvent) => {
    const r = (e.currentTarget as HTMLElement).getBoundingClientRect();
    setMenu({ x: r.left, y: r.top, label, items: items() });
  };
  return (
    <>
      {leftOut > 0 && <span class="kv">{countText(leftOut)} smallest frames left out</span>}
      {saveText.value && (
        <span class={saveText.value.startsWith('▲') ? 'kv warn' : 'kv'} role="status">
          {saveText.value}
        </span>
      )}
      <Missing list={missing} open={open} />
      <button
        type="button"
        class="btn"
        aria-haspopup="menu"
        title="The stacks of the range as a file"
        onClick={open('Save as', () =>
          FORMATS.map((f) => ({
            label: f.label,
            run: () => {
              const range = ask.ranges[0];
              if (range) void saveProfile(f.id, range, ask.baseline[0] ?? null, ask.filter);
            },
          })),
        )}
      >
        Save <span aria-hidden="true">▾</span>
      </button>
      <Burst />
      {menu && <Menu at={menu} close={() => setMenu(null)} />}
    </>
  );
}

function Burst() {
  const p = profiler.value;
  if (!p?.on) return p?.reason ? <span class="kv warn">▲ {p.reason}</span> : null;
  const left = Math.ceil((p.burstUntilUs - p.nowUs) / 1e6);
  if (p.burstUntilUs > 0 && left > 0)
    return (
      <span class="kv warn" data-burst="">
        burst <b>{p.hz} Hz</b>, {left} s left
      </span>
    );
  return (
    <>
      <button
        type="button"
        class="btn"
        title="Samples ten times as often for ten seconds: short ranges get enough of them"
        onClick={() => void burst()}
      >
        Burst 999 Hz
      </button>
      {burstText.value && <span class="kv warn">▲ {burstText.value}</span>}
    </>
  );
}

function Missing({
  list,
  open,
}: {
  list: readonly string[];
  open: (label: string, items: () => MenuAt['items']) => (e: MouseEvent) => void;
}) {
  if (!list.length) return null;
  return (
    <button
      type="button"
      class="btn warn"
      aria-haspopup="menu"
      title="Functions of these modules have no names"
      onClick={open('Modules without symbols', () =>
        list.map((label) => ({ label, run: () => void navigator.clipboard?.writeText(label) })),
      )}
    >
      ▲ {list.length === 1 ? '1 module' : `${list.length} modules`} without names
    </button>
  );
}
