// Which frames a pattern finds, and how much of the whole ran in them.
import type { Tree } from './tree';

export const MATCH = 1; // the frame itself
export const ON_PATH = 2; // above or below one that matches

/** The pattern as a regular expression; what is not one is searched as it is written. Small letters find
 *  large ones, too. */
export function matcher(pattern: string): RegExp | null {
  if (!pattern) return null;
  const flags = pattern === pattern.toLowerCase() ? 'i' : '';
  try {
    return new RegExp(pattern, flags);
  } catch {
    return new RegExp(pattern.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'), flags);
  }
}

export interface Found {
  /** Per node: MATCH, ON_PATH or 0. */
  readonly marks: Uint8Array;
  /** Weight of all stacks with a frame that matches, each once. */
  readonly weight: number;
  readonly frames: number;
}

export function find(t: Tree, re: RegExp): Found {
  const hit = new Uint8Array(t.strings.length); // 0 not looked at, 1 no, 2 yes
  const marks = new Uint8Array(t.n);
  let weight = 0;
  let frames = 0;
  let inside = 0; // end of the subtree of a match
  for (let i = 0; i < t.n; i++) {
    const s = t.name[i]!;
    if (!hit[s]) hit[s] = i > 0 && re.test(t.strings[s] ?? '') ? 2 : 1;
    if (i > 0 && hit[s] === 2) {
      marks[i] = MATCH;
      frames++;
      if (i >= inside) {
        weight += t.total[i]!;
        inside = t.end[i]!;
      }
      for (let p = t.parent[i]!; p >= 0 && !marks[p]; p = t.parent[p]!) marks[p] = ON_PATH;
    } else if (i < inside) marks[i] = ON_PATH;
  }
  return { marks, weight, frames };
}
