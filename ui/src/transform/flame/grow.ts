// A tree while it grows, a frame an object: for trees made of other trees or of texts.
import { type Places, type Tree, treeOf } from './tree';

export interface Frame {
  /** Says what the owner wants to know it again by. */
  readonly key: string;
  name: number;
  readonly module: number;
  readonly type: number;
  readonly addr: bigint;
  readonly buildId: number;
  total: number;
  self: number;
  baseTotal: number;
  baseSelf: number;
  kids: Map<number | string, Frame> | null;
}

export const sprout = (
  name: number,
  module: number,
  type: number,
  key = '',
  addr = 0n,
  buildId = 0,
): Frame => ({
  key,
  name,
  module,
  type,
  addr,
  buildId,
  total: 0,
  self: 0,
  baseTotal: 0,
  baseSelf: 0,
  kids: null,
});

/** A stack from the root on weighs so much, and so much in the baseline. */
export function weigh(path: readonly Frame[], self: number, base: number): void {
  for (const f of path) {
    f.total += self;
    f.baseTotal += base;
  }
  const last = path[path.length - 1]!;
  last.self += self;
  last.baseSelf += base;
}

/** The tree of all that grew, children in the order in which they came. */
export function grown(root: Frame, strings: readonly string[], based: boolean, places?: Places): Tree {
  const list: Frame[] = [];
  const depth: number[] = [];
  const stack: [Frame, number][] = [[root, 0]];
  while (stack.length) {
    const [f, d] = stack.pop()!;
    list.push(f);
    depth.push(d);
    if (f.kids) for (const k of [...f.kids.values()].reverse()) stack.push([k, d + 1]);
  }
  const none = new Float64Array(0);
  return treeOf({
    strings,
    depth,
    name: Uint32Array.from(list, (f) => f.name),
    module: Uint32Array.from(list, (f) => f.module),
    type: Uint8Array.from(list, (f) => f.type),
    total: Float64Array.from(list, (f) => f.total),
    self: Float64Array.from(list, (f) => f.self),
    baseTotal: based ? Float64Array.from(list, (f) => f.baseTotal) : none,
    baseSelf: based ? Float64Array.from(list, (f) => f.baseSelf) : none,
    addr: BigUint64Array.from(list, (f) => f.addr),
    buildId: Uint32Array.from(list, (f) => f.buildId),
    ...(places && { places }),
  });
}
