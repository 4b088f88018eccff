// The flame graph of a dragged range, at the right of the drawer, and the threads of it by samples.
import { useComputed } from '@preact/signals';
import { useEffect, useMemo } from 'preact/hooks';
import { themeVersion } from '../../charts/palette';
import { clockText } from '../../charts/time';
import { page } from '../../state/page';
import { theme } from '../../state/prefs';
import { byName, chips, diff, elided, filter, fn, NO_CHIPS, pattern, tab } from '../../state/profile';
import type { View } from '../../store/api';
import { store } from '../../store/store';
import { matcher } from '../../transform/flame/search';
import { type FlameActions, FlameBox, FlameLegend, shownTree } from './FlameBox';
import { FlameFeed } from './flames';
import { profiler } from './profiler';
import { changeScale, countText, emptyText, hzText, shareText } from './words';

/** One for the page: the drawer's parts look at the same answer. */
export const drawerFeed = new FlameFeed();

/** Whether stacks of the range can be asked for. */
export const canFlame = (): boolean => {
  const p = profiler.value;
  return Boolean(p && (p.on || p.oldestUs > 0));
};

/** Opens the profile page on what the drawer shows. */
export function openProfile(): void {
  page.value = 'profile';
}

/** The flame graph of one process; the same again: of all. */
export function onlyProcess(pid: number, comm: string): void {
  const same = chips.peek().pid === pid;
  chips.value = same ? { ...chips.peek(), pid: 0, tid: 0, comm: '' } : { ...NO_CHIPS, pid, comm };
}

/** Whom the graph is of, where it is not of everybody. */
function onlyText(): string {
  const c = chips.value;
  if (c.tid) return `${c.comm} ${c.tid}`;
  if (c.pid) return `${c.comm} ${c.pid}`;
  if (c.cgroup) return c.cgroup.split('/').pop() || c.cgroup;
  return c.process || (c.cpu >= 0 ? `CPU ${c.cpu}` : '');
}

function Head({ range }: { range: View }) {
  const { answer, loading } = drawerFeed.state.value;
  const sum = answer?.sum;
  const isDiff = diff.value && Boolean(answer?.baseline);
  const only = onlyText();
  const cpus = sum?.nCpus || store.host?.nCpus || 1;
  const possible = sum ? Math.round(((range.to - range.from) / 1e6) * (sum.hzMax || 99) * cpus) : 0;
  return (
    <div class="head" data-flame-head="">
      <h2>Flame graph</h2>
      {only && (
        <button
          type="button"
          class="chip"
          title="Of everybody again"
          onClick={() => void (chips.value = NO_CHIPS)}
        >
          <b>{only}</b> <span aria-hidden="true">✕</span>
        </button>
      )}
      <span
        class={`u nums${sum && sum.n < 50 ? ' warn' : ''}`}
        title={sum ? `${countText(sum.n)} stacks of ${countText(possible)} possible` : ''}
        data-n={sum?.n}
      >
        {sum
          ? `n ${countText(sum.n)} · ${hzText(sum)} Hz · lost ${countText(sum.lost)} · shallow ${shareText(sum.n ? sum.shallow / sum.n : 0)}`
          : loading
            ? '–'
            : ''}
      </span>
      <span class="sp" />
      {/* biome-ignore lint/a11y/useSemanticElements: a toolbar of buttons */}
      <div class="seg small" role="group" aria-label="Colour">
        <button type="button" aria-pressed={!isDiff} onClick={() => void (diff.value = false)}>
          Type
        </button>
        <button
          type="button"
          aria-pressed={isDiff}
          disabled={answer !== null && !answer.baseline}
          onClick={() => {
            elided.value = false;
            diff.value = true;
          }}
        >
          Differential <span class="cap">D</span>
        </button>
      </div>
    </div>
  );
}

export function DrawerFlame({ range, base }: { range: View; base: View | null }) {
  const f = filter.value;
  useEffect(() => {
    drawerFeed.ask({
      ranges: [range],
      baseline: base && base.to - base.from > 0 ? [base] : [],
      filter: { ...f, offCpu: false, classes: 0 },
      tasks: 200,
    });
  }, [range.from, range.to, base?.from, base?.to, f]);
  useEffect(() => {
    const key = (e: KeyboardEvent) => {
      const typing = (e.target as Element | null)?.closest?.('input, textarea, select, dialog');
      if (typing || e.ctrlKey || e.metaKey || e.altKey || e.key.toLowerCase() !== 'd') return;
      if (document.querySelector('dialog[open]')) return;
      e.preventDefault();
      e.stopPropagation();
      diff.value = !diff.peek();
    };
    addEventListener('keydown', key, true);
    return () => {
      removeEventListener('keydown', key, true);
      drawerFeed.stop();
    };
  }, []);
  const { answer, why, ms } = drawerFeed.state.value;
  const re = useComputed(() => matcher(pattern.value)).value;
  const themed = useComputed(() => {
    void theme.value;
    return themeVersion();
  }).value;
  const tree = useMemo(() => (answer ? shownTree(answer, []) : null), [answer]);
  const isDiff = diff.value && Boolean(answer?.baseline);
  const scale = useMemo(
    () =>
      isDiff && answer
        ? changeScale(answer.tree, { off: false, sum: answer.sum, baseline: answer.baseline })
        : 1,
    [answer, isDiff],
  );
  const actions: FlameActions = {
    search: (s) => {
      pattern.value = s;
    },
    sandwich: (name) => {
      fn.value = name;
      tab.value = 'sandwich';
      openProfile();
    },
  };
  return (
    <section class="flame" aria-label="Flame graph of the range" data-ms={Math.round(ms)}>
      <Head range={range} />
      {answer && tree && answer.sum.n > 0 ? (
        <FlameBox
          profile={answer}
          diff={isDiff}
          hash={byName.value}
          re={re}
          rowHeight={15}
          theme={themed}
          label={`Flame graph of ${answer.sum.n} samples: arrows walk frames, Enter zooms, Escape shows all`}
          actions={actions}
          aside={<FlameLegend diff={isDiff} hash={byName.value} scale={scale} tree={tree} />}
        />
      ) : (
        <p class="why">
          {why ||
            (answer
              ? emptyText(
                  answer.sum,
                  false,
                  onlyText(),
                  profiler.value?.oldestUs ? clockText(store.clock.wallMs(profiler.value.oldestUs)) : '',
                )
              : '')}
        </p>
      )}
    </section>
  );
}
