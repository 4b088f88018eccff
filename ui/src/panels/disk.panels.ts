import { one, sum } from '../transform/source';
import type { Mark, PanelSpec } from './types';

const specs: readonly PanelSpec[] = [
  {
    id: 'disk.throughput',
    title: (env) => env.disk(0) ?? 'Disk',
    metrics: ['disk.dev.read_bytes', 'disk.dev.write_bytes', 'disk.dev.read', 'disk.dev.write'],
    unit: { kind: 'bytes/s' },
    transform: (env): Mark[] => {
      const disk = env.disk(0);
      if (disk === undefined) return [];
      return [
        {
          label: 'read',
          source: one('bytes/s', 'disk.dev.read_bytes', disk),
          colour: 'disk',
          style: 'area',
        },
        {
          label: 'write',
          source: one('bytes/s', 'disk.dev.write_bytes', disk),
          colour: 'disk2',
          style: 'area',
          down: true,
        },
        {
          label: 'IOPS',
          source: sum('count', ['disk.dev.read', 'disk.dev.write'], disk),
          colour: 'disk',
          style: 'value',
          kind: 'count',
        },
      ];
    },
    draw: 'lines',
    floor: 2 ** 18,
    place: 8,
    help: 'The disk that was busiest of late: read upward, written downward.',
  },
];

export default specs;
