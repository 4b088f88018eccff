// The agent's catalog by names: groups, metrics, units, live instances of what is not subscribed.
import type { Catalog as PbCatalog } from '../gen/strobe_pb';
import { Semantics } from '../gen/strobe_pb';
import { unitOf } from '../transform/units';
import type { Instance, Kind, MetricInfo } from './api';

export interface MetricMeta {
  readonly name: string;
  readonly counter: boolean;
  /** Stored value (counter: stored rate per second) times this is in the base unit of `kind`. */
  readonly scale: number;
  readonly kind: Kind;
  readonly info: MetricInfo;
}

export interface GroupMeta {
  readonly id: number;
  readonly name: string;
  readonly indom: string;
  readonly collector: string;
  periodUs: number;
  readonly metrics: readonly MetricMeta[];
  readonly attrKeys: readonly string[];
  readonly instances: readonly (Instance & { slot: number })[];
}

export interface MetricAt {
  readonly group: GroupMeta;
  readonly index: number;
  readonly meta: MetricMeta;
}

export class Catalog {
  readonly groups: GroupMeta[] = [];
  readonly byName = new Map<string, GroupMeta>();
  readonly metrics = new Map<string, MetricAt>();
  readonly infos: MetricInfo[] = [];
  version = 0;

  static from(pb: PbCatalog): Catalog {
    const c = new Catalog();
    c.version = pb.version;
    for (const g of pb.groups) {
      const metrics = g.metrics.map((m): MetricMeta => {
        const counter = m.semantics === Semantics.COUNTER;
        const u = unitOf(m.unit, counter, m.names.length > 0);
        const scale = (u.factor * (m.mul || 1)) / (m.div || 1);
        const period = (g.periodMs || 100) / 1000;
        const quantum = Math.abs(Number(m.quantum)) * scale;
        const info: MetricInfo = {
          name: m.name,
          group: g.name,
          collector: g.collector,
          indom: g.indom,
          unit: m.unit,
          kind: u.kind,
          counter,
          quantum: counter ? quantum / period : quantum,
          source: m.source,
          help: m.help,
          names: m.names,
        };
        return { name: m.name, counter, scale, kind: u.kind, info };
      });
      const meta: GroupMeta = {
        id: g.id,
        name: g.name,
        indom: g.indom,
        collector: g.collector,
        periodUs: g.periodMs * 1000,
        metrics,
        attrKeys: g.attrKeys,
        instances: g.instances.map((i) => ({
          slot: i.slot,
          name: i.name,
          gen: i.gen,
          attrs: Object.fromEntries(i.attrs.map((a) => [g.attrKeys[a.key] ?? `${a.key}`, a.value])),
          startUs: 0,
          endUs: null,
        })),
      };
      c.groups[meta.id] = meta;
      c.byName.set(meta.name, meta);
      metrics.forEach((m, index) => {
        if (!c.metrics.has(m.name)) c.metrics.set(m.name, { group: meta, index, meta: m });
        c.infos.push(m.info);
      });
    }
    return c;
  }
}
