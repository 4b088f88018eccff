import { expect, test } from 'vitest';
import { ALL } from '../../transform/profiler';
import { saveQuery } from './save';

test('a range, its baseline and its filter as the API names them', () => {
  const q = saveQuery(
    'html',
    { from: 1000.5, to: 2000 },
    { from: 0, to: 1000 },
    { ...ALL, pid: 7, cpu: 0, cgroup: '/a b' },
  );
  const p = new URL(q, 'http://x/').searchParams;
  expect(Object.fromEntries(p)).toEqual({
    format: 'html',
    from: '1.000500',
    to: '2.000000',
    by: 'process',
    baseline_from: '0.000000',
    baseline_to: '1.000000',
    cpu: '0',
    pid: '7',
    cgroup: '/a b',
  });
  expect(saveQuery('pprof', { from: 0, to: 1 }, { from: 0, to: 1 }, ALL)).not.toMatch(/baseline/);
});
