// Fuzzy search: words in any order, letters may be left out between, best first.
import uFuzzy from '@leeoniya/ufuzzy';

const uf = new uFuzzy({ intraMode: 0, intraIns: 1, interIns: Number.POSITIVE_INFINITY });

/** Indices into `haystack`, best first; all of them for an empty needle. */
export function fuzzy(haystack: readonly string[], needle: string): number[] {
  const text = needle.trim().replace(/\[[^\]]*\]?$/, '');
  if (!text) return haystack.map((_, i) => i);
  // A dot parts words as a space does; an exact name is itself first.
  const words = text.replace(/[._-]+/g, ' ');
  const [idxs, info, order] = uf.search(haystack as string[], words, 5, 5000);
  const ranked = info && order ? order.map((o) => info.idx[o]!) : [...(idxs ?? [])];
  const exact = haystack.findIndex((h) => h === text || h.startsWith(`${text} `));
  return exact < 0 ? ranked : [exact, ...ranked.filter((i) => i !== exact)];
}
