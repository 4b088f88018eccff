// The line under a flame graph: what the frame under the pointer is, always in the same place.
import type { ComponentChildren } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { nameOf, type Tree } from '../../transform/flame/tree';
import type { FlameActions } from './FlameBox';
import {
  amountText,
  changeOf,
  changeText,
  counted,
  type Measure,
  originText,
  rootText,
  shareText,
  timeText,
} from './words';

const LINES_MS = 250;

/** Asked for once the pointer rests on a frame. */
function useSource(tree: Tree, node: number, ask: FlameActions['source']): string {
  const [text, setText] = useState('');
  useEffect(() => {
    setText('');
    if (!ask || node === 0 || tree.addr[node] === 0n) return undefined;
    let over = false;
    const timer = setTimeout(() => {
      void ask(tree, node).then((s) => over || setText(s));
    }, LINES_MS);
    return () => {
      over = true;
      clearTimeout(timer);
    };
  }, [tree, node]);
  return text;
}

export function Details({
  tree,
  node,
  measure,
  actions,
  rootLabel,
  whole = tree.total[0] || 1,
  children,
}: {
  tree: Tree;
  node: number;
  measure: Measure;
  actions: FlameActions;
  rootLabel?: string | undefined;
  /** What shares are of. */
  whole?: number;
  children?: ComponentChildren;
}) {
  const source = useSource(tree, node, actions.source);
  if (!tree.n)
    return (
      <div class="bar det" data-details="">
        <span class="sp" />
        {children}
      </div>
    );
  const { off, sum } = measure;
  const [total, self] = [tree.total[node]!, tree.self[node]!];
  const amount = (us: number) => amountText(us, sum, off);
  const based = tree.baseTotal.length > 0 && measure.baseline !== null;
  const name =
    node === 0 ? (rootLabel ?? rootText({ tree, sum, baseline: null, leftOut: 0 }, off)) : nameOf(tree, node);
  return (
    <div class="bar det" data-details="">
      <b title={name}>{name || '[unknown]'}</b>
      {node > 0 && <span class="kv mod">{originText(tree, node)}</span>}
      {node > 0 && (
        <>
          <span class="kv">
            total <b>{amount(total)}</b>, <b>{shareText(total / whole)}</b>
          </span>
          <span class="kv">
            self <b>{amount(self)}</b>, <b>{shareText(self / whole)}</b>
          </span>
        </>
      )}
      {based && (
        <span class="kv">
          change <b>{changeText(changeOf(tree, node, measure), off)}</b>
        </span>
      )}
      {!off && !counted.value && (
        <span class="kv opt">
          CPU time <b>{timeText(total)}</b>
        </span>
      )}
      {source && (
        <span class="kv src" title={source}>
          {source}
        </span>
      )}
      <span class="sp" />
      {children}
    </div>
  );
}
