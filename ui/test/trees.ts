// Trees for tests: from folded stacks ("a;b;c 12"), and large ones with the shape of real profiles.
import { type Tree, treeOf } from '../src/transform/flame/tree';

interface Node {
  total: number;
  self: number;
  base: number;
  baseSelf: number;
  kids: Map<string, Node>;
}

const node = (): Node => ({ total: 0, self: 0, base: 0, baseSelf: 0, kids: new Map() });

/** "name`type@module": type is user, kernel ... by its number; lines of `base` weigh in the baseline. */
export function folded(text: string, base = ''): Tree {
  const root = node();
  const add = (line: string, based: boolean) => {
    const m = /^(.*) (\d+)$/.exec(line.trim());
    if (!m) return;
    const w = Number(m[2]);
    let at = root;
    const on = (n: Node) => (based ? (n.base += w) : (n.total += w));
    on(at);
    for (const f of m[1]!.split(';')) {
      let k = at.kids.get(f);
      if (!k) at.kids.set(f, (k = node()));
      at = k;
      on(at);
    }
    if (based) at.baseSelf += w;
    else at.self += w;
  };
  for (const l of text.split('\n')) add(l, false);
  for (const l of base.split('\n')) add(l, true);
  const c = {
    strings: ['', 'all'] as string[],
    depth: [] as number[],
    name: [] as number[],
    module: [] as number[],
    type: [] as number[],
    total: [] as number[],
    self: [] as number[],
    baseTotal: [] as number[],
    baseSelf: [] as number[],
  };
  const known = new Map<string, number>([['', 0]]);
  const str = (s: string) => {
    if (!known.has(s)) known.set(s, c.strings.push(s) - 1);
    return known.get(s)!;
  };
  const put = (label: string, n: Node, d: number) => {
    const m = /^([^`@]*)(?:`(\d))?(?:@(.*))?$/.exec(label)!;
    c.depth.push(d);
    c.name.push(str(m[1]!));
    c.module.push(str(m[3] ?? ''));
    c.type.push(Number(m[2] ?? (d ? 1 : 0)));
    c.total.push(n.total);
    c.self.push(n.self);
    c.baseTotal.push(n.base);
    c.baseSelf.push(n.baseSelf);
    for (const [k, v] of n.kids) put(k, v, d + 1);
  };
  put('all', root, 0);
  return treeOf({
    strings: c.strings,
    depth: c.depth,
    name: Uint32Array.from(c.name),
    module: Uint32Array.from(c.module),
    type: Uint8Array.from(c.type),
    total: Float64Array.from(c.total),
    self: Float64Array.from(c.self),
    baseTotal: base ? Float64Array.from(c.baseTotal) : new Float64Array(0),
    baseSelf: base ? Float64Array.from(c.baseSelf) : new Float64Array(0),
    addr: new BigUint64Array(0),
    buildId: new Uint32Array(0),
  });
}

/** Back to folded lines, sorted. */
export function unfold(t: Tree): string[] {
  const out: string[] = [];
  for (let i = 1; i < t.n; i++) {
    if (!t.self[i]) continue;
    const path: string[] = [];
    for (let p = i; p > 0; p = t.parent[p]!) path.unshift(t.strings[t.name[p]!]!);
    out.push(`${path.join(';')} ${t.self[i]}`);
  }
  return out.sort();
}

export function random(seed: number): () => number {
  let a = seed;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let x = Math.imul(a ^ (a >>> 15), 1 | a);
    x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x;
    return ((x ^ (x >>> 14)) >>> 0) / 4294967296;
  };
}

/** About `n` nodes, up to 57 deep, a few heavy paths and a long tail. */
export function large(n: number, seed = 1): Tree {
  const r = random(seed);
  const depth = [0];
  const weights = [0];
  const stack: { left: number; d: number }[] = [];
  const strings = Array.from({ length: 4000 }, (_, i) => `module${i % 37}::part${i % 311}::function_${i}`);
  while (depth.length < n) {
    const d = stack.length ? stack[stack.length - 1]!.d + 1 : 1;
    depth.push(d);
    weights.push(r() < 0.5 ? Math.floor(-Math.log(1 - r()) * 20000) + 1 : 0);
    if (stack.length) stack[stack.length - 1]!.left--;
    if (d < 56) stack.push({ left: r() < 0.75 ? 1 : 1 + Math.floor(r() * 5), d });
    while (stack.length && (stack[stack.length - 1]!.left <= 0 || stack[stack.length - 1]!.d >= 56))
      stack.pop();
  }
  const total = Float64Array.from(weights);
  const path: number[] = [];
  for (let i = 0; i < n; i++) {
    path.length = depth[i]!;
    for (const p of path) total[p]! += weights[i]!;
    path.push(i);
  }
  return treeOf({
    strings,
    depth,
    name: Uint32Array.from(depth, () => Math.floor(r() ** 2 * strings.length)),
    module: new Uint32Array(n),
    type: Uint8Array.from(depth, () => 1 + Math.floor(r() * 5)),
    total,
    self: Float64Array.from(weights),
    baseTotal: new Float64Array(0),
    baseSelf: new Float64Array(0),
    addr: new BigUint64Array(0),
    buildId: new Uint32Array(0),
  });
}
