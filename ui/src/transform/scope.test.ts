import { expect, test } from 'vitest';
import type { HeatPart } from '../transport/profile';
import { Cells, roundEnd } from './cells';
import { cellAt, cellNear, columnWidth, type Geometry, mergedRanges, outline, spanOf } from './scope';

const S = 1_000_000;
const g: Geometry = {
  x: 100,
  y: 10,
  height: 200,
  columnWidth: 4,
  first: 20,
  n: 30,
  columnUs: S,
  anchorUs: 5 * S,
  rows: 50,
  rowHeight: 4,
  offset: true,
};

test('a point is a cell: time runs up a column', () => {
  expect(cellAt(g, 100, 209.5)).toEqual({ column: 20, row: 0, from: 25 * S, to: 25 * S + 20_000 });
  expect(cellAt(g, 104, 10)).toEqual({ column: 21, row: 49, from: 26 * S + 980_000, to: 27 * S });
  expect(cellAt(g, 99, 100)).toBeNull();
  expect(cellAt(g, 0, 999, true)).toMatchObject({ column: 20, row: 0 });
  expect(cellAt({ ...g, offset: false }, 100, 12)).toEqual({ column: 20, row: 0, from: 25 * S, to: 26 * S });
});

test('a range may begin on the axis or just beside the map', () => {
  expect(cellNear(g, 104, 222)).toMatchObject({ column: 21, row: 0 });
  expect(cellNear(g, 95, 12)).toMatchObject({ column: 20, row: 49 });
  expect(cellNear(g, 70, 12)).toBeNull();
  expect(cellNear(g, 104, 240)).toBeNull();
});

test('a range wraps over columns and keeps to whole pixels', () => {
  const a = cellAt(g, 101, 109)!; // half way up
  const b = cellAt(g, 111, 159)!;
  const o = outline(g, spanOf(b, a));
  expect(o[0]).toEqual([100, 110]);
  expect(o).toContainEqual([112, 210]);
  expect(o.flat().every(Number.isInteger)).toBe(true);
  expect(outline(g, { from: 0, to: S })).toEqual([]);
  // Up to the end of a column: not a sliver of the next one.
  expect(outline(g, { from: 25 * S, to: 26 * S })).toEqual([
    [100, 10],
    [104, 10],
    [104, 210],
    [100, 210],
  ]);
});

test('columns are whole pixels, or several on one', () => {
  expect(columnWidth(1200, 300)).toBe(4);
  expect(columnWidth(1040, 300)).toBe(3);
  expect(columnWidth(1200, 1800)).toBe(0.5);
  expect(columnWidth(1200, 30)).toBe(40);
  expect(columnWidth(1200, 6)).toBe(48);
});

const part = (over: Partial<HeatPart>): HeatPart => ({
  req: 1,
  last: true,
  fromUs: 0,
  columnUs: S,
  nColumns: 1,
  nRows: 50,
  gap: new Uint32Array(0),
  weightUs: new Uint32Array(0),
  matchedUs: new Uint32Array(0),
  lost: new Uint32Array(0),
  covered: new Uint8Array(0),
  labels: [],
  nSamples: 0,
  nMatched: 0,
  ...over,
});

test('what came is kept; columns that had not ended are asked for again', () => {
  const c = new Cells(S, 0, 50);
  expect(c.missing(0, 9)).toEqual([[0, 10]]);
  c.add([part({ nColumns: 10, gap: Uint32Array.of(3, 49), weightUs: Uint32Array.of(7, 9) })], 10 * S, false);
  expect(c.get(0)!.w[3]).toBe(7);
  expect(c.get(1)!.w[3]).toBe(9);
  expect(c.missing(0, 9)).toEqual([[8, 2]]);
  expect(c.missing(0, 9, false)).toEqual([]);
  expect(c.missing(-2, 10)).toEqual([
    [8, 3],
    [-2, 2],
  ]);
});

test('labelled rows of several answers are the same rows', () => {
  const c = new Cells(S, 0, 0);
  const a = { label: 'a 1', pid: 1, tid: 0, cpu: -1, totalUs: 5 };
  const b = { label: 'b 2', pid: 2, tid: 0, cpu: -1, totalUs: 5 };
  const w = (...v: number[]) => Uint32Array.from(v);
  c.add([part({ nRows: 2, labels: [a, b], gap: w(0, 0), weightUs: w(5, 6) })], 9 * S, false);
  c.add([part({ fromUs: S, nRows: 1, labels: [b], gap: w(0), weightUs: w(50) })], 9 * S, false);
  const ids = c.ranked(0, 1);
  expect(ids.map((i) => c.labels[i]!.label)).toEqual(['b 2', 'a 1']);
  expect(c.get(1)!.w[ids[0]!]).toBe(50);
});

test('ranges that touch are one; the scale ends at a round share', () => {
  expect(
    mergedRanges([
      { from: 5, to: 9 },
      { from: 0, to: 2 },
      { from: 8, to: 12 },
    ]),
  ).toEqual([
    { from: 0, to: 2 },
    { from: 5, to: 12 },
  ]);
  expect([roundEnd(0), roundEnd(0.5), roundEnd(0.51), roundEnd(3)]).toEqual([0.02, 0.5, 0.75, 1]);
});
