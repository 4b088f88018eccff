// The agent's catalog by names: groups, metrics, units, live instances of what is not subscribed.
import type { Texts } from '../gen/strobe_pb';
import { Semantics } from '../gen/strobe_pb';
import { unitOf } from '../transform/units';
import type { CatalogMessage } from '../transport/catalog';
import type { Instance, Kind, MetricInfo } from './api';

export interface MetricMeta {
  readonly name: string;
  readonly counter: boolean;
  /** Stored value (counter: stored rate per second) times this is in the base unit of `kind`. */
  readonly scale: number;
  readonly kind: Kind;
  /** Another object once its words came: who shows it draws it anew. */
  info: MetricInfo;
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
  infos: MetricInfo[] = [];
  version = 0;
  /** The words of the metrics are there. */
  texts = false;

  static from(pb: CatalogMessage): Catalog {
    const c = new Catalog();
    c.version = pb.version;
    for (const g of pb.groups) {
      const metrics = g.metrics.map((m): MetricMeta => {
        const counter = m.semantics === Semantics.COUNTER;
        const u = unitOf(m.unit, counter, m.names.length > 0);
        const scale = (u.factor * (m.mul || 1)) / (m.div || 1);
        const period = (g.periodMs || 100) / 1000;
        const quantum = Math.abs(m.quantum) * scale;
        const info: MetricInfo = {
          name: m.name,
          group: g.name,
          collector: g.collector,
          indom: g.indom,
          unit: m.unit,
          kind: u.kind,
          counter,
          quantum: counter ? quantum / period : quantum,
          source: '',
          help: '',
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

  setTexts(t: Texts): void {
    const of = new Map(t.groups.map((g) => [g.group, g.metrics]));
    this.say((g, i) => of.get(g.id)?.[i]);
    this.texts = true;
  }

  /** Words that were known before this catalog came, for as long as its own are on the way. */
  keepTexts(old: Catalog): void {
    if (old.texts) this.say((g, i) => old.metrics.get(g.metrics[i]!.name)?.meta.info);
  }

  private say(of: (g: GroupMeta, i: number) => Pick<MetricInfo, 'source' | 'help'> | undefined): void {
    this.infos = [];
    this.groups.forEach((g) => {
      g.metrics.forEach((m, i) => {
        const { source = '', help = '' } = of(g, i) ?? {};
        m.info = { ...m.info, source, help };
        this.infos.push(m.info);
      });
    });
  }
}
