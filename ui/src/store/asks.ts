// Questions to the agent that have one answer (what is held, what changed, totals, events): numbered, with a
// time limit, asked again where the agent was busy. What an older agent does not know is answered null.

/** Above those that the cache of ranges counts up from 1. */
const FIRST = 0x4000_0000;
const LIMIT_MS = 15_000;
const BUSY_MS = 400;
const TRIES = 6;

export interface Refusal {
  readonly code: number;
  readonly text: string;
}

interface Pending {
  parts: unknown[];
  tries: number;
  readonly send: (req: number) => boolean;
  readonly done: (parts: unknown[] | null, why: Refusal | null) => void;
  timer: ReturnType<typeof setTimeout> | undefined;
}

export class Asks {
  private next = FIRST;
  private pending = new Map<number, Pending>();

  /** The parts of the answer in their order; null: there will be none, and why where the agent said so. */
  ask<T>(send: (req: number) => boolean): Promise<{ parts: T[] | null; why: Refusal | null }> {
    return new Promise((resolve) => {
      this.begin({
        parts: [],
        tries: 0,
        send,
        done: (parts, why) => resolve({ parts: parts as T[] | null, why }),
        timer: undefined,
      });
    });
  }

  private begin(p: Pending): void {
    const req = this.next++;
    p.parts = [];
    p.tries++;
    if (!p.send(req)) {
      p.done(null, null);
      return;
    }
    this.pending.set(req, p);
    p.timer = setTimeout(() => this.end(req, null, { code: 0, text: 'the agent does not answer' }), LIMIT_MS);
  }

  private end(req: number, parts: unknown[] | null, why: Refusal | null): void {
    const p = this.pending.get(req);
    if (!p) return;
    this.pending.delete(req);
    clearTimeout(p.timer);
    p.done(parts, why);
  }

  /** A part of an answer; true when it was one of ours. */
  receive(req: number, part: unknown, last = true): boolean {
    const p = this.pending.get(req);
    if (!p) return false;
    p.parts.push(part);
    if (last) this.end(req, p.parts, null);
    return true;
  }

  /** An Error message; true when it was about one of ours. */
  refused(req: number, code: number, text: string): boolean {
    const p = this.pending.get(req);
    if (!p) return false;
    if (code === 429 && p.tries < TRIES) {
      this.pending.delete(req);
      clearTimeout(p.timer);
      setTimeout(() => this.begin(p), BUSY_MS * p.tries);
    } else this.end(req, null, { code, text });
    return true;
  }

  /** The link broke: nothing will come. */
  lost(): void {
    for (const req of [...this.pending.keys()]) this.end(req, null, null);
  }
}
