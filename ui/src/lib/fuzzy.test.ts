import { expect, test } from 'vitest';
import { fuzzy } from './fuzzy';

const names = [
  'network.tcp.retranssegs Segments sent again.',
  'network.interface.in.bytes Bytes received.',
  'network.interface.in.bytes_total Sum of it.',
  'disk.dev.read_bytes Bytes read.',
];
const find = (s: string) => fuzzy(names, s).map((i) => names[i]!.split(' ')[0]);

test('words in any order find a metric', () => {
  expect(find('retr tcp')).toEqual(['network.tcp.retranssegs']);
  expect(find('bytes disk')).toEqual(['disk.dev.read_bytes']);
});
test('an exact name is itself first', () => {
  expect(find('network.interface.in.bytes')[0]).toBe('network.interface.in.bytes');
});
test('nothing typed: everything; nonsense: nothing', () => {
  expect(find('')).toHaveLength(4);
  expect(find('qqqq')).toEqual([]);
});
