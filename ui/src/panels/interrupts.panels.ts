import { one } from '../transform/source';
import type { Mark, PanelSpec } from './types';

const METRIC = 'kernel.all.interrupts.total';

const specs: readonly PanelSpec[] = [
  {
    id: 'interrupts.sources',
    title: 'Interrupts',
    metrics: [METRIC],
    unit: { kind: 'count/s', word: 'log' },
    transform: ({ store }) =>
      store.instances(METRIC).map(
        ({ name }): Mark => ({
          label: name.replace(/^\d+:/, '').replace(/^virtio\d+-/, ''),
          source: one('count/s', METRIC, name),
          colour: 'cpu',
          style: 'line',
        }),
      ),
    draw: 'heat',
    log: true,
    floor: 100,
    place: 4,
    help: 'Interrupts of each source, the busiest on top.',
  },
];

export default specs;
