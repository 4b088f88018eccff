import { expect, test } from 'vitest';
import { children, nameOf } from '../transform/flame/tree';
import { readFile } from './read';

const file = {
  title: 'x',
  host: 'web-07',
  from: 1795198936060000,
  to: 1795198944460000,
  sum: { n: 12, weight_us: 120, span_us: 100, hz_max: 99, n_cpus: 2 },
  strings: ['', 'all', 'a', 'b'],
  depth: [0, 1, 1],
  name: [1, 2, 3],
  module: [0, 0, 0],
  type: [0, 1, 3],
  total_us: [120, 20, 100],
  self_us: [0, 20, 100],
};

test('a file as the contract has it', () => {
  const f = readFile(JSON.stringify(file));
  expect([f.title, f.host, f.fromMs, f.off]).toEqual(['x', 'web-07', 1795198936060, false]);
  expect(f.profile.sum).toMatchObject({ n: 12, weightUs: 120, hzMax: 99, lost: 0 });
  expect(f.profile.baseline).toBeNull();
  const t = f.profile.tree;
  expect(children(t, 0).map((i) => nameOf(t, i))).toEqual(['b', 'a']);
});

test('with a baseline, and without the columns that may be left out', () => {
  const f = readFile(
    JSON.stringify({
      ...file,
      module: undefined,
      type: undefined,
      base: { n: 1 },
      base_total_us: [9, 9, 0],
      base_self_us: [0, 9, 0],
    }),
  );
  expect(f.profile.baseline?.n).toBe(1);
  expect([...f.profile.tree.baseTotal]).toEqual([9, 0, 9]);
  expect([...f.profile.tree.type]).toEqual([0, 1, 1]);
});

test('what is no profile is told in words', () => {
  expect(() => readFile('')).toThrow(/no profile/);
  expect(() => readFile('{')).toThrow(/damaged/);
  expect(() => readFile('{"depth":[0],"name":[]}')).toThrow(/one length/);
});
