import { describe, expect, it } from 'vitest';
import { fillHoles, shrink } from './spark';

const NONE = Number.NaN;

describe('sparklines', () => {
  it('keep the largest of what falls on a pixel', () => {
    expect([...shrink([1, 9, 2, 3, NONE, 4, NONE, NONE], 4)]).toEqual([9, 3, 4, NONE]);
    expect([...shrink([1, 2], 4)]).toEqual([1, 1, 2, 2]);
  });
  it('fill holes that are no wider than a message stands for', () => {
    const v = Float64Array.of(NONE, 1, NONE, 2, NONE, NONE, 3, NONE);
    fillHoles(v, 1);
    expect([...v]).toEqual([NONE, 1, 2, 2, NONE, NONE, 3, NONE]);
  });
});
