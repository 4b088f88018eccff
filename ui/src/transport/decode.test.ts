import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import {
  BatchSchema,
  GroupTickSchema,
  type GroupTick as PbGroupTick,
  ServerMessageSchema,
} from '../gen/strobe_pb';
import { type BatchVisitor, type ClockRecord, type GroupTick, readBatch } from './decode';

let seed = 12345;
const rnd = (n: number) => {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
  return Math.floor((seed / 4294967296) * n);
};
const sint = (): bigint => {
  const mag = [2, 200, 70_000, 2 ** 31, 2 ** 45, 2 ** 52][rnd(6)]!;
  return BigInt(rnd(2) ? rnd(mag) : -rnd(mag));
};
const list = <T>(n: number, f: () => T) => Array.from({ length: n }, f);

function randomGroup(): PbGroupTick {
  const n = rnd(40);
  const m = rnd(3) === 0 ? n : 0;
  return create(GroupTickSchema, {
    group: rnd(50),
    offUs: sint(),
    reset: rnd(4) === 0,
    change: rnd(3) === 0 ? { case: 'periodMs', value: rnd(5) * 100 } : { case: undefined },
    ends: list(rnd(3), () => rnd(600)),
    starts: list(rnd(3), () => ({
      $typeName: 'strobe.v1.Instance' as const,
      slot: rnd(600),
      gen: rnd(2 ** 31),
      name: ['cpu0', 'nvme0n1', 'é世'][rnd(3)]!,
      attrs: list(rnd(3), () => ({
        $typeName: 'strobe.v1.Attr' as const,
        key: rnd(8),
        value: `v${rnd(100)}`,
      })),
    })),
    absent: list(rnd(4), () => rnd(300)),
    gap: list(n, () => rnd(2 ** rnd(20))),
    delta: list(n, sint),
    lo: list(m, sint),
    hi: list(m, sint),
    sum: list(m, sint),
    n: rnd(11),
    spanUs: BigInt(rnd(2 ** 31)),
  });
}

interface Seen {
  ticks: { mono: number; tick: number; groups: unknown[] }[];
  clocks: ClockRecord[];
}

function collect(): BatchVisitor & { seen: Seen } {
  const seen: Seen = { ticks: [], clocks: [] };
  let groups: unknown[] = [];
  return {
    seen,
    clockRecord: (c) => void seen.clocks.push(c),
    groupTick: (_m, _t, g: GroupTick) =>
      void groups.push({
        group: g.group,
        offUs: g.offUs,
        reset: g.reset,
        periodMs: g.periodMs,
        ends: [...g.ends],
        starts: [...g.starts],
        absent: [...g.absent.subarray(0, g.nAbsent)],
        gap: [...g.gap.subarray(0, g.nGap)],
        delta: [...g.delta.subarray(0, g.nDelta)],
        lo: [...g.lo.subarray(0, g.nLo)],
        hi: [...g.hi.subarray(0, g.nHi)],
        sum: [...g.sum.subarray(0, g.nSum)],
        n: g.n,
        spanUs: g.spanUs,
      }),
    tickEnd: (mono, tick) => {
      seen.ticks.push({ mono, tick, groups });
      groups = [];
    },
  };
}

test('the hand reader says what the generated one says, on random batches', () => {
  for (let round = 0; round < 300; round++) {
    const bytes = toBinary(
      ServerMessageSchema,
      create(ServerMessageSchema, {
        of: {
          case: 'batch',
          value: create(BatchSchema, {
            seq: BigInt(rnd(2 ** 40)),
            clocks: list(rnd(2), () => ({
              $typeName: 'strobe.v1.Clock' as const,
              monoUs: sint(), // before this boot, too
              realOffUs: sint(),
              bootOffUs: sint(),
              reason: rnd(4),
            })),
            ticks: list(rnd(4), () => ({
              $typeName: 'strobe.v1.Tick' as const,
              monoUs: BigInt(1 + rnd(2 ** 50)),
              tick: BigInt(1 + rnd(2 ** 40)),
              groups: list(rnd(4), randomGroup),
            })),
          }),
        },
      }),
    );
    const v = collect();
    const seq = readBatch(bytes, v);
    const pb = fromBinary(ServerMessageSchema, bytes);
    if (pb.of.case !== 'batch') throw new Error('not a batch');
    const b = pb.of.value;
    expect(seq).toBe(Number(b.seq));
    expect(v.seen.clocks).toEqual(
      b.clocks.map((c) => ({
        monoUs: Number(c.monoUs),
        realOffUs: Number(c.realOffUs),
        bootOffUs: Number(c.bootOffUs),
        reason: c.reason,
      })),
    );
    const plain = (xs: readonly bigint[]) => xs.map(Number);
    expect(v.seen.ticks).toEqual(
      b.ticks.map((t) => ({
        mono: Number(t.monoUs),
        tick: Number(t.tick),
        groups: t.groups.map((g) => ({
          group: g.group,
          offUs: Number(g.offUs),
          reset: g.reset,
          periodMs: g.change.case === 'periodMs' ? g.change.value : -1,
          ends: [...g.ends],
          starts: g.starts.map((s) => ({
            slot: s.slot,
            gen: s.gen,
            name: s.name,
            attrs: s.attrs.map((a) => ({ key: a.key, value: a.value })),
          })),
          absent: g.absent,
          gap: g.gap,
          delta: plain(g.delta),
          lo: plain(g.lo),
          hi: plain(g.hi),
          sum: plain(g.sum),
          n: g.n || 1,
          spanUs: Number(g.spanUs),
        })),
      })),
    );
  }
});

test('other messages are left alone', () => {
  const bytes = toBinary(
    ServerMessageSchema,
    create(ServerMessageSchema, { of: { case: 'pong', value: { id: 3n } } }),
  );
  expect(readBatch(bytes, collect())).toBe(-1);
  expect(readBatch(new Uint8Array(0), collect())).toBe(-1);
});

test('truncated batches throw and never hang or read beyond the end', () => {
  const bytes = toBinary(
    ServerMessageSchema,
    create(ServerMessageSchema, {
      of: {
        case: 'batch',
        value: { seq: 9n, ticks: [{ monoUs: 5n, tick: 1n, groups: [randomGroup(), randomGroup()] }] },
      },
    }),
  );
  for (let cut = 1; cut < bytes.length; cut++)
    expect(() => readBatch(bytes.subarray(0, cut), collect())).toThrow(RangeError);
});

test('garbage never hangs', () => {
  for (let round = 0; round < 2000; round++) {
    const b = Uint8Array.from(list(rnd(200) + 2, () => rnd(256)));
    b[0] = 26;
    try {
      readBatch(b, collect());
    } catch (e) {
      expect(e).toBeInstanceOf(RangeError);
    }
  }
});

test('integers are exact to 2^53', () => {
  const big = 2n ** 53n - 1n;
  const bytes = toBinary(
    ServerMessageSchema,
    create(ServerMessageSchema, {
      of: {
        case: 'batch',
        value: { ticks: [{ monoUs: 1n, groups: [{ gap: [0, 0], delta: [big, -big] }] }] },
      },
    }),
  );
  let got: number[] = [];
  readBatch(bytes, {
    clockRecord() {},
    tickEnd() {},
    groupTick: (_m, _t, g) => {
      got = [...g.delta.subarray(0, g.nDelta)];
    },
  });
  expect(got).toEqual([Number(big), -Number(big)]);
});
