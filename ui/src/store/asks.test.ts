import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Asks } from './asks';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test('an answer in parts is whole with its last part', async () => {
  const a = new Asks();
  let req = 0;
  const answer = a.ask<string>((r) => {
    req = r;
    return true;
  });
  expect(req).toBeGreaterThan(1e9); // never one of the ranges' numbers
  expect(a.receive(req, 'one', false)).toBe(true);
  expect(a.receive(req + 1, 'other')).toBe(false);
  expect(a.receive(req, 'two')).toBe(true);
  expect(await answer).toEqual({ parts: ['one', 'two'], why: null });
});

test('a busy agent is asked again, under another number', async () => {
  const a = new Asks();
  const reqs: number[] = [];
  const answer = a.ask<string>((r) => {
    reqs.push(r);
    return true;
  });
  a.refused(reqs[0]!, 429, 'busy');
  await vi.advanceTimersByTimeAsync(1000);
  expect(reqs).toHaveLength(2);
  expect(reqs[1]).not.toBe(reqs[0]);
  a.receive(reqs[1]!, 'now');
  expect((await answer).parts).toEqual(['now']);
});

test('what the agent does not know is said with its reason, what it never answers after a while', async () => {
  const a = new Asks();
  let req = 0;
  const send = (r: number) => {
    req = r;
    return true;
  };
  const one = a.ask(send);
  a.refused(req, 404, 'no such metric');
  expect(await one).toEqual({ parts: null, why: { code: 404, text: 'no such metric' } });
  const two = a.ask(send);
  await vi.advanceTimersByTimeAsync(60_000);
  expect((await two).why?.code).toBe(0);
});

test('a link that breaks or is not there answers nothing, without a reason', async () => {
  const a = new Asks();
  const one = a.ask(() => true);
  a.lost();
  expect(await one).toEqual({ parts: null, why: null });
  expect(await a.ask(() => false)).toEqual({ parts: null, why: null });
});
