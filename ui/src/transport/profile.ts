// Reads the profiler's answers (Heat, Flame, FlameChart) straight into typed arrays: a flame graph has a
// hundred thousand nodes. Field numbers are those of proto/strobe.proto; profile.test.ts holds this reader
// against the generated code.
import { fromBinary } from '@bufbuild/protobuf';
import { type FrameLines, FrameLinesSchema, type Profiler, ProfilerSchema } from '../gen/strobe_pb';
import { Reader } from './decode';

export interface HeatRow {
  label: string;
  pid: number;
  tid: number;
  cpu: number;
  totalUs: number;
}

export interface HeatPart {
  req: number;
  last: boolean;
  fromUs: number;
  columnUs: number;
  nColumns: number;
  nRows: number;
  gap: Uint32Array;
  weightUs: Uint32Array;
  /** Empty without a pattern. */
  matchedUs: Uint32Array;
  lost: Uint32Array;
  covered: Uint8Array;
  labels: HeatRow[];
  nSamples: number;
  nMatched: number;
}

export interface Sum {
  n: number;
  weightUs: number;
  spanUs: number;
  coveredUs: number;
  shallow: number;
  truncated: number;
  lost: number;
  throttled: number;
  hzMin: number;
  hzMax: number;
  nCpus: number;
}

export interface Task {
  pid: number;
  tid: number;
  comm: string;
  cgroup: string;
  weightUs: number;
  n: number;
  baseUs: number;
}

export interface FlamePart {
  req: number;
  last: boolean;
  strings: string[];
  depth: Uint32Array;
  name: Uint32Array;
  module: Uint32Array;
  type: Uint8Array;
  totalUs: Float64Array;
  selfUs: Float64Array;
  baseTotalUs: Float64Array;
  baseSelfUs: Float64Array;
  /** All 64 bits: kernel addresses are no doubles. */
  addr: BigUint64Array;
  buildId: Uint32Array;
  /** Parallel, one a place that is known: how far its node is from that of the one before, 1 + offsets from addr. */
  placeNode: Uint32Array;
  placeSelf: Uint32Array;
  placeCall: Uint32Array;
  sum: Sum | null;
  baseline: Sum | null;
  leftOut: number;
  tasks: Task[];
  missing: string[];
}

export interface ChartRow {
  pid: number;
  tid: number;
  comm: string;
  atUs: Float64Array;
  weightUs: Uint32Array;
  node: Uint32Array;
  cpu: Uint32Array;
}

export interface ChartPart {
  req: number;
  last: boolean;
  strings: string[];
  parent: Uint32Array;
  name: Uint32Array;
  module: Uint32Array;
  type: Uint8Array;
  threads: ChartRow[];
  leftOut: number;
}

export type ProfilePart =
  | { of: 'heat'; part: HeatPart }
  | { of: 'flame'; part: FlamePart }
  | { of: 'chart'; part: ChartPart }
  | { of: 'lines'; part: FrameLines & { last?: boolean } }
  | { of: 'profiler'; part: Profiler & { last?: boolean } };

const NONE32 = new Uint32Array(0);
const NONE64 = new Float64Array(0);
const NONE8 = new Uint8Array(0);
const NONE_BIG = new BigUint64Array(0);

/** Varints of a packed field, or the one of an unpacked: repeated fields may come either way. */
function counted(r: Reader): number {
  let n = 0;
  for (let i = r.pos; i < r.end; i++) if (r.b[i]! < 128) n++;
  return n;
}

function joined32(a: Uint32Array, more: Uint32Array): Uint32Array {
  if (!a.length) return more;
  const out = new Uint32Array(a.length + more.length);
  out.set(a);
  out.set(more, a.length);
  return out;
}

function joined64(a: Float64Array, more: Float64Array): Float64Array {
  if (!a.length) return more;
  const out = new Float64Array(a.length + more.length);
  out.set(a);
  out.set(more, a.length);
  return out;
}

function list32(r: Reader, wire: number, before: Uint32Array): Uint32Array {
  if (wire !== 2) return joined32(before, Uint32Array.of(r.uint()));
  const outer = r.enter();
  const out = new Uint32Array(counted(r));
  for (let i = 0; r.pos < r.end; i++) out[i] = r.uint();
  r.leave(outer);
  return joined32(before, out);
}

function list64(r: Reader, wire: number, before: Float64Array, signed = false): Float64Array {
  if (wire !== 2) return joined64(before, Float64Array.of(signed ? r.sint() : r.uint()));
  const outer = r.enter();
  const out = new Float64Array(counted(r));
  for (let i = 0; r.pos < r.end; i++) out[i] = signed ? r.sint() : r.uint();
  r.leave(outer);
  return joined64(before, out);
}

/** One varint as two words. */
function words(r: Reader, out: Uint32Array, at: number): void {
  let lo = 0;
  let hi = 0;
  for (let shift = 0; shift < 70; shift += 7) {
    const x = r.byte();
    const v = x & 127;
    if (shift < 28) lo |= v << shift;
    else if (shift === 28) {
      lo |= v << 28;
      hi = v >>> 4;
    } else hi |= v << (shift - 32);
    if (x < 128) {
      out[at] = lo;
      out[at + 1] = hi;
      return;
    }
  }
  throw new RangeError('varint too long');
}

function listBig(r: Reader, wire: number, before: BigUint64Array): BigUint64Array {
  const outer = wire === 2 ? r.enter() : -1;
  const n = wire === 2 ? counted(r) : 1;
  const out = new BigUint64Array(before.length + n);
  out.set(before);
  const w = new Uint32Array(out.buffer);
  for (let i = before.length; i < out.length; i++) words(r, w, i * 2);
  if (outer >= 0) r.leave(outer);
  return out;
}

function bytesOf(r: Reader): Uint8Array {
  const outer = r.enter();
  const out = r.b.slice(r.pos, r.end);
  r.pos = r.end;
  r.leave(outer);
  return out;
}

/** Calls `field` with each field of the embedded message; it returns false for what it does not know. */
function message(r: Reader, field: (tag: number, wire: number) => boolean): void {
  const outer = r.enter();
  while (r.pos < r.end) {
    const key = r.uint();
    if (!field(Math.floor(key / 8), key & 7)) r.skip(key & 7);
  }
  r.leave(outer);
}

function readHeatRow(r: Reader): HeatRow {
  const o: HeatRow = { label: '', pid: 0, tid: 0, cpu: 0, totalUs: 0 };
  message(r, (f) => {
    if (f === 1) o.label = r.string();
    else if (f === 2) o.pid = r.uint();
    else if (f === 3) o.tid = r.uint();
    else if (f === 4) o.cpu = r.int();
    else if (f === 5) o.totalUs = r.uint();
    else return false;
    return true;
  });
  return o;
}

function readHeat(r: Reader): HeatPart {
  const o: HeatPart = {
    req: 0,
    last: false,
    fromUs: 0,
    columnUs: 0,
    nColumns: 0,
    nRows: 0,
    gap: NONE32,
    weightUs: NONE32,
    matchedUs: NONE32,
    lost: NONE32,
    covered: NONE8,
    labels: [],
    nSamples: 0,
    nMatched: 0,
  };
  message(r, (f, w) => {
    if (f === 1) o.req = r.uint();
    else if (f === 2) o.fromUs = r.int();
    else if (f === 3) o.columnUs = r.uint();
    else if (f === 4) o.nColumns = r.uint();
    else if (f === 5) o.nRows = r.uint();
    else if (f === 6) o.gap = list32(r, w, o.gap);
    else if (f === 7) o.weightUs = list32(r, w, o.weightUs);
    else if (f === 8) o.matchedUs = list32(r, w, o.matchedUs);
    else if (f === 9) o.lost = list32(r, w, o.lost);
    else if (f === 10) o.covered = bytesOf(r);
    else if (f === 11) o.labels.push(readHeatRow(r));
    else if (f === 12) o.nSamples = r.uint();
    else if (f === 13) o.nMatched = r.uint();
    else if (f === 14) o.last = r.uint() !== 0;
    else return false;
    return true;
  });
  return o;
}

const SUM_FIELDS = [
  'n',
  'weightUs',
  'spanUs',
  'coveredUs',
  'shallow',
  'truncated',
  'lost',
  'throttled',
  'hzMin',
  'hzMax',
  'nCpus',
] as const;

export const noSum = (): Sum => ({
  n: 0,
  weightUs: 0,
  spanUs: 0,
  coveredUs: 0,
  shallow: 0,
  truncated: 0,
  lost: 0,
  throttled: 0,
  hzMin: 0,
  hzMax: 0,
  nCpus: 0,
});

function readSum(r: Reader): Sum {
  const o = noSum();
  message(r, (f) => {
    const name = SUM_FIELDS[f - 1];
    if (!name) return false;
    o[name] = r.uint();
    return true;
  });
  return o;
}

function readTask(r: Reader): Task {
  const o: Task = { pid: 0, tid: 0, comm: '', cgroup: '', weightUs: 0, n: 0, baseUs: 0 };
  message(r, (f) => {
    if (f === 1) o.pid = r.uint();
    else if (f === 2) o.tid = r.uint();
    else if (f === 3) o.comm = r.string();
    else if (f === 4) o.cgroup = r.string();
    else if (f === 5) o.weightUs = r.uint();
    else if (f === 6) o.n = r.uint();
    else if (f === 7) o.baseUs = r.uint();
    else return false;
    return true;
  });
  return o;
}

function readFlame(r: Reader): FlamePart {
  const o: FlamePart = {
    req: 0,
    last: false,
    strings: [],
    depth: NONE32,
    name: NONE32,
    module: NONE32,
    type: NONE8,
    totalUs: NONE64,
    selfUs: NONE64,
    baseTotalUs: NONE64,
    baseSelfUs: NONE64,
    addr: NONE_BIG,
    buildId: NONE32,
    placeNode: NONE32,
    placeSelf: NONE32,
    placeCall: NONE32,
    sum: null,
    baseline: null,
    leftOut: 0,
    tasks: [],
    missing: [],
  };
  message(r, (f, w) => {
    if (f === 1) o.req = r.uint();
    else if (f === 2) o.strings.push(r.string());
    else if (f === 3) o.depth = list32(r, w, o.depth);
    else if (f === 4) o.name = list32(r, w, o.name);
    else if (f === 5) o.module = list32(r, w, o.module);
    else if (f === 6) o.type = bytesOf(r);
    else if (f === 7) o.totalUs = list64(r, w, o.totalUs);
    else if (f === 8) o.selfUs = list64(r, w, o.selfUs);
    else if (f === 9) o.baseTotalUs = list64(r, w, o.baseTotalUs);
    else if (f === 10) o.baseSelfUs = list64(r, w, o.baseSelfUs);
    else if (f === 11) o.addr = listBig(r, w, o.addr);
    else if (f === 12) o.buildId = list32(r, w, o.buildId);
    else if (f === 13) o.sum = readSum(r);
    else if (f === 14) o.baseline = readSum(r);
    else if (f === 15) o.leftOut = r.uint();
    else if (f === 16) o.last = r.uint() !== 0;
    else if (f === 17) o.tasks.push(readTask(r));
    else if (f === 18) o.missing.push(r.string());
    else if (f === 19) o.placeNode = list32(r, w, o.placeNode);
    else if (f === 20) o.placeSelf = list32(r, w, o.placeSelf);
    else if (f === 21) o.placeCall = list32(r, w, o.placeCall);
    else return false;
    return true;
  });
  return o;
}

function readChartRow(r: Reader): ChartRow {
  const o: ChartRow = { pid: 0, tid: 0, comm: '', atUs: NONE64, weightUs: NONE32, node: NONE32, cpu: NONE32 };
  message(r, (f, w) => {
    if (f === 1) o.pid = r.uint();
    else if (f === 2) o.tid = r.uint();
    else if (f === 3) o.comm = r.string();
    else if (f === 4) o.atUs = list64(r, w, o.atUs, true);
    else if (f === 5) o.weightUs = list32(r, w, o.weightUs);
    else if (f === 6) o.node = list32(r, w, o.node);
    else if (f === 7) o.cpu = list32(r, w, o.cpu);
    else return false;
    return true;
  });
  for (let i = 1; i < o.atUs.length; i++) o.atUs[i]! += o.atUs[i - 1]!;
  return o;
}

function readChart(r: Reader): ChartPart {
  const o: ChartPart = {
    req: 0,
    last: false,
    strings: [],
    parent: NONE32,
    name: NONE32,
    module: NONE32,
    type: NONE8,
    threads: [],
    leftOut: 0,
  };
  message(r, (f, w) => {
    if (f === 1) o.req = r.uint();
    else if (f === 2) o.strings.push(r.string());
    else if (f === 3) o.parent = list32(r, w, o.parent);
    else if (f === 4) o.name = list32(r, w, o.name);
    else if (f === 5) o.module = list32(r, w, o.module);
    else if (f === 6) o.type = bytesOf(r);
    else if (f === 7) o.threads.push(readChartRow(r));
    else if (f === 8) o.leftOut = r.uint();
    else if (f === 9) o.last = r.uint() !== 0;
    else return false;
    return true;
  });
  return o;
}

/** A profiler's answer; null: the message is another one. */
export function readProfile(bytes: Uint8Array): ProfilePart | null {
  const r = new Reader(bytes);
  const field = r.uint() / 8;
  switch (Math.floor(field)) {
    case 15:
      return { of: 'heat', part: readHeat(r) };
    case 16:
      return { of: 'flame', part: readFlame(r) };
    case 17:
      return { of: 'chart', part: readChart(r) };
    case 18:
      return { of: 'lines', part: fromBinary(FrameLinesSchema, bytesOf(r)) };
    case 19:
      return { of: 'profiler', part: fromBinary(ProfilerSchema, bytesOf(r)) };
    default:
      return null;
  }
}
