// Heat maps: rows of columns through the 256-entry ramp into one ImageData, a pixel a cell, drawn without
// smoothing. Several reads on one pixel show their maximum.
import type { Columns } from './columns';

/** Writes rows x n cells; `max` maps to the ramp's end, an unknown cell gets `empty`. */
export function heatCells(
  rows: readonly Columns[],
  n: number,
  max: number,
  ramp: Uint32Array,
  empty: number,
  out: Uint32Array,
  log = false,
): void {
  for (let r = 0; r < rows.length; r++) {
    const hi = (rows[r] as Columns).hi;
    for (let p = 0; p < n; p++) {
      const v = hi[p] as number;
      out[r * n + p] = Number.isNaN(v) ? empty : (ramp[level(v, max, log)] as number);
    }
  }
}

/** Entry of the ramp for `v`: 0 is 0, anything above it at least the first shade that can be told from it.
 *  With `log` the ramp spans three decades below `max`. */
export function level(v: number, max: number, log = false): number {
  if (!(v > 0)) return 0;
  const part = log ? 1 + Math.log10(v / max) / 3 : v / max;
  return Math.max(10, Math.min(255, Math.round(part * 255)));
}

export interface RowLayout {
  /** Height of a row in pixels, at least 1, at most 24. */
  rowHeight: number;
  /** Rows that are shown; the rest does not fit. */
  rows: number;
  height: number;
}

/** Whole-pixel rows in `height`: as high as fits up to 24, else 1 px for each of the first that fit. */
export function layoutRows(height: number, rows: number, most = 24): RowLayout {
  const fit = Math.floor(height / Math.max(1, rows));
  const rowHeight = Math.max(1, Math.min(most, fit));
  const shown = Math.min(rows, Math.floor(height / rowHeight));
  return { rowHeight, rows: shown, height: rowHeight * shown };
}

/** A canvas of cells that is kept between draws; a browser scales it without smoothing. */
export class HeatImage {
  private canvas = document.createElement('canvas');
  private image: ImageData | null = null;
  private words: Uint32Array = new Uint32Array(0);

  /** Draws the rows to [x, y, w, h] of `ctx`. */
  draw(
    ctx: CanvasRenderingContext2D,
    rows: readonly Columns[],
    n: number,
    max: number,
    ramp: Uint32Array,
    empty: number,
    box: { x: number; y: number; w: number; h: number },
    log = false,
  ): void {
    if (!rows.length || !n) return;
    const c = this.canvas.getContext('2d');
    if (!c) return;
    if (!this.image || this.image.width !== n || this.image.height !== rows.length) {
      this.canvas.width = n;
      this.canvas.height = rows.length;
      this.image = c.createImageData(n, rows.length);
      this.words = new Uint32Array(this.image.data.buffer);
    }
    heatCells(rows, n, max, ramp, empty, this.words, log);
    c.putImageData(this.image, 0, 0);
    ctx.imageSmoothingEnabled = false;
    ctx.drawImage(this.canvas, box.x, box.y, box.w, box.h);
  }
}
