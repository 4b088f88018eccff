// Builders of Source: one series, sums, utilisation, ratios. Pure data and functions.
import type { Kind, SeriesRef, Source, Store } from '../store/api';

export function ref(metric: string, instance?: string): SeriesRef {
  return instance === undefined || instance === '' ? { metric } : { metric, instance };
}

const refKey = (r: SeriesRef) => (r.instance ? `${r.metric}[${r.instance}]` : r.metric);

/** One series as it is (a counter: its rate). */
export function one(kind: Kind, metric: string, instance?: string): Source {
  const r = ref(metric, instance);
  return { key: refKey(r), inputs: [r], kind };
}

/** One series times a constant, e.g. network bytes/s as bits/s. */
export function scaled(kind: Kind, factor: number, metric: string, instance?: string): Source {
  const r = ref(metric, instance);
  return {
    key: `${refKey(r)}*${factor}`,
    inputs: [r],
    kind,
    fn: (x) => x[0]! * factor,
    dirs: [factor < 0 ? -1 : 1],
  };
}

/** Sum of several metrics of one instance; absent ones count 0. */
export function sum(kind: Kind, metrics: readonly string[], instance?: string): Source {
  const inputs = metrics.map((m) => ref(m, instance));
  return {
    key: `sum(${inputs.map(refKey).join(',')})`,
    inputs,
    kind,
    partial: true,
    dirs: inputs.map(() => 1),
    fn: (x) => {
      let s = 0;
      for (let i = 0; i < x.length; i++) s += x[i]!;
      return s;
    },
  };
}

/** a - b of one instance, not below 0. */
export function minus(kind: Kind, a: string, b: string, instance?: string): Source {
  const inputs = [ref(a, instance), ref(b, instance)];
  return {
    key: `${refKey(inputs[0]!)}-${refKey(inputs[1]!)}`,
    inputs,
    kind,
    dirs: [1, -1],
    fn: (x) => Math.max(0, x[0]! - x[1]!),
  };
}

/** a / b: of two rates (await = time per operation) or two levels. 0 where b is 0 and a is 0. */
export function per(kind: Kind, a: string, b: string, instance?: string): Source {
  const inputs = [ref(a, instance), ref(b, instance)];
  return {
    key: `${refKey(inputs[0]!)}/${refKey(inputs[1]!)}`,
    inputs,
    kind,
    fn: (x) => (x[1]! > 0 ? x[0]! / x[1]! : x[0] === 0 ? 0 : Number.NaN),
  };
}

/** Any function of any refs. `id` makes the key: the same id must mean the same function. */
export function derived(
  id: string,
  kind: Kind,
  inputs: readonly SeriesRef[],
  fn: (x: Float64Array) => number,
  dirs?: readonly number[],
): Source {
  const s = { key: `${id}(${inputs.map(refKey).join(',')})`, inputs, kind, fn };
  return dirs ? { ...s, dirs } : s;
}

const BUSY = ['user', 'nice', 'sys', 'irq.hard', 'irq.soft', 'steal'];

/** Share of all CPUs that is not idle, 0..1: by what runs, so that a late read cannot pass 100 %. */
export function cpuBusy(store: Store): Source {
  const n = store.host?.nCpus ?? 1;
  const names = BUSY.map((b) => `kernel.all.cpu.${b}`).filter((m) => store.info(m));
  const s = sum('ratio', names);
  return { ...s, key: `busy(${n})`, fn: (x) => Math.min(1, x.reduce((a, b) => a + b, 0) / n) };
}
