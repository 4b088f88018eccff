import { afterEach, expect, test } from 'vitest';
import { rowText } from './scale';
import {
  amountText,
  amountUnit,
  counted,
  countedText,
  emptyText,
  offCpuTexts,
  sentence,
  shortText,
} from './words';

const sum = { n: 100, weightUs: 1_000_000 } as Parameters<typeof amountText>[1];

afterEach(() => {
  counted.value = '';
});

test('weights that are no times keep their unit, and grow into larger ones', () => {
  expect(countedText(512, 'bytes')).toBe('512 bytes');
  expect(countedText(1536, 'bytes')).toBe('1.5 KiB');
  expect(countedText(300 << 20, 'bytes')).toBe('300 MiB');
  expect(countedText(2048, 'KiB')).toBe('2.0 MiB');
  expect(countedText(5000, 'MiB')).toBe('4.9 GiB');
  expect(countedText(2 ** 60, 'GiB')).toMatch(/ TiB$/);
  expect(countedText(12345, 'alloc_objects')).toBe('12,345 alloc_objects');
});

test('a weight is samples, off the CPU a time, of a heap profile bytes', () => {
  expect(amountText(500_000, sum, false)).toBe('50');
  expect(amountUnit(500_000, sum, false)).toBe('50 samples');
  expect(amountUnit(500_000, sum, true)).toBe('500 ms');
  expect(amountUnit(44_310_000, sum, true)).toBe('44.3 s');
  counted.value = 'bytes';
  expect(amountUnit(500_000, sum, false)).toBe('488 KiB');
});

test('rows are called by what they are, and who is not known is not the root', () => {
  const row = { label: '', pid: 0, tid: 0, cpu: -1 };
  expect(rowText(row, 'cgroup')).toBe('unknown');
  expect(rowText({ ...row, label: '/' }, 'cgroup')).toBe('/');
  expect(rowText({ ...row, label: '/system.slice/nginx.service' }, 'cgroup')).toBe('nginx');
  expect(rowText({ ...row, label: 'nginx', pid: 7 }, 'process')).toBe('nginx 7');
});

test('what the agent says becomes a sentence', () => {
  expect(sentence('the profiler is off: --no-profile')).toBe('The profiler is off: --no-profile.');
  expect(sentence('It ended.')).toBe('It ended.');
});

test('how waits are seen, and what is only counted of them', () => {
  type P = NonNullable<Parameters<typeof offCpuTexts>[0]>;
  const p = {
    hasOffCpu: true,
    offTier: 'eBPF',
    offMinUs: 1000,
    offShort: 8_982_087,
    offShortUs: 42e6,
    offLost: 0,
  };
  expect(offCpuTexts(p as P)).toEqual({
    how: 'eBPF ≥ 1 ms',
    more: ', 9.0 M shorter',
    all: 'Seen by eBPF: waits from 1 ms on; 8,982,087 shorter ones so far are only counted, 42,000 ms together',
  });
  expect(offCpuTexts({ ...p, offMinUs: 0, offShort: 0, offLost: 3 } as P)?.all).toBe(
    'Seen by eBPF: every wait; 3 were lost',
  );
  expect(offCpuTexts({ ...p, offTier: '' } as P)).toBeNull();
  expect([9999, 10_000, 123_456, 999_499].map(shortText)).toEqual(['9,999', '10.0 k', '123 k', '999 k']);
});

test('an empty range says why', () => {
  const s = (n: number, weightUs: number, coveredUs: number) =>
    ({ n, weightUs, coveredUs }) as Parameters<typeof emptyText>[0];
  expect(emptyText(s(3, 30, 5), false, '', '')).toBe('');
  expect(emptyText(s(0, 0, 0), false, '', '14:02:10')).toMatch(/^No profiler ran .* 14:02:10/);
  expect(emptyText(s(0, 0, 5), false, 'java', '')).toMatch(/^No samples of java/);
  expect(emptyText(s(0, 0, 5), true, '', '')).toMatch(/^No wait ended/);
});
