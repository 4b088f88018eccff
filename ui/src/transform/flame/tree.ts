// A flame graph's tree as parallel arrays, depth first: a hundred thousand frames without an object each.
//
// Invariants
//  - Node 0 is the root. A node's subtree is [i, end[i]). parent[i] < i.
//  - total[i] >= self[i] + the totals of its children; x[i] is the weight left of it, so that in any zoom a
//    node's place is a multiplication.
import type { FlamePart, Sum } from '../../transport/profile';
import { noSum } from '../../transport/profile';

/** enum FrameType of the wire. */
export const TYPE = { unknown: 0, user: 1, library: 2, kernel: 3, jit: 4, inlined: 5, task: 6 } as const;

/** Where a function was sampled, as it ran itself and as it called another: 1 + the offset from its addr; 0: unknown. */
export interface Place {
  readonly self: number;
  readonly call: number;
}
/** By where the function is: see placeOf(). */
export type Places = ReadonlyMap<string, Place>;
const NO_PLACES: Places = new Map();
const UNKNOWN_PLACE: Place = { self: 0, call: 0 };
const placeKey = (buildId: number, addr: bigint) => `${buildId}:${addr}`;

export interface Tree {
  readonly n: number;
  readonly strings: readonly string[];
  readonly depth: Uint16Array;
  readonly parent: Int32Array;
  readonly end: Int32Array;
  readonly name: Uint32Array;
  readonly module: Uint32Array;
  readonly type: Uint8Array;
  readonly total: Float64Array;
  readonly self: Float64Array;
  /** Empty without a baseline. */
  readonly baseTotal: Float64Array;
  readonly baseSelf: Float64Array;
  readonly addr: BigUint64Array;
  readonly buildId: Uint32Array;
  readonly x: Float64Array;
  readonly maxDepth: number;
  readonly places: Places;
}

/** What there is beside the nodes. */
export interface Profile {
  readonly tree: Tree;
  readonly sum: Sum;
  readonly baseline: Sum | null;
  readonly leftOut: number;
}

export interface Columns {
  strings: readonly string[];
  depth: ArrayLike<number>;
  name: Uint32Array;
  module: Uint32Array;
  type: Uint8Array;
  total: Float64Array;
  self: Float64Array;
  baseTotal: Float64Array;
  baseSelf: Float64Array;
  addr: BigUint64Array;
  buildId: Uint32Array;
  places?: Places;
}

type AnyArray = Uint8Array | Uint32Array | Float64Array | BigUint64Array;

/** Puts the columns, depth first, together; a node without a parent hangs on the root. */
export function treeOf(c: Columns): Tree {
  const n = c.depth.length;
  const depth = new Uint16Array(n);
  const parent = new Int32Array(n);
  const end = new Int32Array(n);
  const open: number[] = [];
  let maxDepth = 0;
  for (let i = 0; i < n; i++) {
    const d = i === 0 ? 0 : Math.max(1, Math.min(c.depth[i]!, open.length, 65535));
    while (open.length > d) end[open.pop()!] = i;
    depth[i] = d;
    parent[i] = i === 0 ? -1 : open[d - 1]!;
    open.push(i);
    if (d > maxDepth) maxDepth = d;
  }
  while (open.length) end[open.pop()!] = n;
  const fill = (a: Float64Array) => (a.length === n ? a : new Float64Array(a.length ? n : 0));
  const t = {
    n,
    strings: c.strings,
    depth,
    parent,
    end,
    name: c.name,
    module: c.module.length === n ? c.module : new Uint32Array(n),
    type: c.type.length === n ? c.type : new Uint8Array(n),
    total: c.total,
    self: c.self,
    baseTotal: fill(c.baseTotal),
    baseSelf: fill(c.baseSelf),
    addr: c.addr.length === n ? c.addr : new BigUint64Array(n),
    buildId: c.buildId.length === n ? c.buildId : new Uint32Array(n),
    x: new Float64Array(n),
    maxDepth,
    places: c.places ?? NO_PLACES,
  };
  place(t);
  return t;
}

/** The weight left of each node, children from their parent's left edge. */
function place(t: Tree): void {
  const next = new Float64Array(t.n);
  for (let i = 1; i < t.n; i++) {
    const p = t.parent[i]!;
    t.x[i] = next[p]!;
    next[p]! += t.total[i]!;
    next[i] = t.x[i]!;
  }
}

function placesOf(parts: readonly FlamePart[]): Places {
  const out = new Map<string, Place>();
  for (const p of parts) {
    let node = 0;
    for (let i = 0; i < p.placeNode.length; i++) {
      node += p.placeNode[i]!;
      const place = { self: p.placeSelf[i] ?? 0, call: p.placeCall[i] ?? 0 };
      if (node < p.addr.length) out.set(placeKey(p.buildId[node] ?? 0, p.addr[node]!), place);
    }
  }
  return out;
}

export const placeOf = (t: Tree, i: number): Place =>
  t.places.get(placeKey(t.buildId[i]!, t.addr[i]!)) ?? UNKNOWN_PLACE;

/** Parts of one answer as columns. Strings are numbered through all of them. */
export function columnsOf(parts: readonly FlamePart[]): Columns {
  const join = <T extends AnyArray>(get: (p: FlamePart) => T): T => {
    const all = parts.map(get);
    if (all.length === 1) return all[0]!;
    const out = new (all[0]!.constructor as new (n: number) => T)(all.reduce((s, a) => s + a.length, 0));
    let at = 0;
    for (const a of all) {
      (out as Uint32Array).set(a as Uint32Array, at);
      at += a.length;
    }
    return out;
  };
  return {
    strings: parts.flatMap((p) => p.strings),
    depth: join((p) => p.depth),
    name: join((p) => p.name),
    module: join((p) => p.module),
    type: join((p) => p.type),
    total: join((p) => p.totalUs),
    self: join((p) => p.selfUs),
    baseTotal: join((p) => p.baseTotalUs),
    baseSelf: join((p) => p.baseSelfUs),
    addr: join((p) => p.addr),
    buildId: join((p) => p.buildId),
    places: placesOf(parts),
  };
}

export function profileOf(parts: readonly FlamePart[]): Profile {
  return {
    tree: heaviestFirst(treeOf(columnsOf(parts))),
    sum: parts.find((p) => p.sum)?.sum ?? noSum(),
    baseline: parts.find((p) => p.baseline)?.baseline ?? null,
    leftOut: Math.max(0, ...parts.map((p) => p.leftOut)),
  };
}

/** Of an elided tree: as wide as what its baseline spent in stacks that the ranges have not. */
export function lostTree(t: Tree): Tree {
  const none = new Float64Array(0);
  if (!t.baseTotal.length) return t;
  const depth = Uint32Array.from(t.depth);
  const by = { ...t, depth, total: t.baseTotal, self: t.baseSelf, baseTotal: none, baseSelf: none };
  return heaviestFirst(treeOf(by));
}

/** The direct children of a node. */
export function children(t: Tree, i: number): number[] {
  const out: number[] = [];
  for (let c = i + 1; c < t.end[i]!; c = t.end[c]!) out.push(c);
  return out;
}

export const nameOf = (t: Tree, i: number): string => t.strings[t.name[i]!] ?? '';
export const moduleOf = (t: Tree, i: number): string => t.strings[t.module[i]!] ?? '';

/** From the outermost frame (below the root) to the node. */
export function pathTo(t: Tree, i: number): number[] {
  const out: number[] = [];
  for (let p = i; p > 0; p = t.parent[p]!) out.unshift(p);
  return out;
}

/** The nodes in another order, parents before their children: columns of the same tree. */
export function reordered(t: Tree, order: ArrayLike<number>): Tree {
  const n = order.length;
  const pick = <T extends AnyArray>(a: T): T => {
    const out = new (a.constructor as new (n: number) => T)(a.length ? n : 0);
    for (let i = 0; i < out.length; i++) out[i] = a[order[i]!]!;
    return out;
  };
  const depth = new Uint32Array(n);
  for (let i = 0; i < n; i++) depth[i] = t.depth[order[i]!]!;
  return treeOf({
    strings: t.strings,
    depth,
    name: pick(t.name),
    module: pick(t.module),
    type: pick(t.type),
    total: pick(t.total),
    self: pick(t.self),
    baseTotal: pick(t.baseTotal),
    baseSelf: pick(t.baseSelf),
    addr: pick(t.addr),
    buildId: pick(t.buildId),
    places: t.places,
  });
}

/** Siblings by weight, the heaviest at the left. */
export function heaviestFirst(t: Tree): Tree {
  const order = new Uint32Array(t.n);
  let at = 0;
  let moved = false;
  const weight = (i: number) => t.total[i]! || (t.baseTotal.length ? t.baseTotal[i]! * 1e-9 : 0);
  const stack = [0];
  while (stack.length && t.n) {
    const i = stack.pop()!;
    order[at++] = i;
    const first = i + 1;
    const end = t.end[i]!;
    if (first >= end) continue;
    if (t.end[first] === end) {
      stack.push(first);
      continue;
    }
    const kids = children(t, i);
    const sorted = kids.slice().sort((a, b) => weight(b) - weight(a) || a - b);
    if (!moved) moved = sorted.some((k, j) => k !== kids[j]);
    for (let j = sorted.length - 1; j >= 0; j--) stack.push(sorted[j]!);
  }
  return moved ? reordered(t, order) : t;
}
