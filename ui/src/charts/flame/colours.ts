// Colours of frames: by type or by name, parted a little by a hash of the name; of a differential by the
// change; of a search by whether the frame matches.
import { mix, palette, rgb, themeVersion } from '../palette';

export type ColourBy = 'type' | 'hash' | 'diff';

const TYPES = ['unknown', 'user', 'library', 'kernel', 'jit', 'inlined', 'task'] as const;
const TONES = 16;
const SPREAD = 0.065;
const STEPS = 32;

export interface FlameColours {
  readonly text: string;
  readonly type: readonly string[][]; // [type][tone]
  readonly hash: readonly string[];
  readonly diff: readonly string[]; // 2 * STEPS + 1, from less to more
  readonly hit: string;
  readonly legend: Record<(typeof TYPES)[number], string>;
  readonly less: string;
  readonly same: string;
  readonly more: string;
  /** An ancestor of what is zoomed to; what a search does not find. */
  readonly dim: (colour: string) => string;
  readonly fade: (colour: string) => string;
  readonly muted: string;
}

const made = new Map<string, FlameColours>();

function tones(colour: string): string[] {
  return Array.from({ length: TONES }, (_, i) => {
    const by = (i / (TONES - 1) - 0.5) * 2 * SPREAD;
    return mix(colour, by > 0 ? '#ffffff' : '#000000', 1 - Math.abs(by));
  });
}

/** Warm hues by hash, as light as the colours of types. */
function hashed(dark: boolean): string[] {
  return Array.from({ length: 256 }, (_, i) => {
    const hue = 8 + ((i & 15) / 15) * 46;
    const light = (dark ? 27 : 76) + (i >> 4) * 0.5;
    return hsl(hue, dark ? 42 : 62, light);
  });
}

function hsl(h: number, s: number, l: number): string {
  const a = (s / 100) * Math.min(l / 100, 1 - l / 100);
  const f = (n: number) => {
    const k = (n + h / 30) % 12;
    const v = l / 100 - a * Math.max(-1, Math.min(k - 3, 9 - k, 1));
    return Math.round(v * 255)
      .toString(16)
      .padStart(2, '0');
  };
  return `#${f(0)}${f(8)}${f(4)}`;
}

/** So much of a colour over the ground, kept. */
function paler(ground: string, part: number): (colour: string) => string {
  const made = new Map<string, string>();
  return (c) => {
    let p = made.get(c);
    if (!p) made.set(c, (p = mix(c, ground, part)));
    return p;
  };
}

function make(): FlameColours {
  const style = getComputedStyle(document.documentElement);
  const get = (name: string) => style.getPropertyValue(`--${name}`).trim();
  const { css } = palette();
  const dark = rgb(css.panel)[0] < 128;
  const base = TYPES.map((t) => get(`flame-${t}`));
  const type = base.map(tones);
  const [less, same, more] = [get('less'), get('same'), get('more')];
  const diff = Array.from({ length: 2 * STEPS + 1 }, (_, i) => {
    const k = (i - STEPS) / STEPS;
    return mix(k > 0 ? more : less, same, Math.abs(k) ** 0.62);
  });
  return {
    text: get('flame-text'),
    type,
    hash: hashed(dark),
    diff,
    hit: get('hit'),
    legend: Object.fromEntries(TYPES.map((t, i) => [t, base[i]])) as FlameColours['legend'],
    less,
    same,
    more,
    muted: css.t3,
    dim: paler(css.panel, 0.45),
    fade: paler(css.panel, 0.28),
  };
}

export function flameColours(): FlameColours {
  const key = `${themeVersion()} ${palette().css.panel}`;
  let c = made.get(key);
  if (!c) {
    made.clear();
    made.set(key, (c = make()));
  }
  return c;
}

/** 32 bits of a name, the same in every session. */
export function nameHash(s: string): number {
  let h = 2166136261;
  for (let i = 0; i < s.length; i++) h = Math.imul(h ^ s.charCodeAt(i), 16777619);
  return (h ^ (h >>> 15)) >>> 0;
}

/** Entry of the differential's colours for a change of `part` of the scale, -1 to 1. */
export const diffStep = (part: number) => Math.round(Math.max(-1, Math.min(1, part)) * STEPS) + STEPS;

export const toneOf = (hash: number) => hash % TONES;
