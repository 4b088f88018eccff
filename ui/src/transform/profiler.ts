// Questions to the profiler: heat map, flame graph, flame chart, source lines, how it is. Loaded with the
// views that ask them.
import { create, toBinary } from '@bufbuild/protobuf';
import { ClientMessageSchema, HeatBy, type LineOf } from '../gen/strobe_pb';
import type { MonoUs, View } from '../store/api';
import type { Refusal } from '../store/asks';
import { store } from '../store/store';
import {
  type ChartPart,
  type FlamePart,
  type HeatPart,
  type ProfilePart,
  readProfile,
  type Task,
} from '../transport/profile';
import { lostTree, type Place, type Profile, profileOf } from './flame/tree';

export type HeatRows = 'offset' | 'cpu' | 'process' | 'thread' | 'cgroup';
const BY: Record<HeatRows, HeatBy> = {
  offset: HeatBy.OFFSET,
  cpu: HeatBy.CPU,
  process: HeatBy.PROCESS,
  thread: HeatBy.THREAD,
  cgroup: HeatBy.CGROUP,
};

/** Which samples count; 0 and '' are all. */
export interface Filter {
  readonly offCpu: boolean;
  /** -1: all. */
  readonly cpu: number;
  readonly pid: number;
  readonly tid: number;
  /** Off-CPU: 1 << class, or'ed. */
  readonly classes: number;
  readonly cgroup: string;
  readonly process: string;
}

export const ALL: Filter = { offCpu: false, cpu: -1, pid: 0, tid: 0, classes: 0, cgroup: '', process: '' };

const filterOf = (f: Filter) => ({
  offCpu: f.offCpu,
  cpu: f.cpu + 1,
  pid: f.pid,
  tid: f.tid,
  classes: f.classes,
  cgroup: f.cgroup,
  process: f.process,
  minUs: 0,
});

type Of = NonNullable<Parameters<typeof create<typeof ClientMessageSchema>>[1]>['of'] & {};
type Got<T> = { readonly value: T | null; readonly why: Refusal | null };

/** Answers come to whoever asked; set up with the first question. */
function listen(): void {
  const { feed } = store;
  feed.profile ??= (bytes) => {
    const got = readProfile(bytes);
    if (!got) return false;
    const last = got.of === 'lines' || got.of === 'profiler' ? true : got.part.last;
    store.past.asks.receive(got.part.req, got.part, last ?? true);
    return true;
  };
}

async function ask<T extends ProfilePart['part']>(of: (req: number) => Of): Promise<Got<T[]>> {
  listen();
  const { parts, why } = await store.past.asks.ask<T>((req) => {
    const bytes = toBinary(ClientMessageSchema, create(ClientMessageSchema, { of: of(req) }));
    return store.feed.wire?.send(bytes as Uint8Array<ArrayBuffer>) ?? false;
  });
  return { value: parts, why };
}

const us = (t: MonoUs) => BigInt(Math.round(t));
const ranges = (v: readonly View[]) => v.slice(0, 16).map((r) => ({ fromUs: us(r.from), toUs: us(r.to) }));

export interface HeatAsk {
  readonly from: MonoUs;
  readonly columnUs: number;
  readonly nColumns: number;
  readonly by: HeatRows;
  readonly nRows: number;
  readonly filter: Filter;
  readonly pattern: string;
}

export const askHeat = (a: HeatAsk): Promise<Got<HeatPart[]>> =>
  ask<HeatPart>((req) => ({
    case: 'heat',
    value: {
      req,
      fromUs: us(a.from),
      columnUs: us(a.columnUs),
      nColumns: a.nColumns,
      by: BY[a.by],
      nRows: a.nRows,
      filter: filterOf(a.filter),
      pattern: a.pattern,
      ignoreCase: a.pattern === a.pattern.toLowerCase(),
    },
  }));

export interface FlameAsk {
  readonly ranges: readonly View[];
  readonly baseline: readonly View[];
  readonly filter: Filter;
  readonly byThread?: boolean;
  readonly elided?: boolean;
  readonly maxNodes?: number;
  readonly tasks?: number;
  readonly threads?: boolean;
}

export interface FlameAnswer extends Profile {
  readonly tasks: readonly Task[];
  readonly missing: readonly string[];
  readonly ask: FlameAsk;
}

export async function askFlame(a: FlameAsk): Promise<Got<FlameAnswer>> {
  const { value, why } = await ask<FlamePart>((req) => ({
    case: 'flame',
    value: {
      req,
      ranges: ranges(a.ranges),
      baseline: ranges(a.baseline),
      filter: filterOf(a.filter),
      byProcess: true,
      byThread: a.byThread ?? false,
      elided: a.elided ?? false,
      maxNodes: a.maxNodes ?? 0,
      tasks: a.tasks ?? 0,
      threads: a.threads ?? false,
    },
  }));
  if (!value) return { value: null, why };
  const tasks = value.flatMap((p) => p.tasks);
  const p = profileOf(value);
  const tree = a.elided ? lostTree(p.tree) : p.tree;
  return { value: { ...p, tree, tasks, missing: value.flatMap((x) => x.missing), ask: a }, why };
}

export const askChart = (range: View, filter: Filter): Promise<Got<ChartPart[]>> =>
  ask<ChartPart>((req) => ({
    case: 'chart',
    value: { req, fromUs: us(range.from), toUs: us(range.to), filter: filterOf(filter) },
  }));

export interface Line {
  readonly function: string;
  readonly file: string;
  readonly line: number;
  readonly inlined: boolean;
  /** Where the function is declared in that file; 0: unknown. */
  readonly begins: number;
  readonly of: LineOf;
}
export interface Lines {
  readonly lines: readonly Line[];
  readonly missing: string;
}

export async function askLines(
  module: string,
  buildId: string,
  addr: bigint,
  at: Place,
): Promise<Got<Lines>> {
  const { value, why } = await ask((req) => ({
    case: 'lines',
    value: { req, module, buildId, addr, self: at.self, call: at.call },
  }));
  return { value: (value?.[0] as unknown as Lines) ?? null, why };
}

export interface ProfilerState {
  readonly on: boolean;
  readonly reason: string;
  readonly tier: string;
  readonly event: string;
  readonly hz: number;
  readonly baseHz: number;
  readonly burstUntilUs: MonoUs;
  readonly hasOffCpu: boolean;
  readonly oldestUs: MonoUs;
  readonly samples: number;
  readonly lost: number;
  readonly throttled: number;
  readonly shallow: number;
  readonly truncated: number;
  readonly bytes: number;
  readonly bytesPerSample: number;
  readonly nowUs: MonoUs;
  readonly nCpus: number;
  /** Nobody knows when the stacks were seen: there is no map. */
  readonly untimed: boolean;
  /** What weights are where they are no times; "": µs. */
  readonly unit: string;
  /** How waits are seen; '' where the agent does not say. */
  readonly offTier: string;
  /** Waits shorter than that have no stacks; they are counted. */
  readonly offMinUs: MonoUs;
  readonly offShort: number;
  readonly offShortUs: MonoUs;
  /** Waits that were long enough and were not seen. */
  readonly offLost: number;
}

export async function askProfiler(): Promise<Got<ProfilerState>> {
  const { value, why } = await ask((req) => ({ case: 'profiler', value: { req } }));
  const p = value?.[0] as Extract<ProfilePart, { of: 'profiler' }>['part'] | undefined;
  if (!p) return { value: null, why };
  return {
    why: null,
    value: {
      on: p.on,
      reason: p.reason,
      tier: p.tier,
      event: p.event,
      hz: p.hz,
      baseHz: p.baseHz,
      burstUntilUs: Number(p.burstUntilUs),
      hasOffCpu: p.hasOffCpu,
      oldestUs: Number(p.oldestUs),
      samples: Number(p.samples),
      lost: Number(p.lost),
      throttled: Number(p.throttled),
      shallow: Number(p.shallow),
      truncated: Number(p.truncated),
      bytes: Number(p.bytes),
      bytesPerSample: p.bytesPerSample,
      nowUs: Number(p.nowUs),
      nCpus: p.nCpus,
      untimed: p.untimed,
      unit: p.unit,
      offTier: p.offTier,
      offMinUs: p.offMinUs,
      offShort: Number(p.offShort),
      offShortUs: Number(p.offShortUs),
      offLost: Number(p.offLost),
    },
  };
}
