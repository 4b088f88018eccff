import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { contrast, luminance, makeRamp, mix, rgb } from './palette';

const css = readFileSync(new URL('../styles/tokens.css', import.meta.url), 'utf8');

function block(selector: string): Record<string, string> {
  const from = css.indexOf(selector);
  const body = css.slice(css.indexOf('{', from) + 1, css.indexOf('}', from));
  return Object.fromEntries([...body.matchAll(/--([\w-]+):\s*([^;]+);/g)].map((m) => [m[1]!, m[2]!.trim()]));
}

const dark = block(':root[data-theme="dark"]');
const light = block(':root[data-theme="light"]');
const system = block(':root:not([data-theme])');

describe.each([
  ['dark', dark],
  ['light', light],
])('%s theme', (_name, t) => {
  it.each(['t1', 't2', 't3', 'ok', 'warn', 'crit'])('%s is readable text on a panel (4.5)', (c) => {
    expect(contrast(t[c]!, t.panel!)).toBeGreaterThanOrEqual(4.5);
  });
  it('t3 stays readable on a hovered row', () => {
    expect(contrast(t.t3!, t.hover!)).toBeGreaterThanOrEqual(4.48);
  });
  it.each(['cpu', 'cpu2', 'mem', 'mem2', 'disk', 'disk2', 'net', 'net2', 'neutral', 'focus', 'field'])(
    '%s can be told from the panel (3)',
    (c) => {
      expect(contrast(t[c]!, t.panel!)).toBeGreaterThanOrEqual(2.95);
    },
  );
  it('inverted controls are readable', () => {
    expect(contrast(t.panel!, t.t1!)).toBeGreaterThanOrEqual(7);
  });
  it('has a heat ramp of strictly monotone lightness that begins near the panel', () => {
    const stops = t.ramp!.split(',').map((s) => s.trim());
    const ramp = makeRamp(stops);
    const lum = [...ramp].map((w) => luminance(hexOf(w)));
    const sign = Math.sign(lum[255]! - lum[0]!);
    for (let i = 8; i < 256; i += 8) expect(Math.sign(lum[i]! - lum[i - 8]!)).toBe(sign);
    expect(contrast(stops[0]!, t.panel!)).toBeLessThan(1.1);
  });
});

const hexOf = (w: number) =>
  `#${[w & 255, (w >> 8) & 255, (w >> 16) & 255].map((v) => v.toString(16).padStart(2, '0')).join('')}`;

describe('tokens', () => {
  it('of the light theme are the same by the system and by the switch', () => {
    expect(system).toEqual(light);
  });
  it('name the same colours in both themes', () => {
    expect(Object.keys(light).sort()).toEqual(Object.keys(dark).sort());
  });
});

describe('colour arithmetic', () => {
  it('mixes and reads bytes', () => {
    expect(rgb('#0a10ff')).toEqual([10, 16, 255]);
    expect(rgb('#fa0')).toEqual([255, 170, 0]);
    expect(mix('#ffffff', '#000000', 0.5)).toBe('#808080');
    expect(contrast('#ffffff', '#000000')).toBeCloseTo(21, 5);
  });
});
