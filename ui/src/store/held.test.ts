import { create } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { HeldSchema } from '../gen/strobe_pb';
import { Held, seamReason } from './held';

const id = (n: number) => new Uint8Array(16).fill(n);
const held = (spans: [number, number, string, number, boolean?][]) =>
  new Held(
    create(HeldSchema, {
      oldestUs: BigInt(spans[0]![0]),
      fullUs: BigInt(spans.find((s) => !s[4])![0]),
      spans: spans.map(([from, to, bootId, log, rollup]) => ({
        fromUs: BigInt(from),
        toUs: BigInt(to),
        bootId,
        logId: id(log),
        rollup: rollup ?? false,
      })),
    }),
  );

test('between two boots the host was down, between two logs of one boot the agent was not running', () => {
  const h = held([
    [-9e9, -8e9, 'a', 1],
    [-5e9, 1e9, 'b', 2],
    [3e9, 4e9, 'b', 3],
  ]);
  expect(h.seams).toEqual([
    { from: -8e9, to: -5e9, what: 'reboot' },
    { from: 1e9, to: 3e9, what: 'restart' },
  ]);
  expect(h.lengthUs).toBe(1e9 + 6e9 + 1e9);
  expect(h.seamIn(-7e9, -6e9)).toMatchObject({ what: 'reboot' });
  expect(h.seamIn(-2e9, 0)).toBeNull();
  expect(seamReason(h.seams[1]!)).toEqual({ reason: 'missed', text: 'agent was not running' });
});

test('where only the resolution changes there is no seam', () => {
  const h = held([
    [0, 5e9, 'a', 1, true],
    [5e9, 9e9, 'a', 1],
  ]);
  expect(h.seams).toEqual([]);
  expect(h.fullUs).toBe(5e9);
});

test('without an answer nothing is known, and nothing counts as rollup', () => {
  const h = new Held();
  expect(h.known).toBe(false);
  expect(h.to).toBeNaN();
  expect(-1e18 < h.fullUs).toBe(false);
});
