#!/usr/bin/env node
// Other tools' profiles in the dashboard: the profile page with all of it selected, times since the file's beginning,
// no map where nobody knows when samples were taken, and no errors for want of metrics.
// run.sh: pair
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { assert, equal, onEnd, openPage, strobe, tests, until } from './lib.mjs';

const t = tests();
const fixtures = new URL('../fixtures/profiles/', import.meta.url).pathname;

async function opened(name, ...args) {
  const child = spawn(strobe, ['open', join(fixtures, name), ...args], { stdio: ['ignore', 'pipe', 'ignore'] });
  onEnd(() => child.kill());
  let out = '';
  child.stdout.on('data', (d) => (out += d));
  const url = await until('the file to be served', () => /^strobe: listening on (\S+)/m.exec(out)?.[1]);
  const o = await openPage(url);
  await o.page.waitForSelector('canvas.flame[data-frames]', { timeout: 20000 });
  await o.page.waitForFunction(() => document.querySelector('[data-n]'), null, { timeout: 20000 });
  return o;
}
const samples = (page) => page.locator('[data-n]').first().evaluate((e) => Number(e.dataset.n));

t('perf script text opens on the profile page, all of it selected, with its map', async () => {
  const { page, seen, violations } = await opened('perf.txt');
  assert((await page.locator('[data-page="profile"]').count()) === 1, 'another page came first');
  equal(await samples(page), 54, 'samples');
  assert((await page.locator('canvas.scope').boundingBox()).height > 100, 'no map');
  equal(await page.locator('[data-range]').innerText(), '378 ms from 00:00:00.000', 'the range');
  equal(await page.locator('button.span').innerText(), 'No metrics', 'the strip');
  assert(!(await page.locator('body').innerText()).includes('1970'), 'a date of 1970');
  // The address means the same again.
  await page.waitForFunction(() => location.hash.includes('page=profile'));
  await page.reload();
  await page.waitForFunction(() => document.querySelector('[data-n]')?.dataset.n === '54', null, { timeout: 20000 });
  // Other pages are empty, not broken.
  await page.evaluate(() => (location.hash = '#page=cpu'));
  await page.waitForSelector('[data-page="profile"]', { state: 'detached' });
  equal(seen.errors.join('\n'), '', 'errors');
  equal((await violations()).join('\n'), '', 'violations');
});

t('a profile without times has a flame graph of all, and no map', async () => {
  const { page, seen } = await opened('go.cpu.pb.gz');
  equal(await samples(page), 25, 'samples');
  await page.waitForSelector('.hm', { state: 'hidden' });
  equal(seen.errors.join('\n'), '', 'errors');
});

t('a heap profile is of bytes, or of objects when those are asked for; nowhere of CPU time', async () => {
  const { page, seen } = await opened('go.heap.pb.gz');
  await page.waitForFunction(() => document.querySelector('[data-n]')?.textContent.includes('MiB'), null, { timeout: 10000 });
  const { x, y, height } = await page.locator('canvas.flame').boundingBox();
  await page.mouse.move(x + 300, y + height - 28); // the frame on the root
  await page.waitForFunction(() => document.querySelector('[data-details]')?.textContent.includes('total'));
  const text = await page.locator('[data-details]').first().innerText();
  assert(/total\s+[\d,.]+ (KiB|MiB|bytes)/.test(text) && !/CPU time|samples/.test(text), `not of bytes: ${text}`);
  equal(seen.errors.join('\n'), '', 'errors');
  const objects = await opened('go.heap.pb.gz', '--event', 'alloc_objects');
  await objects.page.waitForFunction(() => document.querySelector('[data-n]')?.textContent.includes('alloc_objects'), null, { timeout: 10000 });
});

await t.run();
