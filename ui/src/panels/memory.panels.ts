import { derived, one, ref } from '../transform/source';
import type { Mark, PanelSpec } from './types';

const PAGE = 4096;
const util = (name: string) => `mem.util.${name}`;

const specs: readonly PanelSpec[] = [
  {
    id: 'memory.use',
    title: 'Memory',
    metrics: ['mem.util.anonpages', 'mem.util.cached', 'mem.util.free', 'mem.physmem'],
    unit: { kind: 'bytes' },
    transform: () => [
      part('anon', one('bytes', util('anonpages')), 1),
      part('cache', cache(), 0.6),
      { label: 'free', source: one('bytes', util('free')), colour: 'mem', style: 'value' },
    ],
    draw: 'stack',
    floor: 2 ** 28,
    max: ({ store }) => store.host?.memTotal || 2 ** 30,
    place: 6,
    help: 'What fills the memory: programs (anon), caches that can be given back, and what is free.',
  },
  {
    id: 'memory.faults',
    title: 'Page faults',
    metrics: ['mem.vmstat.pgfault', 'mem.vmstat.pgmajfault', 'mem.vmstat.pswpin', 'mem.vmstat.pswpout'],
    unit: { kind: 'count/s' },
    transform: () => [
      { label: 'all', source: one('count/s', 'mem.vmstat.pgfault'), colour: 'mem', style: 'area' },
      {
        label: 'major',
        source: one('count/s', 'mem.vmstat.pgmajfault'),
        colour: 't2',
        style: 'line',
        minor: true,
      },
      { label: 'swap', source: swap(), colour: 'mem2', style: 'value', kind: 'bytes/s' },
    ],
    draw: 'lines',
    floor: 100,
    place: 7,
    help: 'Page faults; major ones had to read from a device. Swap is both directions together.',
  },
];

/** What the kernel gives back when asked: page cache, buffers, reclaimable kernel objects. */
function cache() {
  const inputs = ['cached', 'bufmem', 'slabReclaimable'].map((m) => ref(util(m)));
  return derived('cache', 'bytes', inputs, (x) => x[0]! + x[1]! + x[2]!, [1, 1, 1]);
}

function part(label: string, source: Mark['source'], tint: number): Mark {
  return { label, source, colour: 'mem', style: 'area', tint };
}

function swap() {
  const inputs = [ref('mem.vmstat.pswpin'), ref('mem.vmstat.pswpout')];
  return derived('swap', 'bytes/s', inputs, (x) => (x[0]! + x[1]!) * PAGE, [1, 1]);
}

export default specs;
