#!/usr/bin/env node
// Every state of a chart, each reached by causing it: live, hover, paused, stale, gap, before the
// start, no data, reduced, failed, loading, coarser wire, focus. SHOTS=DIR keeps a picture of each.
// run.sh: pair
import { cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { assert, equal, openPage, scratch, sleep, startAgent, tests } from './lib.mjs';

const t = tests();
const fixture = new URL('../fixtures/host-a/proc', import.meta.url).pathname;
const mode = (page, want, timeout = 15000) =>
  page.waitForFunction((w) => document.documentElement.dataset.mode === w, want, { timeout });
const panel = (page, id) => page.locator(`[data-panel="${id}"], [data-panel="${id}"]`).first();
const state = (page, id, want, timeout = 15000) =>
  page.waitForFunction(([i, w]) => document.querySelector(`[data-panel="${i}"]`)?.dataset.state === w, [id, want], { timeout });
async function shot(page, name) {
  if (!process.env.SHOTS) return;
  mkdirSync(process.env.SHOTS, { recursive: true });
  await page.screenshot({ path: join(process.env.SHOTS, `${name}.png`) });
}
/** A /proc of the test's own, to break at will. */
function ownProc() {
  const dir = join(scratch(), 'proc');
  cpSync(fixture, dir, { recursive: true });
  return dir;
}
/** Colours that a chart's canvases hold within a part of the plot (0..1 of its width): how many differ. */
const inked = (page, id, from, to) =>
  panel(page, id).evaluate((el, [a, b]) => {
    let n = 0;
    for (const c of el.querySelectorAll('canvas')) {
      if (!c.width) continue;
      const x = Math.floor(c.width * a), w = Math.max(1, Math.floor(c.width * (b - a)));
      const d = c.getContext('2d').getImageData(x, 0, w, c.height).data;
      for (let i = 3; i < d.length; i += 4) if (d[i]) n++;
    }
    return n;
  }, [from, to]);

t('live, hover, focus, paused', async () => {
  const agent = await startAgent();
  const { page, context } = await openPage(agent.url);
  await mode(page, 'live');
  await state(page, 'cpu.runqueue', 'ok');
  await sleep(2500);
  const box = await panel(page, 'cpu.runqueue').boundingBox();
  const x = box.x + box.width - 25, y = box.y + box.height / 2;
  const value = () => panel(page, 'cpu.switches').locator('[data-series]').first().evaluate((e) => Number(e.dataset.t));
  const before = await value();
  await page.mouse.move(x - 20, y);
  await sleep(700);
  await shot(page, 'hover');
  const at = await value();
  await sleep(700);
  equal(await page.evaluate(() => document.documentElement.dataset.mode), 'live', 'mode while hovering');
  assert(at > 0 && Math.abs(at - before) < 5e6, 'hover shows no value in another chart');
  await page.mouse.move(5, 5);
  await panel(page, 'cpu.runqueue').focus();
  await page.keyboard.press('ArrowLeft');
  await sleep(300);
  await shot(page, 'focus');
  await page.keyboard.press('Escape');
  await page.evaluate(() => document.activeElement.blur());
  await page.keyboard.press('Space');
  await mode(page, 'paused');
  await sleep(1200);
  assert(/new sample/i.test(await page.locator('body').innerText()), 'new samples are not counted while paused');
  assert(/^PAUSED/.test(await page.title()), `title: ${await page.title()}`);
  await shot(page, 'paused');
  await context.close();
});

t('before the start: the stretch is a flat area with words, not a line', async () => {
  const agent = await startAgent();
  const { page, context } = await openPage(agent.url);
  await mode(page, 'live');
  await sleep(1500);
  await shot(page, 'before-start');
  assert((await inked(page, 'cpu.runqueue', 0.3, 0.6)) > 0, 'nothing marks the stretch before the start');
  await context.close();
});

t('stale and gap', async () => {
  const agent = await startAgent();
  const { page, context } = await openPage(agent.url);
  await mode(page, 'live');
  await sleep(4000);
  agent.signal('SIGSTOP');
  await state(page, 'cpu.runqueue', 'stale', 6000);
  await sleep(1500);
  assert(/stale \d/.test(await panel(page, 'cpu.runqueue').innerText()), 'the chart does not say how stale it is');
  await shot(page, 'stale');
  agent.signal('SIGCONT');
  await mode(page, 'live');
  await state(page, 'cpu.runqueue', 'ok');
  await sleep(1500);
  await shot(page, 'gap');
  await context.close();
});

t('no data: the source does not exist on this host', async () => {
  const proc = ownProc();
  rmSync(join(proc, 'pressure'), { recursive: true });
  const agent = await startAgent({ args: ['--proc', proc] });
  const { page, context } = await openPage(agent.url);
  await state(page, 'cpu.pressure', 'nodata');
  const text = await panel(page, 'cpu.pressure').innerText();
  assert(/pressure|PSI/i.test(text) && text.length > 40, `no reason is given: ${text}`);
  await state(page, 'cpu.runqueue', 'ok');
  await shot(page, 'nodata');
  await context.close();
});

t('failed: what was recorded stays, the reason and the next try are shown, and it heals', async () => {
  const proc = ownProc();
  const agent = await startAgent({ args: ['--proc', proc] });
  const { page, context } = await openPage(agent.url);
  await state(page, 'cpu.runqueue', 'ok');
  await sleep(3000);
  writeFileSync(join(proc, 'stat'), 'garbage\n');
  await state(page, 'cpu.runqueue', 'failed');
  const text = await panel(page, 'cpu.runqueue').innerText();
  assert(/next try|stat/i.test(text), `no reason is given: ${text}`);
  await shot(page, 'failed');
  await page.waitForSelector('[data-events] [data-kind="6"]'); // EVENT_COLLECTOR_FAILED
  cpSync(join(fixture, 'stat'), join(proc, 'stat'));
  await state(page, 'cpu.runqueue', 'ok', 40000);
  await context.close();
});

t('reduced: the budget is reached, the slower rate and the reason are shown', async () => {
  const agent = await startAgent({ args: ['--cpu-budget', '0.02', '--collectors=-process'] });
  const { page, context } = await openPage(agent.url);
  await mode(page, 'live');
  await page.waitForFunction(() => document.querySelector('[data-panel][data-state="reduced"]'), null, { timeout: 40000 });
  const text = await page.locator('[data-panel][data-state="reduced"]').first().innerText();
  assert(/reduced/.test(text), `the chart does not say so: ${text}`);
  await shot(page, 'reduced');
  await context.close();
});

t('coarser: a long window says min–max per column', async () => {
  const agent = await startAgent();
  const { page, context } = await openPage(agent.url);
  await mode(page, 'live');
  await sleep(4000);
  await page.getByRole('button', { name: '5 min', exact: true }).click();
  await sleep(2000);
  const words = await panel(page, 'cpu.runqueue').evaluate((e) => `${e.getAttribute('aria-label')} ${e.textContent} ${e.title}`);
  assert(/min–max per/.test(words), `title: ${words}`);
  await shot(page, 'coarser');
  await context.close();
});

t('loading: axes at once, no value, no spinner', async () => {
  const agent = await startAgent();
  const { page, context } = await openPage(undefined);
  await page.routeWebSocket(/stream/, () => {}); // opened, and nothing ever comes
  await page.goto(agent.url);
  await mode(page, 'connecting');
  await sleep(1000);
  equal(await panel(page, 'cpu.runqueue').getAttribute('data-state').catch(() => 'absent'), 'loading', 'state of a chart');
  await shot(page, 'loading');
  await context.close();
});

await t.run();
