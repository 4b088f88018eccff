import { afterEach, expect, test } from 'vitest';
import { amountText, amountUnit, counted, countedText } from './words';

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
  counted.value = 'bytes';
  expect(amountUnit(500_000, sum, false)).toBe('488 KiB');
});
