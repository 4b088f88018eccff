// Who calls a function and what it calls: a flame graph of callers above, an icicle of callees below, and at the
// left the functions to choose from.
import { useMemo } from 'preact/hooks';
import { sandwich } from '../../transform/flame/edit';
import { functions, sorted } from '../../transform/flame/table';
import type { Profile, Tree } from '../../transform/flame/tree';
import { type FlameActions, FlameBox } from './FlameBox';
import { amountUnit, shareText } from './words';

const MOST = 300;

export function Sandwich(props: {
  profile: Profile;
  tree: Tree;
  name: string;
  off: boolean;
  diff: boolean;
  hash: boolean;
  re: RegExp | null;
  theme: number;
  choose: (name: string) => void;
  actions: FlameActions;
}) {
  const { profile, tree, name, choose } = props;
  const rows = useMemo(() => sorted(functions(tree), 'total', 1, 1), [tree]);
  const hits = props.re ? rows.filter((r) => props.re!.test(r.name)) : rows;
  const at = name || sorted(rows, 'self', 1, 1)[0]?.name || '';
  const two = useMemo(() => sandwich(tree, at), [tree, at]);
  const whole = tree.total[0] || 1;
  const of = (t: Tree): Profile => ({ ...profile, tree: t, leftOut: 0 });
  const total = two.callees.total[0] ?? 0;
  const amount = amountUnit(total, profile.sum, props.off);
  const rootLabel = `${at} · ${amount} · ${shareText(total / whole)}`;
  const graph = {
    rootLabel,
    off: props.off,
    diff: props.diff,
    hash: props.hash,
    theme: props.theme,
    actions: props.actions,
  };
  return (
    <div class="fg sandwich">
      <div class="scroll" data-table="sandwich">
        <table class="fns">
          <colgroup>
            <col width="60" />
            <col width="60" />
            <col />
          </colgroup>
          <thead>
            <tr>
              <th scope="col">self %</th>
              <th scope="col" aria-sort="descending">
                total %
              </th>
              <th scope="col" class="l">
                Function
              </th>
            </tr>
          </thead>
          <tbody>
            {hits.slice(0, MOST).map((r) => (
              <tr key={r.node} aria-selected={r.name === at}>
                <td class="m">{shareText(r.self / whole).replace(' %', '')}</td>
                <td>{shareText(r.total / whole).replace(' %', '')}</td>
                <td class="l">
                  <button type="button" class="name" title={r.module} onClick={() => choose(r.name)}>
                    {r.name || '[unknown]'}
                  </button>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <div class="two">
        <div class="half">
          <span class="side">callers</span>
          <FlameBox {...graph} profile={of(two.callers)} details={false} label={`Callers of ${at}`} />
        </div>
        <div class="half">
          <span class="side">callees</span>
          <FlameBox {...graph} profile={of(two.callees)} icicle label={`Callees of ${at}`} />
        </div>
      </div>
    </div>
  );
}
