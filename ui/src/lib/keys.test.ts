import { expect, test } from 'vitest';
import { isTaken, isTyping, names } from './keys';

const ev = (
  key: string,
  code: string,
  m: Partial<Record<'ctrlKey' | 'metaKey' | 'altKey' | 'shiftKey', boolean>> = {},
) => ({
  key,
  code,
  ctrlKey: false,
  metaKey: false,
  altKey: false,
  shiftKey: false,
  ...m,
});

test('names of keys, by letter and by place', () => {
  expect(names(ev('z', 'KeyW'))).toEqual(['z', '@KeyW']); // w's place on a French keyboard
  expect(names(ev('Z', 'KeyZ', { shiftKey: true }))[0]).toBe('z');
  expect(names(ev('?', 'Slash', { shiftKey: true }))[0]).toBe('?');
  expect(names(ev(' ', 'Space'))[0]).toBe('Space');
  expect(names(ev('k', 'KeyK', { metaKey: true }))[0]).toBe('Ctrl-k');
  expect(names(ev('ArrowLeft', 'ArrowLeft', { shiftKey: true }))[0]).toBe('Shift-ArrowLeft');
  expect(names(ev('l', 'KeyL', { altKey: true }))).toEqual([]);
});

test('inert where text is typed', () => {
  expect(isTyping({ tagName: 'INPUT', type: 'text' })).toBe(true);
  expect(isTyping({ tagName: 'INPUT', type: 'checkbox' })).toBe(false);
  expect(isTyping({ tagName: 'DIV', isContentEditable: true })).toBe(true);
  expect(isTyping({ tagName: 'SECTION' })).toBe(false);
  expect(isTyping(null)).toBe(false);
  expect(isTaken({ tagName: 'BUTTON' }, 'Space')).toBe(true);
  expect(isTaken({ tagName: 'BUTTON' }, 'l')).toBe(false);
});
