// Which frames a pattern finds, and how much of the whole ran in them.
import type { Tree } from './tree';

export const MATCH = 1; // the frame itself
export const ON_PATH = 2; // above or below one that matches

/** What is no regular expression ("f(", while it is typed) is searched as it is written, here and by the agent. */
export function searched(pattern: string): string {
  try {
    new RegExp(pattern);
    return pattern;
  } catch {
    return pattern.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  }
}

/** The pattern as a regular expression. Small letters find large ones, too. */
export function matcher(pattern: string): RegExp | null {
  if (!pattern) return null;
  return new RegExp(searched(pattern), pattern === pattern.toLowerCase() ? 'i' : '');
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
