// A small agent for unit tests: speaks the wire with the generated code, keeps what the client sent.
import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import {
  type ClientMessage,
  ClientMessageSchema,
  type RangeRequest,
  Semantics,
  ServerMessageSchema,
  type Subscribe,
} from '../src/gen/strobe_pb';
import { Feed } from '../src/store/feed';
import { StoreImpl } from '../src/store/store';

export const MS = 1000;
export const T0 = 10_000_000_000; // mono µs when the tests begin

type Of = NonNullable<MessageInitShape<typeof ServerMessageSchema>['of']>;

export class FakeAgent {
  /** Local ms; moves with the agent's clock. */
  nowMs = 0;
  sent: ClientMessage['of'][] = [];
  restarts = 0;
  seq = 0;
  readonly feed: Feed;
  readonly store: StoreImpl;
  private values = new Map<number, number[]>();

  constructor(live = true) {
    this.feed = new Feed({ windowUs: () => 30_000_000, nowMs: () => this.nowMs });
    this.store = new StoreImpl(this.feed, () => live);
    this.feed.wire = {
      send: (b) => {
        this.sent.push(fromBinary(ClientMessageSchema, b).of);
        return true;
      },
      restart: () => void this.restarts++,
    };
  }

  get nowUs(): number {
    return T0 + this.nowMs * MS;
  }

  say(of: Of): void {
    this.feed.message(toBinary(ServerMessageSchema, create(ServerMessageSchema, { of })));
  }

  hello(log = 1, over: { startedUs?: number; oldestUs?: number } = {}): void {
    this.feed.open();
    this.say({
      case: 'hello',
      value: {
        protocol: 1,
        logId: new Uint8Array(16).fill(log),
        host: 'web-07',
        machineId: 'm1',
        nowUs: BigInt(this.nowUs),
        oldestUs: BigInt(over.oldestUs ?? T0 - 3_600_000 * MS),
        startedUs: BigInt(over.startedUs ?? T0 - 3_600_000 * MS),
        rateHz: 10,
        nCpus: 2,
        clocks: [{ monoUs: BigInt(T0 - 3_600_000 * MS), realOffUs: 1_795_198_000_000_000n, bootOffUs: 0n }],
      },
    });
    this.say({
      case: 'catalog',
      value: {
        version: 1,
        groups: [
          {
            id: 0,
            name: 'cpu',
            indom: 'cpu',
            periodMs: 100,
            collector: 'cpu',
            metrics: [
              {
                name: 'c.time',
                unit: 'millisec',
                mul: 10,
                div: 1,
                semantics: Semantics.COUNTER,
                quantum: 1n,
              },
              { name: 'c.level', unit: 'Kbyte', mul: 1, div: 1, semantics: Semantics.INSTANT },
            ],
          },
          {
            id: 1,
            name: 'slow',
            indom: '',
            periodMs: 1000,
            collector: 'slow',
            metrics: [{ name: 's.n', unit: 'count', mul: 1, div: 1, semantics: Semantics.INSTANT }],
          },
        ],
      },
    });
  }

  /** What the metrics mean: "c.time: help" from "/proc/c.time". */
  texts(): void {
    const of = (name: string) => ({ source: `/proc/${name}`, help: `${name}: help` });
    this.say({
      case: 'texts',
      value: {
        version: 1,
        groups: [
          { group: 0, metrics: [of('c.time'), of('c.level')] },
          { group: 1, metrics: [of('s.n')] },
        ],
      },
    });
  }

  /** A tick now: new raw values per group; the first one of a group, or `reset`, is a reset row. */
  tick(groups: Record<number, number[]>, opts: { reset?: boolean; names?: string[] } = {}): void {
    const names = opts.names ?? ['cpu0'];
    this.say({
      case: 'batch',
      value: {
        seq: BigInt(++this.seq),
        ticks: [
          {
            monoUs: BigInt(this.nowUs),
            tick: BigInt(this.seq),
            groups: Object.entries(groups).map(([id, now]) => {
              const g = Number(id);
              const before = opts.reset ? undefined : this.values.get(g);
              this.values.set(g, now);
              const changed = now.map((v, i) => ({ i, d: v - (before?.[i] ?? 0) })).filter((x) => x.d !== 0);
              return {
                group: g,
                reset: !before,
                starts: before ? [] : (g === 0 ? names : ['']).map((name, slot) => ({ slot, gen: 1, name })),
                gap: changed.map((x, k) => x.i - (changed[k - 1]?.i ?? -1) - 1),
                delta: changed.map((x) => BigInt(x.d)),
              };
            }),
          },
        ],
      },
    });
  }

  subscribes(): Subscribe[] {
    return this.sent.flatMap((m) => (m.case === 'subscribe' ? [m.value] : []));
  }
  ranges(): RangeRequest[] {
    return this.sent.flatMap((m) => (m.case === 'range' ? [m.value] : []));
  }
}

/** Microtasks queued so far have run. */
export const settle = () => new Promise<void>((r) => setTimeout(r, 0));
