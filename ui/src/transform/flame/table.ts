// Functions of a tree with their own and their total weight; recursion counts once.
import type { Tree } from './tree';

export interface FunctionRow {
  readonly name: string;
  readonly module: string;
  readonly type: number;
  /** A node of it. */
  readonly node: number;
  self: number;
  total: number;
  baseSelf: number;
  baseTotal: number;
}

const TASK = 6;

export function functions(t: Tree): FunctionRow[] {
  const rows = new Map<number, FunctionRow>();
  // Per function: end of the outermost subtree of it that was counted.
  const counted = new Map<FunctionRow, number>();
  for (let i = 1; i < t.n; i++) {
    if (t.type[i] === TASK) continue;
    const key = t.name[i]! * 8 + t.type[i]! + t.module[i]! * 2 ** 29;
    let r = rows.get(key);
    if (!r) {
      r = {
        name: t.strings[t.name[i]!] ?? '',
        module: t.strings[t.module[i]!] ?? '',
        type: t.type[i]!,
        node: i,
        self: 0,
        total: 0,
        baseSelf: 0,
        baseTotal: 0,
      };
      rows.set(key, r);
    }
    r.self += t.self[i]!;
    r.baseSelf += t.baseSelf[i] ?? 0;
    if (i >= (counted.get(r) ?? 0)) {
      counted.set(r, t.end[i]!);
      r.total += t.total[i]!;
      r.baseTotal += t.baseTotal[i] ?? 0;
    }
  }
  return [...rows.values()];
}

/** Names that functions of several modules have. */
export function namesakes(rows: readonly FunctionRow[]): Set<string> {
  const seen = new Set<string>();
  const twice = new Set<string>();
  for (const r of rows) (seen.has(r.name) ? twice : seen).add(r.name);
  return twice;
}

export type SortBy = 'self' | 'total' | 'change' | 'name';

/** `span` and `baseSpan` turn weights into CPUs, so that a change compares ranges of unlike length. */
export function sorted(
  rows: readonly FunctionRow[],
  by: SortBy,
  span: number,
  baseSpan: number,
): FunctionRow[] {
  const change = (r: FunctionRow) => Math.abs(r.self / (span || 1) - r.baseSelf / (baseSpan || 1));
  const order = rows.slice();
  if (by === 'name') return order.sort((a, b) => a.name.localeCompare(b.name));
  if (by === 'change') return order.sort((a, b) => change(b) - change(a));
  return order.sort((a, b) => b[by] - a[by] || b.total - a.total);
}
