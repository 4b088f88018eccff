// Values as text: three significant digits, never an exponent, the unit chosen by the largest value shown.
// Bytes are binary (MiB), bits and counts decimal (Mb/s, k), times µs, ms or s, ratios percent.
import type { Kind } from '../store/api';

export interface Scale {
  /** A value in base units divided by this is in `unit`. */
  readonly div: number;
  /** "%", "MiB", "k/s", "": what stands in the title. */
  readonly unit: string;
  /** Powers of two make rounder axes. */
  readonly binary: boolean;
}

const STEPS: Record<string, readonly [number, string][]> = {
  bytes: [
    [1, 'B'],
    [2 ** 10, 'KiB'],
    [2 ** 20, 'MiB'],
    [2 ** 30, 'GiB'],
    [2 ** 40, 'TiB'],
  ],
  bits: [
    [1, 'b/s'],
    [1e3, 'kb/s'],
    [1e6, 'Mb/s'],
    [1e9, 'Gb/s'],
    [1e12, 'Tb/s'],
  ],
  count: [
    [1, ''],
    [1e3, 'k'],
    [1e6, 'M'],
    [1e9, 'G'],
    [1e12, 'T'],
  ],
  seconds: [
    [1e-9, 'ns'],
    [1e-6, 'µs'],
    [1e-3, 'ms'],
    [1, 's'],
  ],
};

function pick(name: string, max: number): [number, string] {
  const steps = STEPS[name] as readonly [number, string][];
  let best = steps[0] as [number, string];
  for (const s of steps) if (max >= s[0] * (1 - 1e-9)) best = s;
  return best;
}

/** The unit in which `max` (base units of `kind`) reads best. */
export function scaleFor(kind: Kind, max: number): Scale {
  const m = Math.abs(max);
  switch (kind) {
    case 'ratio':
      return { div: 0.01, unit: '%', binary: false };
    case 'bytes': {
      const [div, unit] = pick('bytes', m);
      return { div, unit, binary: true };
    }
    case 'bytes/s': {
      const [div, unit] = pick('bytes', m);
      return { div, unit: `${unit}/s`, binary: true };
    }
    case 'bits/s': {
      const [div, unit] = pick('bits', m);
      return { div, unit, binary: false };
    }
    case 'seconds': {
      const [div, unit] = m >= 1e-9 ? pick('seconds', m) : [1, 's'];
      return { div: div as number, unit: unit as string, binary: false };
    }
    case 'count/s': {
      const [div, unit] = pick('count', m);
      return { div, unit: `${unit}/s`, binary: false };
    }
    case 'count': {
      const [div, unit] = pick('count', m);
      return { div, unit, binary: false };
    }
    default:
      return { div: 1, unit: '', binary: false };
  }
}

/** The unit of an axis that reaches to `max`: two to five digits, so that small values beside it keep theirs. */
export const axisScale = (kind: Kind, max: number): Scale =>
  scaleFor(kind, kind === 'seconds' ? max : max / 10);

/** "0", "0.02", "9.8", "46", "1,250": three significant digits below 1000, whole above; "–" for no value. */
export function num(v: number): string {
  if (!Number.isFinite(v)) return '–';
  const a = Math.abs(v);
  if (a >= 999.5) return Math.round(v).toLocaleString('en-US');
  if (a >= 99.5) return v.toFixed(0);
  if (a >= 9.95) return trim(v.toFixed(1));
  if (a >= 0.005) return trim(v.toFixed(2));
  return a === 0 ? '0' : '<0.01';
}

const trim = (s: string) => (s.includes('.') ? s.replace(/\.?0+$/, '') : s);

/** A whole number stays whole; others get as many decimals as the step of an axis needs. */
export function axisText(v: number, step: number): string {
  if (v === 0) return '0';
  const d = Math.max(0, Math.min(6, -Math.floor(Math.log10(Math.abs(step) || 1) + 1e-9)));
  const need = Math.abs(step * 10 ** d - Math.round(step * 10 ** d)) > 1e-6 ? d + 1 : d;
  return Math.abs(v).toFixed(need);
}

/** A value of a title in the unit of its axis: few digits, and as many as its kind can mean. */
export function valueText(kind: Kind, v: number, scale: Scale): string {
  const x = v / scale.div;
  const a = Math.abs(x);
  if (!Number.isFinite(x)) return '–';
  if (a === 0 || (scale.unit === '' && Number.isInteger(v))) return x.toLocaleString('en-US');
  if (kind === 'ratio') return a < 0.05 ? '<0.1' : x.toFixed(a < 9.95 ? 1 : 0);
  if (a < 0.1) return num(x);
  return a < 99.5 ? x.toFixed(1) : num(x);
}

/** "4.2 MiB/s", "38 %", "1.2 k/s". */
export function format(v: number, kind: Kind): string {
  if (!Number.isFinite(v)) return '–';
  const s = scaleFor(kind, v);
  const n = num(v / s.div);
  return s.unit === '' ? n : s.unit.startsWith('/') ? `${n}${s.unit}` : `${n} ${s.unit}`;
}
