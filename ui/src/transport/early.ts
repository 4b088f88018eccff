// Opens the WebSocket before the rest of the page is set up: the agent's first words come while the page
// builds itself. Import it first.
import { takeToken, token } from './token';

export interface Early {
  readonly ws: WebSocket;
  readonly createdMs: number;
  /** What came before anyone listened, with performance.now() of its arrival. */
  readonly messages: { data: ArrayBuffer; at: number }[];
}

export function streamUrl(base: string): string {
  const u = new URL('stream', base);
  u.protocol = u.protocol === 'https:' ? 'wss:' : 'ws:';
  u.hash = '';
  return u.href;
}

export function openSocket(tok: string): WebSocket {
  const ws = new WebSocket(streamUrl(document.baseURI), ['strobe.v1', `bearer.${tok}`]);
  ws.binaryType = 'arraybuffer';
  return ws;
}

let early: Early | null = null;

function begin(): void {
  takeToken();
  const tok = token();
  if (!tok) return;
  const messages: Early['messages'] = [];
  const ws = openSocket(tok);
  ws.onmessage = (e: MessageEvent<ArrayBuffer>) => messages.push({ data: e.data, at: performance.now() });
  early = { ws, createdMs: performance.now(), messages };
}

if (typeof document !== 'undefined') begin();

/** The socket opened early, once. */
export function takeEarly(): Early | null {
  const e = early;
  early = null;
  return e;
}
