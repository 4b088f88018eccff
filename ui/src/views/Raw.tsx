// Every metric: found by fuzzy search, charted, pinned to the first screen.
import { useComputed, useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { Chart } from '../charts/Chart';
import { format } from '../lib/format';
import { fuzzy } from '../lib/fuzzy';
import { parseName, specOf } from '../panels/metric';
import { query } from '../state/page';
import { pins, togglePin } from '../state/prefs';
import { epoch } from '../state/pulse';
import type { MetricInfo } from '../store/api';
import { store } from '../store/store';
import { useShow } from './Page';

const CHARTS = 12;
/** Shown before anything is typed or pinned, so that the page is no blank. */
const UNASKED = 4;
const LISTED = 200;

/** The metric, or one instance of it where the search names one: "proc[1234]". */
function chosen(m: MetricInfo, instance: string): string {
  const has = instance && m.indom && store.instances(m.name).some((i) => i.name === instance);
  return has ? `${m.name}[${instance}]` : m.name;
}

/** The smallest step the source can show. */
const stepText = (m: MetricInfo) => (m.quantum > 0 ? `steps of ${format(m.quantum, m.kind)}` : '');

const says = (m: MetricInfo) =>
  [m.unit, m.counter ? 'rate' : '', m.indom ? `per ${m.indom}` : '', stepText(m)].filter(Boolean).join(' · ');

function Item({ m, name, shown }: { m: MetricInfo; name: string; shown: boolean }) {
  const pinned = pins.value.includes(name);
  return (
    <li class={shown ? 'on' : ''}>
      <button
        type="button"
        class="name"
        title={`${m.help} Source: ${m.source}`}
        onClick={() => void (query.value = m.name)}
      >
        <span class="line">
          <b>{m.name}</b> {says(m)}
        </span>
        <small>{m.help}</small>
      </button>
      <button
        type="button"
        class="btn pin"
        aria-pressed={pinned}
        aria-label={`${pinned ? 'Unpin' : 'Pin'} ${name}`}
        onClick={() => togglePin(name)}
      >
        {pinned ? 'Pinned' : 'Pin'}
      </button>
    </li>
  );
}

export function Raw() {
  void epoch.value;
  const input = useRef<HTMLInputElement>(null);
  const all = store.metrics();
  const typed = useSignal(query.value);
  const found = useComputed(() => {
    void epoch.value;
    const hits = fuzzy(
      store.metrics().map((m) => `${m.name} ${m.help}`),
      query.value,
    );
    // Of one instance: what it has, as the catalog lists it.
    const { metric, instance } = parseName(query.value);
    const whole = store.info(metric);
    if (whole && instance) return [whole];
    const of = (i: number) => chosen(store.metrics()[i]!, instance).endsWith(']');
    const shown = instance ? hits.filter(of).sort((a, b) => a - b) : hits;
    return shown.map((i) => store.metrics()[i]!);
  });
  useEffect(() => input.current?.focus(), []);
  useEffect(
    () =>
      query.subscribe((q) => {
        typed.value = q;
      }),
    [typed],
  );
  const list = found.value;
  const { instance } = parseName(query.value);
  const unasked = pins.value.length ? pins.value : list.slice(0, UNASKED).map((m) => m.name);
  // A whole name asks for that one, large; the list still has its like.
  const exact = store.info(parseName(query.value.trim()).metric);
  const names = exact ? [query.value.trim()] : query.value ? list.map((m) => chosen(m, instance)) : unasked;
  const specs = (instance ? names.filter((n) => n.endsWith(']')) : names)
    .slice(0, CHARTS)
    .map((n) => specOf(store, n))
    .filter((s) => s !== null);
  useShow('page.raw', specs);
  return (
    <div class="raw" data-page="raw">
      <h2 class="sr">All metrics</h2>
      <div class="list">
        <label>
          <span class="sr">Search metrics</span>
          <input
            ref={input}
            type="search"
            placeholder={`Search ${all.length} metrics`}
            value={typed.value}
            onInput={(e) => {
              typed.value = e.currentTarget.value;
              query.value = e.currentTarget.value;
            }}
          />
        </label>
        <p class="count" role="status">
          {query.value ? `${list.length} of ${all.length} metrics` : `${all.length} metrics`}
        </p>
        <ul aria-label="Metrics">
          {list.slice(0, LISTED).map((m) => (
            <Item
              key={m.name}
              m={m}
              name={exact && instance ? query.value.trim() : chosen(m, instance)}
              shown={specs.some((s) => s.metrics[0] === m.name)}
            />
          ))}
        </ul>
      </div>
      <div class="charts">
        {(specs.length === 0 || !query.value) && (
          <p class="hint">
            {query.value
              ? 'No metric of this agent is called like that.'
              : 'Type a part of a name, in any order: “retr tcp”. What is pinned is charted here and on the first screen.'}
          </p>
        )}
        <div class="grid">
          {specs.map((s) => (
            <Chart key={s.id} spec={s} />
          ))}
        </div>
        {query.value && !exact && list.length > CHARTS && (
          <p class="hint">
            The first {CHARTS} of {list.length} are charted.
          </p>
        )}
      </div>
    </div>
  );
}
