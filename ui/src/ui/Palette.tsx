// Search box of everything: commands, pages, metrics with their instances, processes.
import { useComputed, useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { fuzzy } from '../lib/fuzzy';
import { page, query } from '../state/page';
import { pins, togglePin } from '../state/prefs';
import { store } from '../store/store';
import { commands } from './commands';
import { setPalette } from './dialogs';
import { Modal } from './Modal';

interface Entry {
  readonly text: string;
  readonly hint: string;
  readonly kind: 'command' | 'metric' | 'process';
  readonly key?: string | undefined;
  /** Name to pin with Ctrl-Enter. */
  readonly pin?: string;
  run(): void;
}

const SHOWN = 40;

function openRaw(name: string): void {
  query.value = name;
  page.value = 'raw';
}

function entries(): Entry[] {
  const out: Entry[] = commands.map((c) => ({
    text: c.title,
    hint: '',
    kind: 'command',
    key: c.cap ?? c.keys?.[0]?.replace('@Key', ''),
    run: c.run,
  }));
  for (const m of store.metrics())
    out.push({ text: m.name, hint: m.help, kind: 'metric', pin: m.name, run: () => openRaw(m.name) });
  const pid = store.metrics().find((m) => m.indom === 'process');
  if (pid)
    for (const i of store.instances(pid.name).slice(0, 1000))
      out.push({
        text: `${i.attrs.comm ?? ''} ${i.name}`.trim(),
        hint: i.attrs.cmdline ?? 'process',
        kind: 'process',
        run: () => openRaw(`proc[${i.name}]`),
      });
  return out;
}

export function Palette() {
  const text = useSignal('');
  const at = useSignal(0);
  const list = useRef<Entry[]>([]);
  const input = useRef<HTMLInputElement>(null);
  if (list.current.length === 0) list.current = entries();
  const found = useComputed(() => {
    const all = list.current;
    const names = all.map((e) => `${e.text} ${e.kind === 'metric' ? '' : e.hint}`);
    const typed = text.value.trim();
    const hits = fuzzy(names, typed).map((i) => all[i]!);
    const metrics = hits.filter((e) => e.kind === 'metric').length;
    if (typed && metrics > 1 && hits[0]?.kind === 'metric' && hits[0].text !== typed) {
      const every: Entry = {
        text: `Chart what matches “${typed}”`,
        hint: `${metrics} metrics`,
        kind: 'command',
        run: () => openRaw(typed),
      };
      return [every, ...hits.slice(0, SHOWN)];
    }
    return typed ? hits.slice(0, SHOWN) : all.filter((e) => e.kind === 'command').slice(0, SHOWN);
  });
  useEffect(() => input.current?.focus(), []);
  const run = (e: Entry | undefined) => {
    setPalette(false);
    e?.run();
  };
  const onKey = (e: KeyboardEvent) => {
    const n = found.value.length;
    if (e.key === 'ArrowDown') at.value = n ? (at.value + 1) % n : 0;
    else if (e.key === 'ArrowUp') at.value = n ? (at.value + n - 1) % n : 0;
    else if (e.key === 'Enter') {
      const hit = found.value[at.value];
      if (hit?.pin && (e.ctrlKey || e.metaKey)) togglePin(hit.pin);
      else run(hit);
    } else return;
    e.preventDefault();
    document.getElementById(`hit-${at.value}`)?.scrollIntoView({ block: 'nearest' });
  };
  return (
    <Modal name="palette" label="Search">
      <input
        ref={input}
        type="text"
        role="combobox"
        aria-expanded="true"
        aria-controls="hits"
        aria-autocomplete="list"
        aria-activedescendant={found.value.length ? `hit-${at.value}` : undefined}
        aria-label="Search metrics, processes and commands"
        placeholder="Metric, process, command"
        autocomplete="off"
        spellcheck={false}
        value={text.value}
        onInput={(e) => {
          text.value = e.currentTarget.value;
          at.value = 0;
        }}
        onKeyDown={onKey}
      />
      <div id="hits" role="listbox" aria-label="Results">
        {found.value.map((e, i) => (
          // biome-ignore lint/a11y/useKeyWithClickEvents: keys are handled by the combobox
          <div
            key={`${e.kind}${e.text}`}
            id={`hit-${i}`}
            role="option"
            tabIndex={-1}
            aria-selected={i === at.value}
            onClick={() => run(e)}
            onPointerMove={() => {
              at.value = i;
            }}
          >
            <b>{e.text}</b>
            <span>{e.hint}</span>
            {e.pin && pins.value.includes(e.pin) && <i>pinned</i>}
            {e.key && <kbd>{e.key}</kbd>}
          </div>
        ))}
        {found.value.length === 0 && <p>Nothing is called like that.</p>}
      </div>
      <footer>
        <kbd>↑</kbd>
        <kbd>↓</kbd> choose <kbd>⏎</kbd> open <kbd>Ctrl ⏎</kbd> pin to the first screen <kbd>Esc</kbd> close
      </footer>
    </Modal>
  );
}
