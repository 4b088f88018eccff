#!/usr/bin/env node
// The first screen of a real host: figures equal to the API's, a range dragged open, zoom and undo, the
// address, the keyboard, every page, both themes checked by axe.
// run.sh: pair
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { assert, axeSource, equal, near, onEnd, openPage, sleep, startAgent, tests, until } from './lib.mjs';

const t = tests();
const mode = (page, want, timeout = 15000) =>
  page.waitForFunction((w) => document.documentElement.dataset.mode === w, want, { timeout });
const agent = await startAgent();
const panel = (page, id) => page.locator(`[data-panel="${id}"]`);

/** {value, t} of a series in a chart's title, in base units and mono us. */
const shown = (page, id, series) =>
  panel(page, id).locator(`[data-series="${series}"]`).evaluate((e) => ({ value: Number(e.dataset.value), t: Number(e.dataset.t), text: e.textContent }));

/** Samples of a metric from the API around a monotonic time: [{t (mono s), v}]. */
async function samples(metric, instance, aroundUs) {
  const status = await agent.json('api/v1/status');
  const nowWall = Date.now() / 1000;
  const uptime = Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]);
  const wall = nowWall - (uptime - aroundUs / 1e6); // good to some ms: the boot clock is monotonic here
  assert(status.rate_hz === 10, 'rate');
  const q = new URLSearchParams({ metric, from: String(wall - 1), to: String(wall + 1), points: '200', format: 'json' });
  if (instance !== undefined) q.set('instance', instance);
  const { series } = await agent.json(`api/v1/query?${q}`);
  return series.flatMap((s) => s.points.filter((p) => p.n).map((p) => p.last));
}

/** Some busy seconds: compiling stand-in that uses CPU, forks and writes. */
function load(seconds) {
  const child = spawn('sh', ['-c', `end=$(($(date +%s) + ${seconds})); while [ $(date +%s) -lt $end ]; do i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; head -c 4000000 /dev/zero | gzip -1 >/dev/null; done`], { stdio: 'ignore' });
  onEnd(() => child.kill());
  return child;
}

t('the first screen is whole at 1440x760, 1280x720 and 1920x1080, without scrolling', async () => {
  for (const [width, height] of [[1440, 760], [1280, 720], [1920, 1080]]) {
    const { page, context } = await openPage(agent.url, { width, height });
    await mode(page, 'live');
    await sleep(1500);
    const r = await page.evaluate(() => ({
      scroll: [document.documentElement.scrollWidth - innerWidth, document.documentElement.scrollHeight - innerHeight],
      panels: [...document.querySelectorAll('[data-panel]')].map((s) => [s.dataset.panel, s.dataset.state, s.getBoundingClientRect().bottom <= innerHeight + 1]),
      rows: document.querySelectorAll('table[data-table="processes"] tbody tr:not([hidden])').length,
      cut: [...document.querySelectorAll('[data-panel] > .head')].filter((h) => h.scrollWidth > h.clientWidth + 1).map((h) => h.parentElement.dataset.panel),
    }));
    assert(r.scroll[0] <= 0 && r.scroll[1] <= 0, `${width}x${height} scrolls by ${r.scroll}`);
    assert(r.panels.length >= 12, `${r.panels.length} panels`);
    for (const [id, state, inside] of r.panels) {
      assert(inside, `${id} is outside the screen at ${width}x${height}`);
      assert(['ok', 'nodata', 'reduced'].includes(state), `${id} is ${state}`);
    }
    assert(r.rows >= (height >= 1000 ? 10 : 5), `${r.rows} process rows at ${width}x${height}`);
    equal(r.cut.join(), '', `titles cut off at ${width}x${height}`);
    await context.close();
  }
});

t('figures on screen equal those of /api/v1/query', async () => {
  const busy = load(8);
  const { page, context } = await openPage(agent.url);
  await mode(page, 'live');
  await sleep(4000);
  await page.keyboard.press('Space');
  await mode(page, 'paused');
  await sleep(700);
  const cases = [
    ['cpu.runqueue', 'runnable', 'kernel.all.running', undefined, 1],
    ['cpu.switches', 'all CPUs', 'kernel.all.pswitch', undefined, 1],
    ['memory.use', 'free', 'mem.util.free', undefined, 1024],
    ['memory.faults', 'all', 'mem.vmstat.pgfault', undefined, 1],
    ['network.tcp', 'retransmits', 'network.tcp.retranssegs', undefined, 1],
  ];
  for (const [id, series, metric, instance, scale] of cases) {
    const s = await shown(page, id, series);
    assert(Number.isFinite(s.value), `${id} ${series} shows no value`);
    const list = (await samples(metric, instance, s.t)).map((v) => v * scale);
    const best = list.reduce((b, v) => (Math.abs(v - s.value) < Math.abs(b - s.value) ? v : b), list[0]);
    near(best, s.value, 0.001, 0.01, `${id} ${series} against ${metric} (${list.length} samples)`);
  }
  busy.kill();
  await context.close();
});

t('a drag pauses, opens the drawer and shows min, avg, max equal to the API', async () => {
  const { page, context } = await openPage(agent.url);
  await mode(page, 'live');
  await sleep(4000);
  const box = await panel(page, 'cpu.switches').boundingBox();
  const y = box.y + box.height * 0.6;
  const right = box.x + box.width - 20;
  await page.mouse.move(right - 30, y);
  await page.mouse.down();
  await page.mouse.move(right - 15, y, { steps: 3 });
  await page.mouse.move(right - 8, y, { steps: 3 });
  await page.mouse.up();
  await mode(page, 'range');
  await page.waitForSelector('[data-drawer]');
  // What moved, or on a quiet host that nothing did.
  await page.waitForSelector('[data-drawer] :is(table[data-table="changed"] tbody tr, p.why)');
  const text = await page.locator('[data-drawer]').innerText();
  assert(/ms|\bs\b/.test(text), 'the drawer does not say how long the range is');
  assert(/What changed/i.test(text), 'the drawer lists no series');
  // every chart shows the band
  await page.keyboard.press('Enter');
  await sleep(300);
  const hash = new URL(page.url()).hash;
  assert(hash.length > 1, 'the zoom is not in the address');
  await page.keyboard.press('z');
  await page.waitForFunction((h) => location.hash !== h, hash, { timeout: 5000 })
    .catch(() => assert(false, 'Z did not undo the zoom'));
  await page.keyboard.press('Escape');
  await page.waitForSelector('[data-drawer]', { state: 'detached' });
  await page.keyboard.press('l');
  await mode(page, 'live');
  await context.close();
});

t('the address brings a colleague to the same view', async () => {
  const { page, context } = await openPage(agent.url);
  await mode(page, 'live');
  await page.getByRole('button', { name: '15 s', exact: true }).click();
  await page.keyboard.press('Space');
  await mode(page, 'paused');
  await sleep(500);
  const axis = await shown(page, 'cpu.runqueue', 'runnable');
  const url = page.url();
  const other = await openPage(`${url}${url.includes('#') ? '&' : '#'}token=${agent.token}`);
  await mode(other.page, 'paused');
  await sleep(1500);
  const again = await shown(other.page, 'cpu.runqueue', 'runnable');
  near(again.t, axis.t, 0, 60000, 'time of the newest sample shown');
  equal(again.value, axis.value, 'value shown');
  assert(!other.page.url().includes(agent.token), 'the token stayed in the address');
  await context.close();
  await other.context.close();
});

t('each window from 5 s to all that is held draws, with its resolution in words', async () => {
  const { page, context, seen } = await openPage(agent.url);
  await mode(page, 'live');
  for (const name of ['5 s', '15 s', '30 s', '1 min', '5 min', '30 min', '1 h', 'All']) {
    await page.getByRole('button', { name, exact: true }).click();
    await sleep(1200);
    const s = await shown(page, 'cpu.runqueue', 'runnable');
    assert(Number.isFinite(s.value), `${name}: no value`);
    const title = await panel(page, 'cpu.runqueue').evaluate((e) => `${e.getAttribute('aria-label')} ${e.textContent} ${e.title}`);
    assert(/\d+ Hz|min–max per/.test(title), `${name}: no resolution in the title: ${title}`);
  }
  equal(seen.errors.join(), '', 'console errors');
  await context.close();
});

t('the keyboard alone: charts by Tab, a range by arrows and Enter, help, palette, search', async () => {
  const { page, context } = await openPage(agent.url);
  await mode(page, 'live');
  await sleep(2500);
  for (let i = 0; i < 60; i++) {
    await page.keyboard.press('Tab');
    if (await page.evaluate(() => document.activeElement?.dataset?.panel === 'cpu.runqueue')) break;
  }
  equal(await page.evaluate(() => document.activeElement.dataset.panel), 'cpu.runqueue', 'chart reached by Tab');
  for (let i = 0; i < 4; i++) await page.keyboard.press('ArrowLeft');
  await page.keyboard.press('Enter');
  for (let i = 0; i < 4; i++) await page.keyboard.press('ArrowLeft');
  await page.keyboard.press('Enter');
  await mode(page, 'range');
  await page.keyboard.press('Escape');
  await page.keyboard.press('?');
  await page.waitForSelector('dialog[open]');
  await page.keyboard.press('Escape');
  await page.keyboard.press('Control+k');
  await page.waitForSelector('dialog[open]');
  await page.keyboard.type('retrans');
  await sleep(300);
  assert(/retranssegs/.test(await page.locator('dialog[open]').innerText()), 'the palette does not find the metric');
  await page.keyboard.press('Enter');
  await sleep(1500);
  assert(/retranssegs/.test(await page.locator('body').innerText()), 'the metric is not shown');
  await context.close();
});

t('what a metric means stands in the list of all metrics, in the palette and over its chart', async () => {
  const known = (await agent.json('api/v1/metrics')).groups.flatMap((g) => g.metrics);
  const { source, help } = known.find((m) => m.name === 'network.tcp.retranssegs');
  assert(source && help, 'the agent does not say what it is');
  // Opened at once with that page: the words come after the first picture, and are shown then.
  const { page, context } = await openPage(`${agent.base}#page=raw&q=network.tcp.retranssegs&token=${agent.token}`);
  const says = (sel, text) => until(`${text} in ${sel}`, () => page.evaluate(([s, x]) =>
    [...document.querySelectorAll(s)].some((e) => `${e.textContent}${e.title}`.includes(x)), [sel, text]));
  await says('ul[aria-label=Metrics] button.name small', help);
  await says('ul[aria-label=Metrics] button.name', `Source: ${source}`);
  await says('h2', help);
  await page.keyboard.press('Control+k');
  await page.waitForSelector('dialog[open]');
  await page.keyboard.type('retranssegs');
  await says('dialog[open]', help);
  await context.close();
});

t('every page draws without an error, and axe finds nothing, in both themes', async () => {
  for (const theme of ['dark', 'light']) {
    const { page, context, seen, violations } = await openPage(agent.url, { theme });
    await mode(page, 'live');
    for (const id of ['overview', 'cpu', 'memory', 'disk', 'network', 'interrupts', 'strobe', 'raw']) {
      await page.evaluate((p) => {
        const h = new URLSearchParams(location.hash.slice(1));
        h.set('page', p);
        location.hash = h.toString();
      }, id);
      await sleep(900);
      if (id !== 'overview') assert(!(await panel(page, 'cpu.cores').isVisible()) || id === 'cpu', `the page ${id} is not shown`);
      const bad = await page.evaluate(async (source) => {
        if (!globalThis.axe) new Function(source).call(globalThis);
        const r = await globalThis.axe.run(document, { resultTypes: ['violations'] });
        return r.violations.map((v) => `${v.id}: ${v.nodes.slice(0, 3).map((n) => n.html).join(' | ')}`);
      }, axeSource()).catch((e) => [`axe did not run: ${e.message}`]);
      equal(bad.join('\n'), '', `axe on ${id} (${theme})`);
    }
    equal(seen.errors.join('\n'), '', 'console errors');
    equal(JSON.stringify(seen.foreign), '[]', 'requests to other hosts');
    equal((await violations()).join(), '', 'CSP violations');
    await context.close();
  }
});

t('CSV and PNG of a chart', async () => {
  const { page, context } = await openPage(agent.url);
  await mode(page, 'live');
  await sleep(1500);
  await page.getByRole('button', { name: /share|export/i }).first().click();
  const [csv] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: /^CSV of Context/ }).click()]);
  const lines = readFileSync(await csv.path(), 'utf8').trim().split('\n');
  assert(lines.length > 5 && lines[0].split(',').length >= 2, `CSV: ${lines.slice(0, 2)}`);
  const [png] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: /^PNG of Context/ }).click()]);
  const head = readFileSync(await png.path());
  equal(head.subarray(1, 4).toString(), 'PNG', 'PNG magic');
  assert(head.length > 2000, `PNG of ${head.length} bytes`);
  await context.close();
});

await t.run();
