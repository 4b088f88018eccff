// A canvas of our own: fills its host, is sharp on every display, and is painted when asked, at most once a frame.
export class OwnCanvas {
  readonly canvas = document.createElement('canvas');
  readonly ctx = this.canvas.getContext('2d', { alpha: false })!;
  /** CSS pixels. */
  w = 0;
  h = 0;
  private dpr = 1;
  private asked = 0;
  private readonly sized: ResizeObserver;

  constructor(
    private readonly host: HTMLElement,
    look: { className: string; role: string; label?: string },
    private readonly paint: (ctx: CanvasRenderingContext2D, w: number, h: number) => void,
    /** Called with another size, before it is painted. */
    private readonly resized: () => void = () => undefined,
  ) {
    const c = this.canvas;
    c.className = look.className;
    c.tabIndex = 0;
    c.setAttribute('role', look.role);
    if (look.label) c.setAttribute('aria-label', look.label);
    host.append(c);
    this.sized = new ResizeObserver(() => this.fill());
    this.sized.observe(host);
  }

  /** Takes the size of the host; paints if it is another one. */
  fill(): void {
    const w = Math.floor(this.host.clientWidth);
    const h = Math.floor(this.host.clientHeight);
    const dpr = devicePixelRatio || 1;
    if (w === this.w && h === this.h && dpr === this.dpr) return;
    [this.w, this.h, this.dpr] = [w, h, dpr];
    const c = this.canvas;
    c.width = Math.max(1, Math.round(w * dpr));
    c.height = Math.max(1, Math.round(h * dpr));
    c.style.width = `${w}px`;
    c.style.height = `${h}px`;
    this.resized();
    this.now();
  }

  soon(): void {
    if (!this.asked) this.asked = requestAnimationFrame(() => this.now());
  }

  now(): void {
    this.asked = 0;
    if (!this.w || !this.h) return;
    this.ctx.setTransform(this.dpr, 0, 0, this.dpr, 0, 0);
    this.paint(this.ctx, this.w, this.h);
  }

  /** Says that a picture is there. */
  done(begin: number): number {
    const ms = performance.now() - begin;
    const d = this.canvas.dataset;
    d.painted = String(Number(d.painted ?? 0) + 1);
    d.paintMs = ms.toFixed(1);
    return ms;
  }

  /** Where on the canvas an event happened. */
  at(e: MouseEvent): [number, number] {
    const r = this.canvas.getBoundingClientRect();
    return [e.clientX - r.left, e.clientY - r.top];
  }

  /** What the pointer does: down, move, up, cancel, leave. */
  onPointer(
    on: Partial<Record<'down' | 'move' | 'up' | 'cancel' | 'leave', (e: PointerEvent) => void>>,
  ): void {
    for (const [what, take] of Object.entries(on))
      this.canvas.addEventListener(`pointer${what}`, take as EventListener);
  }

  /** A key that is taken goes no further. */
  onKey(take: (e: KeyboardEvent) => boolean): void {
    this.canvas.addEventListener('keydown', (e) => {
      if (!take(e)) return;
      e.preventDefault();
      e.stopPropagation();
    });
  }

  destroy(): void {
    this.sized.disconnect();
    cancelAnimationFrame(this.asked);
    this.canvas.remove();
  }
}

let measuring: CanvasRenderingContext2D | null = null;

/** Width of a text, before there is anything to paint on. */
export function textWidth(text: string, font: string): number {
  measuring ??= document.createElement('canvas').getContext('2d')!;
  measuring.font = font;
  return measuring.measureText(text).width;
}
