// Units: the catalog's (PCP's or UCUM's words) to a kind and its base unit. The one place in the
// dashboard where stored values become values of a unit.
import type { Kind } from '../store/api';

export interface Unit {
  readonly kind: Kind;
  /** One of the catalog's units (per second for a counter) in base units of kind. */
  readonly factor: number;
}

const BYTES: Record<string, number> = {
  byte: 1,
  bytes: 1,
  by: 1,
  b: 1,
  kbyte: 1024,
  kib: 1024,
  kby: 1024,
  mbyte: 1048576,
  mib: 1048576,
  gbyte: 1073741824,
  gib: 1073741824,
};

const SECONDS: Record<string, number> = {
  nanosec: 1e-9,
  ns: 1e-9,
  microsec: 1e-6,
  us: 1e-6,
  µs: 1e-6,
  millisec: 1e-3,
  ms: 1e-3,
  sec: 1,
  second: 1,
  seconds: 1,
  s: 1,
  min: 60,
  hour: 3600,
};

/** A counter's kind is that of its rate. An unknown unit is a count: its value is right, its name is
 *  in MetricInfo.unit. */
export function unitOf(unit: string, counter: boolean, state: boolean): Unit {
  if (state) return { kind: 'state', factor: 1 };
  const u = unit.trim().toLowerCase();
  if (u in BYTES) return { kind: counter ? 'bytes/s' : 'bytes', factor: BYTES[u]! };
  if (u in SECONDS) return { kind: counter ? 'ratio' : 'seconds', factor: SECONDS[u]! };
  if (u === '%') return { kind: 'ratio', factor: 0.01 };
  if (u === 'mbit/s' || u === 'mbits/s' || u === 'mbit / sec') return { kind: 'bits/s', factor: 1e6 };
  if (u === 'bit/s' || u === 'bit / sec') return { kind: 'bits/s', factor: 1 };
  if (u === 'byte / sec' || u === 'byte/s') return { kind: 'bytes/s', factor: 1 };
  if (u === 'count / sec' || u === '1/s') return { kind: 'count/s', factor: 1 };
  return { kind: counter ? 'count/s' : 'count', factor: 1 };
}
