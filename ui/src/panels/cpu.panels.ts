import { derived, one, ref } from '../transform/source';
import type { Env, Mark, PanelSpec } from './types';

const BUSY = ['user', 'nice', 'sys', 'irq.hard', 'irq.soft', 'steal'];
/** CPUs online, as the collector sees them. */
export const cpus = (env: Env) =>
  env.store.instances('kernel.percpu.cpu.user').length || env.store.host?.nCpus || 1;
const ofCpus = (env: Env) => (cpus(env) === 1 ? 'of the CPU' : `of ${cpus(env)} CPUs`);
const fields = (names: readonly string[]) => names.map((n) => `kernel.all.cpu.${n}`);

/** Share of all CPUs' time that `names` took. */
export function cpuShare(env: Env, id: string, names: readonly string[]) {
  const n = cpus(env);
  const inputs = fields(names).map((m) => ref(m));
  // Counted in steps of 10 ms, parts of a short tick may add up to more than there is.
  const share = (x: Float64Array) => Math.min(1, x.reduce((a, b) => a + b, 0) / n);
  return derived(
    `${id}/${n}`,
    'ratio',
    inputs,
    share,
    inputs.map(() => 1),
  );
}

/** Share of one CPU's time that was busy. */
function coreBusy(name: string) {
  const inputs = BUSY.map((f) => ref(`kernel.percpu.cpu.${f}`, name));
  const share = (x: Float64Array) =>
    Math.min(
      1,
      x.reduce((a, b) => a + b, 0),
    );
  return derived(
    'corebusy',
    'ratio',
    inputs,
    share,
    inputs.map(() => 1),
  );
}

const band = (env: Env): Mark[] => [
  mark('user', cpuShare(env, 'user', ['user', 'nice']), 0.95),
  mark('sys', cpuShare(env, 'sys', ['sys', 'irq.hard', 'irq.soft']), 0.62),
  { ...mark('io', cpuShare(env, 'iowait', ['wait.total']), 0.9), colour: 'disk2', minor: true },
  { ...mark('steal', cpuShare(env, 'steal', ['steal']), 0.9), colour: 'warn', minor: true },
  { label: 'mean', source: cpuShare(env, 'busy', BUSY), colour: 'cpu', style: 'value', kind: 'ratio' },
];

const mark = (label: string, source: Mark['source'], tint: number): Mark => ({
  label,
  source,
  colour: 'cpu',
  style: 'area',
  tint,
});

const specs: readonly PanelSpec[] = [
  {
    id: 'cpu.cores',
    title: 'CPU per core',
    metrics: ['kernel.percpu.cpu.user', 'kernel.percpu.cpu.sys', 'kernel.all.cpu.user'],
    unit: { kind: 'ratio', word: 'busy' },
    transform: ({ store }) =>
      store.instances('kernel.percpu.cpu.user').map(
        ({ name }): Mark => ({
          label: name.replace(/^cpu/, 'c'),
          source: coreBusy(name),
          colour: 'cpu',
          style: 'line',
        }),
      ),
    band,
    draw: 'cores',
    floor: 1,
    max: 1,
    place: 1,
    help: 'Busy is all but idle and waiting for I/O. The kernel counts in steps of 10 ms.',
  },
  {
    id: 'cpu.runqueue',
    title: 'Run queue',
    metrics: ['kernel.all.running', 'hinv.ncpu'],
    unit: { kind: 'count', noun: 'tasks' },
    transform: () => [
      {
        label: 'runnable',
        source: one('count', 'kernel.all.running'),
        colour: 'cpu',
        style: 'area',
      },
      { label: 'cores', source: one('count', 'hinv.ncpu'), colour: 'neutral', style: 'dash' },
    ],
    draw: 'lines',
    floor: 3,
    place: 2,
    help: 'Tasks running or ready to run at the moment of the read. Above the dashed line some wait.',
  },
  {
    id: 'cpu.switches',
    title: 'Context switches',
    metrics: ['kernel.all.pswitch'],
    unit: { kind: 'count/s' },
    transform: () => [
      {
        label: 'all CPUs',
        source: one('count/s', 'kernel.all.pswitch'),
        colour: 'cpu',
        style: 'area',
      },
    ],
    draw: 'lines',
    floor: 100,
    place: 11,
  },
  {
    id: 'cpu.interrupttime',
    title: 'Interrupt time',
    metrics: ['kernel.all.cpu.irq.soft', 'kernel.all.cpu.irq.hard'],
    unit: { kind: 'ratio', word: ofCpus },
    transform: (env) => [
      { label: 'softirq', source: cpuShare(env, 'softirq', ['irq.soft']), colour: 'cpu', style: 'line' },
      { label: 'irq', source: cpuShare(env, 'irq', ['irq.hard']), colour: 'cpu2', style: 'line' },
    ],
    draw: 'lines',
    floor: 0.05,
    place: 12,
    help: 'Time in softirqs and in hardware interrupts. The kernel counts in steps of 10 ms.',
  },
  {
    id: 'cpu.pressure',
    title: 'Pressure',
    metrics: [
      'kernel.all.pressure.cpu.some.total',
      'kernel.all.pressure.memory.some.total',
      'kernel.all.pressure.io.some.total',
    ],
    unit: { kind: 'ratio', word: 'some' },
    transform: () => [
      pressure('cpu', 'cpu', 'cpu'),
      pressure('mem', 'memory', 'mem'),
      pressure('io', 'io', 'disk'),
    ],
    draw: 'lines',
    floor: 1,
    max: 1,
    place: 5,
    help: 'Share of time in which at least one task waited for the resource.',
  },
];

function pressure(label: string, resource: string, colour: Mark['colour']): Mark {
  const source = one('ratio', `kernel.all.pressure.${resource}.some.total`);
  return { label, source, colour, style: 'line' };
}

export default specs;
