import { create, toBinary } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { ServerMessageSchema } from '../gen/strobe_pb';
import { columnsOf, placeOf, reordered, treeOf } from '../transform/flame/tree';
import { type FlamePart, readProfile } from './profile';

const bytes = (of: NonNullable<Parameters<typeof create<typeof ServerMessageSchema>>[1]>['of'] & {}) =>
  toBinary(ServerMessageSchema, create(ServerMessageSchema, { of }));

test('a flame graph reads as the generated code writes it', () => {
  const m = bytes({
    case: 'flame',
    value: {
      req: 7,
      strings: ['', 'mäin'],
      depth: [0, 1, 300],
      name: [1, 1, 0],
      module: [0, 0, 0],
      type: Uint8Array.of(0, 1, 3),
      totalUs: [5n, 2n ** 40n, 0n],
      selfUs: [0n, 1n, 2n],
      addr: [0n, 0xffffffff81000123n, 0x401000n],
      buildId: [0, 1, 0],
      sum: { n: 12n, weightUs: 99n, hzMin: 99, nCpus: 32 },
      leftOut: 3,
      last: true,
      tasks: [{ pid: 1, comm: 'init', weightUs: 5n }],
      missing: ['libfoo.so'],
      placeNode: [1, 1],
      placeSelf: [18, 0],
      placeCall: [0, 400],
    },
  });
  const p = readProfile(m)!;
  expect(p.of).toBe('flame');
  const f = p.part as FlamePart;
  expect([f.req, f.last, f.leftOut]).toEqual([7, true, 3]);
  expect(f.strings).toEqual(['', 'mäin']);
  expect([...f.depth]).toEqual([0, 1, 300]);
  expect([...f.totalUs]).toEqual([5, 2 ** 40, 0]);
  expect([...f.addr]).toEqual([0n, 0xffffffff81000123n, 0x401000n]);
  expect([...f.type]).toEqual([0, 1, 3]);
  expect([f.sum?.n, f.sum?.hzMin, f.sum?.nCpus, f.sum?.lost]).toEqual([12, 99, 32, 0]);
  expect(f.tasks[0]).toMatchObject({ pid: 1, comm: 'init', weightUs: 5 });
  expect(f.missing).toEqual(['libfoo.so']);
  expect(f.baseline).toBeNull();
  const tree = treeOf(columnsOf([f]));
  expect([0, 1, 2].map((i) => placeOf(tree, i))).toEqual([
    { self: 0, call: 0 },
    { self: 18, call: 0 },
    { self: 0, call: 400 },
  ]);
  expect(placeOf(reordered(tree, [0, 2, 1]), 1)).toEqual({ self: 0, call: 400 });
});

test('heat maps and charts read as well, negative times and CPUs included', () => {
  const h = readProfile(
    bytes({
      case: 'heat',
      value: {
        req: 1,
        fromUs: -5_000_000n,
        columnUs: 1_000_000n,
        nColumns: 2,
        nRows: 50,
        gap: [3, 70],
        weightUs: [10101, 20202],
        lost: [0, 4],
        covered: Uint8Array.of(255, 128),
        labels: [{ label: 'x', cpu: -1, totalUs: 4n }],
        last: true,
      },
    }),
  )!;
  expect(h.part).toMatchObject({ fromUs: -5_000_000, nColumns: 2, nRows: 50, last: true });
  const part = h.part as { gap: Uint32Array; labels: unknown[]; covered: Uint8Array };
  expect([...part.gap]).toEqual([3, 70]);
  expect([...part.covered]).toEqual([255, 128]);
  expect(part.labels).toEqual([{ label: 'x', pid: 0, tid: 0, cpu: -1, totalUs: 4 }]);
  const c = readProfile(
    bytes({
      case: 'chart',
      value: { req: 2, parent: [0, 0], threads: [{ pid: 9, atUs: [-4n, 10n, 10n], node: [1, 1, 0] }] },
    }),
  )!;
  const row = (c.part as { threads: { atUs: Float64Array }[] }).threads[0]!;
  expect([...row.atUs]).toEqual([-4, 6, 16]);
});

test('what is another message, or cut off, is told', () => {
  expect(readProfile(bytes({ case: 'pong', value: { id: 1n } }))).toBeNull();
  const m = bytes({ case: 'flame', value: { req: 1, depth: [0, 1, 2, 3] } });
  expect(() => readProfile(m.subarray(0, m.length - 2))).toThrow(RangeError);
});
