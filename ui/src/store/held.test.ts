import { create } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { HeldSchema } from '../gen/strobe_pb';
import { Held, seamReason, seamsWith } from './held';

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

test('an agent that went on with its own log restarted all the same: its events say so', () => {
  const h = held([[0, 100e6, 'a', 1]]);
  const e = (t: number, kind: number, text = '') => ({
    seq: t,
    t,
    kind,
    severity: 0 as const,
    source: 's',
    text,
  });
  const start = [e(0, 1)];
  expect(seamsWith(h, start)).toEqual([]);
  expect(seamsWith(h, [...start, e(40e6, 2), e(43e6, 1)])).toEqual([
    { from: 40e6, to: 43e6, what: 'restart' },
  ]);
  const killed = [...start, e(43e6, 1), e(43e6, 3, 'nothing was recorded for 3.208 s')];
  expect(seamsWith(h, killed)).toEqual([{ from: 43e6 - 3_208_000, to: 43e6, what: 'restart' }]);
});

test('what the agent says of its stretches is not said twice', () => {
  const h = held([
    [0, 50e6, 'a', 1],
    [60e6, 100e6, 'a', 2],
  ]);
  const starts = [0, 60.2e6].map((t) => ({ seq: t, t, kind: 1, severity: 0 as const, source: '', text: '' }));
  expect(seamsWith(h, starts)).toEqual(h.seams);
});
