// Reads a ServerMessage that holds an AttrList by hand: where processes come and go there are hundreds of
// them in the window that comes before the first picture. attrs.test.ts holds it against the generated code.
import { Reader } from './decode';

export interface AttrChange {
  group: number;
  slot: number;
  gen: number;
  key: number;
  value: string;
}

/** Calls back with each; the object is reused for the next one. False: the message is another one. */
export function readAttrs(bytes: Uint8Array, each: (a: AttrChange) => void): boolean {
  const r = new Reader(bytes);
  if (bytes[0] !== 34) return false;
  r.pos = 1;
  const outer = r.enter();
  const a: AttrChange = { group: 0, slot: 0, gen: 0, key: 0, value: '' };
  while (r.pos < r.end) {
    const tag = r.uint();
    if (tag !== 10) {
      r.skip(tag & 7);
      continue;
    }
    const list = r.enter();
    a.group = a.slot = a.gen = a.key = 0;
    a.value = '';
    while (r.pos < r.end) {
      const t = r.uint();
      if (t === 8) a.group = r.uint();
      else if (t === 16) a.slot = r.uint();
      else if (t === 24) a.gen = r.uint();
      else if (t === 32) a.key = r.uint();
      else if (t === 42) a.value = r.string();
      else r.skip(t & 7);
    }
    r.leave(list);
    each(a);
  }
  r.leave(outer);
  return true;
}
