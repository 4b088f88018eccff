// The one owner of requestAnimationFrame. Charts say what they would draw now (a key that changes when a
// pixel would); the scheduler draws those that are visible and whose key changed, on the first frame after
// data arrived, at most ten times a second. Text follows at 2 Hz. Nothing runs while the page is hidden.

export interface Drawable {
  /** Changes when a pixel of this chart would: its last column, the view, the data behind it. */
  key(): string | number;
  draw(): void;
  /** Least milliseconds between two draws that only new data ask for; Infinity: these never do. */
  period(): number;
}

export interface Clock {
  now(): number;
  frame(cb: () => void): void;
  after(ms: number, cb: () => void): void;
  hidden(): boolean;
}

const browserClock: Clock = {
  now: () => performance.now(),
  frame: (cb) => void requestAnimationFrame(cb),
  after: (ms, cb) => void setTimeout(cb, ms),
  hidden: () => document.hidden,
};

const PERIOD = 100;
const TEXT_PERIOD = 500;
/** How long text waits for a frame to go with. */
const TEXT_GRACE = 120;
/** Draws that data may save up, and what suffices for one: data may be 10 ms early. */
const MOST_CREDIT = 1.3;
const ENOUGH = 0.9;
/** Above this many milliseconds of drawing a frame, on average, the rate is halved. */
const SLOW_FRAME = 24;

interface Entry {
  it: Drawable;
  visible: boolean;
  key: string | number | null;
  /** When it was drawn last, or should have been. */
  at: number;
}

const dueAt = (e: Entry) => e.at + e.it.period() - PERIOD / 2;

export class Scheduler {
  private readonly entries = new Map<Drawable, Entry>();
  private readonly texts = new Set<() => void>();
  private readonly before = new Set<() => void>();
  private state: 'idle' | 'waiting' | 'framed' = 'idle';
  private urgent = false;
  private credit = 1;
  private creditAt = 0;
  private drawnAt = Number.NEGATIVE_INFINITY;
  /** Before this time no chart would draw for new data: in long windows frames are rare. */
  private idleUntil = 0;
  private nextText = 0;
  private cost = 0;
  private timer = false;
  private textDue = false;

  constructor(private readonly clock: Clock = browserClock) {}

  /** Draws a second at which data are shown now; halved while frames cost too much. */
  rate(): number {
    return this.cost > SLOW_FRAME ? 5 : 10;
  }

  add(it: Drawable): void {
    this.entries.set(it, { it, visible: true, key: null, at: Number.NEGATIVE_INFINITY });
    this.invalidate();
  }

  remove(it: Drawable): void {
    this.entries.delete(it);
  }

  setVisible(it: Drawable, visible: boolean): void {
    const e = this.entries.get(it);
    if (!e || e.visible === visible) return;
    e.visible = visible;
    if (visible) this.invalidate();
  }

  /** `cb` runs twice a second while the page is shown: text, never pixels of a chart. */
  onText(cb: () => void): () => void {
    this.texts.add(cb);
    this.arm();
    return () => this.texts.delete(cb);
  }

  /** `cb` runs at the start of every frame that may draw: move the view here. */
  onFrame(cb: () => void): () => void {
    this.before.add(cb);
    return () => this.before.delete(cb);
  }

  /** New data: draw on the next frame whose time has come. */
  data(): void {
    this.request();
  }

  /** The reader did something (hover, zoom, theme): draw on the very next frame. */
  invalidate(): void {
    this.urgent = true;
    this.request();
  }

  private request(): void {
    if (this.clock.hidden() || this.state === 'framed') return;
    const now = this.clock.now();
    const wait = this.urgent || this.textDue ? 0 : Math.max(this.creditWait(now), this.idleUntil - now);
    if (wait <= 0) {
      this.ask();
      return;
    }
    if (this.state === 'waiting' || !Number.isFinite(wait)) return;
    this.state = 'waiting';
    this.clock.after(wait, () => {
      if (this.state !== 'waiting') return;
      this.state = 'idle';
      this.ask();
    });
  }

  /** A frame is asked for only when it will draw: each one costs the browser a whole pipeline. */
  private ask(): void {
    if (!this.urgent && !this.textDue && !this.moved(this.clock.now())) return;
    this.state = 'framed';
    this.clock.frame(() => this.run());
  }

  /** Whether some chart would draw now. */
  private moved(now: number): boolean {
    for (const e of this.entries.values())
      if (e.visible && now >= dueAt(e) && e.it.key() !== e.key) return true;
    return false;
  }

  /** Milliseconds until data may be drawn. Credit comes with time and goes with draws, so that data that
   *  arrive ten times a second are drawn as they arrive, whatever their phase, and never more often. */
  private creditWait(now: number): number {
    const period = 1000 / this.rate();
    this.credit = Math.min(MOST_CREDIT, this.credit + (now - this.creditAt) / period);
    this.creditAt = now;
    return Math.max((ENOUGH - this.credit) * period, this.drawnAt + period / 2 - now);
  }

  private run(): void {
    this.state = 'idle';
    const now = this.clock.now();
    if (this.clock.hidden()) return;
    const forced = this.urgent;
    this.urgent = false;
    for (const cb of this.before) cb();
    this.idleUntil = Number.POSITIVE_INFINITY;
    let drew = false;
    // A frame that came for text draws charts only if it is their time too.
    const may = forced || this.creditWait(now) <= 4;
    for (const e of this.entries.values()) {
      if (!e.visible) continue;
      if (may) drew = this.one(e, now, forced) || drew;
      this.idleUntil = Math.min(this.idleUntil, dueAt(e));
    }
    // After the charts: what is new is on screen first.
    if (this.textDue) this.flushText();
    if (drew && !forced) {
      this.credit -= 1;
      this.drawnAt = now;
    }
    this.cost += (this.clock.now() - now - this.cost) * 0.1;
  }

  private one(e: Entry, now: number, forced: boolean): boolean {
    if (!forced && now < dueAt(e)) return false;
    const key = e.it.key();
    const period = e.it.period();
    if (key === e.key) {
      // Nothing moved: look again a little later, not with every message.
      e.at = Math.max(e.at, now - period * 0.6);
      return false;
    }
    e.key = key;
    // A late frame does not delay the ones after it.
    e.at = Number.isFinite(period) ? Math.max(Math.min(e.at + period, now), now - period / 2) : now;
    e.it.draw();
    return true;
  }

  private arm(): void {
    if (this.timer || this.texts.size === 0) return;
    this.timer = true;
    this.nextText = this.clock.now() + TEXT_PERIOD;
    this.clock.after(TEXT_PERIOD, () => this.tick());
  }

  private tick(): void {
    if (this.texts.size === 0) {
      this.timer = false;
      return;
    }
    const now = this.clock.now();
    this.nextText = Math.max(this.nextText + TEXT_PERIOD, now + TEXT_PERIOD / 2);
    this.clock.after(this.nextText - now, () => this.tick());
    if (this.clock.hidden()) return;
    // Text goes with the next frame of data; without data it comes a little later by itself.
    this.textDue = true;
    this.clock.after(TEXT_GRACE, () => {
      if (!this.textDue || this.clock.hidden()) return;
      this.request();
    });
  }

  private flushText(): void {
    this.textDue = false;
    for (const cb of this.texts) cb();
  }
}

/** The page's scheduler. */
export const sched = new Scheduler();
