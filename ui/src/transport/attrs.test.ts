import { create, toBinary } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { ServerMessageSchema } from '../gen/strobe_pb';
import { type AttrChange, readAttrs } from './attrs';

const attrs: AttrChange[] = [
  { group: 0, slot: 0, gen: 0, key: 0, value: '' },
  { group: 41, slot: 511, gen: 4_000_000_000, key: 3, value: '/usr/bin/né世 --flag' },
  { group: 41, slot: 7, gen: 1, key: 0, value: 'sh' },
];
const bytes = toBinary(
  ServerMessageSchema,
  create(ServerMessageSchema, { of: { case: 'attrs', value: { attrs } } }),
);

function read(b: Uint8Array): AttrChange[] | null {
  const seen: AttrChange[] = [];
  return readAttrs(b, (a) => void seen.push({ ...a })) ? seen : null;
}

test('hands out what the generated code wrote, in its order', () => {
  expect(read(bytes)).toEqual(attrs);
});

test('leaves other messages alone, throws for one cut short, skips what it does not know', () => {
  expect(read(new Uint8Array(0))).toBeNull();
  expect(read(Uint8Array.of(26, 0))).toBeNull();
  for (let n = 1; n < bytes.length; n++) expect(() => read(bytes.subarray(0, n))).toThrow(RangeError);
  expect(read(Uint8Array.of(34, 10, 10, 5, 8, 2, 162, 6, 0, 170, 6, 0))).toEqual([
    { group: 2, slot: 0, gen: 0, key: 0, value: '' },
  ]);
});
