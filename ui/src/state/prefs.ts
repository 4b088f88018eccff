// What the reader chose and wants again: per host (machine id), in localStorage. A theme is the
// browser's, not the host's.
import { effect, signal } from '@preact/signals';

export type Theme = 'system' | 'dark' | 'light';

export const theme = signal<Theme>('system');
export const utc = signal(false);
/** Metrics pinned to the first screen, "metric" or "metric[instance]". */
export const pins = signal<readonly string[]>([]);

const THEME = 'strobe.theme';
const LAST = 'strobe.last';
const keyOf = (machine: string) => `strobe.prefs.${machine}`;

let machine = '';
let loading = false;

interface Saved {
  utc?: boolean;
  pins?: string[];
}

/** localStorage may be off; the page works without it. */
function read(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

function write(key: string, value: string): void {
  try {
    localStorage.setItem(key, value);
  } catch {
    // Nothing is kept then.
  }
}

export function parseSaved(text: string | null): Saved {
  try {
    const v: unknown = JSON.parse(text ?? '{}');
    if (typeof v !== 'object' || v === null) return {};
    const o = v as Record<string, unknown>;
    const out: Saved = {};
    if (typeof o.utc === 'boolean') out.utc = o.utc;
    if (Array.isArray(o.pins))
      out.pins = o.pins.filter((p): p is string => typeof p === 'string').slice(0, 24);
    return out;
  } catch {
    return {};
  }
}

function load(id: string, keepPins: boolean): void {
  machine = id;
  loading = true;
  const s = parseSaved(read(keyOf(id)));
  if (s.utc !== undefined) utc.value = s.utc;
  if (s.pins && !keepPins) pins.value = s.pins;
  loading = false;
}

/** Before the host is known: what was chosen for the host seen last. */
export function loadPrefs(): void {
  const t = read(THEME);
  if (t === 'dark' || t === 'light') theme.value = t;
  const last = read(LAST);
  if (last) load(last, false);
  effect(() => {
    write(THEME, theme.value);
  });
  effect(() => {
    const s: Saved = { utc: utc.value, pins: [...pins.value] };
    if (machine && !loading) write(keyOf(machine), JSON.stringify(s));
  });
}

/** The host said who it is. Pins that came with the address stay. */
export function prefsOf(machineId: string, pinsFromUrl: boolean): void {
  if (!machineId || machineId === machine) return;
  write(LAST, machineId);
  load(machineId, pinsFromUrl);
}

export function togglePin(name: string): void {
  pins.value = pins.value.includes(name) ? pins.value.filter((p) => p !== name) : [...pins.value, name];
}

/** The theme in force: the choice, or the system's. */
export function applyTheme(): void {
  const root = document.documentElement;
  const t = theme.value;
  if (t === 'system') delete root.dataset.theme;
  else root.dataset.theme = t;
}

export const isDark = (): boolean =>
  theme.peek() === 'dark' ||
  (theme.peek() === 'system' && !matchMedia('(prefers-color-scheme: light)').matches);
