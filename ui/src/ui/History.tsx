// The strip under the header: CPU of the last hour (or of all that is held), events, where the view is.
// A click or drag there moves the view.
import { effect } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { mix, palette, themeVersion } from '../charts/palette';
import { sched } from '../charts/sched';
import { minuteText } from '../charts/time';
import { theme, utc } from '../state/prefs';
import { epoch } from '../state/pulse';
import { fixed, goLive, pausedAt, roundWidth, SECOND, selection, viewNow, windowUs } from '../state/view';
import type { Frame, MonoUs, Source, View } from '../store/api';
import { store } from '../store/store';
import { cpuBusy } from '../transform/source';
import { figures } from './figures';

const LEFT = 116;
const RIGHT = 160; // at least
const HEIGHT = 26;
const HOUR = 3600 * SECOND;

/** The strip's own span: an hour, or all that is held where the page shows more. */
function span(): View {
  const to = Math.max(store.newest, store.clock.now() - SECOND);
  const held = Math.max(HOUR, roundWidth(to - store.heldFrom));
  const wide = windowUs.peek() === 0 || windowUs.peek() > HOUR || (fixed.peek()?.from ?? to) < to - HOUR;
  return { from: to - (wide ? held : HOUR), to };
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
  /** Where the words about the log's beginning stand. */
  private taken: [number, number] = [0, 0];
  private drag: { x: number; moved: boolean } | null = null;

  constructor(private readonly canvas: HTMLCanvasElement) {
    this.ctx = canvas.getContext('2d')!;
  }

  private x = (t: MonoUs) => LEFT + ((t - this.view.from) / (this.view.to - this.view.from)) * this.plot;
  private t = (x: number) => this.view.from + ((x - LEFT) / this.plot) * (this.view.to - this.view.from);
  private get plot(): number {
    return Math.max(10, this.w - LEFT - this.right);
  }

  /** The canvas has another size. */
  resize(width: number): void {
    this.w = width;
    this.due = 0;
    this.draw();
  }

  /** At 2 Hz, and at once when the view or the theme changed; paints only where that shows. */
  draw(): void {
    if (this.w === 0) return;
    const s = span();
    const n = Math.round(this.plot);
    // Whole columns: a pixel is seconds wide, so most calls have nothing new to paint.
    const step = Math.round((s.to - s.from) / n);
    const to = Math.ceil(s.to / step) * step;
    this.view = { from: to - n * step, to };
    const v = viewNow(store);
    const { held } = figures.peek();
    const box = `${Math.round(this.x(v.from))} ${Math.round(this.x(v.to))}`;
    const loading = !this.frame || this.frame.loading || performance.now() >= this.due;
    const key = `${to} ${step} ${box} ${held} ${this.w} ${devicePixelRatio} ${themeVersion()} ${store.events.length} ${utc.peek()}`;
    if (!loading && key === this.drawn) return;
    this.drawn = key;
    if (store.newest && loading) {
      this.source ??= cpuBusy(store);
      this.frame = store.frame([this.source], this.view, n);
      this.due = performance.now() + Math.min(10_000, step / 1000);
    }
    this.paint(held, (s.to - s.from) / HOUR > 1.01);
  }

  private paint(held: string, all: boolean): void {
    const c = this.ctx;
    const p = palette();
    const ratio = devicePixelRatio || 1;
    if (this.canvas.width !== Math.round(this.w * ratio)) {
      this.canvas.width = Math.round(this.w * ratio);
      this.canvas.height = Math.round(HEIGHT * ratio);
    }
    c.setTransform(ratio, 0, 0, ratio, 0, 0);
    c.clearRect(0, 0, this.w, HEIGHT);
    c.font = `11px ${p.font}`;
    c.textBaseline = 'middle';
    c.fillStyle = p.css.t3;
    c.textAlign = 'left';
    c.fillText(all ? 'All held, CPU' : 'Last hour, CPU', 12, 13.5);
    c.textAlign = 'right';
    c.fillText(held, this.w - 12, 13.5);
    // Room for it in steps, so that the plot does not follow every digit.
    this.right = Math.max(RIGHT, Math.ceil((c.measureText(held).width + 24) / 20) * 20);
    if (!store.newest) return;
    this.plotCpu();
    this.labels();
    this.events();
    this.box();
  }

  private plotCpu(): void {
    this.taken = [0, 0];
    const f = this.frame;
    const col = f?.cols[0];
    if (!f || !col) return;
    const c = this.ctx;
    const p = palette();
    const wide = Math.max(1, Math.ceil((f.stepUs / (this.view.to - this.view.from)) * this.plot));
    c.fillStyle = mix(p.css.neutral, p.css.panel, 0.55);
    for (let i = 0; i < f.t.length; i++) {
      const hi = col.hi[i]!;
      const x = Math.round(this.x(f.t[i]!));
      if (Number.isNaN(hi) || x < LEFT) continue;
      const h = Math.max(0.5, Math.min(1, hi) * 17);
      c.fillRect(x, 22 - h, wide, h);
    }
    c.fillStyle = p.css.line2;
    for (const g of f.gaps) {
      if (g.reason === 'before') continue;
      const a = Math.round(this.x(g.from));
      const b = Math.max(a + 1, Math.round(this.x(g.to)));
      for (let x = a; x < b; x++) if ((x & 3) === 0 || b - a < 4) c.fillRect(x, 5, 1, 17);
    }
    const before = f.gaps.find((g) => g.reason === 'before');
    if (!before) return;
    const edge = Math.round(this.x(before.to));
    c.fillStyle = p.css.raise;
    c.fillRect(LEFT, 5, edge - LEFT, 17);
    c.fillStyle = p.css.line2;
    c.fillRect(edge, 5, 1, 17);
    c.fillStyle = p.css.t3;
    c.textAlign = 'right';
    const text = before.text ?? '';
    const w = c.measureText(text).width;
    if (w + 12 > edge - LEFT) return;
    c.fillText(text, edge - 6, 14);
    this.taken = [edge - w - 12, edge];
  }

  private labels(): void {
    const c = this.ctx;
    const p = palette();
    const span = (this.view.to - this.view.from) / SECOND;
    const every = [600, 1800, 3600, 7200, 21600, 86400].find((e) => span / e <= 7) ?? 86400;
    const ms = every * 1000;
    const to = store.clock.wallMs(this.view.to);
    c.textAlign = 'left';
    for (let wall = Math.ceil(store.clock.wallMs(this.view.from) / ms) * ms; wall < to; wall += ms) {
      const x = Math.round(this.x(store.clock.mono(wall)));
      if (x < LEFT) continue;
      c.fillStyle = p.css.line2;
      c.fillRect(x, 3, 1, 20);
      const text = minuteText(wall);
      const w = c.measureText(text).width;
      if (x + w + 8 > LEFT + this.plot || (x + w + 6 > this.taken[0] && x < this.taken[1])) continue;
      c.globalAlpha = 0.82;
      c.fillStyle = p.css.panel;
      c.fillRect(x + 2, 3, w + 5, 11);
      c.globalAlpha = 1;
      c.fillStyle = p.css.t2;
      c.fillText(text, x + 4, 9);
    }
  }

  private events(): void {
    const c = this.ctx;
    const p = palette();
    for (const e of store.events) {
      const x = Math.round(this.x(e.t));
      if (x < LEFT || x > LEFT + this.plot) continue;
      c.fillStyle = e.severity === 2 ? p.css.crit : e.severity === 1 ? p.css.warn : p.css.t2;
      c.beginPath();
      c.moveTo(x - 4, 2);
      c.lineTo(x + 4, 2);
      c.lineTo(x, 8);
      c.fill();
    }
  }

  private box(): void {
    const c = this.ctx;
    const p = palette();
    const v = viewNow(store);
    const a = Math.max(LEFT, Math.round(this.x(v.from)));
    const b = Math.max(a + 4, Math.round(this.x(v.to)));
    c.strokeStyle = p.css.t1;
    c.lineWidth = 1;
    c.strokeRect(a - 0.5, 1.5, b - a + 1, 23);
    c.fillStyle = p.css['sel-fill'];
    c.fillRect(a, 2, b - a, 22);
  }

  down = (e: PointerEvent): void => {
    if (e.button !== 0 || e.offsetX < LEFT - 4 || !store.newest) return;
    this.canvas.setPointerCapture(e.pointerId);
    this.drag = { x: e.offsetX, moved: false };
    this.moveTo(e.offsetX);
  };
  move = (e: PointerEvent): void => {
    if (!this.drag) return;
    this.drag.moved = true;
    this.moveTo(e.offsetX);
  };
  up = (): void => {
    this.drag = null;
  };

  /** The view's middle to a pixel; at the right end it is live again. */
  private moveTo(x: number): void {
    const v = viewNow(store);
    const width = v.to - v.from;
    let from = this.t(x) - width / 2;
    if (from + width >= store.newest) {
      goLive();
      return;
    }
    from = Math.max(from, store.heldFrom);
    if (!fixed.peek()) pausedAt.value = store.newest;
    selection.value = null;
    fixed.value = { from: Math.round(from), to: Math.round(from + width) };
  }
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
        void [fixed.value, windowUs.value, theme.value, utc.value, epoch.value];
        requestAnimationFrame(draw);
      }),
    ];
    canvas.addEventListener('pointerdown', s.down);
    canvas.addEventListener('pointermove', s.move);
    canvas.addEventListener('pointerup', s.up);
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
        role="img"
        aria-label="CPU of the last hour; arrow keys and the window buttons move the view"
      />
    </div>
  );
}
