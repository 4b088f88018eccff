// All panels, found by glob and checked once.
import type { PanelSpec } from './types';

const DRAWS = ['lines', 'stack', 'heat', 'cores'];
const KINDS = ['bytes', 'bytes/s', 'bits/s', 'ratio', 'seconds', 'count', 'count/s', 'state'];

/** What is wrong with `specs`, one sentence each; empty when they are good. */
export function validate(specs: readonly PanelSpec[]): string[] {
  const wrong: string[] = [];
  const ids = new Set<string>();
  const places = new Set<number>();
  for (const s of specs) {
    const bad = (what: string) => wrong.push(`panel ${s.id || '(no id)'}: ${what}`);
    if (!/^[a-z0-9][a-z0-9.-]*$/.test(s.id ?? '')) bad('id is not lower case words');
    if (ids.has(s.id)) bad('id is used twice');
    ids.add(s.id);
    if (!s.title) bad('has no title');
    if (!s.metrics?.length) bad('names no metrics');
    for (const m of s.metrics ?? [])
      if (!/^[a-z][\w-]*(\.[\w-]+)+$/i.test(m)) bad(`"${m}" is no metric name`);
    if (!DRAWS.includes(s.draw)) bad(`draw "${s.draw}" is unknown`);
    if (!KINDS.includes(s.unit?.kind)) bad(`unit "${s.unit?.kind}" is unknown`);
    if (typeof s.transform !== 'function') bad('has no transform');
    if (!(s.floor > 0)) bad('floor is not above 0');
    if (s.draw === 'cores' && !s.band) bad('cores without a band');
    if (s.place !== undefined) {
      if (!(Number.isInteger(s.place) && s.place >= 1 && s.place <= 12)) bad('place is not 1 to 12');
      if (places.has(s.place)) bad(`place ${s.place} is taken`);
      places.add(s.place);
    }
  }
  return wrong;
}

/** Throws with all that is wrong, so that a bad panel never shows as an empty cell. */
export function checked(specs: readonly PanelSpec[]): readonly PanelSpec[] {
  const wrong = validate(specs);
  if (wrong.length) throw new Error(wrong.join('\n'));
  return specs;
}

const files = import.meta.glob<{ default: readonly PanelSpec[] }>('./*.panels.ts', { eager: true });

export const panels = checked(Object.values(files).flatMap((f) => f.default));

/** The panels of the first screen, in order. */
export const firstScreen = panels
  .filter((p) => p.place !== undefined)
  .sort((a, b) => (a.place ?? 0) - (b.place ?? 0));

export const panelById = (id: string) => panels.find((p) => p.id === id);
