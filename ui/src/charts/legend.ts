// The right side of a chart's title: state, swatch, name and value of each mark. Values are text nodes that
// change twice a second or with the line; nothing is rendered anew for them.
import type { Mark } from '../panels/types';
import { solo, toggle } from '../state/view';
import type { Colour } from './palette';

export interface Value {
  text: string;
  /** Base units; NaN for none. */
  value: number;
  /** Time of the sample, 0 for none. */
  t: number;
}

interface Item {
  key: string;
  button: HTMLButtonElement;
  value: HTMLElement;
  shown: string;
  /** Characters reserved, and the lengths of the last values that this follows. */
  width: number;
  recent: Uint8Array;
  at: number;
}

export type TagKind = 'warn' | 'crit' | 'plain';

const SHAPES = { warn: '▲', crit: '◆', plain: '' };

export class Legend {
  readonly el = document.createElement('span');
  private items = new Map<string, Item>();
  private tag = document.createElement('span');
  private tagText = '';
  private rampEnd = '';

  constructor() {
    this.el.className = 'lg';
    this.tag.className = 'tag';
    this.tag.hidden = true;
    this.el.append(this.tag);
  }

  /** Makes the items anew. `ramp`: ends of a heat ramp; `rowed`: one value for rows, no swatches. */
  build(marks: readonly Mark[], hidden: ReadonlySet<string>, ramp: readonly [string, string] | null): void {
    for (const i of this.items.values()) i.button.remove();
    this.items.clear();
    this.el.querySelector('.rampbox')?.remove();
    const keys = marks.filter((m) => m.style !== 'value').map((m) => m.source.key);
    for (const m of marks) this.add(m, keys, hidden);
    if (ramp) this.addRamp(ramp);
  }

  private add(m: Mark, keys: readonly string[], hidden: ReadonlySet<string>): void {
    const button = document.createElement('button');
    button.type = 'button';
    const plain = m.style === 'value';
    const extra = plain && m.source.key !== 'row';
    button.className = extra ? 'li extra' : m.minor ? 'li minor' : 'li';
    if (!plain) button.append(swatch(m));
    const name = Object.assign(document.createElement('span'), { className: 'name', textContent: m.label });
    button.append(name);
    const value = document.createElement('b');
    value.dataset.series = m.label;
    value.textContent = '–';
    button.append(value);
    if (plain || keys.length < 2) button.tabIndex = -1;
    else {
      button.title = `${m.label}: click shows it alone, Ctrl-click hides it`;
      button.onclick = (e) => (e.ctrlKey || e.metaKey ? toggle(m.source.key) : solo(m.source.key, keys));
    }
    button.classList.toggle('off', hidden.has(m.source.key));
    this.items.set(m.source.key, {
      key: m.source.key,
      button,
      value,
      shown: '–',
      width: 1,
      recent: new Uint8Array(20),
      at: 0,
    });
    this.el.append(button);
  }

  private addRamp(ends: readonly [string, string]): void {
    this.rampEnd = ends[1];
    const box = document.createElement('span');
    box.className = 'rampbox';
    const bar = document.createElement('i');
    bar.className = 'ramp';
    const [a, b] = ends.map((s) => Object.assign(document.createElement('span'), { textContent: s }));
    box.append(a as Node, bar, b as Node);
    this.el.append(box);
  }

  /** The upper end of the ramp. */
  setRampEnd(text: string): void {
    if (text === this.rampEnd) return;
    this.rampEnd = text;
    const e = this.el.querySelector('.rampbox span:last-child');
    if (e) e.textContent = text;
  }

  set(key: string, v: Value): void {
    const item = this.items.get(key);
    if (!item) return;
    if (v.text !== item.shown) {
      item.shown = v.text;
      item.value.textContent = v.text;
    }
    // Words ("no data") take their room only while they stand there.
    if (!Number.isNaN(v.value)) this.room(item, v.text.length);
    item.button.classList.toggle('zero', v.value === 0);
    item.value.dataset.value = Number.isNaN(v.value) ? '' : String(v.value);
    item.value.dataset.t = String(v.t);
  }

  /** Room that was taken stays taken for ten seconds, so that titles do not jitter. */
  private room(item: Item, length: number): void {
    item.recent[item.at++ % item.recent.length] = length;
    let most = 1;
    for (const n of item.recent) if (n > most) most = n;
    if (most === item.width) return;
    item.width = most;
    item.value.style.minWidth = `${most}ch`;
  }

  /** Room that was taken counts no longer. */
  forget(): void {
    for (const i of this.items.values()) i.recent.fill(0);
  }

  /** Names the row that a heat map's one value belongs to. */
  rename(key: string, label: string): void {
    const item = this.items.get(key);
    const name = item?.button.querySelector('.name');
    if (name && name.textContent !== label) name.textContent = label;
    if (item) item.value.dataset.series = label;
  }

  /** Characters of all values: what decides how wide the legend is. */
  chars(): number {
    let n = this.tagText.length + this.rampEnd.length;
    for (const i of this.items.values()) n += Math.max(i.width, i.shown.length);
    return n;
  }

  /** `why` is shown on hover. */
  setTag(kind: TagKind, text: string, why: string): void {
    if (this.tag.title !== why) this.tag.title = why;
    if (text === this.tagText) return;
    this.tagText = text;
    this.tag.hidden = text === '';
    this.tag.className = `tag ${kind}`;
    this.tag.textContent = SHAPES[kind] ? `${SHAPES[kind]} ${text}` : text;
  }
}

function swatch(m: Mark): HTMLElement {
  const i = document.createElement('i');
  i.className = m.style === 'bar' || m.tint !== undefined ? 'sq' : m.style === 'dash' ? 'da' : '';
  const colour = `var(--${m.colour as Colour})`;
  i.style.background =
    m.tint === undefined
      ? colour
      : `color-mix(in srgb, ${colour} ${Math.round(m.tint * 100)}%, var(--panel))`;
  return i;
}
