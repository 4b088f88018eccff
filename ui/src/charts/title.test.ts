import { describe, expect, it } from 'vitest';
import type { PanelSpec } from '../panels/types';
import type { MetricInfo, Source, Store } from '../store/api';
import { detailsOf, joined, unitName } from './title';

describe('titles', () => {
  it('put what is counted before "/s"', () => {
    expect(unitName('k/s', 'segments')).toBe('k segments/s');
    expect(unitName('/s', 'packets')).toBe('packets/s');
    expect(unitName('', 'tasks')).toBe('tasks');
    expect(unitName('%', '')).toBe('%');
  });
  it('join numbers and units', () => {
    expect([joined('4.2', 'k/s'), joined('46', '/s'), joined('7', '')]).toEqual(['4.2 k/s', '46/s', '7']);
  });
  it('say on hover what counts in steps', () => {
    const info = (name: string) =>
      ({ name, kind: 'ratio', quantum: name.endsWith('user') ? 0.1 : 0 }) as MetricInfo;
    const store = { info } as unknown as Store;
    const spec = { help: 'Busy time.', metrics: ['a.b'] } as unknown as PanelSpec;
    const source: Source = { key: 'k', inputs: [{ metric: 'cpu.user' }, { metric: 'x.y' }], kind: 'ratio' };
    const marks = [{ label: 'user', source, colour: 'cpu' as const, style: 'line' as const }];
    expect(detailsOf(spec, marks, store)).toBe('Busy time.\ncpu.user, counts in steps of 10 %\nx.y');
    expect(detailsOf(spec, [], store)).toBe('Busy time.\na.b');
  });
});
