// Who calls a function and what it calls: a flame graph of callers above, the function itself, an icicle of its
// callees below, and at the left the functions to choose from.
import type { ComponentChildren } from 'preact';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { flameColours } from '../../charts/flame/colours';
import { functionId, functionName, sandwich } from '../../transform/flame/edit';
import { type FunctionRow, functions, namesakes, sorted } from '../../transform/flame/table';
import type { Profile, Tree } from '../../transform/flame/tree';
import { Details } from './Details';
import { type FlameActions, FlameBox } from './FlameBox';
import { KINDS } from './FnTable';
import { amountUnit, changeOf, changeText, shareText } from './words';

const MOST = 300;
/** The root and the function: the row between the halves says what they would. */
const SKIP = 2;

export function Sandwich(props: {
  profile: Profile;
  tree: Tree;
  /** Of the function; see functionId. */
  name: string;
  off: boolean;
  diff: boolean;
  hash: boolean;
  lost?: boolean;
  re: RegExp | null;
  theme: number;
  choose: (id: string) => void;
  actions: FlameActions;
  aside?: ComponentChildren;
}) {
  const { profile, tree, name, choose, off } = props;
  const [by, setBy] = useState<'self' | 'total'>('self');
  const rows = useMemo(() => sorted(functions(tree), by, 1, 1), [tree, by]);
  const twice = useMemo(() => namesakes(rows), [rows]);
  const hits = props.re ? rows.filter((r) => props.re!.test(r.name)) : rows;
  const idOf = (r: FunctionRow) => functionId(r.name, twice.has(r.name) ? r.module : '');
  const busiest = useMemo(() => sorted(rows, 'self', 1, 1)[0], [rows]);
  const at = name || (busiest ? idOf(busiest) : '');
  const own = rows.find((r) => idOf(r) === at || r.name === at);
  // It stands in the list however little it ran itself.
  const listed = hits.slice(0, MOST);
  if (own && !listed.includes(own)) listed.push(own);
  const two = useMemo(() => sandwich(tree, at), [tree, at]);
  const [shown, setShown] = useState<{ tree: Tree; node: number } | null>(null);
  const detail =
    shown && (shown.tree === two.callers || shown.tree === two.callees) && shown.node < shown.tree.n
      ? shown
      : null;
  const whole = tree.total[0] || 1;
  const of = (t: Tree): Profile => ({ ...profile, tree: t, leftOut: 0 });
  const total = two.callees.total[0] ?? 0;
  const list = useRef<HTMLDivElement>(null);
  useEffect(
    () => list.current?.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: 'nearest' }),
    [at, by],
  );
  const measure = { off, sum: profile.sum, baseline: profile.baseline };
  const amount = (us: number) => amountUnit(us, profile.sum, off);
  const title = functionName(at) || '[unknown]';
  const graph = {
    off,
    diff: props.diff,
    hash: props.hash,
    lost: props.lost ?? false,
    re: props.re,
    theme: props.theme,
    actions: props.actions,
    details: false,
    skip: SKIP,
  };
  const half = (t: Tree, icicle: boolean, label: string, none: string) => (
    <div class="half" style={{ flexGrow: Math.max(4, Math.min(t.maxDepth, 24)) }}>
      <FlameBox
        {...graph}
        profile={of(t)}
        icicle={icicle}
        label={label}
        onNode={(node) => setShown({ tree: t, node })}
      />
      {t.maxDepth < SKIP && <p class="why over">{none}</p>}
    </div>
  );
  return (
    <>
      <div class="fg sandwich">
        <div class="scroll" data-table="sandwich" ref={list}>
          <table class="fns">
            <colgroup>
              <col width="68" />
              <col width="72" />
              <col />
            </colgroup>
            <thead>
              <tr>
                {(['self', 'total'] as const).map((id) => (
                  <th scope="col" key={id} aria-sort={by === id ? 'descending' : undefined}>
                    <button type="button" onClick={() => setBy(id)}>
                      {id} %{by === id ? ' ▾' : ''}
                    </button>
                  </th>
                ))}
                <th scope="col" class="l">
                  Function
                </th>
              </tr>
            </thead>
            <tbody>
              {listed.map((r) => (
                <tr key={r.node} aria-selected={r === own}>
                  <td class="m">{shareText(r.self / whole).replace(' %', '')}</td>
                  <td>{shareText(r.total / whole).replace(' %', '')}</td>
                  <td class="l">
                    <button type="button" class="name" title={r.module} onClick={() => choose(idOf(r))}>
                      {r.name || '[unknown]'}
                      {twice.has(r.name) && <span class="d"> {r.module || KINDS[r.type]}</span>}
                    </button>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
        <div class="two">
          {half(two.callers, false, `Callers of ${title}`, 'Nothing calls it: its stacks begin here.')}
          <div
            class="centre"
            data-centre=""
            style={{ background: flameColours().legend[KINDS[own?.type ?? 0] ?? 'unknown'] }}
          >
            <span class="dim">↑ callers</span>
            <b>{title}</b>
            {own?.module && <span class="dim">{own.module}</span>}
            <span>
              {amount(total)} · {shareText(total / whole)}
            </span>
            <span class="dim">self {shareText((own?.self ?? 0) / whole)}</span>
            {profile.baseline && tree.baseTotal.length > 0 && (
              <span class="dim">{changeText(changeOf(two.callees, 0, measure), off)}</span>
            )}
            <span class="sp" />
            <span class="dim">↓ callees</span>
          </div>
          {half(two.callees, true, `Callees of ${title}`, 'It calls nothing: all its time is its own.')}
        </div>
      </div>
      <Details
        tree={detail?.tree ?? tree}
        node={detail && detail.tree.depth[detail.node]! >= SKIP ? detail.node : 0}
        measure={measure}
        actions={props.actions}
        rootLabel={detail ? `${title} · ${amount(total)} · ${shareText(total / whole)}` : undefined}
        whole={whole}
      >
        {props.aside}
      </Details>
    </>
  );
}
