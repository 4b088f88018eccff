import { expect, test } from 'vitest';
import { FakeAgent } from '../../test/agent';
import { specOf } from './metric';

test('a chart of any metric says what it is as soon as the words are there', () => {
  const a = new FakeAgent();
  a.hello();
  const s = specOf(a.store, 'c.level')!;
  expect(s.help).toBe('');
  a.texts();
  expect(s.help).toBe('c.level: help');
  expect(specOf(a.store, 'c.time')!.help).toBe('c.time: help The source counts in steps of 10 %.');
});
