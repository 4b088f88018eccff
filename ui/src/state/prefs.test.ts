import { expect, test } from 'vitest';
import { parseSaved } from './prefs';

test('what was saved comes back, what is broken is left out', () => {
  expect(parseSaved('{"utc":true,"pins":["a.b","c[d]"]}')).toEqual({ utc: true, pins: ['a.b', 'c[d]'] });
  expect(parseSaved('{"utc":"yes","pins":[1,"a",null]}')).toEqual({ pins: ['a'] });
  expect(parseSaved('{')).toEqual({});
  expect(parseSaved('null')).toEqual({});
  expect(parseSaved(null)).toEqual({});
});
