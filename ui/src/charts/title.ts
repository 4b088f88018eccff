// The line above a chart: title, unit, words, resolution, and the legend at its right end. A narrow title
// gives way step by step; its own letters and the numbers never do.
import { format } from '../lib/format';
import type { Mark, PanelSpec } from '../panels/types';
import type { Store } from '../store/api';
import { Legend } from './legend';

/** What is hidden of a narrow title, one after the other; see styles/panels.css. */
const GIVES_WAY = ['no-opt', 'no-word', 'no-extra', 'no-names', 'no-unit'];

export interface TitleText {
  title: string;
  /** On hover: what the chart is good for, its metrics, their steps. */
  details: string;
  unit: string;
  words: string;
  resolution: string;
}

export class Title {
  readonly el = document.createElement('div');
  readonly legend = new Legend();
  private readonly heading = document.createElement('h2');
  private readonly unit = document.createElement('span');
  private readonly words = document.createElement('span');
  private readonly resolution = document.createElement('span');
  private width = 0;
  /** Characters of the legend when it was fitted last. */
  private fitted = -1;

  constructor() {
    this.el.className = 'head';
    this.unit.className = 'u';
    this.words.className = 'u word';
    this.resolution.className = 'u opt';
    this.el.append(this.heading, this.unit, this.words, this.resolution, this.legend.el);
  }

  /** True when a word changed. */
  set(t: TitleText): boolean {
    if (this.heading.title !== t.details) this.heading.title = t.details;
    const resolution = t.resolution && ` · ${t.resolution}`;
    const changed = [
      setText(this.heading, t.title),
      setText(this.unit, t.unit),
      setText(this.words, t.words),
      setText(this.resolution, resolution),
    ].includes(true);
    if (changed) this.fitted = -1;
    return changed;
  }

  resize(width: number): void {
    this.width = width;
    this.fitted = -1;
    this.fit();
  }

  /** Hides what does not fit; cheap when nothing changed its length. */
  fit(): void {
    const chars = this.legend.chars();
    if (!this.width || chars === this.fitted) return;
    this.fitted = chars;
    this.el.classList.remove(...GIVES_WAY);
    for (const c of GIVES_WAY) {
      if (this.el.scrollWidth <= this.el.clientWidth) return;
      this.el.classList.add(c);
    }
  }
}

export function setText(e: HTMLElement, text: string): boolean {
  if (e.textContent === text) return false;
  e.textContent = text;
  return true;
}

/** "k/s" and "segments" to "k segments/s"; "%" and "" to "%". */
export function unitName(unit: string, noun: string): string {
  if (!noun) return unit;
  const per = unit.endsWith('/s');
  return [per ? unit.slice(0, -2) : unit, `${noun}${per ? '/s' : ''}`].filter(Boolean).join(' ');
}

/** A number and its unit: "4.2 k/s", "46/s", "38 %". */
export const joined = (n: string, u: string) => (u === '' ? n : u.startsWith('/') ? n + u : `${n} ${u}`);

/** What the chart is good for, its metrics and the steps in which their sources count. */
export function detailsOf(spec: PanelSpec, marks: readonly Mark[], store: Store): string {
  const names = new Set(marks.flatMap((m) => m.source.inputs.map((r) => r.metric)));
  const lines = [...(names.size ? names : spec.metrics)].slice(0, 12).map((name) => {
    const info = store.info(name);
    const step = info?.quantum ? `, counts in steps of ${format(info.quantum, info.kind)}` : '';
    return `${name}${step}`;
  });
  return [spec.help, ...lines].filter(Boolean).join('\n');
}
