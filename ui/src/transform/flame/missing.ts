// What the agent says of modules without symbols ("path: why"), beside what the tree knows of them.
import { nameOf, type Tree } from './tree';

export interface MissingRow {
  readonly path: string;
  /** The path's last part. */
  readonly module: string;
  readonly buildId: string;
  /** What would supply names. */
  readonly why: string;
  /** Of the tree's whole time: in functions of it that have no name. */
  readonly share: number;
}

const last = (path: string) => path.slice(path.lastIndexOf('/') + 1);

/** The module whose functions lost most first. */
export function missingRows(list: readonly string[], t: Tree | null): MissingRow[] {
  const lost = new Map<string, { us: number; buildId: string }>();
  for (let i = 1; t && i < t.n; i++) {
    if (!nameOf(t, i).includes('+0x')) continue;
    const key = last(t.strings[t.module[i]!] ?? '');
    const it = lost.get(key) ?? { us: 0, buildId: '' };
    it.us += t.self[i]!;
    it.buildId ||= t.strings[t.buildId[i]!] ?? '';
    lost.set(key, it);
  }
  const whole = t?.total[0] || 1;
  return list
    .map((text) => {
      const at = text.indexOf(': ');
      const path = at < 0 ? text : text.slice(0, at);
      const it = lost.get(last(path));
      return {
        path,
        module: last(path),
        buildId: it?.buildId ?? '',
        why: at < 0 ? '' : text.slice(at + 2),
        share: (it?.us ?? 0) / whole,
      };
    })
    .sort((a, b) => b.share - a.share);
}
