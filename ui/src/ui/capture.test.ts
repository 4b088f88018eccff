import { expect, test } from 'vitest';
import { captureName, captureUrl, nameOf, whyNot } from './capture';

test('a stretch is asked for in seconds of wall time, to the microsecond', () => {
  expect(captureUrl(1795198936060.125, 1795198936380.5)).toBe(
    'api/v1/capture?from=1795198936.060125&to=1795198936.380500',
  );
});

test('the agent’s name of the file is taken, but never a folder; else the host and the time', () => {
  expect(nameOf('attachment; filename="web-07-1302.strobe"')).toBe('web-07-1302.strobe');
  expect(nameOf('attachment; filename=../../etc/x')).toBe('.._.._etc_x');
  expect(nameOf(null)).toBe('');
  expect(captureName('web/07', Date.UTC(2026, 10, 26, 13, 2))).toBe('web-07-20261126T130200Z.strobe');
});

test('a failure is said in words', () => {
  expect(whyNot(404, '')).toContain('saves no captures');
  expect(whyNot(401, '')).toContain('token');
  expect(whyNot(429, '')).toContain('busy');
  expect(whyNot(400, 'from is no time')).toBe('from is no time');
  expect(whyNot(502, '')).toBe('The agent answered 502.');
});
