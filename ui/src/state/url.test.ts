import { expect, test } from 'vitest';
import { AgentClock } from '../transport/clock';
import { DEFAULT, formatHash, parseHash, toMono, toWall, type UrlState } from './url';

const round = (s: UrlState) => parseHash(`#${formatHash(s)}`);

test('the default state is an empty hash', () => {
  expect(formatHash(DEFAULT)).toBe('');
  expect(parseHash('')).toEqual(DEFAULT);
});

test('every field survives the address, names with commas and brackets included', () => {
  const s: UrlState = {
    page: 'raw',
    query: 'tcp retr & "x"',
    windowUs: 5_000_000,
    fixed: { from: 1795198936060.125, to: 1795198936380.5 },
    selection: { from: 1795198936100, to: 1795198936200.001 },
    base: { from: 1795198930000, to: 1795198936000 },
    more: [{ from: 1795198930000, to: 1795198931000.5 }],
    profile: 'tab=table&q=a%26b',
    hidden: ['disk.dev.read_bytes[nvme0n1]', 'sum(a,b%)', 'é=&#'],
    pins: ['network.interface.in.bytes[eth0]'],
    utc: true,
  };
  expect(round(s)).toEqual(s);
  expect(round({ ...DEFAULT, windowUs: 0 })).toEqual({ ...DEFAULT, windowUs: 0 });
});

test('times come back to the microsecond through the clock', () => {
  const c = new AgentClock(() => 0);
  c.reset([{ monoUs: 0, realOffUs: 1_795_190_000_000_123, bootOffUs: 0, reason: 0 }]);
  const v = { from: 8_936_060_001, to: 8_936_380_999 };
  const s = round({ ...DEFAULT, fixed: toWall(c, v) });
  expect(toMono(c, s.fixed!)).toEqual(v);
});

test('nonsense is the default, not an error', () => {
  expect(parseHash('#w=-4&t=9~3&sel=x&hide=%E0%A4%A&tz=')).toEqual({
    ...DEFAULT,
    utc: false,
    hidden: expect.anything(),
  });
});
