// What threads wait for, by class: how long in the range, which classes are shown and what is left out.
import { signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { type Colour, palette } from '../../charts/palette';
import { theme } from '../../state/prefs';
import { CLASSES, classesNow, idleLeftOut, toggleClass } from '../../state/profile';
import type { View } from '../../store/api';
import { askFlame, type Filter } from '../../transform/profiler';
import { held } from './flames';
import { profiler } from './profiler';
import { briefTime, offCpuTexts } from './words';

/** By class; null: not known yet. */
const sums = signal<readonly (number | null)[]>(CLASSES.map(() => null));
/** A window that moves is asked about anew so often. */
const AGAIN_MS = 30_000;
/** Resources have their colours; what is none is grey. */
const COLOURS: readonly Colour[] = ['neutral', 'disk', 't1', 'net', 'field', 'cpu', 't3'];
/** What stands first matters most. */
const ORDER = [1, 2, 3, 5, 0, 6, 4];
const TITLES = [
  'Waits of which the kernel function says nothing',
  'Reads, writes, fsync, page-ins',
  'Something that another thread holds: mutexes (futexes that are locks), locks of the kernel',
  'Sockets: receive, send, accept',
  'Threads that wait for work or time: poll, epoll, timers, children, idle threads of the kernel',
  'Runnable, but no CPU was free',
  'To be woken by another thread: condition variables, semaphores, joins; idle pools of threads wait here',
];

const last = { key: '', ms: Number.NEGATIVE_INFINITY };

/** One question a class, one after the other, so that the map and the graph come first. */
function useSums(ranges: readonly View[], filter: Filter, live: boolean): void {
  const { classes: _, ...rest } = filter;
  const length = Math.round(ranges.reduce((n, r) => n + r.to - r.from, 0) / 1e6);
  const key = JSON.stringify(live ? [length, rest] : [ranges, rest]);
  const beat = live ? Math.floor(performance.now() / AGAIN_MS) : 0;
  useEffect(() => {
    if (!ranges.length || (key === last.key && performance.now() - last.ms < AGAIN_MS / 2)) return undefined;
    let over = false;
    if (key !== last.key) sums.value = CLASSES.map(() => null);
    const run = async () => {
      for (const c of ORDER) {
        const { value } = await askFlame({
          ranges: held(ranges),
          baseline: [],
          filter: { ...filter, offCpu: true, classes: 1 << c },
          maxNodes: 16,
        });
        if (over) return;
        sums.value = sums.peek().map((v, i) => (i === c ? (value?.sum.weightUs ?? v) : v));
      }
      last.key = key;
      last.ms = performance.now();
    };
    const timer = setTimeout(() => void run(), 300);
    return () => {
      over = true;
      clearTimeout(timer);
    };
  }, [key, beat]);
}

export function Waits({ ranges, filter, live }: { ranges: readonly View[]; filter: Filter; live: boolean }) {
  useSums(ranges, filter, live);
  void theme.value;
  const { css } = palette();
  const on = classesNow.value;
  const all = sums.value;
  const shown = ORDER.filter((c) => on & (1 << c));
  const whole = shown.reduce((s, c) => s + (all[c] ?? 0), 0);
  const idle = (all[4] ?? 0) + (all[6] ?? 0);
  const tier = offCpuTexts(profiler.value);
  return (
    <div class="bar tb waits" data-waits={on}>
      <span class="kv">blocked on</span>
      <span class="stack" role="img" aria-label="Parts of the time that is shown">
        {shown.map((c) => (
          <i
            key={c}
            style={{ width: `${whole ? ((all[c] ?? 0) / whole) * 100 : 0}%`, background: css[COLOURS[c]!] }}
          />
        ))}
      </span>
      {ORDER.map((c) => {
        const pressed = (on & (1 << c)) !== 0;
        const v = all[c];
        return (
          <button
            type="button"
            key={c}
            class="class"
            data-class={CLASSES[c]}
            aria-pressed={pressed}
            title={`${TITLES[c]}. ${pressed ? 'Shown: click to leave it out' : 'Left out: click to show it'}`}
            onClick={() => toggleClass(c)}
          >
            <i style={{ background: pressed ? css[COLOURS[c]!] : 'none', borderColor: css[COLOURS[c]!] }} />
            {CLASSES[c]} <b>{v === null || v === undefined ? '–' : briefTime(v)}</b>
          </button>
        );
      })}
      <span class="sp" />
      {idleLeftOut.value && (
        <span class="kv" data-left-out="" title={`${TITLES[4]}. ${TITLES[6]}`}>
          without idle
          {idle ? (
            <>
              : <b>{briefTime(idle)}</b> left out
            </>
          ) : (
            ''
          )}
        </span>
      )}
      {tier && (
        <span class="kv" data-tier="" title={tier.all}>
          <b>{tier.how}</b>
          <span class="opt3">{tier.more}</span>
        </span>
      )}
    </div>
  );
}
