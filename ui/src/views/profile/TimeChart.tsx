// The flame chart: what each thread ran, in order of time, for a short range.
import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { flameColours, nameHash, toneOf } from '../../charts/flame/colours';
import { TextFit } from '../../charts/flame/text';
import { palette } from '../../charts/palette';
import { clockText, durationText } from '../../charts/time';
import { chips, filter } from '../../state/profile';
import type { View } from '../../store/api';
import { store } from '../../store/store';
import { type ChartBox, type ChartThread, chartOf, type TimeChartData } from '../../transform/flame/chart';
import { askChart } from '../../transform/profiler';
import type { Task } from '../../transport/profile';
import { countText, timeText } from './words';

const ROW = 16;
const HEAD = 20;
const AXIS = 20;
/** Longer ranges are no flame chart. */
export const LONGEST_US = 60_000_000;

interface Placed {
  readonly thread: ChartThread;
  readonly y: number;
  readonly h: number;
}

function place(data: TimeChartData): { list: Placed[]; height: number } {
  let y = AXIS;
  const list = data.threads.map((thread) => {
    const h = HEAD + thread.depth * ROW + 6;
    const p = { thread, y, h };
    y += h;
    return p;
  });
  return { list, height: y };
}

let fit: TextFit | null = null;

class Painter {
  readonly canvas = document.createElement('canvas');
  private data: TimeChartData | null = null;
  private list: Placed[] = [];
  private height = 0;
  private view: View = { from: 0, to: 1 };
  private top = 0;
  private hits: { x: number; y: number; w: number; box: ChartBox; thread: ChartThread }[] = [];
  private hover: ChartBox | null = null;
  private re: RegExp | null = null;
  /** Of the process, where a thread has no name of its own. */
  comm = '';
  private asked = 0;
  private readonly sized: ResizeObserver;

  constructor(
    private readonly host: HTMLElement,
    private readonly say: (box: ChartBox | null, t: ChartThread | null) => void,
    private readonly zoom: (v: View) => void,
  ) {
    const c = this.canvas;
    c.className = 'flame';
    c.tabIndex = 0;
    c.setAttribute('role', 'img');
    c.setAttribute('aria-label', 'Flame chart: what threads ran, in order of time');
    host.append(c);
    c.addEventListener('pointermove', (e) => this.point(e));
    c.addEventListener('pointerleave', () => this.hovered(null, null));
    c.addEventListener('click', (e) => {
      const hit = this.at(e);
      if (hit) this.zoom({ from: hit.box.from, to: hit.box.to });
    });
    c.addEventListener(
      'wheel',
      (e) => {
        const most = Math.max(0, this.height - this.host.clientHeight);
        const next = Math.max(0, Math.min(most, this.top + e.deltaY));
        if (e.ctrlKey || next === this.top) return;
        e.preventDefault();
        this.top = next;
        this.soon();
      },
      { passive: false },
    );
    this.sized = new ResizeObserver(() => this.soon());
    this.sized.observe(host);
  }

  destroy(): void {
    this.sized.disconnect();
    cancelAnimationFrame(this.asked);
    this.canvas.remove();
  }

  set(data: TimeChartData | null, view: View, re: RegExp | null): void {
    if (data !== this.data) {
      const p = data ? place(data) : { list: [], height: 0 };
      this.list = p.list;
      this.height = p.height;
      this.top = Math.min(this.top, Math.max(0, this.height - this.host.clientHeight));
    }
    this.data = data;
    this.view = view;
    this.re = re;
    this.soon();
  }

  private soon(): void {
    if (!this.asked) this.asked = requestAnimationFrame(() => this.paint());
  }

  private at(e: MouseEvent) {
    const r = this.canvas.getBoundingClientRect();
    const [x, y] = [e.clientX - r.left, e.clientY - r.top];
    return this.hits.find((h) => x >= h.x && x < h.x + h.w && y >= h.y && y < h.y + ROW) ?? null;
  }

  private point(e: PointerEvent): void {
    const hit = this.at(e);
    this.hovered(hit?.box ?? null, hit?.thread ?? null);
  }

  private hovered(box: ChartBox | null, t: ChartThread | null): void {
    if (box === this.hover) return;
    this.hover = box;
    this.canvas.style.cursor = box ? 'pointer' : '';
    this.say(box, t);
    this.soon();
  }

  private paint(): void {
    this.asked = 0;
    const { clientWidth: w, clientHeight: h } = this.host;
    const dpr = devicePixelRatio || 1;
    const c = this.canvas;
    if (!w || !h) return;
    c.width = Math.round(w * dpr);
    c.height = Math.round(h * dpr);
    c.style.width = `${w}px`;
    c.style.height = `${h}px`;
    const ctx = c.getContext('2d', { alpha: false })!;
    ctx.setTransform(dpr, 0, 0, dpr, 0, 0);
    const { css, font } = palette();
    ctx.fillStyle = css.panel;
    ctx.fillRect(0, 0, w, h);
    ctx.font = `11px ${font}`;
    if (fit?.font !== ctx.font) fit = new TextFit((s) => ctx.measureText(s).width, ctx.font);
    this.hits = [];
    if (this.data)
      for (const p of this.list)
        if (p.y - this.top < h && p.y + p.h - this.top > 0) this.thread(ctx, w, h, p);
    this.axis(ctx, w);
    c.dataset.painted = String(Number(c.dataset.painted ?? 0) + 1);
    c.dataset.frames = String(this.hits.length);
  }

  private thread(ctx: CanvasRenderingContext2D, w: number, h: number, p: Placed): void {
    const { css, font } = palette();
    const k = flameColours();
    const { nodes } = this.data!;
    const y0 = p.y - this.top;
    const scale = w / (this.view.to - this.view.from);
    ctx.fillStyle = css.line;
    ctx.fillRect(0, y0, w, 1);
    ctx.textBaseline = 'middle';
    ctx.textAlign = 'left';
    ctx.font = `600 11px ${font}`;
    ctx.fillStyle = css.t1;
    const t = p.thread;
    const title = `${t.comm || this.comm} ${t.tid}`.trim();
    ctx.fillText(title, 0, y0 + HEAD / 2 + 1);
    const tw = ctx.measureText(title).width;
    ctx.font = `11px ${font}`;
    ctx.fillStyle = css.t3;
    ctx.fillText(`${countText(t.samples)} samples`, tw + 8, y0 + HEAD / 2 + 1);
    const seen = new Int32Array(t.depth).fill(-1);
    for (const b of t.boxes) {
      const x0 = Math.max(0, Math.round((b.from - this.view.from) * scale));
      const x1 = Math.min(w, Math.round((b.to - this.view.from) * scale));
      const y = y0 + HEAD + b.depth * ROW;
      if (x1 <= 0 || x0 >= w || y > h || y < -ROW) continue;
      const ww = Math.max(1, x1 - x0 - (x1 - x0 > 2 ? 1 : 0));
      if (ww === 1 && seen[b.depth] === x0) continue;
      seen[b.depth] = x0;
      const name = nodes.strings[nodes.name[b.node]!] ?? '';
      const type = nodes.type[b.node] ?? 0;
      const hit = this.re?.test(name) ?? false;
      const faded = this.re !== null && !hit;
      const row = (faded ? k.faded : k.type)[type] ?? k.type[0]!;
      ctx.fillStyle = hit ? k.hit : row[toneOf(nameHash(name))]!;
      ctx.fillRect(x0, y, ww, ROW - 1);
      if (b === this.hover) {
        ctx.strokeStyle = css.sel;
        ctx.strokeRect(x0 + 0.5, y + 0.5, Math.max(0, ww - 1), ROW - 2);
      }
      this.hits.push({ x: x0, y, w: ww, box: b, thread: t });
      if (ww <= 26) continue;
      ctx.fillStyle = hit ? '#ffffff' : faded ? k.muted : k.text;
      ctx.fillText(fit!.fit(name || '[unknown]', ww - 8), x0 + 4, y + (ROW - 1) / 2 + 0.5);
    }
  }

  private axis(ctx: CanvasRenderingContext2D, w: number): void {
    const { css } = palette();
    ctx.fillStyle = css.panel;
    ctx.fillRect(0, 0, w, AXIS - 1);
    ctx.textBaseline = 'middle';
    ctx.fillStyle = css.t3;
    const span = this.view.to - this.view.from;
    const step = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000].find(
      (ms) => (ms * 1000 * w) / span >= 110,
    );
    if (!step) return;
    const from = store.clock.wallMs(this.view.from);
    for (let t = Math.ceil(from / step) * step; t <= from + span / 1000; t += step) {
      const x = Math.round(((t - from) * 1000 * w) / span);
      ctx.fillStyle = css.axis;
      ctx.fillRect(x, AXIS - 5, 1, 4);
      ctx.fillStyle = css.t3;
      const text = clockText(t, step < 1000 ? 3 : 0);
      ctx.textAlign = 'left';
      if (x + 4 + ctx.measureText(text).width <= w) ctx.fillText(text, x + 4, AXIS / 2 - 1);
    }
  }
}

export function TimeChart({
  range,
  tasks,
  re,
  theme,
  hz,
}: {
  range: View;
  tasks: readonly Task[];
  re: RegExp | null;
  theme: number;
  hz: number;
}) {
  const host = useRef<HTMLDivElement>(null);
  const painter = useRef<Painter | null>(null);
  const data = useSignal<TimeChartData | null>(null);
  const why = useSignal('');
  const said = useSignal<{ box: ChartBox; thread: ChartThread } | null>(null);
  const zoomed = useSignal<View | null>(null);
  const view = zoomed.value ?? range;
  const long = range.to - range.from > LONGEST_US;
  const pid = chips.value.pid || (chips.value.tid ? 0 : (tasks[0]?.pid ?? 0));
  useEffect(() => {
    if (!host.current) return undefined;
    const p = new Painter(
      host.current,
      (box, thread) => {
        said.value = box && thread ? { box, thread } : null;
      },
      (v) => {
        const grow = (v.to - v.from) * 0.05 + 1000;
        zoomed.value = { from: v.from - grow, to: v.to + grow };
      },
    );
    painter.current = p;
    return () => p.destroy();
  }, []);
  useEffect(() => {
    zoomed.value = null;
    data.value = null;
    if (long || (!pid && !chips.value.tid)) return undefined;
    let over = false;
    void askChart(range, { ...filter.value, pid }).then(({ value, why: no }) => {
      if (over) return;
      data.value = value && chartOf(value, 1.6e6 / (hz || 99));
      why.value = value ? '' : (no?.text ?? 'No answer.');
    });
    return () => {
      over = true;
    };
  }, [range.from, range.to, pid, filter.value, long]);
  const comm = chips.value.comm || (tasks.find((t) => t.pid === pid)?.comm ?? '');
  if (painter.current) painter.current.comm = comm;
  useEffect(() => painter.current?.set(data.value, view, re), [data.value, view.from, view.to, re, theme]);
  const d = data.value;
  const at = said.value;
  const nodes = d?.nodes;
  const message = long
    ? `A flame chart shows up to ${durationText(LONGEST_US)} in order of time: select a shorter range on the map.`
    : why.value || (d && !d.threads.length ? 'No samples of this process in the range.' : '');
  return (
    <>
      <div class="fg">
        <div class="inner" ref={host} />
        {message && <p class="why over">{message}</p>}
      </div>
      <div class="bar det" data-details="">
        <label class="kv">
          process{' '}
          <select
            value={String(pid)}
            onChange={(e) => {
              const t = tasks.find((x) => String(x.pid) === e.currentTarget.value);
              chips.value = { ...chips.peek(), pid: t?.pid ?? 0, tid: 0, comm: t?.comm ?? '' };
            }}
          >
            {!tasks.some((t) => t.pid === pid) && (
              <option value={String(pid)}>{chips.value.comm || pid}</option>
            )}
            {tasks.map((t) => (
              <option key={t.pid} value={String(t.pid)}>
                {t.comm} {t.pid} · {countText(t.n)}
              </option>
            ))}
          </select>
        </label>
        {zoomed.value && (
          <button type="button" class="btn" onClick={() => void (zoomed.value = null)}>
            Whole range
          </button>
        )}
        {at && nodes ? (
          <>
            <b>{nodes.strings[nodes.name[at.box.node]!]}</b>
            <span class="kv mod">{nodes.strings[nodes.module[at.box.node]!]}</span>
            <span class="kv">
              from <b>{clockText(store.clock.wallMs(at.box.from), 3)}</b>
            </span>
            <span class="kv">
              for <b>{timeText(at.box.to - at.box.from)}</b>
            </span>
            <span class="kv">
              <b>{countText(at.box.samples)}</b> samples
            </span>
            <span class="kv">
              {at.thread.comm || comm} {at.thread.tid}
            </span>
          </>
        ) : (
          d && (
            <span class="kv">
              <b>{d.threads.length}</b> {d.threads.length === 1 ? 'thread' : 'threads'}
              {d.leftOut > 0 && `, ${countText(d.leftOut)} samples left out`}. Between two samples anything
              may have run.
            </span>
          )
        )}
      </div>
    </>
  );
}
