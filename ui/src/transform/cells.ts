// Cells of the sub-second heat map, by columns: what came is kept, what is missing is told. A column that had
// not ended when it was asked for is asked for again.
import type { HeatPart } from '../transport/profile';

export interface CellColumn {
  /** Weight by row id, µs. */
  w: Uint32Array;
  /** Of it with a frame that the pattern matches; null without a pattern. */
  m: Uint32Array | null;
  lost: number;
  /** 0 to 255: how much of it a profiler ran. */
  covered: number;
  /** Nothing will be added to it. */
  final: boolean;
}

export interface RowLabel {
  readonly label: string;
  readonly pid: number;
  readonly tid: number;
  readonly cpu: number;
}

/** Samples are there so long after they were taken; what was blocked, when it goes on. */
const LATE_US = 2_000_000;
/** Columns of one question. */
export const MOST_COLUMNS = 1024;
const KEPT = 8192;

export class Cells {
  private readonly columns = new Map<number, CellColumn>();
  readonly labels: RowLabel[] = [];
  private readonly ids = new Map<string, number>();
  version = 0;
  /** Samples of columns asked for last. */
  samples = 0;

  constructor(
    readonly columnUs: number,
    /** A boundary between columns. */
    readonly anchorUs: number,
    /** Rows of time within a column; 0: rows are labelled. */
    readonly offsets: number,
  ) {}

  columnAt(t: number): number {
    return Math.floor((t - this.anchorUs) / this.columnUs);
  }
  startOf(column: number): number {
    return this.anchorUs + column * this.columnUs;
  }
  get(column: number): CellColumn | undefined {
    return this.columns.get(column);
  }

  private idOf(l: RowLabel): number {
    const key = `${l.pid} ${l.tid} ${l.cpu} ${l.label}`;
    let id = this.ids.get(key);
    if (id === undefined) {
      id = this.labels.push(l) - 1;
      this.ids.set(key, id);
    }
    return id;
  }

  /** Runs of columns in [first, last] that are not known, the newest first; with `again` also those that had
   *  not ended when they came. */
  missing(first: number, last: number, again = true): [number, number][] {
    const out: [number, number][] = [];
    let end: number | null = null;
    const close = (begin: number, from: number) => {
      for (let e = from; e >= begin; e -= MOST_COLUMNS)
        out.push([Math.max(begin, e - MOST_COLUMNS + 1), Math.min(MOST_COLUMNS, e - begin + 1)]);
    };
    for (let c = last; c >= first - 1; c--) {
      const known = this.columns.get(c);
      const want = c >= first && (!known || (again && !known.final));
      if (want) end ??= c;
      else if (end !== null) {
        close(c + 1, end);
        end = null;
      }
    }
    return out;
  }

  /** The answer to one question, asked when the agent's clock said `nowUs`. */
  add(parts: readonly HeatPart[], nowUs: number, searched: boolean): void {
    for (const p of parts) this.addPart(p, nowUs, searched);
    this.trim();
    this.version++;
  }

  private addPart(p: HeatPart, nowUs: number, searched: boolean): void {
    const c0 = Math.round((p.fromUs - this.anchorUs) / this.columnUs);
    const ids = this.offsets ? null : p.labels.map((l) => this.idOf(l));
    const rows = this.offsets || this.labels.length;
    for (let c = 0; c < p.nColumns; c++) {
      const end = this.startOf(c0 + c + 1);
      this.columns.set(c0 + c, {
        w: new Uint32Array(rows),
        m: searched ? new Uint32Array(rows) : null,
        lost: p.lost[c] ?? 0,
        covered: p.covered[c] ?? 255,
        final: end + LATE_US <= nowUs,
      });
    }
    let cell = -1;
    for (let i = 0; i < p.gap.length; i++) {
      cell += p.gap[i]! + 1;
      const column = this.columns.get(c0 + Math.floor(cell / p.nRows));
      const row = ids ? ids[cell % p.nRows] : cell % p.nRows;
      if (!column || row === undefined) continue;
      column.w[row] = p.weightUs[i]!;
      if (column.m) column.m[row] = p.matchedUs[i] ?? 0;
    }
  }

  private trim(): void {
    for (const c of this.columns.keys()) {
      if (this.columns.size <= KEPT) return;
      this.columns.delete(c);
    }
  }

  /** Row ids by weight in [first, last], the heaviest first; CPUs in their order. */
  ranked(first: number, last: number): number[] {
    const sums = new Float64Array(this.labels.length);
    for (let c = first; c <= last; c++) {
      const w = this.columns.get(c)?.w;
      if (w) for (let r = 0; r < w.length; r++) sums[r]! += w[r]!;
    }
    const ids = [...sums.keys()].filter((i) => sums[i]! > 0);
    const byCpu = this.labels.some((l) => l.cpu >= 0 && !l.pid && !l.label.includes('/'));
    return byCpu
      ? [...sums.keys()].sort((a, b) => this.labels[a]!.cpu - this.labels[b]!.cpu)
      : ids.sort((a, b) => sums[b]! - sums[a]!);
  }
}

/** What one cell of `columnUs` / `rows` can hold at most with `cpus` CPUs, µs. */
export const cellMost = (columnUs: number, rows: number, cpus: number) => (columnUs / rows) * cpus;

const ENDS = [0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1];
/** The end of the scale: the least of a few round shares that holds `share`. */
export const roundEnd = (share: number): number => ENDS.find((e) => share <= e * 1.0001) ?? 1;
