// Saves a stretch with everything recorded in it as a capture file: fetched with the token and handed to the
// reader as a download; how far it is and what went wrong is said in words.
import { signal } from '@preact/signals';
import { download } from '../lib/export';
import { format } from '../lib/format';
import type { View } from '../store/api';
import { store } from '../store/store';
import { token } from '../transport/token';

export interface CaptureJob {
  readonly state: 'idle' | 'running' | 'done' | 'failed';
  readonly text: string;
}

export const captureJob = signal<CaptureJob>({ state: 'idle', text: '' });

const SAYS_MS = 200;

/** "api/v1/capture?from=...&to=..." in seconds of wall time. */
export function captureUrl(from: number, to: number): string {
  const s = (ms: number) => (ms / 1000).toFixed(6);
  return `api/v1/capture?from=${s(from)}&to=${s(to)}`;
}

/** Name of a capture where the agent gives none. */
export function captureName(host: string, fromMs: number): string {
  const at = new Date(fromMs).toISOString().slice(0, 19).replace(/[-:]/g, '');
  return `${host.replace(/[^\w.-]+/g, '-') || 'host'}-${at}Z.strobe`;
}

/** file name of a Content-Disposition; '' where there is none. */
export function nameOf(disposition: string | null): string {
  const m = /filename="?([^";]+)"?/i.exec(disposition ?? '');
  return (m?.[1] ?? '').replace(/[/\\]/g, '_');
}

/** What an answer that is no capture means. */
export function whyNot(status: number, text: string): string {
  if (status === 404 && !text) return 'This agent saves no captures.';
  if (status === 401 || status === 403) return 'The agent does not accept the token any more.';
  if (status === 429 || status === 503) return 'The agent is busy with another capture. Try again.';
  return text || `The agent answered ${status}.`;
}

async function errorText(r: Response): Promise<string> {
  const text = (await r.text()).trim();
  try {
    const o = JSON.parse(text) as { error?: unknown };
    return typeof o.error === 'string' ? o.error : text.slice(0, 200);
  } catch {
    return text.startsWith('<') ? '' : text.slice(0, 200);
  }
}

async function receive(r: Response): Promise<Blob> {
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let bytes = 0;
  let said = 0;
  const reader = r.body?.getReader();
  if (!reader) return r.blob();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value as Uint8Array<ArrayBuffer>);
    bytes += value.length;
    if (performance.now() - said < SAYS_MS) continue;
    said = performance.now();
    captureJob.value = { state: 'running', text: `Saving, ${format(bytes, 'bytes')} so far` };
  }
  return new Blob(parts, { type: 'application/octet-stream' });
}

/** Saves a stretch. */
export async function saveCapture(v: View): Promise<void> {
  if (captureJob.peek().state === 'running') return;
  captureJob.value = { state: 'running', text: 'Saving…' };
  const from = store.clock.wallMs(Math.max(v.from, store.heldFrom));
  try {
    const r = await fetch(new URL(captureUrl(from, store.clock.wallMs(v.to)), document.baseURI), {
      headers: { Authorization: `Bearer ${token() ?? ''}` },
      cache: 'no-store',
    });
    if (!r.ok) {
      captureJob.value = { state: 'failed', text: whyNot(r.status, await errorText(r)) };
      return;
    }
    const blob = await receive(r);
    if (blob.size === 0) {
      captureJob.value = { state: 'failed', text: 'Nothing is held of that stretch.' };
      return;
    }
    const name = nameOf(r.headers.get('Content-Disposition')) || captureName(store.host?.host ?? '', from);
    download(name, blob);
    captureJob.value = { state: 'done', text: `Saved ${name}, ${format(blob.size, 'bytes')}` };
  } catch {
    captureJob.value = { state: 'failed', text: 'The connection broke before the capture was whole.' };
  }
}
