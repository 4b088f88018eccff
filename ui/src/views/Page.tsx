// A page per subsystem: its sections of charts, and below them every other metric of its collectors by name.
import { useEffect } from 'preact/hooks';
import { Chart } from '../charts/Chart';
import { specOf } from '../panels/metric';
import { panelById } from '../panels/registry';
import type { PanelSpec } from '../panels/types';
import { page, query } from '../state/page';
import { epoch } from '../state/pulse';
import type { Source } from '../store/api';
import { store } from '../store/store';
import { one } from '../transform/source';
import { Collectors } from './Collectors';
import { SECTIONS } from './pages';
import { Retention } from './Retention';

function specsOf(items: readonly string[]): PanelSpec[] {
  const out: PanelSpec[] = [];
  for (const item of items) {
    const s = panelById(item) ?? specOf(store, item);
    if (s && !out.includes(s)) out.push(s);
  }
  return out;
}

/** Asks for the groups behind specs, while they are on screen. */
export function useShow(owner: string, specs: readonly PanelSpec[]): void {
  const key = specs.map((s) => s.id).join(' ');
  useEffect(() => {
    const sources: Source[] = specs.flatMap((s) => s.metrics.map((m) => one(s.unit.kind, m)));
    store.show(owner, [{ sources, prio: 1 }]);
    return () => store.hide(owner);
  }, [owner, key]);
}

export function Page({ id }: { id: string }) {
  void epoch.value;
  const sections = (SECTIONS[id] ?? []).map((s) => ({ ...s, specs: specsOf(s.items) }));
  const used = sections.flatMap((s) => s.specs);
  useShow(`page.${id}`, used);
  return (
    <div class="page" data-page={id}>
      {id === 'strobe' && <Retention />}
      {sections
        .filter((s) => s.specs.length)
        .map((s) => (
          <section key={s.title} aria-label={s.title}>
            <h2>{s.title}</h2>
            <div class="grid">
              {s.specs.map((spec) => (
                <Chart key={spec.id} spec={spec} />
              ))}
            </div>
          </section>
        ))}
      {id === 'strobe' && <Collectors />}
      <p class="more">
        Every metric is on{' '}
        <button
          type="button"
          class="link"
          onClick={() => {
            query.value = id === 'interrupts' ? 'interrupt' : id;
            page.value = 'raw';
          }}
        >
          the page of all metrics
        </button>
        .
      </p>
    </div>
  );
}
