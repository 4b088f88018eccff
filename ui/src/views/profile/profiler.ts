// How the profiler is, asked while somebody looks; bursts.
import { signal } from '@preact/signals';
import { sched } from '../../charts/sched';
import { type ProfilerWords, profilerWords } from '../../state/page';
import { capture } from '../../state/pulse';
import { store } from '../../store/store';
import { askProfiler, type ProfilerState } from '../../transform/profiler';
import { token } from '../../transport/token';
import { counted } from './words';

/** undefined: not known yet; null: this agent has none. */
export const profiler = signal<ProfilerState | null | undefined>(undefined);
/** Why there is none, where the agent said so. */
export const noProfiler = signal('');

/** What the header says. */
function wordsOf(p: ProfilerState | null, why: string): ProfilerWords | null {
  const off = p?.reason || why || 'it was started without one (--no-profile)';
  if (!p?.on) return { state: 'off', text: 'off', title: `No profiler runs: ${off}` };
  const left = Math.ceil((p.burstUntilUs - p.nowUs) / 1e6);
  const n = (v: number) => v.toLocaleString('en-US');
  const what = `${p.tier || 'every CPU'}${p.event ? `, by ${p.event}` : ''}: ${n(p.samples)} samples so far, ${n(p.lost)} lost`;
  if (p.burstUntilUs > 0 && left > 0)
    return { state: 'burst', text: `${p.hz} Hz, ${left} s`, title: `Burst, ${left} s left. ${what}` };
  if (p.reason) return { state: 'reduced', text: `${p.hz} Hz`, title: `${p.reason}. ${what}` };
  return { state: 'on', text: `${p.hz} Hz`, title: what };
}

const EVERY_MS = 2000;
let users = 0;
let stop: (() => void) | null = null;
let askedMs = Number.NEGATIVE_INFINITY;
let asking = false;

async function look(): Promise<void> {
  const now = performance.now();
  const every = (profiler.peek()?.burstUntilUs ?? 0) > 0 ? EVERY_MS / 4 : EVERY_MS;
  if (asking || now - askedMs < every || !store.host) return;
  asking = true;
  askedMs = now;
  const { value, why } = await askProfiler();
  asking = false;
  if (value) {
    profiler.value = value;
    counted.value = value.unit;
    // A file whose stacks have no times has no map.
    document.documentElement.toggleAttribute('data-untimed', value.untimed);
  } else if (why && why.code !== 0 && why.code !== 429) {
    profiler.value = null;
    noProfiler.value = why.text;
  } else if (why?.code === 0 && profiler.peek() === undefined) {
    profiler.value = null;
    noProfiler.value = 'It does not answer questions about one: an older version?';
  }
  const p = profiler.peek();
  const words = p === undefined || capture.peek() !== null ? null : wordsOf(p, noProfiler.peek());
  if (JSON.stringify(words) !== JSON.stringify(profilerWords.peek())) profilerWords.value = words;
}

/** Keeps `profiler` up to date until the returned function is called. */
export function watchProfiler(): () => void {
  users++;
  askedMs = Number.NEGATIVE_INFINITY;
  stop ??= sched.onText(() => void look());
  void look();
  return () => {
    if (--users > 0) return;
    stop?.();
    stop = null;
  };
}

export const burstText = signal('');

/** Samples faster for a while. */
export async function burst(hz = 999, seconds = 10): Promise<void> {
  burstText.value = '';
  try {
    const url = new URL(`api/v1/profile/burst?hz=${hz}&seconds=${seconds}`, document.baseURI);
    const r = await fetch(url, { method: 'POST', headers: { Authorization: `Bearer ${token() ?? ''}` } });
    if (!r.ok) burstText.value = await reason(r);
  } catch {
    burstText.value = 'The agent does not answer.';
  }
  askedMs = Number.NEGATIVE_INFINITY;
  await look();
}

async function reason(r: Response): Promise<string> {
  const text = (await r.text()).trim();
  try {
    const o = JSON.parse(text) as { error?: unknown };
    if (typeof o.error === 'string') return o.error;
  } catch {
    // Not JSON.
  }
  if (r.status === 404) return 'This agent knows no bursts.';
  return text && !text.startsWith('<') ? text.slice(0, 200) : `The agent answered ${r.status}.`;
}
