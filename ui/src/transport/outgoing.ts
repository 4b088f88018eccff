// What the page says to the agent, as bytes.
import { create, toBinary } from '@bufbuild/protobuf';
import { ClientMessageSchema } from '../gen/strobe_pb';

type Bytes = Uint8Array<ArrayBuffer>;
type Of = NonNullable<Parameters<typeof create<typeof ClientMessageSchema>>[1]>['of'];

const bytes = (of: Of & {}): Bytes =>
  toBinary(ClientMessageSchema, create(ClientMessageSchema, { of })) as Bytes;

export interface RangeAsk {
  req: number;
  series: { metric: string; instance: string }[];
  fromUs: number;
  toUs: number;
  points: number;
}

/** Where to go on after a disconnect. */
export interface Resume {
  readonly logId: Uint8Array;
  readonly seq: number;
}

/** The whole subscription, what is on screen first. */
export function subscribeBytes(
  groups: readonly { id: number; level: number }[],
  windowUs: number,
  resume: Resume | null,
): Bytes {
  return bytes({
    case: 'subscribe',
    value: {
      groups: groups.map((g) => ({ group: g.id, level: g.level })),
      windowUs: BigInt(Math.round(windowUs)),
      ...(resume ? { logId: resume.logId, seq: BigInt(resume.seq) } : {}),
    },
  });
}

export function rangeBytes(a: RangeAsk): Bytes {
  const { req, series, points } = a;
  return bytes({
    case: 'range',
    value: { req, series, fromUs: BigInt(a.fromUs), toUs: BigInt(a.toUs), points, raw: false },
  });
}

const us = (t: number) => BigInt(Math.round(t));

export interface Stretch {
  readonly from: number;
  readonly to: number;
}

export const heldBytes = (req: number): Bytes => bytes({ case: 'held', value: { req } });

/** base null: the agent's own choice, the stretch before. */
export const rankBytes = (req: number, over: Stretch, base: Stretch | null, limit: number): Bytes =>
  bytes({
    case: 'rank',
    value: {
      req,
      fromUs: us(over.from),
      toUs: us(over.to),
      baseFromUs: us(base?.from ?? 0),
      baseToUs: us(base?.to ?? 0),
      limit,
    },
  });

export interface TotalsAsk {
  readonly group: string;
  readonly metrics: readonly string[];
  readonly over: Stretch;
  readonly base: Stretch | null;
  readonly limit: number;
}

export const totalsBytes = (req: number, a: TotalsAsk): Bytes =>
  bytes({
    case: 'totals',
    value: {
      req,
      group: a.group,
      metrics: [...a.metrics],
      fromUs: us(a.over.from),
      toUs: us(a.over.to),
      baseFromUs: us(a.base?.from ?? 0),
      baseToUs: us(a.base?.to ?? 0),
      limit: a.limit,
    },
  });

export const eventsBytes = (req: number, over: Stretch): Bytes =>
  bytes({ case: 'events', value: { req, fromUs: us(over.from), toUs: us(over.to) } });

export const pingBytes = (id: number): Bytes => bytes({ case: 'ping', value: { id: BigInt(id) } });

/** For what the metrics of the catalog mean. */
export const textsBytes = (): Bytes => bytes({ case: 'texts', value: {} });
