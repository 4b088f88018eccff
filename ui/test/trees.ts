// Trees for tests: from folded stacks ("a;b;c 12"), and large ones with the shape of real profiles.
import { grown, sprout, weigh } from '../src/transform/flame/grow';
import { type Tree, treeOf } from '../src/transform/flame/tree';

/** "name`type@module": type is user, kernel ... by its number; lines of `base` weigh in the baseline. */
export function folded(text: string, base = ''): Tree {
  const strings = ['', 'all'];
  const str = (s: string) => {
    const at = strings.indexOf(s);
    return at < 0 ? strings.push(s) - 1 : at;
  };
  const root = sprout(1, 0, 0);
  const add = (line: string, based: boolean) => {
    const m = /^(.*) (\d+)$/.exec(line.trim());
    if (!m) return;
    const path = [root];
    for (const label of m[1]!.split(';')) {
      const last = path[path.length - 1]!;
      last.kids ??= new Map();
      let k = last.kids.get(label);
      if (!k) {
        const [, name, type, module] = /^([^`@]*)(?:`(\d))?(?:@(.*))?$/.exec(label)!;
        last.kids.set(label, (k = sprout(str(name!), str(module ?? ''), Number(type ?? 1))));
      }
      path.push(k);
    }
    weigh(path, based ? 0 : Number(m[2]), based ? Number(m[2]) : 0);
  };
  for (const l of text.split('\n')) add(l, false);
  for (const l of base.split('\n')) add(l, true);
  return grown(root, strings, base !== '');
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
