// All keys, and what the marks on the page mean.
import { commands } from './commands';
import { setHelp } from './dialogs';
import { Modal } from './Modal';

const GROUPS: readonly { title: string; ids: readonly string[] }[] = [
  { title: 'Time', ids: ['pause', 'live', 'back', 'forward', 'narrower', 'wider', 'zoom-in', 'zoom-out'] },
  { title: 'Range', ids: ['zoom', 'undo', 'baseline', 'clear'] },
  { title: 'Page', ids: ['search', 'profile', 'export', 'theme', 'utc', 'help'] },
];

const PROFILE: readonly [string, string][] = [
  [
    'click, click',
    'on the map: a range from the first to the second, or drag; Shift adds it to what is selected',
  ],
  ['Ctrl-click', 'on the map: a range to compare with'],
  [', .', 'move the ranges by their length; Space plays'],
  ['R', 'rows of the map: offset, CPU, process, thread, cgroup'],
  ['I D', 'flame or icicle; colours by type or by the change'],
  ['arrows ⏎', 'walk frames; zoom to one. Esc goes back step by step'],
  ['H C', 'hide the frame; copy its stack'],
  ['right click', 'everything else that can be done with a frame'],
];

const MOUSE: readonly [string, string][] = [
  ['drag on a chart', 'select a range in every chart; time stands still'],
  ['Alt while dragging', 'edges do not snap to samples'],
  ['Shift-drag', 'move the view'],
  ['Ctrl-wheel', 'zoom at the pointer'],
  ['drag on the strip', 'the box moves the view, its edges widen it, elsewhere another stretch is shown'],
  ['click in a legend', 'show this one alone, Ctrl-click: show or hide it'],
  ['Tab, then ← →', 'go to a chart and move its line by a sample, Shift: by ten; ⏎ starts and ends a range'],
];

const MARKS: readonly [string, string][] = [
  ['●', 'live: the right edge is now'],
  ['▲', 'warning, stale or reduced: the words beside it say which'],
  ['◆', 'critical or failed'],
  ['▒', 'hatched: nothing was recorded; lines are never joined across it'],
  ['–', 'no value'],
];

/** Words, and keys: those of one letter. */
const KEYS = /\S{2,}(?: \S{2,})*|\S/g;

const keyCap = (k: string) => k.replace('@Key', '').replace(/(.)-/, '$1 ').replace(/^-$/, '−');

function Rows({ rows, keys = false }: { rows: readonly (readonly [string, string])[]; keys?: boolean }) {
  return (
    <dl>
      {rows.map(([k, v]) => (
        <div key={k}>
          <dt>
            {keys ? (k.match(KEYS) ?? []).map((w) => (w.length === 1 ? <kbd key={w}>{w}</kbd> : w)) : k}
          </dt>
          <dd>{v}</dd>
        </div>
      ))}
    </dl>
  );
}

export function Help() {
  return (
    <Modal name="help" label="Help">
      <header>
        <h2>Help</h2>
        <button type="button" class="btn" onClick={() => setHelp(false)}>
          Close <kbd>Esc</kbd>
        </button>
      </header>
      <div class="columns">
        {GROUPS.map((g) => (
          <section key={g.title}>
            <h3>{g.title}</h3>
            <dl>
              {g.ids.map((id) => {
                const c = commands.find((x) => x.id === id);
                return (
                  c && (
                    <div key={id}>
                      <dt>
                        {(c.keys ?? []).map((k, i) => (
                          <kbd key={k}>{i === 0 && c.cap ? c.cap : keyCap(k)}</kbd>
                        ))}
                      </dt>
                      <dd>{c.title}</dd>
                    </div>
                  )
                );
              })}
              {g.title === 'Time' && (
                <div>
                  <dt>
                    <kbd>1</kbd>–<kbd>9</kbd> <kbd>0</kbd>
                  </dt>
                  <dd>Window from 5 s to 24 h, or all that is held</dd>
                </div>
              )}
            </dl>
          </section>
        ))}
        <section>
          <h3>Profile page</h3>
          <Rows rows={PROFILE} keys />
        </section>
        <section>
          <h3>Mouse</h3>
          <Rows rows={MOUSE} />
        </section>
        <section>
          <h3>Marks</h3>
          <Rows rows={MARKS} />
        </section>
      </div>
    </Modal>
  );
}
