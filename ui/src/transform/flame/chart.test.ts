import { expect, test } from 'vitest';
import type { ChartPart } from '../../transport/profile';
import { chartOf } from './chart';

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
