// What the tests of the profile page have in common.
import { openPage, sleep } from './lib.mjs';

export const MAP = '[data-page="profile"] canvas.scope';
export const GRAPH = 'canvas.flame';

export const mode = (page, want, timeout = 15000) =>
  page.waitForFunction((w) => document.documentElement.dataset.mode === w, want, { timeout });

/** Every frame that a graph painted: waits for another one than the one known. */
export const painted = (page, sel) => page.locator(sel).first().evaluate((c) => Number(c.dataset.painted ?? 0));

export async function openProfile(agent, hash = '', more = {}) {
  const o = await openPage(`${agent.url}&page=profile${hash}`, more);
  await mode(o.page, 'live').catch(() => mode(o.page, 'range'));
  await o.page.waitForSelector(`${MAP}[data-painted]`);
  await o.page.waitForSelector(`${GRAPH}[data-frames]`);
  return o;
}

/** Drags over the map, in columns from its right edge. */
export async function dragMap(page, from, to, { fromY = 0.5, toY = 0.5, key } = {}) {
  const box = await page.locator(MAP).boundingBox();
  const d = await page.locator(MAP).evaluate((c) => ({ ...c.dataset }));
  const cw = Number(d.width) / Number(d.columns);
  const x = (k) => box.x + Number(d.x) + Number(d.width) - (k + 0.5) * cw;
  const y = (part) => box.y + 8 + 200 * (1 - part);
  if (key) await page.keyboard.down(key);
  await page.mouse.move(x(from), y(fromY));
  await page.mouse.down();
  await page.mouse.move((x(from) + x(to)) / 2, y(toY), { steps: 3 });
  await page.mouse.move(x(to), y(toY), { steps: 3 });
  await page.mouse.up();
  if (key) await page.keyboard.up(key);
}

/** The flame graph of what is selected is there. */
export const settled = async (page) => {
  await sleep(150);
  await page.waitForSelector('.lower[data-loading="0"]');
  await sleep(50);
};

export const samples = (page) => page.locator('[data-n]').first().evaluate((e) => Number(e.dataset.n));
