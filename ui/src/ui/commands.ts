// Everything the page can do, by a stable id: keys, buttons and the command palette all run these.

import { PAGES, page } from '../state/page';
import { isDark, theme, utc } from '../state/prefs';
import { capture } from '../state/pulse';
import {
  clearSelection,
  fixed,
  goLive,
  mode,
  pause,
  pausedAt,
  pinBaseline,
  SECOND,
  selection,
  undoZoom,
  viewNow,
  WINDOWS,
  windowUs,
  zoomTo,
} from '../state/view';
import { store } from '../store/store';
import { setHelp, setPalette, setShare } from './dialogs';

export interface Command {
  readonly id: string;
  readonly title: string;
  /** Names as lib/keys.ts makes them; the first is shown. */
  readonly keys?: readonly string[];
  /** What the key cap says when it is not the key's name. */
  readonly cap?: string;
  run(): void;
}

export function setWindow(us: number): void {
  const f = fixed.peek();
  windowUs.value = us;
  // A still view keeps its right edge: the moment that is looked at stays on screen.
  if (f) {
    const width = us || store.newest - store.heldFrom;
    const sel = selection.peek();
    const middle = sel ? (sel.from + sel.to) / 2 : 0;
    const to = sel ? Math.min(store.newest, middle + width / 2) : f.to;
    fixed.value = { from: to - width, to };
  }
}

/** Moves the view by a share of its width; past the newest tick it goes live. */
export function step(share: number): void {
  const v = viewNow(store);
  const by = Math.round((v.to - v.from) * share);
  if (by > 0 && fixed.peek() === null) return;
  if (v.to + by >= store.newest) {
    goLive();
    return;
  }
  const from = Math.max(store.heldFrom, v.from + by);
  if (fixed.peek() === null) pausedAt.value = store.newest;
  fixed.value = { from, to: from + (v.to - v.from) };
}

/** Zooms by a factor about the middle of the view or the selection. */
export function zoomBy(factor: number): void {
  const v = viewNow(store);
  const s = selection.peek();
  const mid = s ? (s.from + s.to) / 2 : fixed.peek() ? (v.from + v.to) / 2 : v.to;
  const width = Math.max(0.2 * SECOND, (v.to - v.from) * factor);
  const to = Math.min(store.newest || v.to, mid + width / 2);
  zoomTo(store, { from: Math.max(store.heldFrom, to - width), to });
}

export const nextWindow = (by: number): void => {
  const list = WINDOWS.map((w) => w.us || Number.POSITIVE_INFINITY);
  const now = windowUs.peek() || Number.POSITIVE_INFINITY;
  const i = list.findIndex((w) => w >= now);
  const at = WINDOWS[Math.min(WINDOWS.length - 1, Math.max(0, (i < 0 ? list.length - 1 : i) + by))];
  if (at) setWindow(at.us);
};

export const commands: readonly Command[] = [
  {
    id: 'pause',
    title: 'Pause or go on',
    keys: ['Space'],
    run: () => (capture.peek() !== null ? undefined : mode.peek() === 'live' ? pause(store) : goLive()),
  },
  { id: 'live', title: 'Go live', keys: ['l'], cap: 'L', run: goLive },
  {
    id: 'zoom',
    title: 'Zoom to the selection',
    keys: ['Enter'],
    cap: '⏎',
    run: () => {
      const s = selection.peek();
      if (s) zoomTo(store, s);
    },
  },
  { id: 'undo', title: 'Undo the zoom', keys: ['z'], cap: 'Z', run: undoZoom },
  {
    id: 'baseline',
    title: 'Compare with this range from now on, or with the stretch before again',
    keys: ['b'],
    cap: 'B',
    run: pinBaseline,
  },
  { id: 'clear', title: 'Clear the selection', keys: ['Escape'], cap: 'Esc', run: clearSelection },
  { id: 'back', title: 'One window back', keys: ['ArrowLeft', '@KeyA'], cap: '←', run: () => step(-1) },
  { id: 'forward', title: 'One window forward', keys: ['ArrowRight', '@KeyD'], cap: '→', run: () => step(1) },
  { id: 'zoom-in', title: 'Zoom in', keys: ['@KeyW', '+'], cap: 'W', run: () => zoomBy(0.5) },
  { id: 'zoom-out', title: 'Zoom out', keys: ['@KeyS', '-'], cap: 'S', run: () => zoomBy(2) },
  { id: 'narrower', title: 'Shorter window', keys: ['['], run: () => nextWindow(-1) },
  { id: 'wider', title: 'Longer window', keys: [']'], run: () => nextWindow(1) },
  {
    id: 'profile',
    title: 'Profile: flame graph and sub-second map',
    keys: ['p'],
    cap: 'P',
    run: () => {
      page.value = page.peek() === 'profile' ? 'overview' : 'profile';
    },
  },
  { id: 'search', title: 'Search metrics and commands', keys: ['/', 'Ctrl-k'], run: () => setPalette(true) },
  { id: 'help', title: 'Help', keys: ['?'], run: () => setHelp(true) },
  { id: 'export', title: 'Export and share', keys: ['e'], cap: 'E', run: () => setShare(true) },
  {
    id: 'theme',
    title: 'Dark or light',
    keys: ['t'],
    cap: 'T',
    run: () => {
      theme.value = isDark() ? 'light' : 'dark';
    },
  },
  { id: 'theme-system', title: 'Theme of the system', run: () => void (theme.value = 'system') },
  {
    id: 'utc',
    title: 'Local time or UTC',
    keys: ['u'],
    cap: 'U',
    run: () => {
      utc.value = !utc.peek();
    },
  },
  ...WINDOWS.map((w, i) => ({
    id: `window-${w.label.replace(' ', '')}`,
    title: w.us ? `Show ${w.label}` : 'Show all that is held',
    keys: [`${w.us ? i + 1 : 0}`],
    run: () => setWindow(w.us),
  })),
  ...PAGES.map((p) => ({
    id: `page-${p.id}`,
    title: `Page: ${p.title}`,
    run: () => {
      page.value = p.id;
    },
  })),
];

const byKey = new Map<string, Command>();
for (const c of commands) for (const k of c.keys ?? []) byKey.set(k, c);

export const commandOf = (names: readonly string[]): Command | undefined => {
  for (const n of names) {
    const c = byKey.get(n);
    if (c) return c;
  }
  return undefined;
};
export const runCommand = (id: string): void => commands.find((c) => c.id === id)?.run();
