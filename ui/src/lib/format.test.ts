import { describe, expect, it } from 'vitest';
import { axisScale, axisText, format, num, scaleFor, valueText } from './format';

describe('numbers', () => {
  it('have three significant digits and never an exponent', () => {
    expect([0, 0.001, 0.0213, 9.84, 46.04, 100, 1250.4, 12345678].map(num)).toEqual([
      '0',
      '<0.01',
      '0.02',
      '9.84',
      '46',
      '100',
      '1,250',
      '12,345,678',
    ]);
    expect(num(Number.NaN)).toBe('–');
  });
  it('in titles have one decimal, whole counts none', () => {
    const text = (kind: 'ratio' | 'count' | 'count/s', v: number, max: number) =>
      valueText(kind, v, scaleFor(kind, max));
    expect(text('ratio', 0.404, 1)).toBe('40');
    expect(text('ratio', 0.034, 1)).toBe('3.4');
    expect(text('ratio', 0, 1)).toBe('0');
    expect(text('count', 11, 80)).toBe('11');
    expect(text('count/s', 190_000, 600_000)).toBe('190');
    expect(text('count/s', 6_540, 40_000)).toBe('6.5');
    expect(text('count', Number.NaN, 1)).toBe('–');
  });
  it('on an axis need what the step needs', () => {
    expect([axisText(50, 50), axisText(2.5, 2.5), axisText(0.25, 0.25), axisText(-350, 350)]).toEqual([
      '50',
      '2.5',
      '0.25',
      '350',
    ]);
  });
});

describe('units', () => {
  it('are binary for bytes and decimal for links and counts', () => {
    expect(format(3 * 2 ** 30, 'bytes')).toBe('3 GiB');
    expect(format(1.5 * 2 ** 20, 'bytes/s')).toBe('1.5 MiB/s');
    expect(format(25e9, 'bits/s')).toBe('25 Gb/s');
    expect(format(12_300, 'count/s')).toBe('12.3 k/s');
    expect(format(7, 'count')).toBe('7');
  });
  it('are percent for ratios and the fitting part of a second for times', () => {
    expect(format(0.4, 'ratio')).toBe('40 %');
    expect(format(0.0036, 'seconds')).toBe('3.6 ms');
    expect(format(21e-6, 'seconds')).toBe('21 µs');
  });
  it('of an axis leave small values their digits', () => {
    expect(axisScale('count/s', 1e6).unit).toBe('k/s');
    expect(axisScale('count/s', 4000).unit).toBe('/s');
    expect(axisScale('bytes', 24 * 2 ** 30).unit).toBe('GiB');
    expect(axisScale('bytes/s', 2 ** 31).unit).toBe('MiB/s');
  });
  it('change at whole prefixes', () => {
    expect(scaleFor('bytes', 1023).unit).toBe('B');
    expect(scaleFor('bytes', 1024).unit).toBe('KiB');
    expect(scaleFor('count/s', 999).unit).toBe('/s');
  });
});
