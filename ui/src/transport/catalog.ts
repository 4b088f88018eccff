// Reads a ServerMessage that holds a Catalog by hand: the first picture waits for it, and the generated
// code takes ten times as long over some hundred metrics. catalog.test.ts holds one against the other.
import { Reader, readInstance, type StartedInstance } from './decode';

export interface CatalogMetric {
  name: string;
  unit: string;
  mul: number;
  div: number;
  semantics: number;
  quantum: number;
  names: string[];
}

export interface CatalogGroup {
  id: number;
  name: string;
  indom: string;
  periodMs: number;
  metrics: CatalogMetric[];
  attrKeys: string[];
  instances: StartedInstance[];
  collector: string;
}

export interface CatalogMessage {
  version: number;
  groups: CatalogGroup[];
}

function readMetric(r: Reader): CatalogMetric {
  const outer = r.enter();
  const m: CatalogMetric = { name: '', unit: '', mul: 0, div: 0, semantics: 0, quantum: 0, names: [] };
  while (r.pos < r.end) {
    const tag = r.uint();
    if (tag === 10) m.name = r.string();
    else if (tag === 18) m.unit = r.string();
    else if (tag === 24) m.mul = r.uint();
    else if (tag === 32) m.div = r.uint();
    else if (tag === 40) m.semantics = r.uint();
    else if (tag === 48) m.quantum = r.sint();
    else if (tag === 74) m.names.push(r.string());
    else r.skip(tag & 7);
  }
  r.leave(outer);
  return m;
}

function readGroup(r: Reader): CatalogGroup {
  const outer = r.enter();
  const g: CatalogGroup = {
    id: 0,
    name: '',
    indom: '',
    periodMs: 0,
    metrics: [],
    attrKeys: [],
    instances: [],
    collector: '',
  };
  while (r.pos < r.end) {
    const tag = r.uint();
    if (tag === 8) g.id = r.uint();
    else if (tag === 18) g.name = r.string();
    else if (tag === 26) g.indom = r.string();
    else if (tag === 32) g.periodMs = r.uint();
    else if (tag === 50) g.metrics.push(readMetric(r));
    else if (tag === 58) g.attrKeys.push(r.string());
    else if (tag === 66) g.instances.push(readInstance(r));
    else if (tag === 74) g.collector = r.string();
    else r.skip(tag & 7);
  }
  r.leave(outer);
  return g;
}

/** null: the message is another one. */
export function readCatalog(bytes: Uint8Array): CatalogMessage | null {
  const r = new Reader(bytes);
  if (bytes[0] !== 18) return null;
  r.pos = 1;
  const outer = r.enter();
  const c: CatalogMessage = { version: 0, groups: [] };
  while (r.pos < r.end) {
    const tag = r.uint();
    if (tag === 8) c.version = r.uint();
    else if (tag === 18) c.groups.push(readGroup(r));
    else r.skip(tag & 7);
  }
  r.leave(outer);
  return c;
}
