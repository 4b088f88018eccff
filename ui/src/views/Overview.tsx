// The first screen: USE strip, twelve panels, then processes and events, or the drawer of a range.
import type { ComponentType } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { Chart } from '../charts/Chart';
import { sched } from '../charts/sched';
import { env } from '../panels/env';
import { pinnedSpecs } from '../panels/metric';
import { firstScreen } from '../panels/registry';
import type { PanelSpec } from '../panels/types';
import { profiling } from '../state/page';
import { epoch } from '../state/pulse';
import { selection } from '../state/view';
import type { Source, Want } from '../store/api';
import { lazy } from '../ui/lazy';
import { Events, eventWants } from './Events';
import { ProcTable } from './ProcTable';
import { UseStrip } from './UseStrip';
import { useCells } from './use';

export const Drawer = lazy(async () => (await import('./Drawer')).Drawer);

/** All sources that `specs` draw now. */
export function sourcesOf(specs: readonly PanelSpec[]): Source[] {
  return specs.flatMap((s) => [...s.transform(env), ...(s.band?.(env) ?? [])].map((m) => m.source));
}

/** Wants of the first screen: what is on screen first, then what only decides which instance is worst. */
function wants(): Want[] {
  const use = useCells(env)
    .flatMap((c) => c.rows)
    .map((r) => r.source)
    .filter((s): s is Source => s !== null);
  return [
    { sources: sourcesOf(firstScreen), prio: 0 },
    { sources: sourcesOf(pinnedSpecs(env.store)), prio: 1 },
    { sources: use, prio: 1, groups: ['disk.dev', 'interface.dev', 'interface.link'] },
    eventWants,
    // Also while a range is open: the drawer's processes come from the same rows.
    { sources: [], groups: ['process', 'process.total'], prio: 3, level: 5 },
  ];
}

/** The first screen is painted before anybody asks for the profiler. */
const AFTER_MS = 1500;

/** The panel of CPU samples, which takes the last place of the first row where there is a profiler. */
function useSamples(): ComponentType | null {
  const [it, set] = useState<ComponentType | null>(null);
  useEffect(() => {
    let stop: (() => void) | undefined;
    let over = false;
    const timer = setTimeout(async () => {
      const mini = await import('./profile/Mini').catch(() => null);
      if (!mini || over) return;
      stop = mini.watch();
      set(() => mini.Mini);
    }, AFTER_MS);
    return () => {
      over = true;
      clearTimeout(timer);
      stop?.();
    };
  }, []);
  return it;
}

export function Overview() {
  useEffect(() => {
    let seen = '';
    const show = () => {
      const w = wants();
      const key = w.map((x) => x.sources.map((s) => s.key).join()).join();
      if (key === seen) return;
      seen = key;
      env.store.show('overview', w);
    };
    show();
    const stop = sched.onText(show);
    return () => {
      stop();
      env.store.hide('overview');
    };
  }, []);
  const Samples = useSamples();
  const range = selection.value;
  void epoch.value; // what is pinned can be found once the catalog is there
  const pinned = pinnedSpecs(env.store);
  const rows = [firstScreen.slice(0, 4), firstScreen.slice(4, 8), firstScreen.slice(8, 12)];
  return (
    <div class={range ? 'overview ranged' : 'overview'}>
      <UseStrip />
      {rows.map((specs, i) => (
        <div class={`row r${'ABC'[i]}`} key={specs[0]?.id}>
          {specs.map((s, k) =>
            Samples && profiling.value && i === 0 && k === 3 ? (
              <Samples key={s.id} />
            ) : (
              <Chart key={s.id} spec={s} axis={i !== 1} />
            ),
          )}
        </div>
      ))}
      {pinned.length > 0 && !range && (
        <section class="grid pins" aria-label="Pinned">
          {pinned.map((s) => (
            <Chart key={s.id} spec={s} />
          ))}
        </section>
      )}
      {range ? (
        <Drawer range={range} />
      ) : (
        <div class="bottom">
          <ProcTable />
          <Events />
        </div>
      )}
    </div>
  );
}
