// Modules whose functions have no names: which, how much of the time is lost to it, and what would supply them.
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { missingRows } from '../../transform/flame/missing';
import type { Tree } from '../../transform/flame/tree';
import { copy } from './FlameBox';
import { shareText } from './words';

export function Missing({ list, tree }: { list: readonly string[]; tree: Tree | null }) {
  const [open, setOpen] = useState(false);
  if (!list.length) return null;
  return (
    <>
      <button
        type="button"
        class="btn warn"
        aria-haspopup="dialog"
        aria-expanded={open}
        title="Functions of these modules have no names: which, and what would supply them"
        onClick={() => setOpen(!open)}
      >
        ▲ {list.length === 1 ? '1 module' : `${list.length} modules`} without names
      </button>
      {open && <Panel list={list} tree={tree} close={() => setOpen(false)} />}
    </>
  );
}

function Panel({ list, tree, close }: { list: readonly string[]; tree: Tree | null; close: () => void }) {
  const box = useRef<HTMLElement>(null);
  const [copied, setCopied] = useState('');
  const rows = useMemo(() => missingRows(list, tree), [list, tree]);
  useEffect(() => {
    const back = document.activeElement as HTMLElement | null;
    box.current?.focus();
    const away = (e: Event) => {
      const t = e.target as Element;
      if (!box.current?.contains(t) && !t.closest('[aria-haspopup="dialog"]')) close();
    };
    const key = (e: KeyboardEvent) => {
      if (e.key !== 'Escape') return;
      e.preventDefault();
      e.stopPropagation();
      close();
    };
    addEventListener('pointerdown', away, true);
    addEventListener('keydown', key, true);
    return () => {
      removeEventListener('pointerdown', away, true);
      removeEventListener('keydown', key, true);
      back?.focus?.({ preventScroll: true });
    };
  }, []);
  const take = (what: string, text: string) => {
    copy(text);
    setCopied(what);
  };
  const textOf = (r: (typeof rows)[number]) =>
    [r.module, r.buildId && `build-id ${r.buildId}`, shareText(r.share), r.why].filter(Boolean).join('\t');
  return (
    <section
      class="pop"
      role="dialog"
      aria-label="Modules without names"
      tabIndex={-1}
      ref={box}
      data-missing=""
    >
      <table class="fns">
        <colgroup>
          <col width="170" />
          <col width="84" />
          <col width="150" />
          <col />
          <col width="66" />
        </colgroup>
        <thead>
          <tr>
            <th scope="col" class="l">
              Module
            </th>
            <th scope="col" title="Of the time in the range: stacks whose innermost function has no name">
              time lost
            </th>
            <th scope="col" class="l">
              build-id
            </th>
            <th scope="col" class="l">
              What would supply them
            </th>
            <th scope="col">
              <button type="button" onClick={() => take('all', rows.map(textOf).join('\n'))}>
                {copied === 'all' ? 'copied' : 'Copy all'}
              </button>
            </th>
          </tr>
        </thead>
        <tbody>
          {rows.map((r) => (
            <tr key={r.path}>
              <td class="l" title={r.path}>
                {r.module}
              </td>
              <td class="m">{shareText(r.share)}</td>
              <td class="l d mono" title={r.buildId}>
                {r.buildId || '–'}
              </td>
              <td class="l wrap" title={r.why}>
                {r.why.replace(/put the debug file of build-id \w+ at/, 'its debug file at')}
              </td>
              <td>
                <button type="button" class="btn" onClick={() => take(r.path, textOf(r))}>
                  {copied === r.path ? 'copied' : 'Copy'}
                </button>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
