import { create, toBinary } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { type Catalog, ServerMessageSchema } from '../gen/strobe_pb';
import { readCatalog } from './catalog';

const message = create(ServerMessageSchema, {
  of: {
    case: 'catalog',
    value: {
      version: 300,
      groups: [
        {
          id: 0,
          name: 'load',
          periodMs: 100,
          collector: 'load',
          metrics: [
            { name: 'l.one', unit: '1', mul: 1, div: 100, semantics: 1, quantum: 10n },
            {
              name: 'l.state',
              unit: '',
              mul: 1,
              div: 1,
              semantics: 2,
              quantum: -5n,
              names: ['', 'up', 'né世'],
            },
          ],
        },
        {
          id: 41,
          name: 'process.all',
          indom: 'process',
          collector: 'process',
          metrics: [{ name: 'p', unit: 'By', mul: 4096, div: 1, quantum: 2n ** 40n }],
          attrKeys: ['comm', 'cmdline'],
          instances: [
            { slot: 0, gen: 1, name: '1', attrs: [{ key: 0, value: 'init' }] },
            { slot: 511, gen: 70000, name: '4711', attrs: [] },
          ],
        },
      ],
    },
  },
});
const bytes = toBinary(ServerMessageSchema, message);

/** Without what the generated code adds, and bigints as numbers. */
const plain = (x: unknown): unknown =>
  JSON.parse(
    JSON.stringify(x, (k, v) => (k === '$typeName' ? undefined : typeof v === 'bigint' ? Number(v) : v)),
  );

test('says what the generated code says', () => {
  expect(readCatalog(bytes)).toEqual(plain(message.of.value as Catalog));
});

test('is null for another message and throws for one that ends early or lies about a length', () => {
  expect(readCatalog(new Uint8Array(0))).toBeNull();
  expect(readCatalog(Uint8Array.of(10, 2, 8, 1))).toBeNull();
  for (let n = 1; n < bytes.length; n++) expect(() => readCatalog(bytes.subarray(0, n))).toThrow(RangeError);
  expect(() => readCatalog(Uint8Array.of(18, 4, 18, 9, 8, 1, 8, 1))).toThrow(RangeError);
});

test('skips what a later version adds', () => {
  const more = Uint8Array.of(18, 13, 8, 7, 18, 6, 8, 3, 162, 6, 1, 65, 170, 6, 0);
  expect(readCatalog(more)).toMatchObject({ version: 7, groups: [{ id: 3 }] });
});
