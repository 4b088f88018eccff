// Parts of the toolbar over the sub-second map: filters, columns, kinds of samples, reasons to wait.
import { useState } from 'preact/hooks';
import { durationText } from '../../charts/time';
import { bare } from '../../state/bare';
import { type Chips, chips, clearChip, rows, which } from '../../state/profile';
import { capture } from '../../state/pulse';
import { MINUTE, WINDOW_OF } from '../../transform/scope';
import { setWindow } from '../../ui/commands';
import { OFFSETS } from './heat';
import { Menu, type MenuAt } from './Menu';
import { profiler } from './profiler';

const CHIP_WORDS: Record<keyof Chips, string> = {
  cpu: 'CPU',
  pid: 'process',
  tid: 'thread',
  process: 'command',
  cgroup: 'cgroup',
  comm: '',
};

export function Filters() {
  const c = chips.value;
  const list = (['cpu', 'pid', 'tid', 'process', 'cgroup'] as const).filter((k) =>
    k === 'cpu' ? c.cpu >= 0 : Boolean(c[k]),
  );
  return (
    <>
      {list.map((k) => (
        <button
          type="button"
          class="chip"
          key={k}
          data-chip={k}
          title="Remove this filter"
          aria-label={`Remove the filter ${CHIP_WORDS[k]} ${c[k]}`}
          onClick={() => clearChip(k)}
        >
          {CHIP_WORDS[k]} <b>{k === 'pid' && c.comm ? c.comm : c[k]}</b> <span aria-hidden="true">✕</span>
        </button>
      ))}
    </>
  );
}

/** "1 column 1 s · 1 row 20 ms"; a click takes another length of columns. */
export function Columns({ columnUs }: { columnUs: number }) {
  const [menu, setMenu] = useState<MenuAt | null>(null);
  const by = rows.value;
  const row = by === 'offset' ? spanText(columnUs / OFFSETS) : by === 'cpu' ? 'CPU' : by;
  const open = (e: MouseEvent) => {
    const r = (e.currentTarget as HTMLElement).getBoundingClientRect();
    const items = [1_000_000, MINUTE, 5 * MINUTE].map((us) => ({
      label: `1 column ${spanText(us)}, the last ${durationText(WINDOW_OF[us]!)}`,
      checked: us === columnUs,
      run: () => setWindow(WINDOW_OF[us]!),
    }));
    setMenu({ x: r.left, y: r.bottom + 4, label: 'Columns', items });
  };
  return (
    <span class="kv opt2">
      <button type="button" class="link" aria-haspopup="menu" onClick={open}>
        <span class="long">1 column </span>
        {spanText(columnUs)} <span aria-hidden="true">▾</span>
      </button>{' '}
      · <span class="long">1 row </span>
      {row}
      {menu && <Menu at={menu} close={() => setMenu(null)} />}
    </span>
  );
}

/** "1 s", "20 ms", "1.2 s", "1 min". */
const spanText = (us: number) => durationText(us).replace('.0 ', ' ');

export function Kinds() {
  const p = profiler.value;
  // Of a file, what it holds decides; that is known once it was asked.
  const file = capture.value !== null && !bare.value;
  const why = p && !p.hasOffCpu && !file ? 'This profiler does not record why threads wait' : undefined;
  return (
    // biome-ignore lint/a11y/useSemanticElements: a toolbar of buttons
    <div class="seg" role="group" aria-label="Samples">
      {(
        [
          ['on', 'On-CPU'],
          ['off', 'Off-CPU'],
          ['queue', 'Run queue'],
        ] as const
      ).map(([id, title]) => (
        <button
          type="button"
          key={id}
          aria-pressed={which.value === id}
          disabled={id !== 'on' && why !== undefined && which.value !== id}
          title={id === 'on' ? undefined : why}
          onClick={() => void (which.value = id)}
        >
          {title}
        </button>
      ))}
    </div>
  );
}
