import { expect, test } from 'vitest';
import { streamUrl } from './early';
import { backoffMs } from './socket';

test('back-off doubles from 0.25 s to 5 s with jitter', () => {
  expect([1, 2, 3, 4, 5, 6, 20].map((n) => backoffMs(n, 1))).toEqual([
    250, 500, 1000, 2000, 4000, 5000, 5000,
  ]);
  expect(backoffMs(1, 0)).toBe(125);
});

test('the stream lies beside the page, under any path', () => {
  expect(streamUrl('http://localhost:9820/')).toBe('ws://localhost:9820/stream');
  expect(streamUrl('https://x/y/z/#w=5')).toBe('wss://x/y/z/stream');
});
