// A flame chart: the stacks of one thread in order of time, neighbouring samples with the same frame joined.
import type { ChartPart, ChartRow } from '../../transport/profile';

export interface ChartNodes {
  readonly strings: readonly string[];
  readonly parent: Uint32Array;
  readonly name: Uint32Array;
  readonly module: Uint32Array;
  readonly type: Uint8Array;
  readonly depth: Uint16Array;
}

export interface ChartBox {
  readonly node: number;
  readonly depth: number;
  readonly from: number;
  readonly to: number;
  readonly samples: number;
}

export interface ChartThread {
  readonly pid: number;
  readonly tid: number;
  readonly comm: string;
  readonly boxes: readonly ChartBox[];
  readonly depth: number;
  readonly samples: number;
  /** Frames below the first that all its stacks share, drawn as one row: 0, or how many. */
  readonly folded: number;
}

/** Chains that all stacks begin with are folded from so many frames on. */
const CHAIN = 3;

/** Row of a depth, 0 on top; -1: it lies in the fold. */
export function rowOf(t: ChartThread, depth: number): number {
  if (!t.folded || depth <= 1) return depth;
  return depth <= t.folded ? -1 : depth - t.folded + 1;
}

export const threadRows = (t: ChartThread): number => (t.depth ? rowOf(t, t.depth - 1) + 1 : 0);

export interface TimeChartData {
  readonly nodes: ChartNodes;
  readonly threads: readonly ChartThread[];
  readonly leftOut: number;
}

export function nodesOf(parts: readonly ChartPart[]): ChartNodes {
  const n = parts.reduce((s, p) => s + p.parent.length, 0);
  const o = {
    strings: parts.flatMap((p) => p.strings),
    parent: new Uint32Array(n),
    name: new Uint32Array(n),
    module: new Uint32Array(n),
    type: new Uint8Array(n),
    depth: new Uint16Array(n),
  };
  let at = 0;
  for (const p of parts) {
    o.parent.set(p.parent, at);
    o.name.set(p.name, at);
    o.module.set(p.module.subarray(0, n - at), at);
    o.type.set(p.type.subarray(0, n - at), at);
    at += p.parent.length;
  }
  for (let i = 1; i < n; i++) o.depth[i] = o.parent[i]! < i ? o.depth[o.parent[i]!]! + 1 : 1;
  return o;
}

/** Node ids from the outermost frame in; the root is left out. */
function stackOf(nodes: ChartNodes, node: number): number[] {
  const out: number[] = [];
  for (let i = node; i > 0; i = nodes.parent[i]!) {
    out.unshift(i);
    if (nodes.parent[i]! >= i) break;
  }
  return out;
}

/** Depths at which all stacks have the same frame, from the outermost on. */
function sharedDepth(boxes: readonly ChartBox[], depth: number): number {
  const only = new Int32Array(depth).fill(-1);
  let shared = depth;
  for (const b of boxes) {
    if (b.depth >= shared) continue;
    const seen = only[b.depth]!;
    if (seen < 0) only[b.depth] = b.node;
    else if (seen !== b.node) shared = b.depth;
  }
  return shared;
}

/** A sample stands for its weight, ending when it was taken. Samples that share their outer frames are one box in
 *  them, unless there is a longer silence between them than half of a sample's weight, of waits than `restUs`: whoever
 *  ran for so short a time is seen to go on waiting. */
export function threadOf(
  nodes: ChartNodes,
  rows: readonly ChartRow[],
  restUs: number,
  off = false,
): ChartThread {
  const boxes: ChartBox[] = [];
  let open: { node: number; from: number; to: number; samples: number }[] = [];
  let depth = 0;
  let samples = 0;
  const close = (to: number) => {
    for (let d = open.length - 1; d >= to; d--) boxes.push({ ...open[d]!, depth: d });
    open.length = Math.min(open.length, to);
  };
  for (const row of rows) {
    for (let i = 0; i < row.atUs.length; i++) {
      const to = row.atUs[i]!;
      const own = row.weightUs[i] || restUs;
      const stack = stackOf(nodes, row.node[i] ?? 0);
      const last = open[0]?.to ?? Number.NEGATIVE_INFINITY;
      const from = Math.max(to - own, last);
      samples++;
      let same = 0;
      if (from - last <= (off ? restUs : own / 2))
        while (same < stack.length && same < open.length && open[same]!.node === stack[same]) same++;
      close(same);
      for (let d = 0; d < same; d++) {
        open[d]!.to = to;
        open[d]!.samples++;
      }
      // What goes on touches what was before, so that no seams show.
      for (let d = same; d < stack.length; d++)
        open.push({ node: stack[d]!, from: same && !off ? Math.min(from, last) : from, to, samples: 1 });
      depth = Math.max(depth, stack.length);
    }
  }
  close(0);
  open = [];
  const first = rows[0];
  const shared = samples > 1 ? sharedDepth(boxes, depth) : 0;
  const folded = shared - 2 >= CHAIN ? shared - 2 : 0;
  return {
    pid: first?.pid ?? 0,
    tid: first?.tid ?? 0,
    comm: first?.comm ?? '',
    boxes,
    depth,
    samples,
    folded,
  };
}

/** Threads by samples, the busiest first; a thread may be split over messages. */
export function chartOf(parts: readonly ChartPart[], restUs: number, off = false): TimeChartData {
  const nodes = nodesOf(parts);
  const byTid = new Map<number, ChartRow[]>();
  for (const r of parts.flatMap((p) => p.threads)) byTid.set(r.tid, [...(byTid.get(r.tid) ?? []), r]);
  const threads = [...byTid.values()].map((rows) => threadOf(nodes, rows, restUs, off));
  threads.sort((a, b) => b.samples - a.samples);
  return { nodes, threads, leftOut: Math.max(0, ...parts.map((p) => p.leftOut)) };
}
