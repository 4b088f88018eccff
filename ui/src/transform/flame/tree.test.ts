import { expect, test } from 'vitest';
import { folded, large, unfold } from '../../../test/trees';
import { children, heaviestFirst, lostTree, nameOf, pathTo } from './tree';

test('parents, ends and places follow from depths', () => {
  const t = folded('a;b;c 3\na;b 1\na;d 2\ne 4');
  expect([...t.depth]).toEqual([0, 1, 2, 3, 2, 1]);
  expect([...t.parent]).toEqual([-1, 0, 1, 2, 1, 0]);
  expect([...t.end]).toEqual([6, 5, 4, 4, 5, 6]);
  expect([...t.total]).toEqual([10, 6, 4, 3, 2, 4]);
  expect([...t.x]).toEqual([0, 0, 0, 0, 4, 6]);
  expect(children(t, 0).map((c) => nameOf(t, c))).toEqual(['a', 'e']);
  expect(pathTo(t, 3).map((c) => nameOf(t, c))).toEqual(['a', 'b', 'c']);
});

test('the heaviest sibling comes first, and every stack keeps its weight', () => {
  const t = folded('small 1\nlarge;x 1\nlarge;y 8\nmiddle 3');
  const h = heaviestFirst(t);
  expect(children(h, 0).map((c) => nameOf(h, c))).toEqual(['large', 'middle', 'small']);
  expect(unfold(h)).toEqual(unfold(t));
  const big = large(20_000);
  const order = heaviestFirst(big);
  expect(unfold(order)).toEqual(unfold(big));
  for (let i = 0; i < order.n; i++) {
    const kids = children(order, i).map((c) => order.total[c]!);
    expect(kids).toEqual(kids.slice().sort((a, b) => b - a));
  }
});

test('an elided tree is as wide as what its baseline lost', () => {
  const t = lostTree(folded('a 1', 'a;b 3\na;c;d 9'));
  expect(unfold(t)).toEqual(['a;b 3', 'a;c;d 9']);
  expect(nameOf(t, 2)).toBe('c');
  expect([t.total[0], t.baseTotal.length]).toEqual([12, 0]);
});
