// The page of a saved flame graph.
import { render } from 'preact';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { FlameGraph } from '../charts/flame/graph';
import { themeChanged, themeVersion } from '../charts/palette';
import { clockText, dateText, durationText, sameDay } from '../charts/time';
import { isTyping } from '../lib/keys';
import type { Edit } from '../transform/flame/edit';
import { type Found, matcher } from '../transform/flame/search';
import { nameOf, type Tree } from '../transform/flame/tree';
import { Edits } from '../views/profile/Edits';
import { type FlameActions, FlameBox, FlameLegend, shownTree } from '../views/profile/FlameBox';
import { FnTable } from '../views/profile/FnTable';
import { Missing } from '../views/profile/Missing';
import { Sandwich } from '../views/profile/Sandwich';
import { Sums } from '../views/profile/Sums';
import { walkTabs } from '../views/profile/tabs';
import { changeScale, shareText } from '../views/profile/words';
import { type FileProfile, readFile } from './read';

type Tab = 'flame' | 'icicle' | 'sandwich' | 'table';
const TABS: readonly (readonly [Tab, string])[] = [
  ['flame', 'Flame'],
  ['icicle', 'Icicle'],
  ['sandwich', 'Sandwich'],
  ['table', 'Table'],
];

/** "2026-11-26 14:03:02 – 14:03:10". */
function timesText(from: number, to: number): string {
  if (!from) return '';
  const end = to ? ` – ${sameDay(from, to) ? '' : `${dateText(to)} `}${clockText(to)}` : '';
  return `${dateText(from)} ${clockText(from)}${end}`;
}

function Page({ file }: { file: FileProfile }) {
  const { profile, off } = file;
  const [tab, setTab] = useState<Tab>('flame');
  const [diff, setDiff] = useState(profile.baseline !== null);
  const [hash, setHash] = useState(false);
  const [pattern, setPattern] = useState('');
  const [edits, setEdits] = useState<readonly Edit[]>([]);
  const [fn, setFn] = useState('');
  const [share, setShare] = useState('');
  const [theme, setTheme] = useState(themeVersion());
  const input = useRef<HTMLInputElement>(null);
  const graph = useRef<FlameGraph | null>(null);
  const tree = useMemo(() => shownTree(profile, edits), [edits]);
  const re = useMemo(() => matcher(pattern), [pattern]);
  const scale = useMemo(
    () => (diff ? changeScale(tree, { off, sum: profile.sum, baseline: profile.baseline }) : 1),
    [tree, diff],
  );
  const turn = () => {
    const dark = getComputedStyle(document.documentElement).colorScheme === 'dark';
    document.documentElement.dataset.theme = dark ? 'light' : 'dark';
    themeChanged();
    setTheme(themeVersion());
  };
  const edit = (e: Edit) => setEdits((l) => [...l, e]);
  const sandwich = (name: string) => {
    setFn(name);
    setTab('sandwich');
  };
  const key = (e: KeyboardEvent): boolean => {
    switch (e.key.toLowerCase()) {
      case '/':
        input.current?.focus();
        return true;
      case 'i':
        setTab((t) => (t === 'icicle' ? 'flame' : 'icicle'));
        return true;
      case 'd':
        if (profile.baseline) setDiff((d) => !d);
        return true;
      case 't':
        turn();
        return true;
      case 'h': {
        const g = graph.current;
        const i = g ? (g.hover > 0 ? g.hover : g.selected) : -1;
        if (i > 0 && g?.treeNow && g.treeNow.type[i] !== 6) edit({ do: 'hide', name: nameOf(g.treeNow, i) });
        return true;
      }
      case 'escape':
        if (!graph.current?.escape()) {
          setPattern('');
          setEdits([]);
        }
        return true;
      default:
        return false;
    }
  };
  const keys = useRef(key);
  keys.current = key;
  useEffect(() => {
    const on = (e: KeyboardEvent) => {
      if (
        e.defaultPrevented ||
        isTyping(e.target as HTMLElement | null) ||
        e.ctrlKey ||
        e.metaKey ||
        e.altKey
      )
        return;
      if (document.querySelector('[role="menu"]')) return;
      if (keys.current(e)) e.preventDefault();
    };
    addEventListener('keydown', on);
    return () => removeEventListener('keydown', on);
  }, []);
  const actions: FlameActions = { edit, sandwich, search: setPattern };
  // The bars of the table have the colours of types.
  const typed = tab === 'table';
  const aside = (
    <>
      <FlameLegend diff={diff && !typed} hash={hash && !typed} scale={scale} off={off} tree={tree} />
      {profile.leftOut > 0 && (
        <span class="kv opt left-out">
          {profile.leftOut.toLocaleString('en-US')} smallest frames left out
        </span>
      )}
      <Missing list={file.missing} tree={profile.tree} />
      <span class="kv">strobe {file.version}</span>
    </>
  );
  const common = { off, diff, hash, re, theme };
  return (
    <>
      <header class="bar tb">
        <h3>{file.title || 'Flame graph'}</h3>
        {file.host && (
          <span class="kv">
            <b>{file.host}</b>
          </span>
        )}
        <span class="kv">{timesText(file.fromMs, file.toMs)}</span>
        {file.baseFromMs > 0 && (
          <span class="kv">
            against {clockText(file.baseFromMs)}, {durationText((file.baseToMs - file.baseFromMs) * 1000)}
          </span>
        )}
        <span class="sp" />
        <label class="search q">
          <input
            ref={input}
            type="text"
            aria-label="Search functions"
            placeholder="Function or regex"
            spellcheck={false}
            value={pattern}
            onInput={(e) => setPattern(e.currentTarget.value)}
            onKeyDown={(e) => {
              if (e.key !== 'Escape') return;
              setPattern('');
              e.currentTarget.blur();
            }}
          />
          <span class="kv" data-share="">
            {re ? share : ''}
          </span>
          <kbd>/</kbd>
        </label>
        <button type="button" class="btn" onClick={turn}>
          Dark or light <kbd>T</kbd>
        </button>
      </header>
      <div class="bar tb two">
        <div class="left">
          <div class="tabs" role="tablist" aria-label="Views" onKeyDown={walkTabs}>
            {TABS.map(([id, title]) => (
              <button
                type="button"
                role="tab"
                key={id}
                aria-selected={tab === id}
                tabIndex={tab === id ? 0 : -1}
                onClick={() => setTab(id)}
              >
                {title}
              </button>
            ))}
          </div>
          <i class="bar1" />
          {profile.sum.spanUs > 0 && (
            <span class="kv">
              <b class="strong">{durationText(profile.sum.spanUs)}</b>
            </span>
          )}
          <Sums sum={profile.sum} off={off} />
        </div>
        {!typed && (
          // biome-ignore lint/a11y/useSemanticElements: a toolbar of buttons
          <div class="seg" role="group" aria-label="Colour">
            <button
              type="button"
              aria-pressed={!diff && !hash}
              onClick={() => {
                setDiff(false);
                setHash(false);
              }}
            >
              Type
            </button>
            <button
              type="button"
              aria-pressed={!diff && hash}
              onClick={() => {
                setDiff(false);
                setHash(true);
              }}
            >
              Name
            </button>
            {profile.baseline && (
              <button type="button" aria-pressed={diff} onClick={() => setDiff(true)}>
                Differential
              </button>
            )}
          </div>
        )}
      </div>
      <Edits list={edits} set={setEdits} />
      <main class="lower" data-tab={tab}>
        {tab === 'table' ? (
          <FnTable profile={profile} tree={tree} off={off} re={re} open={sandwich} aside={aside} />
        ) : tab === 'sandwich' ? (
          <Sandwich
            {...common}
            profile={profile}
            tree={tree}
            name={fn}
            choose={setFn}
            actions={{ ...actions, key }}
            aside={aside}
          />
        ) : (
          <FlameBox
            {...common}
            profile={profile}
            edits={edits}
            icicle={tab === 'icicle'}
            label="Flame graph: arrows walk frames, Enter zooms, Escape shows all"
            actions={{ ...actions, key }}
            onFound={(f: Found | null, t: Tree) => setShare(f ? shareText(f.weight / (t.total[0] || 1)) : '')}
            onGraph={(g) => {
              graph.current = g;
            }}
            aside={aside}
          />
        )}
      </main>
    </>
  );
}

export function start(): void {
  const app = document.getElementById('app') as HTMLElement;
  try {
    const file = readFile(document.getElementById('profile')?.textContent ?? '');
    document.title = [file.title, file.host, 'flame graph'].filter(Boolean).join(' · ');
    render(<Page file={file} />, app);
  } catch (e) {
    render(
      <div class="no-access">
        <h2>No flame graph</h2>
        <p>{e instanceof Error ? e.message : String(e)}</p>
      </div>,
      app,
    );
  }
  matchMedia('(prefers-color-scheme: light)').addEventListener('change', () => location.reload());
}
