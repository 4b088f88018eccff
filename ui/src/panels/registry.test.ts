import { describe, expect, it } from 'vitest';
import { firstScreen, panels, validate } from './registry';
import type { PanelSpec } from './types';

const good: PanelSpec = {
  id: 'a.b',
  title: 'A',
  metrics: ['kernel.all.running'],
  unit: { kind: 'count' },
  transform: () => [],
  draw: 'lines',
  floor: 1,
};

describe('panels', () => {
  it('of the page are all valid', () => {
    expect(validate(panels)).toEqual([]);
  });
  it('fill the twelve places of the first screen', () => {
    expect(firstScreen.map((p) => p.place)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
  });
  it.each([
    ['an id used twice', [good, good], /twice/],
    ['an id with capitals', [{ ...good, id: 'Bad' }], /lower case/],
    ['no metrics', [{ ...good, metrics: [] }], /names no metrics/],
    ['a word that is no metric', [{ ...good, metrics: ['cpu'] }], /no metric name/],
    ['an unknown way to draw', [{ ...good, draw: 'pie' as never }], /unknown/],
    ['an unknown unit', [{ ...good, unit: { kind: 'furlong' as never } }], /unit/],
    ['a floor of zero', [{ ...good, floor: 0 }], /floor/],
    ['cores without a band', [{ ...good, draw: 'cores' as const }], /band/],
    [
      'a place taken',
      [
        { ...good, place: 1 },
        { ...good, id: 'c', place: 1 },
      ],
      /taken/,
    ],
    ['a place outside', [{ ...good, place: 13 }], /1 to 12/],
  ])('with %s are refused in words', (_what, specs, words) => {
    expect(validate(specs as PanelSpec[]).join('\n')).toMatch(words);
  });
});
