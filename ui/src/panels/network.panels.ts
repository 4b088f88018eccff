import { one, scaled, sum } from '../transform/source';
import type { Mark, PanelSpec } from './types';

const specs: readonly PanelSpec[] = [
  {
    id: 'network.throughput',
    title: (env) => env.iface(0) ?? 'Network',
    metrics: ['network.interface.in.bytes', 'network.interface.out.bytes', 'network.interface.in.drops'],
    unit: { kind: 'bits/s' },
    transform: (env): Mark[] => {
      const name = env.iface(0);
      if (name === undefined) return [];
      return [
        {
          label: 'rx',
          source: scaled('bits/s', 8, 'network.interface.in.bytes', name),
          colour: 'net',
          style: 'area',
        },
        {
          label: 'tx',
          source: scaled('bits/s', 8, 'network.interface.out.bytes', name),
          colour: 'net2',
          style: 'area',
          down: true,
        },
        {
          label: 'drops',
          source: sum('count/s', ['network.interface.in.drops', 'network.interface.out.drops'], name),
          colour: 'net',
          style: 'value',
          kind: 'count/s',
        },
      ];
    },
    draw: 'lines',
    floor: 1000,
    place: 9,
    help: 'The interface that carried most of late: received upward, sent downward.',
  },
  {
    id: 'network.tcp',
    title: 'TCP',
    metrics: ['network.tcp.retranssegs', 'network.tcp.estabresets'],
    unit: { kind: 'count/s', noun: 'segments' },
    transform: () => [
      {
        label: 'retransmits',
        source: one('count/s', 'network.tcp.retranssegs'),
        colour: 'net',
        style: 'bar',
      },
      {
        label: 'resets',
        source: one('count/s', 'network.tcp.estabresets'),
        colour: 'crit',
        style: 'bar',
        down: true,
      },
    ],
    draw: 'lines',
    floor: 10,
    place: 10,
    help: 'Segments sent again, and open connections that ended in a reset.',
  },
  {
    id: 'network.softnet',
    title: 'Softnet',
    metrics: ['network.softnet.processed', 'network.softnet.time_squeeze', 'network.softnet.dropped'],
    unit: { kind: 'count/s', noun: 'packets' },
    transform: () => [
      {
        label: 'in',
        source: one('count/s', 'network.softnet.processed'),
        colour: 'net',
        style: 'area',
      },
      {
        label: 'squeezed',
        source: one('count/s', 'network.softnet.time_squeeze'),
        colour: 't2',
        style: 'line',
        minor: true,
      },
      {
        label: 'dropped',
        source: one('count/s', 'network.softnet.dropped'),
        colour: 'crit',
        style: 'line',
        minor: true,
      },
    ],
    draw: 'lines',
    floor: 10,
    place: 3,
    help: 'Packets taken from devices and backlogs. Squeezed: a round ended with packets left. Dropped: the backlog was full.',
  },
];

export default specs;
