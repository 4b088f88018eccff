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
}

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

/** A sample stands for its weight, ending when it was taken; a longer silence than `gapUs` is a gap. */
export function threadOf(nodes: ChartNodes, rows: readonly ChartRow[], gapUs: number): ChartThread {
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
      const own = row.weightUs[i] ?? gapUs / 2;
      const stack = stackOf(nodes, row.node[i] ?? 0);
      const last = open[0]?.to ?? Number.NEGATIVE_INFINITY;
      const from = Math.max(to - own, last);
      samples++;
      let same = 0;
      if (from - last <= gapUs - own)
        while (same < stack.length && same < open.length && open[same]!.node === stack[same]) same++;
      close(same);
      for (let d = 0; d < same; d++) {
        open[d]!.to = to;
        open[d]!.samples++;
      }
      // What goes on touches what was before, so that no seams show.
      for (let d = same; d < stack.length; d++) open.push({ node: stack[d]!, from, to, samples: 1 });
      depth = Math.max(depth, stack.length);
    }
  }
  close(0);
  open = [];
  const first = rows[0];
  return { pid: first?.pid ?? 0, tid: first?.tid ?? 0, comm: first?.comm ?? '', boxes, depth, samples };
}

/** Threads by samples, the busiest first; a thread may be split over messages. */
export function chartOf(parts: readonly ChartPart[], gapUs: number): TimeChartData {
  const nodes = nodesOf(parts);
  const byTid = new Map<number, ChartRow[]>();
  for (const r of parts.flatMap((p) => p.threads)) byTid.set(r.tid, [...(byTid.get(r.tid) ?? []), r]);
  const threads = [...byTid.values()].map((rows) => threadOf(nodes, rows, gapUs));
  threads.sort((a, b) => b.samples - a.samples);
  return { nodes, threads, leftOut: Math.max(0, ...parts.map((p) => p.leftOut)) };
}
