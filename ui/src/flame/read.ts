// The JSON of main.ts as a profile.
import { heaviestFirst, type Profile, treeOf } from '../transform/flame/tree';
import { noSum, type Sum } from '../transport/profile';

export interface FileProfile {
  readonly title: string;
  readonly host: string;
  readonly version: string;
  /** Wall time, ms; 0: unknown. */
  readonly fromMs: number;
  readonly toMs: number;
  readonly baseFromMs: number;
  readonly baseToMs: number;
  readonly off: boolean;
  readonly missing: readonly string[];
  readonly profile: Profile;
}

type Json = Record<string, unknown>;

const text = (v: unknown): string => (typeof v === 'string' ? v : '');
const num = (v: unknown): number => (typeof v === 'number' && Number.isFinite(v) ? v : 0);
const nums = (v: unknown): number[] => (Array.isArray(v) ? v.map(num) : []);

function sumOf(v: unknown): Sum {
  const o = (typeof v === 'object' && v !== null ? v : {}) as Json;
  return {
    ...noSum(),
    n: num(o.n),
    weightUs: num(o.weight_us),
    spanUs: num(o.span_us),
    coveredUs: num(o.covered_us),
    shallow: num(o.shallow),
    truncated: num(o.truncated),
    lost: num(o.lost),
    throttled: num(o.throttled),
    hzMin: num(o.hz_min),
    hzMax: num(o.hz_max),
    nCpus: num(o.n_cpus),
  };
}

/** Throws with a sentence when the text is no profile. */
export function readFile(json: string): FileProfile {
  if (!json.trim()) throw new Error('This file holds no profile.');
  let o: Json;
  try {
    o = JSON.parse(json) as Json;
  } catch {
    throw new Error('The profile in this file is damaged: it is no JSON.');
  }
  const depth = nums(o.depth);
  const name = nums(o.name);
  const total = nums(o.total_us);
  const n = depth.length;
  if (!n || name.length !== n || total.length !== n)
    throw new Error('The profile in this file is damaged: its columns are not of one length.');
  const column = (v: unknown) => {
    const a = nums(v);
    return a.length === n ? Float64Array.from(a) : new Float64Array(0);
  };
  const based = Array.isArray(o.base_total_us) && typeof o.base === 'object' && o.base !== null;
  const type = nums(o.type);
  const tree = treeOf({
    strings: Array.isArray(o.strings) ? o.strings.map(text) : [],
    depth,
    name: Uint32Array.from(name),
    module: Uint32Array.from(nums(o.module)),
    type: type.length === n ? Uint8Array.from(type) : new Uint8Array(n).fill(1, 1),
    total: Float64Array.from(total),
    self: nums(o.self_us).length === n ? column(o.self_us) : new Float64Array(n),
    baseTotal: based ? column(o.base_total_us) : new Float64Array(0),
    baseSelf: based ? column(o.base_self_us) : new Float64Array(0),
    addr: new BigUint64Array(0),
    buildId: new Uint32Array(0),
  });
  return {
    title: text(o.title),
    host: text(o.host),
    version: text(o.version),
    fromMs: num(o.from) / 1000,
    toMs: num(o.to) / 1000,
    baseFromMs: num(o.base_from) / 1000,
    baseToMs: num(o.base_to) / 1000,
    off: o.off_cpu === true,
    missing: Array.isArray(o.missing) ? o.missing.map(text).filter(Boolean) : [],
    profile: {
      tree: heaviestFirst(tree),
      sum: sumOf(o.sum),
      baseline: based ? sumOf(o.base) : null,
      leftOut: num(o.left_out),
    },
  };
}
