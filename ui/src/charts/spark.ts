// Sparklines: 60 points or as many as there are pixels, a line over a pale area, on a canvas of their own.
import { type Colour, palette } from './palette';

/** Means or maxima for each of `n` pixels from values that cover them evenly; NaN where there is none. */
export function shrink(values: ArrayLike<number>, n: number): Float64Array {
  const out = new Float64Array(n).fill(Number.NaN);
  const m = values.length;
  for (let p = 0; p < n; p++) {
    const from = Math.floor((p * m) / n);
    const to = Math.max(from + 1, Math.ceil(((p + 1) * m) / n));
    let best = Number.NaN;
    for (let i = from; i < Math.min(m, to); i++) {
      const v = values[i] as number;
      if (!(v <= best) && !Number.isNaN(v)) best = v;
    }
    out[p] = best;
  }
  return out;
}

/** Fills holes of at most `most` columns with the value after them: a value stands for the time before it. */
export function fillHoles(values: Float64Array, most: number): void {
  let last = -1;
  for (let p = 0; p < values.length; p++) {
    if (Number.isNaN(values[p])) continue;
    const hole = p - last - 1;
    if (last >= 0 && hole > 0 && hole <= most) values.fill(values[p] as number, last + 1, p);
    last = p;
  }
}

/** Sizes `canvas` to its box in device pixels; false when it has none. */
export function fitCanvas(canvas: HTMLCanvasElement, w: number, h: number): CanvasRenderingContext2D | null {
  const dpr = devicePixelRatio || 1;
  const pw = Math.round(w * dpr);
  const ph = Math.round(h * dpr);
  if (!pw || !ph) return null;
  if (canvas.width !== pw || canvas.height !== ph) {
    canvas.width = pw;
    canvas.height = ph;
  }
  const c = canvas.getContext('2d');
  if (!c) return null;
  c.setTransform(dpr, 0, 0, dpr, 0, 0);
  c.clearRect(0, 0, w, h);
  return c;
}

/** Draws `values` (any number, the largest of each pixel counts) from 0 to `max`. */
export function drawSpark(
  canvas: HTMLCanvasElement,
  w: number,
  h: number,
  values: ArrayLike<number>,
  max: number,
  colour: Colour,
): void {
  const c = fitCanvas(canvas, w, h);
  if (!c) return;
  const v = shrink(values, w);
  const css = palette().css[colour];
  const y = (x: number) => h - 1 - Math.max(0, Math.min(1, x / max)) * (h - 2);
  const line = new Path2D();
  const area = new Path2D();
  let on = false;
  for (let p = 0; p < w; p++) {
    const x = v[p] as number;
    if (Number.isNaN(x)) {
      on = false;
      continue;
    }
    const yy = y(x);
    if (on) line.lineTo(p + 0.5, yy);
    else line.moveTo(p, yy);
    if (!on) line.lineTo(p + 0.5, yy);
    area.rect(p, yy, 1, h - yy);
    on = true;
  }
  c.fillStyle = css;
  c.globalAlpha = 0.18;
  c.fill(area);
  c.globalAlpha = 1;
  c.strokeStyle = css;
  c.lineWidth = 1;
  c.stroke(line);
}
