// Panels of the subsystem pages that put series together; what is one metric alone needs no entry here
// (see metric.ts).
import type { Source } from '../store/api';
import { derived, one, per, ref, scaled } from '../transform/source';
import { wholeDisks } from './env';
import type { Env, Mark, PanelSpec } from './types';

/** A row or a line for each disk that is no part of another. */
const eachDisk = (make: (disk: string) => Source) => (env: Env) =>
  wholeDisks(env.store.instances('disk.dev.read').map((i) => i.name)).map(
    (name): Mark => ({ label: name, source: make(name), colour: 'disk', style: 'line' }),
  );

const eachInterface = (make: (name: string) => Source) => (env: Env) =>
  env.store
    .instances('network.interface.in.bytes')
    .map(({ name }): Mark => ({ label: name, source: make(name), colour: 'net', style: 'line' }));

/** Time an operation took on average, between two reads in which some ended. */
const wait = (time: string, ops: string) => (disk: string) => per('seconds', time, ops, disk);

const specs: readonly PanelSpec[] = [
  {
    id: 'disk.utilisation',
    title: 'Utilisation',
    metrics: ['disk.dev.avactive', 'disk.dev.read'],
    unit: { kind: 'ratio' },
    transform: eachDisk((d) => one('ratio', 'disk.dev.avactive', d)),
    draw: 'heat',
    floor: 1,
    max: 1,
    help: 'Share of time with at least one request under way. 100 % is no limit for a disk that works on many at once.',
  },
  {
    id: 'disk.readwait',
    title: 'Read wait',
    metrics: ['disk.dev.read_rawactive', 'disk.dev.read'],
    unit: { kind: 'seconds', word: 'a read' },
    transform: eachDisk(wait('disk.dev.read_rawactive', 'disk.dev.read')),
    draw: 'heat',
    log: true,
    floor: 1e-3,
    help: 'Mean time from a read’s request to its end, queueing included.',
  },
  {
    id: 'disk.writewait',
    title: 'Write wait',
    metrics: ['disk.dev.write_rawactive', 'disk.dev.write'],
    unit: { kind: 'seconds', word: 'a write' },
    transform: eachDisk(wait('disk.dev.write_rawactive', 'disk.dev.write')),
    draw: 'heat',
    log: true,
    floor: 1e-3,
    help: 'Mean time from a write’s request to its end, queueing included.',
  },
  {
    id: 'disk.queue',
    title: 'Queue',
    metrics: ['disk.dev.aveq', 'disk.dev.read'],
    unit: { kind: 'count', word: 'requests' },
    transform: eachDisk((d) => scaled('count', 1, 'disk.dev.aveq', d)),
    draw: 'heat',
    log: true,
    floor: 1,
    help: 'Requests under way on average between two reads of the counter.',
  },
  {
    id: 'network.received',
    title: 'Received',
    metrics: ['network.interface.in.bytes'],
    unit: { kind: 'bits/s' },
    transform: eachInterface((n) => scaled('bits/s', 8, 'network.interface.in.bytes', n)),
    draw: 'heat',
    log: true,
    floor: 1e6,
  },
  {
    id: 'network.sent',
    title: 'Sent',
    metrics: ['network.interface.out.bytes'],
    unit: { kind: 'bits/s' },
    transform: eachInterface((n) => scaled('bits/s', 8, 'network.interface.out.bytes', n)),
    draw: 'heat',
    log: true,
    floor: 1e6,
  },
  {
    id: 'network.retransmitted',
    title: 'Retransmitted share',
    metrics: ['network.tcp.retranssegs', 'network.tcp.outsegs'],
    unit: { kind: 'ratio', word: 'of segments' },
    transform: () => [
      {
        label: 'retransmitted',
        source: derived(
          'retransmitted',
          'ratio',
          [ref('network.tcp.retranssegs'), ref('network.tcp.outsegs')],
          // The kernel counts sent segments without those that are sent again.
          (x) => (x[0]! > 0 ? x[0]! / (x[0]! + x[1]!) : 0),
        ),
        colour: 'net',
        style: 'area',
      },
    ],
    draw: 'lines',
    floor: 0.01,
    help: 'Segments sent again, of all that were sent.',
  },
  {
    id: 'strobe.cost',
    title: 'CPU of the agent',
    metrics: ['strobe.cpu.user', 'strobe.cpu.sys'],
    unit: { kind: 'ratio', word: 'of one CPU' },
    transform: () => [
      { label: 'sys', source: one('ratio', 'strobe.cpu.sys'), colour: 'neutral', style: 'area', tint: 0.7 },
      { label: 'user', source: one('ratio', 'strobe.cpu.user'), colour: 'neutral', style: 'area', tint: 0.4 },
    ],
    draw: 'stack',
    floor: 0.02,
    help: 'The whole process: sampler, log, server and clients.',
  },
];

export default specs;
