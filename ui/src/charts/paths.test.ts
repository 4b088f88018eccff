import { describe, expect, it } from 'vitest';
import { type Columns, newColumns } from './columns';
import { areaPath, bandPath, barPath, dashPath, linePath, type Place, type Sink } from './paths';

class Recorder implements Sink {
  ops: string[] = [];
  moveTo = (x: number, y: number) => void this.ops.push(`M${x},${y}`);
  lineTo = (x: number, y: number) => void this.ops.push(`L${x},${y}`);
  rect = (x: number, y: number, w: number, h: number) => void this.ops.push(`R${x},${y},${w},${h}`);
}

/** 10 px to a unit, zero at y = 100. */
const at = (w = 1): Place => ({ x: 0, w, from: 0, phase: 0, y: (v) => 100 - 10 * v });
const NONE = Number.NaN;

function columns(values: readonly number[], step: number): Columns {
  const c = newColumns(values.length);
  values.forEach((v, p) => {
    c.mean[p] = c.lo[p] = c.hi[p] = v;
    c.count[p] = Number.isNaN(v) ? 0 : 1;
  });
  c.step = step;
  return c;
}

describe('step line', () => {
  it('goes level over a sample and upright at its bounds, on half pixels', () => {
    const r = new Recorder();
    linePath(columns([1, 1, 1, 3, 3, 3], 3), at(), r);
    expect(r.ops).toEqual(['M0.5,90.5', 'L3.5,90.5', 'L3.5,70.5', 'L6,70.5']);
  });
  it('ends at a gap and begins anew after it', () => {
    const r = new Recorder();
    linePath(columns([1, 1, NONE, NONE, 2, 2], 3), at(), r);
    expect(r.ops).toEqual(['M0.5,90.5', 'L2.5,90.5', 'M4.5,80.5', 'L6,80.5']);
  });
  it('mirrors below zero', () => {
    const r = new Recorder();
    linePath(columns([2, 2, 2], 3), at(), r, -1);
    expect(r.ops[0]).toBe('M0.5,120.5');
  });
});

describe('line of one sample a pixel', () => {
  it('goes through centres and never across a gap', () => {
    const r = new Recorder();
    linePath(columns([1, 2, NONE, 4, 5], 1), at(), r);
    expect(r.ops).toEqual(['M0,90', 'L0.5,90', 'L1.5,80', 'M3,60', 'L3.5,60', 'L4.5,50']);
  });
  it('shows a lone sample', () => {
    const r = new Recorder();
    linePath(columns([NONE, 2, NONE], 1), at(), r);
    expect(r.ops).toEqual(['M1,80', 'L1.5,80']);
  });
});

describe('a dashed line', () => {
  it('is fixed to time: the part drawn later goes on with the pattern', () => {
    const c = columns([2, 2, 2, 2, 2, 2, 2], 3);
    const r = new Recorder();
    dashPath(c, at(), r);
    expect(r.ops.map((o) => o.split(',')[0])).toEqual(['R0', 'R1', 'R2', 'R6']);
    const part = new Recorder();
    dashPath(c, { ...at(), from: 5, phase: 1 }, part);
    expect(part.ops.map((o) => o.split(',')[0])).toEqual(['R5', 'R6']);
  });
});

describe('a part of a chart', () => {
  it('begins at the wanted column, a bar at its own start', () => {
    const r = new Recorder();
    linePath(columns([1, 2, 3, 4], 1), { ...at(), from: 2 }, r);
    expect(r.ops).toEqual(['M2,70', 'L2.5,70', 'L3.5,60']);
    const b = new Recorder();
    barPath(columns([1, 2, 2, 2], 3), { ...at(), from: 2 }, b);
    expect(b.ops).toEqual(['R1,80,3,20']);
  });
});

describe('areas, bands and bars', () => {
  it('fill whole pixels down to zero, equal columns at once', () => {
    const r = new Recorder();
    areaPath(columns([1, 1, 2, NONE, 3], 1), at(2), r);
    expect(r.ops).toEqual(['R0,90,4,10', 'R4,80,2,20', 'R8,70,2,30']);
  });
  it('stand on the columns below', () => {
    const r = new Recorder();
    areaPath(columns([3, 3], 1), at(), r, 1, columns([1, 2], 1));
    expect(r.ops).toEqual(['R0,70,1,20', 'R1,70,1,10']);
  });
  it('show a band at least a pixel high', () => {
    const c = columns([2, 2], 1);
    c.lo[0] = 1;
    c.hi[0] = 4;
    const r = new Recorder();
    bandPath(c, at(), r);
    expect(r.ops).toEqual(['R0,60,1,30', 'R1,80,1,1']);
  });
  it('leave a pixel between wide bars and show the smallest value', () => {
    const r = new Recorder();
    barPath(columns([2, 0.001, 0], 1), at(5), r);
    expect(r.ops).toEqual(['R0,80,4,20', 'R5,99,4,1']);
  });
});
