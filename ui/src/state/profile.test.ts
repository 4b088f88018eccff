import { expect, test } from 'vitest';
import { type ProfileState, stateOfText, textOf, USUAL } from './profile';

test('the usual state is an empty text', () => {
  expect(textOf(USUAL)).toBe('');
  expect(stateOfText('')).toEqual(USUAL);
});

test('everything survives the address', () => {
  const s: ProfileState = {
    tab: 'sandwich',
    who: 'thread',
    rows: 'process',
    which: 'off',
    classes: 6,
    pattern: '^ZSTD_(a|b)&x=1',
    diff: true,
    elided: true,
    byName: true,
    edits: [{ do: 'hide', name: 'a&b;c' }, { do: 'recursion' }],
    fn: 'std::vec<int, long>::push_back(int&&)',
    chips: { cpu: 0, pid: 18211, tid: 3, process: 'java', cgroup: '/a b/c', comm: 'java' },
  };
  expect(stateOfText(textOf(s))).toEqual(s);
});

test('nonsense is the usual state', () => {
  expect(stateOfText('tab=x&rows=y&cpu=z&class=-1&pid=1e99&on=x&edit=hide')).toEqual(USUAL);
});
