// A flame graph with its line of details and its menu. Knows nothing of the agent: the page, the drawer and a
// saved file show the same one.
import type { ComponentChildren } from 'preact';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { flameColours } from '../../charts/flame/colours';
import { FlameGraph } from '../../charts/flame/graph';
import { type Edit, edited, functionId, stackText } from '../../transform/flame/edit';
import { type Found, find } from '../../transform/flame/search';
import { moduleOf, nameOf, type Profile, type Tree } from '../../transform/flame/tree';
import { Details } from './Details';
import { Menu, type MenuAt, type MenuItem } from './Menu';
import { changeOf, changeScale, type Measure, rootText } from './words';

export interface FlameActions {
  /** Anything else that a frame's menu offers. */
  readonly more?: (tree: Tree, node: number) => readonly (MenuItem | null)[];
  readonly edit?: (e: Edit) => void;
  /** Callers and callees of a function. */
  readonly sandwich?: (name: string) => void;
  readonly search?: (pattern: string) => void;
  /** Where the frame is in its source, in words. */
  readonly source?: (tree: Tree, node: number) => Promise<string>;
  readonly key?: (e: KeyboardEvent) => boolean;
}

export interface FlameBoxProps {
  readonly profile: Profile;
  readonly edits?: readonly Edit[];
  readonly icicle?: boolean;
  readonly diff?: boolean;
  readonly hash?: boolean;
  /** What the baseline had and the range has not: all of it has the colour of less. */
  readonly lost?: boolean;
  readonly off?: boolean;
  readonly re?: RegExp | null;
  readonly rowHeight?: number;
  readonly details?: boolean;
  readonly label: string;
  /** What the root is called; else what the profile holds. */
  readonly rootLabel?: string | undefined;
  /** At the right end of the details. */
  readonly aside?: ComponentChildren;
  readonly theme?: number;
  /** Rows at the root that somebody else shows. */
  readonly skip?: number;
  readonly onNode?: (node: number) => void;
  readonly actions?: FlameActions;
  readonly onFound?: (f: Found | null, tree: Tree) => void;
  readonly onGraph?: (g: FlameGraph | null) => void;
}

/** The pattern that finds exactly this name. */
export const exactly = (name: string) => `^${name.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}$`;

export const shownTree = (p: Profile, edits: readonly Edit[] | undefined): Tree =>
  edits?.length ? edited(p.tree, edits) : p.tree;

export function FlameBox(props: FlameBoxProps) {
  const { profile, edits, icicle = false, diff = false, hash = false, off = false, re = null } = props;
  const host = useRef<HTMLDivElement>(null);
  const graph = useRef<FlameGraph | null>(null);
  const [node, setNode] = useState(0);
  const [menu, setMenu] = useState<MenuAt | null>(null);
  const tree = useMemo(() => shownTree(profile, edits), [profile, edits]);
  const measure: Measure = { off, sum: profile.sum, baseline: profile.baseline };
  const found = useMemo(() => (re ? find(tree, re) : null), [tree, re?.source, re?.flags]);
  const scale = useMemo(() => (diff ? changeScale(tree, measure) : 1), [tree, diff, off]);
  const now = useRef({ tree, props, setMenu });
  now.current = { tree, props, setMenu };
  useEffect(() => {
    if (!host.current) return undefined;
    const g = new FlameGraph(host.current, {
      show: (i) => {
        setNode(i);
        now.current.props.onNode?.(i);
      },
      menu: (i, x, y) => {
        const { tree: t, props: p } = now.current;
        setMenu({ x, y, label: nameOf(t, i), items: menuOf(t, i, p.actions ?? {}, g) });
      },
      zoomed: () => undefined,
      key: (e, i) => keyOf(e, i, now.current.tree, now.current.props.actions ?? {}),
    });
    graph.current = g;
    props.onGraph?.(g);
    return () => {
      props.onGraph?.(null);
      g.destroy();
    };
  }, []);
  useEffect(() => {
    const g = graph.current;
    if (!g) return;
    g.canvas.setAttribute('aria-label', props.label);
    g.set(
      tree,
      {
        icicle,
        rowHeight: props.rowHeight ?? 16,
        colourBy: props.lost || (diff && profile.baseline) ? 'diff' : hash ? 'hash' : 'type',
        change: props.lost
          ? (i) => -tree.total[i]! / (tree.total[0] || 1)
          : diff
            ? (i) => changeOf(tree, i, measure) / scale
            : null,
        rootLabel: props.rootLabel ?? rootText(profile, off),
        skip: props.skip ?? 0,
      },
      found,
    );
    props.onFound?.(found, tree);
    setNode((n) => (n < tree.n ? n : 0));
  }, [
    tree,
    icicle,
    diff,
    hash,
    off,
    props.lost,
    found,
    props.rootLabel,
    props.rowHeight,
    props.theme,
    props.label,
  ]);
  return (
    <>
      <div class="fg">
        <div class="inner" ref={host} />
      </div>
      {props.details !== false && (
        <Details
          tree={tree}
          node={node < tree.n ? node : 0}
          measure={measure}
          actions={props.actions ?? {}}
          rootLabel={props.rootLabel}
        >
          {props.aside}
        </Details>
      )}
      {menu && <Menu at={menu} close={() => setMenu(null)} />}
    </>
  );
}

const LEGEND = [
  ['user', 1],
  ['library', 2],
  ['jit', 4],
  ['inlined', 5],
  ['kernel', 3],
  ['unknown', 0],
] as const;

/** What the colours mean: types, or the change in CPUs. */
export function FlameLegend({
  diff,
  hash,
  lost,
  scale,
  off,
  tree,
}: {
  diff: boolean;
  hash?: boolean;
  lost?: boolean;
  scale: number;
  off?: boolean;
  /** Only what is in it is explained. */
  tree?: Tree | null;
}) {
  const k = flameColours();
  if (lost)
    return (
      <span class="sw">
        <i style={{ background: k.less }} /> in the baseline, not in the range
      </span>
    );
  if (diff) {
    const s = scale >= 1 ? scale.toFixed(0) : String(scale);
    return (
      <span class="sw">
        −{s}
        <i style={{ width: '84px', background: `linear-gradient(90deg,${k.less},${k.same},${k.more})` }} />+
        {s} {off ? 'tasks' : 'CPUs'}
      </span>
    );
  }
  if (hash) return <span class="sw">by name</span>;
  return (
    <span class="legend">
      {LEGEND.filter(([, type]) => !tree || tree.type.includes(type, 1)).map(([t]) => (
        <span class="sw" key={t}>
          <i style={{ background: k.legend[t] }} />
          {t === 'jit' ? 'JIT' : t}
        </span>
      ))}
    </span>
  );
}

const TASK = 6;

export function copy(text: string): void {
  void navigator.clipboard?.writeText(text).catch(() => undefined);
}

/** The function of a frame: with its module where another module has one of that name. */
function functionOf(t: Tree, i: number): string {
  const name = nameOf(t, i);
  for (let k = 1; k < t.n; k++)
    if (t.module[k] !== t.module[i] && t.type[k] !== TASK && nameOf(t, k) === name)
      return functionId(name, moduleOf(t, i));
  return name;
}

function menuOf(t: Tree, i: number, a: FlameActions, g: FlameGraph): (MenuItem | null)[] {
  const name = nameOf(t, i);
  const items: (MenuItem | null)[] = [
    {
      label: i === g.zoom ? 'Show all' : 'Zoom to frame',
      cap: '⏎',
      run: () => g.zoomTo(i === g.zoom ? 0 : i),
    },
  ];
  const { edit, sandwich, search } = a;
  const frame = i > 0 && t.type[i] !== TASK;
  if (edit && frame)
    items.push(
      null,
      { label: 'Hide frame, keep its callees', cap: 'H', run: () => edit({ do: 'hide', name }) },
      { label: 'Hide stacks with it', run: () => edit({ do: 'drop', name }) },
      { label: 'Only from this frame on', run: () => edit({ do: 'focus', name }) },
    );
  if (edit)
    items.push(
      { label: 'Collapse recursion', run: () => edit({ do: 'recursion' }) },
      { label: 'Merge by module', run: () => edit({ do: 'modules' }) },
    );
  if (frame && (sandwich || search)) items.push(null);
  if (sandwich && frame) items.push({ label: 'Callers and callees', run: () => sandwich(functionOf(t, i)) });
  if (search && i > 0) items.push({ label: 'Search this name', run: () => search(exactly(name)) });
  const more = a.more?.(t, i) ?? [];
  if (more.length) items.push(null, ...more);
  if (i > 0)
    items.push(
      null,
      { label: 'Copy name', run: () => copy(name) },
      { label: 'Copy stack', cap: 'C', run: () => copy(stackText(t, i)) },
    );
  return items;
}

function keyOf(e: KeyboardEvent, i: number, t: Tree, a: FlameActions): boolean {
  const key = e.key.toLowerCase();
  if (key === 'h' && i > 0 && a.edit) {
    a.edit({ do: 'hide', name: nameOf(t, i) });
    return true;
  }
  if (key === 'c' && i > 0) {
    copy(stackText(t, i));
    return true;
  }
  return a.key?.(e) ?? false;
}
