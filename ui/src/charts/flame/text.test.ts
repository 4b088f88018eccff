import { expect, test } from 'vitest';
import { TextFit, unpackaged } from './text';

test('names lose their package before they lose letters', () => {
  const fit = new TextFit((s) => s.length, 'x');
  expect(fit.fit('io.netty.channel.EpollLoop.run', 13)).toBe('EpollLoop.run');
  expect(fit.fit('std::sys::thread::start', 9)).toBe('start');
  expect(fit.fit('ZSTD_compressBlock', 8)).toBe('ZSTD_co…');
  expect(fit.fit('abcdef', 3)).toBe('');
});

test('what a compiler adds and places in modules are no packages', () => {
  expect(unpackaged('finish_task_switch.isra.0')).toBe('finish_task_switch.isra.0');
  expect(unpackaged('libc.so.6+0x88ef0')).toBe('libc.so.6+0x88ef0');
  expect(unpackaged('a::b<c::d>')).toBe('b<c::d>');
});
