#!/usr/bin/env node
// The profiler's views on a real agent: from a drag to a flame graph, the live map, search, ranges, the address;
// a hundred thousand frames in a saved page; a host without a profiler.
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import { assert, axeSource, equal, onEnd, openPage, scratch, sleep, startAgent, tests, until } from './lib.mjs';
import { dragMap, GRAPH, MAP, mode, openProfile, painted, samples, settled } from './profile_lib.mjs';

const t = tests();
const agent = await startAgent();
const profilePage = (hash = '', more = {}) => openProfile(agent, hash, more);
const started = Date.now();
/** So much is held that ranges can be stepped back. */
const heldFor = (ms) => sleep(Math.max(0, started + ms - Date.now()));
/** Times of a machine on which others wait for a CPU, too, are the best of those that were taken. */
const quiet = () => loadavg()[0] <= cpus().length;

/** Something to see: a shell that burns, so that its name is known. */
function burn() {
  const child = spawn('sh', ['-c', 'while :; do i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; done'], { stdio: 'ignore' });
  onEnd(() => child.kill());
  return child;
}
const burner = burn();

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

t('a process of the drawer has its own flame graph; P opens the range on the profile page', async () => {
  const { page, context } = await openPage(agent.url);
  await mode(page, 'live');
  await sleep(4000);
  const box = await page.locator('[data-panel="cpu.switches"]').boundingBox();
  const y = box.y + box.height * 0.6;
  const right = box.x + box.width - 20;
  await page.mouse.move(right - 40, y);
  await page.mouse.down();
  await page.mouse.move(right - 8, y, { steps: 4 });
  await page.mouse.up();
  await page.waitForSelector(`[data-drawer] ${GRAPH}[data-painted]`);
  const all = await samples(page);
  assert(all > 0, 'no samples in the range');
  await page.locator(`table[data-table="range-processes"] tr[data-pid="${burner.pid}"] .name`).click();
  await until('fewer samples', async () => {
    const n = await samples(page);
    return n > 0 && n < all;
  });
  assert(/pid/.test(decodeURIComponent(page.url())) || (await until('the filter in the address', () => /pid/.test(decodeURIComponent(page.url())))), 'the filter is not in the address');
  await page.keyboard.press('p');
  await page.waitForSelector(MAP);
  await page.waitForSelector('[data-chip="pid"]');
  assert(/ms|\bs\b/.test(await page.locator('[data-range]').first().innerText()), 'the page does not say how long the range is');
  await context.close();
});

t('the live map scrolls and asks only for what it lacks', async () => {
  const sent = { heat: 0 };
  const o = await openPage(null);
  await o.page.routeWebSocket(/stream/, (ws) => {
    const server = ws.connectToServer();
    ws.onMessage((m) => {
      // A ClientMessage whose first field is 10: a HeatRequest.
      if (typeof m !== 'string' && m[0] === 0x52) sent.heat++;
      server.send(m);
    });
  });
  await o.page.goto(`${agent.url}&page=profile`);
  await o.page.waitForSelector(`${MAP}[data-painted]`);
  await sleep(1500);
  const at = () => o.page.locator(MAP).evaluate((c) => Number(c.dataset.first));
  const first = await at();
  sent.heat = 0;
  await sleep(5000);
  const moved = (await at()) - first;
  assert(moved >= 4 && moved <= 7, `the map moved by ${moved} columns in 5 s`);
  assert(sent.heat >= 6 && sent.heat <= 20, `${sent.heat} questions in 5 s`);
  // Nothing is asked while nobody looks.
  await o.page.keyboard.press('Space');
  await mode(o.page, 'paused');
  await sleep(4000);
  sent.heat = 0;
  await sleep(2000);
  assert(sent.heat <= 1, `${sent.heat} questions in 2 s of a map that stands still`);
  await o.context.close();
});

t('a range wraps over columns, a second one adds, Ctrl sets the baseline, keys step and clear', async () => {
  await heldFor(30000);
  const { page, context, seen } = await profilePage();
  await dragMap(page, 4, 2, { fromY: 0.3, toY: 0.7 });
  await mode(page, 'range');
  const one = await page.locator('[data-range]').first().innerText();
  assert(/^2\.4\d0 s|^2\.[345]\d+ s/.test(one), `range: ${one}`);
  await until('a flame graph of it', async () => (await samples(page)) > 0);
  await dragMap(page, 8, 7, { key: 'Shift' });
  await until('two ranges', async () => /2 ranges/.test(await page.locator('[data-range]').first().innerText()));
  await dragMap(page, 12, 11, { key: 'Control' });
  await until('the baseline', async () => !/preceding/.test(await page.locator('[data-against]').innerText()));
  const hash = decodeURIComponent(await until('the address', () => /base=/.test(page.url()) && page.url()));
  assert(/more=/.test(hash) && /sel=/.test(hash), hash);
  const before = await page.locator('[data-range]').first().innerText();
  await page.keyboard.press(',');
  await until('a step', async () => (await page.locator('[data-range]').first().innerText()) !== before);
  await page.keyboard.press('d');
  await page.waitForFunction(() => /diff/.test(decodeURIComponent(location.hash)));
  for (let i = 0; i < 4 && (await page.evaluate(() => document.documentElement.dataset.mode)) === 'range'; i++)
    await page.keyboard.press('Escape');
  await mode(page, 'paused');
  equal(JSON.stringify(seen.errors), '[]', 'console errors');
  await context.close();
});

t('search recolours the map and says the share; everything survives the address', async () => {
  const { page, context } = await profilePage();
  await dragMap(page, 6, 1);
  await mode(page, 'range');
  const was = await painted(page, MAP);
  const pixels = () => page.locator(MAP).evaluate((c) => {
    const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
    let pink = 0;
    for (let i = 0; i < d.length; i += 4) if (d[i] > d[i + 1] * 1.4 && d[i + 2] > d[i + 1] * 1.2) pink++;
    return pink;
  });
  equal(await pixels(), 0, 'cells in the colour of a match');
  await page.keyboard.press('/');
  await page.keyboard.type('.');
  await until('the map in other colours', async () => (await painted(page, MAP)) > was && (await pixels()) > 50);
  const share = await until('the share', async () => /%/.test(await page.locator('[data-share]').innerText()) && page.locator('[data-share]').innerText());
  assert(/^(9\d|100)/.test(share), `share of "." is ${share}`);
  await page.keyboard.press('Escape');
  await page.locator('[aria-label="Search functions"]').fill('(');
  await page.locator('.kv.warn', { hasText: /regular|pattern|expression|match/i }).first().waitFor({ timeout: 8000 });
  await page.locator('[aria-label="Search functions"]').fill('main');
  await page.getByRole('tab', { name: 'Table' }).click();
  await page.getByRole('group', { name: 'Rows' }).getByRole('button', { name: 'CPU' }).click();
  await page.waitForFunction(() => /q=main/.test(decodeURIComponent(location.hash)) && /rows=cpu/.test(decodeURIComponent(location.hash)));
  const range = await page.locator('[data-range]').first().innerText();
  const url = page.url();
  const other = await openPage(`${url}&token=${agent.token}`);
  await other.page.waitForSelector('[data-table="functions"] tbody tr');
  equal(await other.page.locator('[data-range]').first().innerText(), range, 'range of the copied address');
  equal(await other.page.locator('[aria-label="Search functions"]').inputValue(), 'main', 'search of the copied address');
  equal(await other.page.locator('[aria-label="Rows"] [aria-pressed="true"]').innerText(), 'CPU', 'rows of the copied address');
  await context.close();
  await other.context.close();
});

t('frames by the keyboard: walk, zoom, hide, back; the menu; the sandwich', async () => {
  const { page, context } = await profilePage();
  await dragMap(page, 6, 1);
  await mode(page, 'range');
  await settled(page);
  await until('samples', async () => (await samples(page)) > 0);
  await page.locator(GRAPH).focus();
  for (const k of ['ArrowUp', 'ArrowUp', 'ArrowUp']) await page.keyboard.press(k);
  const details = () => page.locator('[data-details]').first().innerText();
  assert(/total/.test(await details()), `details: ${await details()}`);
  const frames = () => page.locator(GRAPH).evaluate((c) => Number(c.dataset.frames));
  const all = await frames();
  await page.keyboard.press('Enter');
  await until('the zoom', async () => (await frames()) !== all);
  await page.keyboard.press('Escape');
  await until('the whole', async () => (await frames()) === all);
  await page.keyboard.press('h');
  await page.locator('.chip', { hasText: 'without' }).waitFor();
  const box = await page.locator(GRAPH).boundingBox();
  await page.mouse.click(box.x + 20, box.y + box.height - 40, { button: 'right' });
  await page.getByRole('menu').getByText('Callers and callees').click();
  await page.waitForSelector('[data-table="sandwich"] tr[aria-selected="true"]');
  equal(await page.locator(GRAPH).count(), 2, 'graphs of the sandwich');
  await context.close();
});

t('axe finds nothing on the profile page and in the drawer, in both themes', async () => {
  for (const theme of ['dark', 'light']) {
    const { page, context, violations, seen } = await profilePage('', { theme });
    const check = async (where) => {
      const bad = await page.evaluate(async (source) => {
        if (!globalThis.axe) new Function(source).call(globalThis);
        const r = await globalThis.axe.run(document, { resultTypes: ['violations'] });
        return r.violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.target.join(' ')).join(', ')}`);
      }, axeSource()).catch((e) => [`axe did not run: ${e.message}`]);
      equal(bad.join('\n'), '', `axe on ${where} (${theme})`);
    };
    await dragMap(page, 6, 1);
    await mode(page, 'range');
    await until('samples', async () => (await samples(page)) > 0);
    await check('Flame');
    for (const tab of ['Sandwich', 'Table', 'Flame chart']) {
      await page.getByRole('tab', { name: tab }).click();
      await sleep(500);
      await check(tab);
    }
    await page.keyboard.press('p');
    await page.waitForSelector('[data-drawer] [data-flame-head]');
    await sleep(700);
    await check('the drawer');
    equal(JSON.stringify(await violations()), '[]', 'CSP violations');
    equal(JSON.stringify(seen.errors), '[]', 'console errors');
    await context.close();
  }
});

t('the range is saved as a page that needs no agent', async () => {
  const { page, context } = await profilePage();
  await dragMap(page, 6, 1);
  await mode(page, 'range');
  await settled(page);
  await until('samples', async () => (await samples(page)) > 0);
  const n = await samples(page);
  const coming = page.waitForEvent('download');
  await page.getByRole('button', { name: /^Save/ }).click();
  await page.getByRole('menu').getByText('Flame graph as one page').click();
  const at = join(scratch(), 'saved.html');
  await (await coming).saveAs(at);
  const file = await openPage(`file://${at}`);
  await file.page.waitForSelector(`${GRAPH}[data-painted]`);
  equal(await samples(file.page), n, 'samples of the saved page');
  equal(file.seen.requests.length, 1, 'requests');
  equal(JSON.stringify(file.seen.errors), '[]', 'console errors');
  await file.context.close();
  await context.close();
});

t('a burst is asked for and said', async () => {
  const { page, context } = await profilePage();
  await page.getByRole('button', { name: /^Burst/ }).click();
  await page.locator('[data-burst]').waitFor({ timeout: 8000 });
  assert(/999 Hz/.test(await page.locator('[data-burst]').innerText()), 'no word of the rate');
  await context.close();
});

t('without a profiler the page says why', async () => {
  const none = await startAgent({ args: ['--no-profile'] });
  const { page, context } = await openPage(`${none.url}&page=profile`);
  await page.waitForSelector('[data-no-profiler]', { timeout: 20000 });
  const text = await page.locator('[data-no-profiler]').innerText();
  assert(text.length > 40, `it says: ${text}`);
  await context.close();
  await none.stop();
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
