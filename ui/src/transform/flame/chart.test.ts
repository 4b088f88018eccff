import { expect, test } from 'vitest';
import type { ChartPart } from '../../transport/profile';
import { chartOf, rowOf, threadRows } from './chart';

const u = (...v: number[]) => Uint32Array.from(v);
const part = (at: number[], node: number[]): ChartPart => ({
  req: 1,
  last: true,
  strings: ['', 'all', 'main', 'a', 'b'],
  parent: u(0, 0, 1, 1),
  name: u(1, 2, 3, 4),
  module: u(0, 0, 0, 0),
  type: Uint8Array.of(0, 1, 1, 1),
  threads: [
    {
      pid: 5,
      tid: 6,
      comm: 'x',
      atUs: Float64Array.from(at),
      weightUs: Uint32Array.from(at, () => 10),
      node: Uint32Array.from(node),
      cpu: u(),
    },
  ],
  leftOut: 0,
});

test('neighbouring samples with the same frame are one box, a silence parts them', () => {
  const c = chartOf([part([10, 20, 30, 100], [2, 2, 3, 3])], 15);
  const t = c.threads[0]!;
  const name = (n: number) => c.nodes.strings[c.nodes.name[n]!];
  const boxes = t.boxes.map((b) => `${name(b.node)}@${b.depth} ${b.from}-${b.to} n${b.samples}`).sort();
  expect(boxes).toEqual([
    'a@1 0-20 n2',
    'b@1 20-30 n1',
    'b@1 90-100 n1',
    'main@0 0-30 n3',
    'main@0 90-100 n1',
  ]);
  expect([t.depth, t.samples]).toEqual([2, 4]);
});

test('a thread that comes in two messages is one', () => {
  const more = {
    ...part([20], [2]),
    strings: [],
    parent: u(),
    name: u(),
    module: u(),
    type: new Uint8Array(0),
  };
  const c = chartOf([part([10], [2]), more], 15);
  expect(c.threads.length).toBe(1);
  expect(c.threads[0]!.boxes.map((b) => b.samples)).toEqual([2, 2]);
});

/** One thread whose stacks are paths of a chain 1, 2, 3, ... with leaves on its last frame. */
function chain(deep: number, leaves: number, at: number[], node: number[], weight: number[]): ChartPart {
  const parent = [
    0,
    ...Array.from({ length: deep }, (_, i) => i),
    ...Array.from({ length: leaves }, () => deep),
  ];
  const one = part(at, node);
  return {
    ...one,
    strings: ['', ...parent.map((_, i) => `f${i}`)],
    parent: Uint32Array.from(parent),
    name: Uint32Array.from(parent, (_, i) => i + 1),
    module: new Uint32Array(parent.length),
    type: new Uint8Array(parent.length).fill(1),
    threads: [{ ...one.threads[0]!, weightUs: Uint32Array.from(weight) }],
  };
}

test('what all stacks of a thread begin with is one row below the first frame', () => {
  const t = chartOf([chain(6, 2, [10, 20, 30], [7, 8, 7], [10, 10, 10])], 10).threads[0]!;
  expect([t.folded, t.depth, threadRows(t)]).toEqual([4, 7, 4]);
  expect([0, 1, 2, 4, 5, 6].map((d) => rowOf(t, d))).toEqual([0, 1, -1, -1, 2, 3]);
  const short = chartOf([chain(3, 1, [10, 20], [4, 4], [10, 10])], 10).threads[0]!;
  expect([short.folded, threadRows(short)]).toEqual([0, 4]);
});

test('how long a silence parts samples goes by the weight of the sample: bursts and the usual rate in one range', () => {
  const t = chartOf([chain(1, 0, [10, 24, 25, 26, 40], [1, 1, 1, 1, 1], [10, 10, 1, 1, 10])], 1).threads[0]!;
  expect(t.boxes.map((b) => [b.from, b.to, b.samples])).toEqual([[0, 40, 5]]);
  const gap = chartOf([chain(1, 0, [10, 26], [1, 1], [10, 10])], 10).threads[0]!;
  expect(gap.boxes.length).toBe(2);
});

test('waits are one box while the thread ran only shortly between them', () => {
  const waits = chain(1, 0, [1000, 2010, 3100], [1, 1, 1], [900, 1000, 1000]);
  const t = chartOf([waits], 15, true).threads[0]!;
  expect(t.boxes.map((b) => [b.from, b.to, b.samples])).toEqual([
    [100, 2010, 2],
    [2100, 3100, 1],
  ]);
});
