// What the profile page shows, as signals; one text of it goes into the address.
import { computed, effect, signal } from '@preact/signals';
import { type Edit, editText, parseEdit } from '../transform/flame/edit';
import { ALL, type Filter, type HeatRows } from '../transform/profiler';
import { profileText } from './page';

export type Tab = 'flame' | 'icicle' | 'sandwich' | 'table' | 'chart';
export type Which = 'on' | 'off' | 'queue';
export const TABS: readonly { id: Tab; title: string }[] = [
  { id: 'flame', title: 'Flame' },
  { id: 'icicle', title: 'Icicle' },
  { id: 'sandwich', title: 'Sandwich' },
  { id: 'table', title: 'Table' },
  { id: 'chart', title: 'Flame chart' },
];
export const ROWS: readonly { id: HeatRows; title: string }[] = [
  { id: 'offset', title: 'Offset' },
  { id: 'cpu', title: 'CPU' },
  { id: 'process', title: 'Process' },
  { id: 'thread', title: 'Thread' },
  { id: 'cgroup', title: 'cgroup' },
];
/** Why a thread is off the CPU, by number of the wire. */
export const CLASSES = ['other', 'disk', 'lock', 'network', 'sleep', 'run queue', 'condition'] as const;
const QUEUE = 1 << 5;

/** By whom the drawer tells of a range. */
export type Who = 'process' | 'thread' | 'cgroup';
export const WHO: readonly { id: Who; title: string }[] = [
  { id: 'process', title: 'Processes' },
  { id: 'thread', title: 'Threads' },
  { id: 'cgroup', title: 'cgroups' },
];
export const who = signal<Who>('process');

export const tab = signal<Tab>('flame');
export const rows = signal<HeatRows>('offset');
export const which = signal<Which>('on');
const IDLE = (1 << 4) | (1 << 6);
/** Waits that somebody waits for: without those of threads that have nothing to do. */
const WAITS = 0b01111;
/** Classes of off-CPU, 1 << class or'ed; 0: the usual ones, all but those of idle threads and the run queue. */
export const classes = signal(0);
export const classesNow = computed(() => (which.value === 'queue' ? QUEUE : classes.value || WAITS));

/** Shows a class, or leaves it out; the run queue stands alone. */
export function toggleClass(c: number): void {
  if (1 << c === QUEUE) {
    which.value = which.peek() === 'queue' ? 'off' : 'queue';
    return;
  }
  const next = which.peek() === 'queue' ? 1 << c : classesNow.peek() ^ (1 << c);
  which.value = 'off';
  classes.value = next === WAITS ? 0 : next;
}
export const idleLeftOut = computed(() => which.value === 'off' && (classesNow.value & IDLE) !== IDLE);
export const pattern = signal('');
export const diff = signal(false);
export const elided = signal(false);
export const byName = signal(false);
export const edits = signal<readonly Edit[]>([]);
/** The function of the sandwich. */
export const fn = signal('');
/** Filters beside on and off; comm is only said, the pid decides. */
export interface Chips {
  readonly cpu: number;
  readonly pid: number;
  readonly tid: number;
  readonly process: string;
  readonly cgroup: string;
  readonly comm: string;
}
export const NO_CHIPS: Chips = { cpu: -1, pid: 0, tid: 0, process: '', cgroup: '', comm: '' };
export const chips = signal<Chips>(NO_CHIPS);

export const filter = computed<Filter>(() => {
  const c = chips.value;
  const off = which.value !== 'on';
  return {
    ...ALL,
    offCpu: off,
    classes: off ? classesNow.value : 0,
    cpu: c.cpu,
    pid: c.pid,
    tid: c.tid,
    process: c.process,
    cgroup: c.cgroup,
  };
});

const wordOf = <T extends string>(list: readonly { id: T }[], s: string | null, or: T): T =>
  list.find((x) => x.id === s)?.id ?? or;

export interface ProfileState {
  tab: Tab;
  who: Who;
  rows: HeatRows;
  which: Which;
  classes: number;
  pattern: string;
  diff: boolean;
  elided: boolean;
  byName: boolean;
  edits: readonly Edit[];
  fn: string;
  chips: Chips;
}

export const USUAL: ProfileState = {
  tab: 'flame',
  who: 'process',
  rows: 'offset',
  which: 'on',
  classes: 0,
  pattern: '',
  diff: false,
  elided: false,
  byName: false,
  edits: [],
  fn: '',
  chips: NO_CHIPS,
};

export function textOf(s: ProfileState): string {
  const p = new URLSearchParams();
  if (s.tab !== USUAL.tab) p.set('tab', s.tab);
  if (s.who !== USUAL.who) p.set('who', s.who);
  if (s.rows !== USUAL.rows) p.set('rows', s.rows);
  if (s.which !== USUAL.which) p.set('cpu', s.which);
  if (s.classes) p.set('class', String(s.classes));
  if (s.pattern) p.set('q', s.pattern);
  if (s.diff) p.set('diff', s.elided ? 'elided' : '1');
  if (s.byName) p.set('colour', 'name');
  for (const e of s.edits) p.append('edit', editText(e));
  if (s.fn) p.set('fn', s.fn);
  const c = s.chips;
  if (c.cpu >= 0) p.set('on', String(c.cpu));
  if (c.pid) p.set('pid', String(c.pid));
  if (c.tid) p.set('tid', String(c.tid));
  if (c.process) p.set('comm', c.process);
  if (c.cgroup) p.set('cgroup', c.cgroup);
  if (c.comm) p.set('name', c.comm);
  return p.toString();
}

const whole = (s: string | null, or = 0): number => {
  const n = Number(s ?? Number.NaN);
  return Number.isInteger(n) && n >= 0 && n < 2 ** 32 ? n : or;
};

export function stateOfText(text: string): ProfileState {
  const p = new URLSearchParams(text);
  return {
    tab: wordOf(TABS, p.get('tab'), 'flame'),
    who: wordOf(WHO, p.get('who'), 'process'),
    rows: wordOf(ROWS, p.get('rows'), 'offset'),
    which: wordOf([{ id: 'on' }, { id: 'off' }, { id: 'queue' }], p.get('cpu'), 'on'),
    classes: whole(p.get('class')) & 0b1011111,
    pattern: p.get('q') ?? '',
    diff: p.has('diff'),
    elided: p.get('diff') === 'elided',
    byName: p.get('colour') === 'name',
    edits: p
      .getAll('edit')
      .map(parseEdit)
      .filter((e) => e !== null),
    fn: p.get('fn') ?? '',
    chips: {
      cpu: whole(p.get('on'), -1),
      pid: whole(p.get('pid')),
      tid: whole(p.get('tid')),
      process: p.get('comm') ?? '',
      cgroup: p.get('cgroup') ?? '',
      comm: p.get('name') ?? '',
    },
  };
}

function stateNow(): ProfileState {
  return {
    tab: tab.value,
    who: who.value,
    rows: rows.value,
    which: which.value,
    classes: classes.value,
    pattern: pattern.value,
    diff: diff.value,
    elided: elided.value,
    byName: byName.value,
    edits: edits.value,
    fn: fn.value,
    chips: chips.value,
  };
}

function take(s: ProfileState): void {
  tab.value = s.tab;
  who.value = s.who;
  rows.value = s.rows;
  which.value = s.which;
  classes.value = s.classes;
  pattern.value = s.pattern;
  diff.value = s.diff;
  elided.value = s.elided;
  byName.value = s.byName;
  edits.value = s.edits;
  fn.value = s.fn;
  chips.value = s.chips;
}

/** Keeps the signals and the text of the address the same, from when the profiler's views are loaded. */
take(stateOfText(profileText.peek()));
let own = profileText.peek();
effect(() => {
  own = textOf(stateNow());
  profileText.value = own;
});
profileText.subscribe((t) => {
  if (t !== own) take(stateOfText(t));
});

export function clearChip(name: keyof Chips): void {
  const c = { ...chips.peek(), [name]: NO_CHIPS[name] };
  if (name === 'pid') chips.value = { ...c, tid: 0, comm: '' };
  else chips.value = c;
}
