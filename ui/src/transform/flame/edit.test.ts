import { expect, test } from 'vitest';
import { folded, unfold } from '../../../test/trees';
import { type Edit, edited, editText, parseEdit, sandwich, stackText } from './edit';

const t = folded('main;run;work;alloc 4\nmain;run;work 6\nmain;run;run;work 2\nmain;idle 1', 'main;idle 5');

test('a hidden frame gives its place to its callees', () => {
  expect(unfold(edited(t, [{ do: 'hide', name: 'run' }]))).toEqual([
    'main;idle 1',
    'main;work 8',
    'main;work;alloc 4',
  ]);
});

test('stacks with a frame can be left out, or be all there is', () => {
  expect(unfold(edited(t, [{ do: 'drop', name: 'work' }]))).toEqual(['main;idle 1']);
  const f = edited(t, [{ do: 'focus', name: 'work' }]);
  expect(unfold(f)).toEqual(['work 8', 'work;alloc 4']);
  expect(f.total[0]).toBe(12);
});

test('recursion collapses to one frame', () => {
  expect(unfold(edited(t, [{ do: 'recursion' }]))).toEqual([
    'main;idle 1',
    'main;run;work 8',
    'main;run;work;alloc 4',
  ]);
});

test('neighbours of one module become one frame', () => {
  const m = folded('py`6;a@libpython;b@libpython;c@libc 3\npy`6;a@libpython 2\npy`6;k`3 1');
  expect(unfold(edited(m, [{ do: 'modules' }]))).toEqual([
    'py;[kernel] 1',
    'py;libpython 2',
    'py;libpython;libc 3',
  ]);
});

test('edits keep the baseline and add up to the whole', () => {
  for (const e of [{ do: 'hide', name: 'run' }, { do: 'recursion' }, { do: 'modules' }] as Edit[]) {
    const x = edited(t, [e]);
    expect(x.total[0]).toBe(t.total[0]);
    expect(x.baseTotal[0]).toBe(5);
  }
});

test('callers and callees of a function, recursion once', () => {
  const { callers, callees } = sandwich(t, 'run');
  expect(callees.total[0]).toBe(12);
  expect(unfold(callees)).toEqual(['run;run;work 2', 'run;work 6', 'run;work;alloc 4']);
  expect(unfold(callers)).toEqual(['run;main 12']);
});

test('edits survive the address', () => {
  const edits: Edit[] = [{ do: 'hide', name: 'a:b::c' }, { do: 'recursion' }, { do: 'focus', name: 'x' }];
  expect(edits.map((e) => parseEdit(editText(e)))).toEqual(edits);
  expect(parseEdit('hide:')).toBeNull();
  expect(parseEdit('nonsense')).toBeNull();
});

test('a stack as text, innermost first', () => {
  const m = folded('a@prog;b@libc 1');
  expect(stackText(m, 2)).toBe('b (libc)\na (prog)');
});
