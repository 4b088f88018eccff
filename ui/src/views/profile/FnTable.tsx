// Functions by what they ran themselves, or with all they called.
import type { ComponentChildren } from 'preact';
import { useMemo, useState } from 'preact/hooks';
import { flameColours } from '../../charts/flame/colours';
import { functionId } from '../../transform/flame/edit';
import { functions, namesakes, type SortBy, sorted } from '../../transform/flame/table';
import type { Profile, Tree } from '../../transform/flame/tree';
import { amountText, changeText, counted, countText, type Measure, rate, shareText } from './words';

const MOST = 400;
export const KINDS = ['unknown', 'user', 'library', 'kernel', 'jit', 'inlined', 'task'] as const;

export function FnTable({
  profile,
  tree,
  off,
  re,
  open,
  aside,
}: {
  profile: Profile;
  tree: Tree;
  off: boolean;
  re: RegExp | null;
  /** A click on a function. */
  open: (id: string) => void;
  /** At the right end of the line below. */
  aside?: ComponentChildren;
}) {
  const [by, setBy] = useState<SortBy>('self');
  const all = useMemo(() => functions(tree), [tree]);
  const twice = useMemo(() => namesakes(all), [all]);
  const measure: Measure = { off, sum: profile.sum, baseline: profile.baseline };
  const based = tree.baseTotal.length > 0 && profile.baseline !== null;
  const rows = useMemo(() => {
    const some = re ? all.filter((r) => re.test(r.name)) : all;
    const span = (s: typeof profile.baseline) => (s ? s.coveredUs || s.spanUs : 1);
    return sorted(some, by, span(profile.sum), span(profile.baseline));
  }, [all, by, re?.source, re?.flags]);
  const k = flameColours();
  const whole = tree.total[0] || 1;
  // The longest bar is the same with and without a search.
  const most = all.reduce((m, r) => Math.max(m, r.self), 1);
  const amount = (us: number) => amountText(us, profile.sum, off);
  const head = (id: SortBy, label: string, left = false) => (
    <th
      scope="col"
      class={left ? 'l' : ''}
      aria-sort={by === id ? (id === 'name' ? 'ascending' : 'descending') : undefined}
    >
      <button type="button" onClick={() => setBy(id)}>
        {label}
        {by === id ? (id === 'name' ? ' ▴' : ' ▾') : ''}
      </button>
    </th>
  );
  return (
    <>
      <div class="fg scroll" data-table="functions">
        <table class="fns">
          <colgroup>
            <col width="96" />
            <col width="64" />
            <col width="96" />
            <col width="64" />
            {based && <col width="104" />}
            <col width="136" />
            <col />
            <col width="220" />
          </colgroup>
          <thead>
            <tr>
              {head('self', off || counted.value ? 'self' : 'self samples')}
              <th scope="col">%</th>
              {head('total', 'total')}
              <th scope="col">%</th>
              {based && head('change', 'change of self')}
              <th scope="col" class="l">
                self %
              </th>
              {head('name', 'Function', true)}
              <th scope="col" class="l">
                Module
              </th>
            </tr>
          </thead>
          <tbody>
            {rows.slice(0, MOST).map((r) => (
              <tr key={r.node}>
                <td>{amount(r.self)}</td>
                <td class="m">{shareText(r.self / whole).replace(' %', '')}</td>
                <td>{amount(r.total)}</td>
                <td class="m">{shareText(r.total / whole).replace(' %', '')}</td>
                {based && (
                  <td class="m">
                    {changeText(rate(r.self, measure.sum) - rate(r.baseSelf, measure.baseline), off)}
                  </td>
                )}
                <td class="l">
                  <i
                    style={{
                      width: `${(Math.round((r.self / most) * 1000) / 10).toFixed(1)}%`,
                      background: k.legend[KINDS[r.type] ?? 'unknown'],
                    }}
                  />
                </td>
                <td class="l">
                  <button
                    type="button"
                    class="name"
                    title={`${r.name}: callers and callees`}
                    onClick={() => open(functionId(r.name, twice.has(r.name) ? r.module : ''))}
                  >
                    {r.name || '[unknown]'}
                  </button>
                </td>
                <td class="l d">{r.module}</td>
              </tr>
            ))}
          </tbody>
        </table>
        {rows.length > MOST && (
          <p class="why">
            The first {MOST} of {countText(rows.length)} functions.
          </p>
        )}
        {rows.length === 0 && <p class="why">{re ? 'No function is called like that.' : 'No samples.'}</p>}
      </div>
      <div class="bar det" data-details="">
        <span class="kv">
          <b>{countText(rows.length)}</b> {rows.length === 1 ? 'function' : 'functions'}
          {re ? ` of ${countText(all.length)}` : ''}
        </span>
        <span class="sp" />
        {aside}
      </div>
    </>
  );
}
