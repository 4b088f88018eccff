// Other trees made of a tree: hide a frame, focus on one, collapse recursion, merge by module, the callers and
// the callees of a function. All go by stacks: a tree is taken apart and put together again.
import { type Frame, grown, sprout, weigh } from './grow';
import { heaviestFirst, nameOf, type Tree } from './tree';

export type Edit =
  | { readonly do: 'hide'; readonly name: string } // frames of that name, their children take their place
  | { readonly do: 'drop'; readonly name: string } // every stack with such a frame
  | { readonly do: 'focus'; readonly name: string } // only stacks with such a frame, from it on
  | { readonly do: 'recursion' } // a frame that calls itself is one
  | { readonly do: 'modules' }; // neighbours of one module are one

/** A tree under construction. */
class Maker {
  readonly root: Frame;
  private readonly extra: string[] = [];
  private readonly added = new Map<string, number>();

  constructor(private readonly t: Tree) {
    this.root = this.frame(0, '');
  }

  private frame(i: number, key: string): Frame {
    const { t } = this;
    return sprout(t.name[i] ?? 0, t.module[i] ?? 0, t.type[i] ?? 0, key, t.addr[i], t.buildId[i]);
  }

  string(s: string): number {
    let at = this.added.get(s);
    if (at === undefined) {
      at = this.t.strings.length + this.extra.length;
      this.extra.push(s);
      this.added.set(s, at);
    }
    return at;
  }

  /** The child of `f` like node `i`. */
  child(f: Frame, i: number): Frame {
    const { t } = this;
    // One number a function: name, module and type.
    const key = t.name[i]! * 8 + t.type[i]! + t.module[i]! * 2 ** 29;
    f.kids ??= new Map();
    let k = f.kids.get(key);
    if (!k) f.kids.set(key, (k = this.frame(i, '')));
    return k;
  }

  /** The child of `f` that stands for a whole module. */
  moduleChild(f: Frame, i: number, label: string): Frame {
    f.kids ??= new Map();
    let k = f.kids.get(label);
    if (!k) {
      f.kids.set(label, (k = this.frame(i, label)));
      k.name = this.string(label);
    }
    return k;
  }

  finish(): Tree {
    const strings = this.extra.length ? [...this.t.strings, ...this.extra] : this.t.strings;
    return heaviestFirst(grown(this.root, strings, this.t.baseTotal.length > 0, this.t.places));
  }
}

const TASK = 6;

/** Nodes of a name as a set of string numbers: a name may stand under several. */
function named(t: Tree, name: string): Set<number> {
  const out = new Set<number>();
  t.strings.forEach((s, i) => {
    if (s === name) out.add(i);
  });
  return out;
}

const baseSelf = (t: Tree, i: number) => t.baseSelf[i] ?? 0;

/** Walks the tree once, keeping the path of new frames; `step` says what becomes of node i. */
function walk(t: Tree, step: (m: Maker, path: Frame[], i: number) => Frame | 'skip' | 'drop'): Tree {
  const m = new Maker(t);
  // Per depth of the old tree: how many new frames the path to it has.
  const lengths: number[] = [1];
  const path: Frame[] = [m.root];
  let i = 0;
  while (i < t.n) {
    if (i > 0) {
      const d = t.depth[i]!;
      path.length = lengths[d - 1]!;
      const what = step(m, path, i);
      if (what === 'drop') {
        i = t.end[i]!;
        continue;
      }
      if (what !== 'skip') path.push(what);
      lengths[d] = path.length;
    }
    if (t.self[i]! > 0 || baseSelf(t, i) > 0) weigh(path, t.self[i]!, baseSelf(t, i));
    i++;
  }
  return m.finish();
}

function hide(t: Tree, name: string): Tree {
  const out = named(t, name);
  return walk(t, (m, path, i) => (out.has(t.name[i]!) ? 'skip' : m.child(path[path.length - 1]!, i)));
}

function drop(t: Tree, name: string): Tree {
  const out = named(t, name);
  return walk(t, (m, path, i) => (out.has(t.name[i]!) ? 'drop' : m.child(path[path.length - 1]!, i)));
}

function recursion(t: Tree): Tree {
  return walk(t, (m, path, i) => {
    const last = path[path.length - 1]!;
    const same = path.length > 1 && last.name === t.name[i] && last.module === t.module[i];
    return same ? 'skip' : m.child(last, i);
  });
}

const TYPE_WORDS = ['[unknown]', '[program]', '[library]', '[kernel]', '[JIT]', '[inlined]', ''];

function modules(t: Tree): Tree {
  return walk(t, (m, path, i) => {
    const last = path[path.length - 1]!;
    if (t.type[i] === TASK) return m.child(last, i);
    const label = t.strings[t.module[i]!] || TYPE_WORDS[t.type[i]!] || '[unknown]';
    return last.key === label ? 'skip' : m.moduleChild(last, i, label);
  });
}

/** From the first frame of that name on, under one root. */
function focus(t: Tree, name: string): Tree {
  return callees(t, functionIs(t, name));
}

type Is = (i: number) => boolean;

/** A function as one text: its name, and its module where another one has a function of that name, too. */
export const functionId = (name: string, module: string): string => (module ? `${name}\t${module}` : name);
export const functionName = (id: string): string => id.split('\t', 1)[0]!;

/** Whether a node is of that function, of any module where the text names none. */
export function functionIs(t: Tree, id: string): Is {
  const names = named(t, functionName(id));
  const at = id.indexOf('\t');
  const module = id.slice(at + 1);
  return (i) => names.has(t.name[i]!) && (at < 0 || t.strings[t.module[i]!] === module);
}

function callees(t: Tree, is: Is): Tree {
  const m = new Maker(t);
  for (let i = 1; i < t.n; ) {
    if (!is(i)) {
      i++;
      continue;
    }
    const path: Frame[] = [m.root];
    const d0 = t.depth[i]!;
    const end = t.end[i]!;
    for (let j = i; j < end; j++) {
      path.length = t.depth[j]! - d0 + 1;
      path.push(m.child(path[path.length - 1]!, j));
      if (t.self[j]! > 0 || baseSelf(t, j) > 0) weigh(path, t.self[j]!, baseSelf(t, j));
    }
    i = end;
  }
  return m.finish();
}

/** Who called the functions: node 1 is the function, its children its callers, and so on outwards. */
function callers(t: Tree, is: Is): Tree {
  const m = new Maker(t);
  for (let i = 1; i < t.n; ) {
    if (!is(i)) {
      i++;
      continue;
    }
    const path: Frame[] = [m.root];
    for (let p = i; p > 0; p = t.parent[p]!) path.push(m.child(path[path.length - 1]!, p));
    weigh(path, t.total[i]!, t.baseTotal[i] ?? 0);
    i = t.end[i]!;
  }
  return m.finish();
}

/** The callers and the callees of a function, recursion counted once. */
export function sandwich(t: Tree, id: string): { callers: Tree; callees: Tree } {
  const is = functionIs(t, id);
  return { callers: callers(t, is), callees: callees(t, is) };
}

export function edited(t: Tree, edits: readonly Edit[]): Tree {
  let out = t;
  for (const e of edits) {
    if (e.do === 'hide') out = hide(out, e.name);
    else if (e.do === 'drop') out = drop(out, e.name);
    else if (e.do === 'focus') out = focus(out, e.name);
    else if (e.do === 'recursion') out = recursion(out);
    else out = modules(out);
  }
  return out;
}

export function editWords(e: Edit): string {
  switch (e.do) {
    case 'hide':
      return `without ${e.name}`;
    case 'drop':
      return `no stacks with ${e.name}`;
    case 'focus':
      return `only ${e.name}`;
    case 'recursion':
      return 'recursion collapsed';
    default:
      return 'merged by module';
  }
}

/** Edits in an address: "hide:name". */
export const editText = (e: Edit): string => ('name' in e ? `${e.do}:${e.name}` : e.do);

export function parseEdit(s: string): Edit | null {
  const at = s.indexOf(':');
  const [what, name] = at < 0 ? [s, ''] : [s.slice(0, at), s.slice(at + 1)];
  if (what === 'recursion' || what === 'modules') return { do: what };
  if ((what === 'hide' || what === 'drop' || what === 'focus') && name) return { do: what, name };
  return null;
}

/** The stack of a node as text, the innermost frame first, as debuggers print it. */
export function stackText(t: Tree, i: number): string {
  const out: string[] = [];
  for (let p = i; p > 0; p = t.parent[p]!) {
    const module = t.strings[t.module[p]!];
    out.push(module ? `${nameOf(t, p)} (${module})` : nameOf(t, p));
  }
  return out.join('\n');
}
