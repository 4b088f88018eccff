// Saves the stacks of a range as a file that this or another tool opens.
import { signal } from '@preact/signals';
import { download } from '../../lib/export';
import { format } from '../../lib/format';
import type { View } from '../../store/api';
import { store } from '../../store/store';
import type { Filter } from '../../transform/profiler';
import { token } from '../../transport/token';

export const FORMATS = [
  { id: 'html', label: 'Flame graph as one page', suffix: 'html' },
  { id: 'folded', label: 'Folded stacks', suffix: 'folded' },
  { id: 'pprof', label: 'pprof', suffix: 'pb.gz' },
  { id: 'speedscope', label: 'speedscope', suffix: 'speedscope.json' },
  { id: 'firefox', label: 'Firefox Profiler', suffix: 'firefox.json' },
  { id: 'perfetto', label: 'Perfetto', suffix: 'perfetto-trace' },
  { id: 'perf', label: 'Text of perf script', suffix: 'perf.txt' },
] as const;
export type FormatId = (typeof FORMATS)[number]['id'];

/** What became of the last one, in words. */
export const saveText = signal('');

/** The question, times in seconds of wall time. */
export function saveQuery(id: FormatId, wall: View, base: View | null, f: Filter): string {
  const s = (ms: number) => (ms / 1000).toFixed(6);
  const p = new URLSearchParams({ format: id, from: s(wall.from), to: s(wall.to), by: 'process' });
  if (base && id === 'html') {
    p.set('baseline_from', s(base.from));
    p.set('baseline_to', s(base.to));
  }
  if (f.offCpu) p.set('kind', 'off');
  if (f.classes) p.set('classes', String(f.classes));
  if (f.cpu >= 0) p.set('cpu', String(f.cpu));
  if (f.pid) p.set('pid', String(f.pid));
  if (f.tid) p.set('tid', String(f.tid));
  if (f.cgroup) p.set('cgroup', f.cgroup);
  if (f.process) p.set('process', f.process);
  return `api/v1/profile?${p}`;
}

async function why(r: Response): Promise<string> {
  const text = (await r.text()).trim();
  try {
    const o = JSON.parse(text) as { error?: unknown; hint?: unknown };
    if (typeof o.error === 'string') return o.error;
  } catch {
    // Not JSON.
  }
  return text && !text.startsWith('<') ? text.slice(0, 160) : `the agent answered ${r.status}`;
}

export async function saveProfile(id: FormatId, range: View, base: View | null, f: Filter): Promise<void> {
  const wall = (v: View): View => ({ from: store.clock.wallMs(v.from), to: store.clock.wallMs(v.to) });
  const kind = FORMATS.find((x) => x.id === id)!;
  saveText.value = 'Saving…';
  try {
    const url = new URL(saveQuery(id, wall(range), base && wall(base), f), document.baseURI);
    const r = await fetch(url, { headers: { Authorization: `Bearer ${token() ?? ''}` }, cache: 'no-store' });
    if (!r.ok) {
      saveText.value = `▲ ${await why(r)}`;
      return;
    }
    const blob = await r.blob();
    const at = new Date(wall(range).from).toISOString().slice(0, 19).replace(/[-:]/g, '');
    const host = (store.host?.host ?? '').replace(/[^\w.-]+/g, '-') || 'host';
    download(`${host}-${at}Z.${kind.suffix}`, blob);
    saveText.value = `Saved, ${format(blob.size, 'bytes')}`;
  } catch {
    saveText.value = '▲ The connection broke before it was whole.';
  }
}
