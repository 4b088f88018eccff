// What is on screen, as a subscription: groups in the order in which they are to arrive.
import type { Want } from './api';
import type { Catalog } from './catalog';

export type Plan = readonly { id: number; name: string; level: number }[];

/** One entry a group, the most urgent first; the finest level anyone asked for. */
export function plan(wants: readonly Want[], catalog: Catalog): Plan {
  const out = new Map<string, { id: number; name: string; level: number; prio: number; order: number }>();
  let order = 0;
  for (const w of wants) {
    const names = new Set<string>(w.groups ?? []);
    for (const s of w.sources)
      for (const i of s.inputs) {
        const at = catalog.metrics.get(i.metric);
        if (at) names.add(at.group.name);
      }
    for (const name of names) {
      const g = catalog.byName.get(name);
      if (!g) continue;
      const e = out.get(name);
      const level = w.level ?? 1;
      const prio = w.prio ?? 5;
      if (!e) out.set(name, { id: g.id, name, level, prio, order: order++ });
      else {
        e.level = Math.min(e.level, level);
        e.prio = Math.min(e.prio, prio);
      }
    }
  }
  return [...out.values()]
    .sort((a, b) => a.prio - b.prio || a.order - b.order)
    .map(({ id, name, level }) => ({ id, name, level }));
}

/** Whether `next` needs a new Subscribe: order alone does not. */
export function samePlan(a: Plan, b: Plan): boolean {
  if (a.length !== b.length) return false;
  const levels = new Map(a.map((e) => [e.name, e.level]));
  return b.every((e) => levels.get(e.name) === e.level);
}
