// Colours of the page as numbers and strings a canvas can use, read from the style sheet once per theme.

export const COLOURS = [
  'panel',
  'raise',
  'hover',
  'line',
  'line2',
  'grid',
  'axis',
  'field',
  't1',
  't2',
  't3',
  'cpu',
  'cpu2',
  'mem',
  'mem2',
  'disk',
  'disk2',
  'net',
  'net2',
  'neutral',
  'ok',
  'warn',
  'crit',
  'sel',
  'sel-fill',
  'scrim',
  'focus',
] as const;
export type Colour = (typeof COLOURS)[number];
export type Rgb = readonly [number, number, number];

export interface Palette {
  css: Record<Colour, string>;
  font: string;
  /** 256 entries of the heat ramp, one little-endian RGBA word each. */
  ramp: Uint32Array;
  /** The ramp's stops as CSS colours, for legends. */
  rampStops: string[];
  panel: number;
}

/** "#rrggbb", or "#rgb" as a minifier writes it, to three bytes. */
export function rgb(hex: string): Rgb {
  const long = hex.length === 4 ? hex.replace(/[0-9a-f]/gi, '$&$&') : hex;
  const n = Number.parseInt(long.slice(1, 7), 16);
  return [(n >> 16) & 255, (n >> 8) & 255, n & 255];
}

/** `part` of `a` over the rest of `b`, as "#rrggbb": a translucent fill that costs no blending. */
export function mix(a: string, b: string, part: number): string {
  const x = rgb(a);
  const y = rgb(b);
  const hex = x.map((v, i) => Math.round(v * part + (y[i] ?? 0) * (1 - part)));
  return `#${hex.map((v) => v.toString(16).padStart(2, '0')).join('')}`;
}

const word = (r: number, g: number, b: number) => ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0;

/** The ramp through `stops`, evenly spaced, as 256 RGBA words. */
export function makeRamp(stops: readonly string[]): Uint32Array {
  const out = new Uint32Array(256);
  const s = stops.map(rgb);
  for (let i = 0; i < 256; i++) {
    const p = (i / 255) * (s.length - 1);
    const k = Math.min(s.length - 2, Math.floor(p));
    const a = s[k] as Rgb;
    const b = s[k + 1] as Rgb;
    const at = (c: 0 | 1 | 2) => Math.round(a[c] + (b[c] - a[c]) * (p - k));
    out[i] = word(at(0), at(1), at(2));
  }
  return out;
}

/** WCAG relative luminance of "#rrggbb". */
export function luminance(hex: string): number {
  const lin = rgb(hex).map((v) => {
    const s = v / 255;
    return s <= 0.04045 ? s / 12.92 : ((s + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * (lin[0] ?? 0) + 0.7152 * (lin[1] ?? 0) + 0.0722 * (lin[2] ?? 0);
}

/** WCAG contrast ratio of two colours, 1 to 21. */
export function contrast(a: string, b: string): number {
  const x = luminance(a);
  const y = luminance(b);
  return (Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05);
}

let current: Palette | null = null;
let version = 0;

/** The palette of the theme in force. */
export function palette(): Palette {
  if (current) return current;
  const style = getComputedStyle(document.documentElement);
  const get = (name: string) => style.getPropertyValue(`--${name}`).trim();
  const css = Object.fromEntries(COLOURS.map((c) => [c, get(c)])) as Record<Colour, string>;
  const rampStops = get('ramp')
    .split(',')
    .map((s) => s.trim());
  const p = rgb(css.panel);
  current = { css, font: get('font'), ramp: makeRamp(rampStops), rampStops, panel: word(...p) };
  return current;
}

/** Call after the theme has changed: every chart reads its colours again. */
export function themeChanged(): void {
  current = null;
  version++;
}

/** Rises with every change of theme. */
export const themeVersion = () => version;
