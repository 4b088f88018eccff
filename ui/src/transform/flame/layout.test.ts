import { expect, test } from 'vitest';
import { folded, large } from '../../../test/trees';
import { foldedRows, plainRows, visible } from './layout';
import { find, MATCH, matcher, searched } from './search';
import { functions, sorted } from './table';
import { heaviestFirst, nameOf } from './tree';

const boxes = (t: ReturnType<typeof folded>, zoom: number, width: number, fold = false) => {
  const out: string[] = [];
  const rows = fold ? foldedRows(t, () => false) : plainRows(t);
  visible(t, rows, zoom, width, (i, x, w, row, above) =>
    out.push(`${nameOf(t, i)} ${x}+${w} @${row}${above ? ' above' : ''}`),
  );
  return out;
};

test('frames lie in proportion; a zoomed one fills the width, its callers above it', () => {
  const t = folded('a;b 6\nc 4');
  expect(boxes(t, 0, 100)).toEqual(['all 0+100 @0', 'a 0+60 @1', 'b 0+60 @2', 'c 60+40 @1']);
  expect(boxes(t, 3, 100)).toEqual(['all 0+100 @0 above', 'c 0+100 @1']);
});

test('of what is narrower than half a pixel one a pixel is drawn, and nothing above it', () => {
  const many = Array.from({ length: 400 }, (_, i) => `small${i};above 1`).join('\n');
  const t = folded(`a 400\n${many}`);
  const drawn = boxes(t, 0, 100);
  expect(drawn.filter((b) => b.startsWith('small')).length).toBe(50);
  expect(drawn.some((b) => b.startsWith('above'))).toBe(false);
});

test('a chain of single callees folds to its ends and a count', () => {
  const t = folded('a;b;c;d;e;f;g 10\na;b;c;d;e;f;h 5');
  expect(boxes(t, 0, 150, true)).toEqual([
    'all 0+150 @0',
    'a 0+150 @1',
    'b 0+150 @2', // stands for b to e
    'f 0+150 @3',
    'g 0+100 @4',
    'h 100+50 @4',
  ]);
  const rows = foldedRows(t, () => false);
  expect([...rows.fold]).toEqual([0, 0, 4, 0, 0, 0, 0, 0, 0]);
  expect(rows.rows).toBe(5);
  // A frame that is to be kept ends the chain.
  const kept = foldedRows(t, (i) => nameOf(t, i) === 'd');
  expect(kept.row[4]).toBeGreaterThan(0);
});

test('search marks frames and the way to them; a match within a match counts once', () => {
  const t = folded('a;zip;zip 3\na;b 2\nzip 1');
  const f = find(t, matcher('^zip$')!);
  expect(f.weight).toBe(4);
  expect(f.frames).toBe(3);
  expect([...f.marks].map((m, i) => (m === MATCH ? nameOf(t, i) : m))).toEqual([
    2,
    2,
    'zip',
    'zip',
    0,
    'zip',
  ]);
  expect(matcher('ZIP')!.test('zip')).toBe(false);
  expect(matcher('zip')!.test('ZIP')).toBe(true);
  expect(matcher('f(')!.test('x f( y')).toBe(true);
  expect(matcher('')).toBeNull();
  expect(['zz[', 'a.*b', 'f('].map(searched)).toEqual(['zz\\[', 'a.*b', 'f\\(']);
});

test('the table counts recursion once', () => {
  const t = folded('a;b;a 3\na 1\nc;b 2');
  const rows = sorted(functions(t), 'total', 1, 1);
  const of = (n: string) => rows.find((r) => r.name === n)!;
  expect([of('a').total, of('a').self]).toEqual([4, 4]);
  expect([of('b').total, of('b').self]).toEqual([5, 2]);
  expect(rows[0]!.name).toBe('b');
});

test('a hundred thousand frames: model within 150 ms, zoom and rows within 20 ms', () => {
  const t = large(100_000);
  const time = (fn: () => void) => {
    const runs = [0, 1, 2].map(() => {
      const t0 = performance.now();
      fn();
      return performance.now() - t0;
    });
    return Math.min(...runs);
  };
  const model = time(() => heaviestFirst(t));
  const rows = foldedRows(t, () => false);
  const zoom = time(() => visible(t, rows, 10, 1416, () => undefined));
  const layout = time(() => foldedRows(t, () => false));
  console.log(
    `flame_model_ms ${model.toFixed(1)} flame_zoom_ms ${zoom.toFixed(2)} flame_rows_ms ${layout.toFixed(1)}`,
  );
  expect(model).toBeLessThan(150);
  expect(zoom).toBeLessThan(20);
  expect(layout).toBeLessThan(50);
});
