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

type Typed = Uint8Array | Uint32Array | Float64Array;

/** A column of n numbers; what is none, or of another length, is left out (or zeros where it must be there). */
function column<T extends Typed>(v: unknown, n: number, type: new (n: number) => T, needed = false): T {
  if (!Array.isArray(v) || v.length !== n) return new type(needed ? n : 0);
  const out = new type(n);
  for (let i = 0; i < n; i++) out[i] = num(v[i]);
  return out;
}

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
  const n = Array.isArray(o.depth) ? o.depth.length : 0;
  const long = (v: unknown) => Array.isArray(v) && v.length === n;
  if (!n || !long(o.name) || !long(o.total_us))
    throw new Error('The profile in this file is damaged: its columns are not of one length.');
  const based = Array.isArray(o.base_total_us) && typeof o.base === 'object' && o.base !== null;
  const tree = treeOf({
    strings: Array.isArray(o.strings) ? o.strings.map(text) : [],
    depth: column(o.depth, n, Uint32Array),
    name: column(o.name, n, Uint32Array),
    module: column(o.module, n, Uint32Array),
    type: long(o.type) ? column(o.type, n, Uint8Array) : new Uint8Array(n).fill(1, 1),
    total: column(o.total_us, n, Float64Array),
    self: column(o.self_us, n, Float64Array, true),
    baseTotal: based ? column(o.base_total_us, n, Float64Array) : new Float64Array(0),
    baseSelf: based ? column(o.base_self_us, n, Float64Array) : new Float64Array(0),
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
