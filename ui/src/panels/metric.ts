// A panel for any metric of the catalog, made on the spot: the raw page, pins, the subsystem pages.
import type { Colour } from '../charts/palette';
import { format } from '../lib/format';
import { pins } from '../state/prefs';
import type { MetricInfo, Source, Store } from '../store/api';
import { one } from '../transform/source';
import type { Env, Mark, PanelSpec } from './types';

/** Lines of a chart; more instances than that become a heat map. */
const LINES = 3;
const HEAT_ROWS = 64;

/** The colour of the resource a metric belongs to. */
export function colourOf(metric: string): Colour {
  if (/^(kernel\.(all\.)?pressure\.io|disk\.|filesys|vfs)/.test(metric)) return 'disk';
  if (/^(mem\.|swap|kernel\.all\.pressure\.memory|hinv\.physmem)/.test(metric)) return 'mem';
  if (/^network\./.test(metric)) return 'net';
  if (/^strobe\./.test(metric)) return 'neutral';
  return 'cpu';
}

const second: Partial<Record<Colour, Colour>> = {
  cpu: 'cpu2',
  mem: 'mem2',
  disk: 'disk2',
  net: 'net2',
  neutral: 't2',
};

/** The least full scale of a kind, so that noise does not fill a chart. */
const FLOOR: Record<MetricInfo['kind'], number> = {
  bytes: 1024,
  'bytes/s': 1024,
  'bits/s': 1000,
  ratio: 0.05,
  seconds: 1e-3,
  count: 1,
  'count/s': 10,
  state: 1,
};

/** "network.interface.in.bytes[eth0]" to its two parts. */
export function parseName(name: string): { metric: string; instance: string } {
  const m = /^([^[]+)\[(.*)\]$/.exec(name);
  return m ? { metric: m[1]!, instance: m[2]! } : { metric: name, instance: '' };
}

/** Instances, the largest of late first. */
function ranked(store: Store, info: MetricInfo): { name: string; source: Source }[] {
  const to = store.newest;
  return store
    .instances(info.name)
    .map(({ name }) => ({ name, source: one(info.kind, info.name, name) }))
    .map((x) => ({
      ...x,
      top: store.latest(x.source)?.v ?? store.at(x.source, to)?.v ?? Number.NEGATIVE_INFINITY,
    }))
    .sort((a, b) => b.top - a.top);
}

function marksOf(env: Env, info: MetricInfo, instance: string): Mark[] {
  const colour = colourOf(info.name);
  const tones: Colour[] = [colour, second[colour] ?? 't2', 't2'];
  if (!info.indom || instance)
    return [
      {
        label: instance || (info.name.split('.').pop() ?? 'value'),
        source: one(info.kind, info.name, instance),
        colour,
        style: 'area',
      },
    ];
  const all = env.store.instances(info.name);
  if (all.length <= LINES)
    return all.map(({ name }, i) => ({
      label: name,
      source: one(info.kind, info.name, name),
      colour: tones[i] ?? 't2',
      style: 'line',
    }));
  return ranked(env.store, info)
    .slice(0, HEAT_ROWS)
    .map(({ name, source }) => ({ label: name, source, colour, style: 'line' }));
}

/** How many instances a metric has decides whether lines or a heat map show it. */
export function metricSpec(store: Store, name: string): PanelSpec | null {
  const { metric, instance } = parseName(name);
  const info = store.info(metric);
  if (!info) return null;
  const many = info.indom !== '' && instance === '' && store.instances(metric).length > LINES;
  const short = metric.replace(/^(network\.interface|network|kernel\.(all|percpu)|disk\.dev|mem)\./, '');
  const comm = instance && store.instances(metric).find((i) => i.name === instance)?.attrs.comm;
  const step = info.quantum > 0 ? ` The source counts in steps of ${format(info.quantum, info.kind)}.` : '';
  return {
    id: `m.${name.toLowerCase().replace(/[^a-z0-9.-]+/g, '-')}`,
    title: instance ? `${comm ? `${comm} ` : ''}${instance} ${short}` : short,
    metrics: [metric],
    unit: { kind: info.kind },
    transform: (env) => marksOf(env, info, instance),
    draw: many ? 'heat' : 'lines',
    floor: FLOOR[info.kind],
    ...(many ? { log: info.kind !== 'ratio' } : {}),
    get help() {
      return `${store.info(metric)?.help ?? ''}${step}`.trim(); // it may come later
    },
  };
}

const made = new Map<string, PanelSpec>();

/** The same object for the same metric, so that its chart stays. */
export function specOf(store: Store, name: string): PanelSpec | null {
  const key = `${name} ${store.instances(parseName(name).metric).length > LINES}`;
  let s = made.get(key) ?? null;
  if (!s) {
    s = metricSpec(store, name);
    if (s) made.set(key, s);
  }
  return s;
}

/** Panels of what is pinned to the first screen; unknown names are left out. */
export function pinnedSpecs(store: Store): PanelSpec[] {
  return pins.value.map((p) => specOf(store, p)).filter((s) => s !== null);
}
