// One WebSocket to the agent, kept open: back-off with jitter, token, the reason when it fails.
import { signal } from '@preact/signals';
import { openSocket, takeEarly } from './early';
import { forgetToken, token } from './token';

export type LinkState =
  | 'connecting'
  | 'open'
  | 'waiting' // between two tries
  | 'refused' // the agent knows another token
  | 'no-token';

export interface Link {
  readonly state: LinkState;
  /** Of this page load; 0 before the first. */
  readonly connects: number;
  readonly failures: number; // since the last success
  readonly retryAt: number; // Date.now() of the next try
  readonly text: string;
}

export const link = signal<Link>({ state: 'connecting', connects: 0, failures: 0, retryAt: 0, text: '' });

export interface SocketEvents {
  /** sinceMs: performance.now() when the connection was asked for. */
  open(sinceMs: number): void;
  /** atMs: when it came, if not now. */
  message(data: Uint8Array, atMs?: number): void;
  closed(): void;
}

/** 0.25 s doubling to 5 s, each between half and the whole of it. */
export function backoffMs(failures: number, random = Math.random()): number {
  const full = Math.min(5000, 250 * 2 ** Math.max(0, failures - 1));
  return full * (0.5 + random / 2);
}

export class Socket {
  private ws: WebSocket | null = null;
  private timer = 0;
  private stopped = false;

  constructor(private readonly on: SocketEvents) {}

  start(): void {
    this.stopped = false;
    addEventListener('online', this.now);
    this.connect();
  }

  stop(): void {
    this.stopped = true;
    clearTimeout(this.timer);
    removeEventListener('online', this.now);
    this.ws?.close();
  }

  /** Tries at once instead of waiting. */
  readonly now = (): void => {
    if (this.ws || this.stopped) return;
    clearTimeout(this.timer);
    this.connect();
  };

  /** Drops a connection that says nothing any more and makes a new one. */
  restart(): void {
    const ws = this.ws;
    if (!ws) {
      this.now();
      return;
    }
    this.ws = null;
    ws.onopen = ws.onmessage = ws.onclose = null;
    ws.close();
    this.on.closed();
    this.connect();
  }

  send(bytes: Uint8Array<ArrayBuffer>): boolean {
    if (this.ws?.readyState !== WebSocket.OPEN) return false;
    this.ws.send(bytes);
    return true;
  }

  private connect(): void {
    const tok = token();
    if (!tok) {
      link.value = { ...link.value, state: 'no-token', text: '' };
      return;
    }
    link.value = { ...link.value, state: 'connecting' };
    const early = takeEarly();
    const ws = early?.ws ?? openSocket(tok);
    const since = early?.createdMs ?? performance.now();
    this.ws = ws;
    const opened = () => {
      const { connects } = link.value;
      link.value = { state: 'open', connects: connects + 1, failures: 0, retryAt: 0, text: '' };
      this.on.open(since);
    };
    ws.onopen = opened;
    ws.onmessage = (e: MessageEvent<ArrayBuffer>) => this.on.message(new Uint8Array(e.data));
    ws.onclose = () => {
      if (this.ws !== ws) return;
      const was = link.value.state;
      this.ws = null;
      this.on.closed();
      if (!this.stopped) void this.failed(was === 'open');
    };
    if (!early) return;
    // It may be further than its events tell.
    if (ws.readyState === WebSocket.OPEN) {
      opened();
      for (const m of early.messages) this.on.message(new Uint8Array(m.data), m.at);
      ws.onopen = null;
    } else if (ws.readyState !== WebSocket.CONNECTING)
      queueMicrotask(() => ws.onclose?.(new CloseEvent('close')));
  }

  private async failed(wasOpen: boolean): Promise<void> {
    const failures = wasOpen ? 1 : link.value.failures + 1;
    const wait = backoffMs(failures);
    const retryAt = Date.now() + wait;
    const text = wasOpen ? 'connection lost' : 'agent does not answer';
    link.value = { ...link.value, state: 'waiting', failures, retryAt, text };
    // A WebSocket does not say why: ask over HTTP whether it is the token.
    if (!wasOpen && failures <= 2) {
      try {
        const r = await fetch(new URL('api/v1/status', document.baseURI), {
          headers: { Authorization: `Bearer ${token() ?? ''}` },
          cache: 'no-store',
        });
        if (r.status === 401 || r.status === 403) {
          forgetToken();
          link.value = { ...link.value, state: 'refused', text: 'the agent does not know this token' };
          return;
        }
      } catch {
        // Not reachable: try again later.
      }
    }
    if (this.stopped || this.ws) return;
    this.timer = window.setTimeout(() => this.connect(), Math.max(0, retryAt - Date.now()));
  }
}
