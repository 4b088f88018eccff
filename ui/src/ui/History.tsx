// The strip under the header: what is held, and where the charts look. Drag the box to move it, its edges
// to widen it, elsewhere to look at another stretch; the same by keys.
import { computed, effect, signal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { themeVersion } from '../charts/palette';
import { sched } from '../charts/sched';
import { clockText } from '../charts/time';
import { bare } from '../state/bare';
import { theme, utc } from '../state/prefs';
import { capture, epoch, held } from '../state/pulse';
import {
  baseline,
  fixed,
  goLive,
  pausedAt,
  SECOND,
  selection,
  viewNow,
  windowUs,
  zoomTo,
} from '../state/view';
import type { Frame, HostEvent, MonoUs, Source, View } from '../store/api';
import { type Held, type Seam, seamsWith } from '../store/held';
import { store } from '../store/store';
import { cpuBusy } from '../transform/source';
import { figures } from './figures';
import { moved, scaled } from './pan';
import {
  between,
  type Hit,
  hit,
  LEAST_US,
  SPANS,
  seamText,
  stripTicks,
  stripView,
  usefulSpans,
  viewText,
  widened,
} from './strip';
import { boxEdges, HEIGHT, LEFT, paintStrip, type StripPicture, xOn } from './stripPaint';

const RIGHT = 160; // at least
const HOUR = 3600 * SECOND;
/** Charts are told of a drag no more often. */
const DRAG_MS = 100;

/** The strip's own span, 0: all that is held. */
const chosenUs = signal<number | null>(null);
const spanUs = computed(() => chosenUs.value ?? (capture.value === null ? HOUR : 0));
/** How far back anything is held: what decides which spans are of use. */
const heldUs = signal(0);

/** Another span of those that are of use; `by` 1: a longer one, the first after the last. */
function turnSpan(by: number, wrap = false): void {
  const list = usefulSpans(heldUs.peek(), capture.peek() !== null);
  const i = Math.max(
    0,
    list.findIndex((s) => s.us === spanUs.peek()),
  );
  const next = wrap ? (i + by) % list.length : Math.max(0, Math.min(list.length - 1, i + by));
  chosenUs.value = list[next]?.us ?? HOUR;
}

const newest = () => Math.max(store.newest, store.clock.now() - SECOND);

/** Lets the charts show a still view; one that reaches the newest moment is live again. */
function show(v: View | null): void {
  if (!v) {
    goLive();
    return;
  }
  if (!fixed.peek()) pausedAt.value = store.newest;
  selection.value = null;
  fixed.value = v;
}

interface Drag {
  readonly kind: Hit;
  readonly x0: number;
  readonly t0: MonoUs;
  readonly view: View;
  moved: boolean;
  /** What the charts will show. */
  next: View | null;
  told: number;
}

class Strip {
  private ctx: CanvasRenderingContext2D;
  private view: View = { from: 0, to: 1 };
  private frame: Frame | null = null;
  private due = 0;
  private source: Source | null = null;
  private w = 0;
  private drawn = '';
  private right = RIGHT;
  private drag: Drag | null = null;

  constructor(private readonly canvas: HTMLCanvasElement) {
    this.ctx = canvas.getContext('2d')!;
  }

  private get plot(): number {
    return Math.max(10, this.w - LEFT - this.right);
  }
  private t = (x: number): MonoUs =>
    this.view.from + ((x - LEFT) / this.plot) * (this.view.to - this.view.from);

  /** The canvas has another size. */
  resize(width: number): void {
    this.w = width;
    this.due = 0;
    this.draw();
  }

  /** At 2 Hz, and at once when the view or the theme changed; paints only where that shows. */
  draw(): void {
    if (this.w === 0) return;
    const back = store.heldFrom ? newest() - store.heldFrom : 0;
    if (Math.abs(back - heldUs.peek()) > 60 * SECOND) heldUs.value = back;
    const n = Math.round(this.plot);
    if (!this.drag) this.place(n);
    const step = (this.view.to - this.view.from) / n;
    const box = this.drag?.next ?? viewNow(store);
    const words = figures.peek().held;
    const loading = !this.frame || this.frame.loading || performance.now() >= this.due;
    const at = [this.view.from, step, ...boxEdges({ view: this.view, plot: n }, box), words, this.w];
    const key = `${at} ${devicePixelRatio} ${themeVersion()} ${store.events.length} ${utc.peek()} ${
      baseline.peek()?.from
    } ${selection.peek()?.from} ${held.peek().oldestUs} ${held.peek().seams.length}`;
    this.canvas.dataset.view = [box.from, box.to].map((t) => store.clock.wallMs(t).toFixed(3)).join(' ');
    if (!loading && key === this.drawn) return;
    this.drawn = key;
    if (store.newest && loading) {
      this.source ??= cpuBusy(store);
      this.frame = store.frame([this.source], this.view, n);
      this.due = performance.now() + Math.min(10_000, step / 1000);
      store.past.wantEvents(Math.max(this.view.from, store.heldFrom));
    }
    this.paint(this.picture(n, box, words));
    this.say(box);
  }

  /** Whole columns: a pixel is seconds wide, so most calls have nothing new to paint. */
  private place(n: number): void {
    const s = stripView({
      spanUs: spanUs.peek(),
      heldFrom: store.heldFrom || newest() - HOUR,
      newest: newest(),
      view: viewNow(store),
      live: fixed.peek() === null,
      whole: capture.peek() !== null,
    });
    const step = Math.max(1, Math.round((s.to - s.from) / n));
    const to = Math.ceil(s.to / step) * step;
    if (to !== this.view.to || to - n * step !== this.view.from) this.due = 0;
    this.view = { from: to - n * step, to };
  }

  private picture(n: number, box: View, words: string): StripPicture {
    const { clock } = store;
    const before = store.newest ? store.before(this.view) : null;
    return {
      width: this.w,
      plot: n,
      view: this.view,
      frame: this.frame,
      held: held.peek(),
      seams: this.seams(),
      before: before && { to: before.to, text: before.text ?? '' },
      ticks: store.newest
        ? stripTicks(
            this.view,
            (t) => clock.wallMs(t),
            (ms) => clock.mono(ms),
          )
        : [],
      events: store.events,
      words,
      box,
      base: baseline.peek(),
      selection: selection.peek(),
    };
  }

  private seams(): readonly Seam[] {
    const [h, e] = [held.peek(), store.events];
    if (this.known.held !== h || this.known.events !== e)
      this.known = { held: h, events: e, seams: seamsWith(h, e) };
    return this.known.seams;
  }
  private known: { held: Held | null; events: readonly HostEvent[] | null; seams: readonly Seam[] } = {
    held: null,
    events: null,
    seams: [],
  };

  private paint(p: StripPicture): void {
    const ratio = devicePixelRatio || 1;
    if (this.canvas.width !== Math.round(this.w * ratio)) {
      this.canvas.width = Math.round(this.w * ratio);
      this.canvas.height = Math.round(HEIGHT * ratio);
    }
    this.ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
    paintStrip(this.ctx, p);
    this.mark(p);
    // Room for the words in steps, so that the plot does not follow every digit.
    this.right = Math.max(RIGHT, Math.ceil((this.ctx.measureText(p.words).width + 24) / 20) * 20);
  }

  /** What is painted, for who drives the page by script: times in ms of wall time, x in CSS pixels. */
  private mark(p: StripPicture): void {
    const d = this.canvas.dataset;
    const ms = (t: MonoUs) => store.clock.wallMs(t).toFixed(3);
    d.from = ms(p.view.from);
    d.to = ms(p.view.to);
    d.box = boxEdges(p, p.box).join(' ');
    d.plot = `${LEFT} ${LEFT + p.plot}`;
    d.spans = String(p.held.spans.length);
    d.seams = p.seams.map((s) => s.what).join(' ');
  }

  /** For those who do not see it. */
  private say(v: View): void {
    if (!store.newest) return;
    const text = viewText(v, fixed.peek() === null && !this.drag, (t) => store.clock.wallMs(t));
    const c = this.canvas;
    if (c.getAttribute('aria-valuetext') === text) return;
    c.setAttribute('aria-valuetext', text);
    const part = (v.to - store.heldFrom) / Math.max(1, newest() - store.heldFrom);
    c.setAttribute('aria-valuenow', String(Math.max(0, Math.min(100, Math.round(part * 100)))));
  }

  // ---- pointer

  private hit(x: number): Hit {
    return hit(x, ...boxEdges({ view: this.view, plot: Math.round(this.plot) }, viewNow(store)));
  }

  down = (e: PointerEvent): void => {
    if (e.button !== 0 || e.offsetX < LEFT - 6 || e.offsetX > LEFT + this.plot + 8 || !store.newest) return;
    this.canvas.setPointerCapture(e.pointerId);
    const view = viewNow(store);
    this.drag = {
      kind: this.hit(e.offsetX),
      x0: e.offsetX,
      t0: this.t(e.offsetX),
      view,
      moved: false,
      next: null,
      told: 0,
    };
  };

  move = (e: PointerEvent): void => {
    const d = this.drag;
    if (!d) {
      this.point(e.offsetX);
      return;
    }
    if (!d.moved && Math.abs(e.offsetX - d.x0) < 3) return;
    d.moved = true;
    this.draft(d, this.t(e.offsetX));
    const now = performance.now();
    // A new stretch is only drawn until the button is up; what moves takes the charts along.
    if (d.kind !== 'out' && now - d.told >= DRAG_MS) {
      d.told = now;
      if (d.next) show(d.next);
    }
    requestAnimationFrame(() => this.draw());
  };

  private draft(d: Drag, t: MonoUs): void {
    const [from, to] = [store.heldFrom, newest()];
    if (d.kind === 'out') d.next = between(d.t0, t, from, to);
    else if (d.kind === 'box')
      d.next = moved(d.view, t - d.t0, from, to) ?? { from: to - (d.view.to - d.view.from), to };
    else d.next = widened(d.view, d.kind, t, from, to);
  }

  up = (e: PointerEvent): void => {
    const d = this.drag;
    this.drag = null;
    if (!d) return;
    if (!d.moved) {
      if (d.kind === 'out') this.centre(this.t(e.offsetX));
    } else if (d.next) {
      const end = d.next.to >= newest() - (this.view.to - this.view.from) / this.plot;
      if (d.kind === 'out' || d.kind === 'left') zoomTo(store, d.next);
      else show(end && d.kind === 'box' ? null : d.next);
    }
    this.draw();
  };

  cancel = (): void => {
    this.drag = null;
    this.draw();
  };

  /** The view's middle to a moment; at the right end it is live again. */
  private centre(t: MonoUs): void {
    const v = viewNow(store);
    show(moved(v, t - (v.from + v.to) / 2, store.heldFrom, newest()));
  }

  /** Says what is under the pointer. */
  private point(x: number): void {
    const c = this.canvas;
    if (x < LEFT || x > LEFT + this.plot) {
      c.style.cursor = 'default';
      c.title = '';
      return;
    }
    const h = this.hit(x);
    c.style.cursor = h === 'out' ? 'crosshair' : h === 'box' ? 'grab' : 'ew-resize';
    const title = this.under(x);
    if (c.title !== title) c.title = title;
  }

  private under(x: number): string {
    const wall = (t: MonoUs) => store.clock.wallMs(t);
    const at = (t: MonoUs) => xOn({ view: this.view, plot: this.plot }, t);
    const e = store.events.findLast((ev) => Math.abs(at(ev.t) - x) <= 4);
    if (e) return `${clockText(wall(e.t))} ${e.text}`;
    const seam = this.seams().find((s) => x >= at(s.from) - 3 && x <= at(s.to) + 3);
    if (seam) return seamText(seam, wall);
    const t = this.t(x);
    const rolled = t < held.peek().fullUs && t >= store.heldFrom;
    return rolled ? `${clockText(wall(t))}, held as 10 s rollups` : clockText(wall(t));
  }

  wheel = (e: WheelEvent): void => {
    e.preventDefault();
    if (performance.now() - this.wheeled < 150) return;
    this.wheeled = performance.now();
    turnSpan(e.deltaY > 0 ? 1 : -1);
  };
  private wheeled = 0;

  // ---- keys

  key = (e: KeyboardEvent): void => {
    if (e.ctrlKey || e.metaKey || e.altKey || !this.byKey(e)) return;
    e.preventDefault();
    e.stopPropagation();
  };

  private byKey(e: KeyboardEvent): boolean {
    const v = viewNow(store);
    const width = v.to - v.from;
    const [from, to] = [store.heldFrom, newest()];
    const by = (us: number) => (us > 0 && fixed.peek() === null ? undefined : show(moved(v, us, from, to)));
    const page = (this.view.to - this.view.from) / 8;
    const zoom = (f: number) => zoomTo(store, scaled(v, (v.from + v.to) / 2, f, from, to));
    const keys: Record<string, () => void> = {
      ArrowLeft: () => by(-width * (e.shiftKey ? 1 : 0.25)),
      ArrowRight: () => by(width * (e.shiftKey ? 1 : 0.25)),
      PageUp: () => by(-page),
      PageDown: () => by(page),
      Home: () => show({ from: Math.round(from), to: Math.round(from + Math.max(LEAST_US, width)) }),
      End: () => show(null),
      '+': () => zoom(0.5),
      '-': () => zoom(2),
      '=': () => zoom(0.5),
    };
    const run = keys[e.key];
    run?.();
    return run !== undefined;
  }
}

function SpanButton() {
  const file = capture.value !== null;
  const list = usefulSpans(heldUs.value, file);
  const now = SPANS.find((s) => s.us === spanUs.value) ?? SPANS[0]!;
  const one = list.length < 2;
  const label = file && now.us === 0 ? 'Capture' : now.label;
  return (
    <button
      type="button"
      class="span"
      disabled={one}
      aria-label={`${label}, CPU: the strip shows ${now.words}`}
      title={one ? undefined : 'Another span of the strip; the wheel does it, too'}
      onClick={() => turnSpan(1, true)}
    >
      {bare.value ? 'No metrics' : `${label}, CPU`}
      {!one && <span aria-hidden="true"> ▾</span>}
    </button>
  );
}

export function History() {
  const ref = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const canvas = ref.current;
    if (!canvas) return undefined;
    const s = new Strip(canvas);
    const draw = () => s.draw();
    const offs = [
      sched.onText(draw),
      effect(() => {
        void [fixed.value, windowUs.value, selection.value, baseline.value, spanUs.value];
        void [theme.value, utc.value, epoch.value, held.value];
        requestAnimationFrame(draw);
      }),
    ];
    canvas.addEventListener('pointerdown', s.down);
    canvas.addEventListener('pointermove', s.move);
    canvas.addEventListener('pointerup', s.up);
    canvas.addEventListener('pointercancel', s.cancel);
    canvas.addEventListener('keydown', s.key);
    canvas.addEventListener('wheel', s.wheel, { passive: false });
    const sized = new ResizeObserver((e) => s.resize(e[0]?.contentRect.width ?? 0));
    sized.observe(canvas);
    return () => {
      for (const off of offs) off();
      sized.disconnect();
    };
  }, []);
  return (
    <div class="bar history">
      <canvas
        ref={ref}
        tabIndex={0}
        role="slider"
        aria-label="What is held: arrow keys move the view, plus and minus zoom, Home is the oldest, End is now"
        aria-orientation="horizontal"
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={100}
        aria-valuetext="live"
      />
      <SpanButton />
    </div>
  );
}
