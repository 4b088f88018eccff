import { describe, expect, it } from 'vitest';
import type { SourceStatus } from '../store/api';
import { type Facts, rate, saying } from './status';

const status = (
  state: SourceStatus['state'],
  reason = '',
  more: Partial<SourceStatus> = {},
): SourceStatus => ({
  state,
  tier: '',
  reason,
  periodUs: 100_000,
  retryUs: null,
  ...more,
});

const facts = (more: Partial<Facts>): Facts => ({
  connected: true,
  known: true,
  metric: 'kernel.all.running',
  status: status('ok'),
  age: 80_000,
  stale: false,
  paused: false,
  any: true,
  now: 0,
  ...more,
});

describe('what a chart says of itself', () => {
  it('is nothing when all is well', () => {
    expect(saying(facts({}))).toMatchObject({ state: 'ok', tag: { text: '' }, message: null });
  });
  it('is loading before the catalog and before data', () => {
    expect(saying(facts({ connected: false })).state).toBe('loading');
    expect(saying(facts({ any: false })).state).toBe('loading');
  });
  it('names the missing metric or the reason of an absent source', () => {
    expect(saying(facts({ known: false })).message?.lines[0]).toContain('kernel.all.running');
    const s = saying(facts({ status: status('absent', 'Kernel built without CONFIG_PSI') }));
    expect(s.state).toBe('nodata');
    expect(s.message?.lines).toEqual(['Kernel built without CONFIG_PSI']);
  });
  it('shows errno, path and the next try of a failed collector', () => {
    const s = saying(facts({ status: status('failed', 'EACCES: /proc/schedstat', { retryUs: 28e6 }) }));
    expect(s).toMatchObject({ state: 'failed', tag: { kind: 'crit', text: 'failed' } });
    expect(s.message).toEqual({ title: 'EACCES', lines: ['/proc/schedstat', 'next try in 28 s'] });
  });
  it('says the age when stale', () => {
    expect(saying(facts({ stale: true, age: 4.2e6 }))).toMatchObject({
      state: 'stale',
      tag: { kind: 'warn', text: 'stale 4.2 s' },
    });
  });
  it('says the slower rate and why when reduced', () => {
    const s = saying(facts({ status: status('reduced', 'budget of 2 % reached', { periodUs: 1e6 }) }));
    expect(s).toMatchObject({
      state: 'reduced',
      note: '1 Hz, budget of 2 % reached',
      tag: { text: 'reduced' },
    });
  });
  it('says so when paused', () => {
    expect(saying(facts({ paused: true })).tag.text).toBe('Paused');
  });
});

describe('rates', () => {
  it('are in Hz from one a second, else in words', () => {
    expect([1e5, 5e5, 1e6, 5e6].map(rate)).toEqual(['10 Hz', '2 Hz', '1 Hz', 'every 5.0 s']);
  });
});
