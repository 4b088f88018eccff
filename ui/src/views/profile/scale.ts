// The end of the map's colours: grows at once, shrinks only after a while, so that the map does not flicker.
import type { Cells, RowLabel } from '../../transform/cells';
import { roundEnd } from '../../transform/cells';
import type { HeatRows } from '../../transform/profiler';
import type { Geometry } from '../../transform/scope';

const SHRINK_MS = 60_000;
/** Share of cells that may be beyond the end: one odd cell does not darken all others. */
const BEYOND = 0.002;

/** A round number of tasks: 1, 2, 5, 10 ... */
export function roundTasks(v: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(1e-3, v)));
  return [1, 2, 5, 10].map((s) => s * power).find((s) => v <= s * 1.0001) ?? v;
}

export class Ends {
  private key = '';
  private value = 0;
  private since = 0;
  private seen = '';
  private cells: Cells | null = null;
  private top = 0;

  end(
    key: string,
    cells: Cells,
    g: Geometry,
    cellUs: number,
    off: boolean,
    order: readonly number[],
  ): number {
    const now = performance.now();
    const seen = `${cells.version} ${g.first} ${g.n} ${key} ${order.length}`;
    if (seen !== this.seen || cells !== this.cells) this.top = this.most(cells, g, order);
    this.seen = seen;
    this.cells = cells;
    const most = this.top / cellUs;
    const want = off ? roundTasks(most) : roundEnd(Math.min(1, most));
    if (key !== this.key || want >= this.value || now - this.since > SHRINK_MS) {
      this.key = key;
      this.value = want;
      this.since = now;
    }
    return this.value;
  }

  private most(cells: Cells, g: Geometry, order: readonly number[]): number {
    const seen: number[] = [];
    for (let c = g.first; c < g.first + g.n; c++) {
      const w = cells.get(c)?.w;
      if (!w) continue;
      if (g.offset) for (let r = 0; r < w.length; r++) seen.push(w[r]!);
      else for (const r of order) seen.push(w[r] ?? 0);
    }
    if (!seen.length) return 0;
    seen.sort((a, b) => a - b);
    return seen[Math.max(0, Math.ceil(seen.length * (1 - BEYOND)) - 1)]!;
  }
}

/** "100 % of 32", "20 tasks": the ramp's end. */
export function scaleText(end: number, off: boolean, by: HeatRows, cpus: number): string {
  if (off) return `${end < 1 ? end.toPrecision(1) : end} ${end === 1 ? 'task' : 'tasks'}`;
  const share = `${Math.round(end * 100)} %`;
  return by === 'cpu' || cpus === 1 ? share : `${share} of ${cpus}`;
}

/** What a labelled row is called. */
export function rowText(l: RowLabel, by: HeatRows): string {
  if (by === 'cpu') return l.label || `cpu${l.cpu}`;
  // Who was gone before it was looked up.
  if (by === 'cgroup' && !l.label) return 'unknown';
  if (by === 'cgroup')
    return (
      l.label
        .replace(/\.(service|scope|slice)$/, '')
        .split('/')
        .filter(Boolean)
        .pop() ?? '/'
    );
  const id = by === 'thread' ? l.tid : l.pid;
  return l.label.endsWith(` ${id}`) || !id ? l.label : `${l.label} ${id}`;
}
