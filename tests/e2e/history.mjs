#!/usr/bin/env node
// Time travel: the strip of everything held, ranges of the past, their address, what changed in them,
// captures. Against a real agent that is restarted once, so that there is something to travel over.
// run.sh: pair
import { execFile, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { join } from 'node:path';
import { assert, axeSource, equal, near, onEnd, openPage, scratch, sleep, startAgent, strobe, tests, until } from './lib.mjs';

const t = tests();
const mode = (page, want, timeout = 15000) =>
  page.waitForFunction((w) => document.documentElement.dataset.mode === w, want, { timeout });
const panel = (page, id) => page.locator(`[data-panel="${id}"]`);
const strip = (page) => page.locator('.history canvas');
const painted = (page) => page.waitForFunction(() => document.querySelector('.history canvas')?.dataset.box);
/** What the strip says it shows. */
const says = (page) =>
  strip(page).evaluate((c) => {
    const n = (s) => (s ?? '').split(' ').map(Number);
    const d = c.dataset;
    return { from: Number(d.from), to: Number(d.to), box: n(d.box), view: n(d.view), plot: n(d.plot), spans: Number(d.spans), seams: d.seams, text: c.getAttribute('aria-valuetext') };
  });
const shown = (page, id, series) =>
  panel(page, id).locator(`[data-series="${series}"]`).evaluate((e) => ({ value: Number(e.dataset.value), t: Number(e.dataset.t) }));
/** Every chart on screen has what it shows. (That of the profiler says nothing of it, and comes when the page is at rest.) */
const settled = (page, timeout = 30000) =>
  page.waitForFunction(() => [...document.querySelectorAll('[data-panel]')].filter((e) => e.getBoundingClientRect().top < innerHeight)
    .every((e) => (e.dataset.loading ?? '0') === '0'), null, { timeout });
async function shot(page, name) {
  if (process.env.SHOTS) await page.screenshot({ path: join(process.env.SHOTS, `${name}.png`) });
}
/** A process of its own name that uses a CPU for `ms` and then is gone. */
function busy(ms, name = 'burner') {
  const child = spawn('bash', ['-c', `exec -a ${name} bash -c 'end=$(( $(date +%s%N) / 1000000 + ${ms} )); while [ $(( \${EPOCHREALTIME/./} / 1000 )) -lt $end ]; do :; done'`], { stdio: 'ignore' });
  onEnd(() => child.kill());
  return { pid: child.pid, done: new Promise((r) => child.on('exit', r)) };
}
/** Some 10,000 datagrams a second to nobody: a change that no other work on this machine makes. */
function datagrams() {
  const s = createSocket('udp4');
  const timer = setInterval(() => {
    for (let i = 0; i < 200; i++) s.send('x', 9, '127.0.0.1', () => {});
  }, 20);
  return () => (clearInterval(timer), s.close());
}
/** Drags over a chart from one wall time to another, ms. */
async function dragOver(page, id, fromMs, toMs) {
  const s = await says(page);
  const box = await panel(page, id).boundingBox();
  const w = Math.floor((box.width - 44 - 15) / 20) * 20;
  const x = (ms) => box.x + 44 + ((ms - s.view[0]) / (s.view[1] - s.view[0])) * w;
  const y = box.y + box.height * 0.6;
  await page.mouse.move(x(fromMs), y);
  await page.mouse.down();
  await page.mouse.move(x((fromMs + toMs) / 2), y, { steps: 3 });
  await page.mouse.move(x(toMs), y, { steps: 3 });
  await page.mouse.up();
  await mode(page, 'range');
}

const dir = scratch();
const history = join(scratch(), 'ring');
const args = process.env.HISTORY_ARGS?.split(' ') ?? ['--history', history, '--history-size', '64M'];
let agent = await startAgent({ dir, args });
await sleep(20000);
await agent.stop();
await sleep(3000);
agent = await startAgent({ dir, args });
await sleep(8000);

t('the strip shows what is held: two stretches and the restart between them', async () => {
  const { page, context } = await openPage(agent.url);
  await mode(page, 'live');
  await painted(page);
  const s = await until('the agent to say what it holds', async () => {
    const v = await says(page);
    return v.spans >= 1 && v.seams && v;
  });
  equal(s.seams, 'restart', 'what happened between');
  near((s.to - s.from) / 1000, 3600, 0.01, 1, 'span of the strip, s');
  // Bars where something is held, none before.
  const ink = await strip(page).evaluate((c) => {
    const k = c.width / c.clientWidth;
    const [a, b] = c.dataset.plot.split(' ').map(Number);
    const g = c.getContext('2d');
    const count = (x, w) => {
      const d = g.getImageData(x * k, 15 * k, w * k, 6 * k).data;
      const seen = new Set();
      for (let i = 0; i < d.length; i += 4) if (d[i + 3]) seen.add(d[i] << 16 | d[i + 1] << 8 | d[i + 2]);
      return seen.size;
    };
    return [count(b - 8, 8), count(a + 40, 8)];
  });
  assert(ink[0] > 0, 'nothing is drawn where the newest is');
  await shot(page, 'strip');
  await context.close();
});

t('by mouse: the box pans, its edge widens, elsewhere a new stretch is shown', async () => {
  const { page, context, seen } = await openPage(agent.url);
  await mode(page, 'live');
  await page.getByRole('button', { name: '5 s', exact: true }).click();
  await painted(page);
  const at = await strip(page).boundingBox();
  const y = at.y + 13;
  let s = await says(page);
  const width = s.view[1] - s.view[0];
  await page.mouse.move(at.x + (s.box[0] + s.box[1]) / 2, y);
  await page.mouse.down();
  await page.mouse.move(at.x + s.box[0] - 1, y, { steps: 2 });
  await page.mouse.move(at.x + s.box[0] - 3, y, { steps: 3 });
  await page.mouse.up();
  await mode(page, 'paused');
  s = await says(page);
  near(s.view[1] - s.view[0], width, 0.001, 1, 'width of the view after panning, ms');
  assert(s.view[1] < Date.now() - 4000, 'the view did not move into the past');
  // The left edge, further left.
  const x = at.x + s.box[0] - 2;
  await page.mouse.move(x, y);
  equal(await strip(page).evaluate((c) => c.style.cursor), 'ew-resize', 'pointer over the edge');
  await page.mouse.down();
  await page.mouse.move(x - 4, y, { steps: 3 });
  await page.mouse.up();
  await sleep(100);
  const w = await says(page);
  near(w.view[1], s.view[1], 0, 1, 'right edge of the widened view');
  assert(w.view[1] - w.view[0] > width * 1.5, `the view is ${w.view[1] - w.view[0]} ms wide, was ${width}`);
  await page.keyboard.press('l');
  await mode(page, 'live');
  // A stretch drawn left of the box.
  s = await says(page);
  const px = (s.to - s.from) / (s.plot[1] - s.plot[0]);
  await page.mouse.move(at.x + s.box[0] - 12, y);
  await page.mouse.down();
  await page.mouse.move(at.x + s.plot[1], y, { steps: 5 });
  await page.mouse.up();
  const d = await says(page);
  assert(d.view[1] - d.view[0] > 6 * px, `the stretch drawn is ${(d.view[1] - d.view[0]) / px} px wide`);
  equal(seen.errors.join(), '', 'console errors');
  await context.close();
});

t('by keys: the strip is reached by Tab; arrows, plus and minus, Home and End', async () => {
  const { page, context } = await openPage(agent.url);
  await mode(page, 'live');
  await page.getByRole('button', { name: '5 s', exact: true }).click();
  await painted(page);
  for (let i = 0; i < 40; i++) {
    await page.keyboard.press('Tab');
    if (await page.evaluate(() => document.activeElement?.getAttribute('role') === 'slider')) break;
  }
  equal(await page.evaluate(() => document.activeElement?.tagName), 'CANVAS', 'strip reached by Tab');
  const live = await says(page);
  assert(/live/.test(live.text), `it says: ${live.text}`);
  await page.keyboard.press('Home');
  await mode(page, 'paused');
  await sleep(100);
  const oldest = await says(page);
  assert(oldest.view[0] < live.view[0] - 5000, 'Home is not the oldest');
  await page.keyboard.press('ArrowRight');
  await sleep(100);
  const right = await says(page);
  near(right.view[0] - oldest.view[0], 1250, 0.01, 20, 'a step to the right, ms');
  await page.keyboard.press('-');
  await sleep(100);
  const wide = await says(page);
  assert(wide.view[1] - wide.view[0] > 9000, 'minus does not zoom out');
  await page.keyboard.press('+');
  await sleep(100);
  const narrow = await says(page);
  near(narrow.view[1] - narrow.view[0], 5000, 0.05, 100, 'plus zooms in again');
  await page.keyboard.press('End');
  await mode(page, 'live');
  await context.close();
});

/** A page that shows the oldest 5 s of what is held. */
async function oldest() {
  const o = await openPage(agent.url);
  await mode(o.page, 'live');
  await o.page.getByRole('button', { name: '5 s', exact: true }).click();
  await painted(o.page);
  await strip(o.page).focus();
  await o.page.keyboard.press('Home');
  await mode(o.page, 'paused');
  await settled(o.page);
  return o;
}

t('before the restart every chart and the CPU heat map show 10 Hz', async () => {
  const { page, context } = await oldest();
  await sleep(600);
  for (const id of ['cpu.runqueue', 'cpu.cores', 'cpu.switches', 'memory.use']) {
    const title = await panel(page, id).evaluate((e) => `${e.getAttribute('aria-label')} ${e.querySelector('.head').textContent}`);
    assert(/10 Hz/.test(title), `${id}: ${title}`);
  }
  const v = await shown(page, 'cpu.switches', 'all CPUs');
  assert(v.value > 0, 'no value before the restart');
  const rows = page.locator('table[data-table="processes"] tbody tr:not([hidden])');
  await until('processes of then', async () => (await rows.count()) > 3);
  await shot(page, 'past');
  await context.close();
});

t('the address of a past moment opens the same view in another browser, after a restart of the agent', async () => {
  const { page, context } = await oldest();
  await sleep(900);
  const url = new URL(page.url());
  const here = await says(page);
  const value = await shown(page, 'cpu.switches', 'all CPUs');
  await context.close();
  await agent.stop();
  agent = await startAgent({ dir, args });
  const other = await openPage(`${agent.base}${url.hash}&token=${agent.token}`);
  await mode(other.page, 'paused');
  await painted(other.page);
  await settled(other.page);
  await sleep(900);
  const there = await says(other.page);
  for (const i of [0, 1]) near(there.view[i], here.view[i], 0, 2, `edge ${i} of the view, ms of wall time`);
  const again = await shown(other.page, 'cpu.switches', 'all CPUs');
  near(again.value, value.value, 0.001, 0.5, 'context switches');
  await other.context.close();
});

t('the drawer ranks an injected change on top and lists the process that exited in it', async () => {
  const { page, context, seen } = await openPage(agent.url);
  await mode(page, 'live');
  await sleep(24000); // a baseline
  const from = Date.now();
  const burners = [busy(4000), busy(4000), busy(4000), busy(4000)];
  const stop = datagrams();
  await Promise.all(burners.map((b) => b.done));
  stop();
  const to = Date.now();
  await sleep(6000);
  await page.keyboard.press('Space');
  await mode(page, 'paused');
  await sleep(200);
  await dragOver(page, 'cpu.switches', from, to);
  await page.waitForSelector('[data-ranked="agent"] table[data-table="changed"] tbody tr');
  const top = await page.locator('table[data-table="changed"] tbody tr').evaluateAll((l) => l.slice(0, 10).map((r) => r.dataset.key));
  assert(top.some((k) => /network\.udp|interface.*\[lo\]/.test(k)), `the first ten rows: ${top}`);
  assert(/\d+ of [\d,]+ series, ranked by deviation/.test(await page.locator('[data-drawer]').innerText()), 'it does not say of how many');
  await shot(page, 'drawer');
  // On a busy machine processes are read every few seconds only: their end is seen after it.
  await page.keyboard.press('Escape');
  await dragOver(page, 'cpu.switches', from - 1000, to + 5500);
  const procs = page.locator('table[data-table="range-processes"] tbody tr');
  await page.waitForSelector('[data-ranked="agent"]');
  await until('processes of the range', async () => (await procs.filter({ hasText: 'exited' }).count()) > 1);
  const rows = await procs.evaluateAll((l) => l.map((r) => ({ pid: Number(r.dataset.pid), fate: r.dataset.fate, ms: Number(r.children[2].textContent.replace(',', '')) })));
  const mine = rows.filter((r) => burners.some((b) => b.pid === r.pid));
  assert(mine.length >= 3, `processes: ${JSON.stringify(rows.slice(0, 8))}`);
  const gone = mine.filter((r) => /exited/.test(r.fate));
  assert(gone.length >= 2, `their marks: ${mine.map((r) => r.fate || 'none')}`);
  for (const r of mine) {
    assert(r.ms > 50 && r.ms < 4500, `process ${r.pid} used ${r.ms} ms`);
  }
  // A click opens the metric's chart, the range stays.
  // Over the wider range a quiet host may show nothing that moved.
  if (await page.locator('table[data-table="changed"] tbody tr .name').count()) {
    await page.waitForFunction(() => /sel=/.test(location.hash));
    const there = await page.evaluate(() => location.hash);
    await page.locator('table[data-table="changed"] tbody tr .name').first().click();
    await page.waitForSelector('[data-page="raw"] [data-panel]');
    await page.waitForSelector('[data-drawer]');
    await page.waitForFunction(() => /page=raw/.test(location.hash));
    await sleep(800); // the address is settled
    await page.evaluate((hash) => { location.hash = hash; }, there);
  }
  // B pins the range: the next one is compared with it.
  await page.waitForSelector('.overview [data-drawer]');
  await page.evaluate(() => document.activeElement?.blur());
  await page.keyboard.press('b');
  await page.waitForFunction(() => /base=/.test(location.hash));
  await page.waitForSelector('[data-drawer] .sum .btn[aria-pressed="true"]');
  const bad = await page.evaluate(async (source) => {
    new Function(source).call(globalThis);
    const r = await globalThis.axe.run(document, { resultTypes: ['violations'] });
    return r.violations.map((v) => `${v.id}: ${v.nodes.slice(0, 3).map((n) => n.html).join(' | ')}`);
  }, axeSource());
  equal(bad.join('\n'), '', 'axe on the drawer');
  equal(seen.errors.join(), '', 'console errors');
  await context.close();
});

t('an unchanged range lists nothing, or little', async () => {
  const { page, context } = await openPage(agent.url);
  await mode(page, 'live');
  await sleep(2000);
  const now = Date.now();
  await page.keyboard.press('Space');
  await mode(page, 'paused');
  await dragOver(page, 'cpu.switches', now - 3000, now - 1500);
  await page.waitForSelector('[data-ranked="agent"]');
  await context.close();
});

t('a capture is saved from the drawer, and strobe open shows the same figures', async () => {
  const { page, context } = await openPage(agent.url);
  await mode(page, 'live');
  await sleep(2000);
  const now = Date.now();
  await page.keyboard.press('Space');
  await mode(page, 'paused');
  await dragOver(page, 'cpu.switches', now - 6000, now - 2000);
  await sleep(800);
  const here = await shown(page, 'cpu.switches', 'all CPUs');
  const range = await page.locator('[data-range]').innerText();
  const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Capture', exact: true }).click()]);
  assert(/\.strobe$|capture/i.test(file.suggestedFilename()), `name of the file: ${file.suggestedFilename()}`);
  const path = join(scratch(), file.suggestedFilename());
  await file.saveAs(path);
  await page.waitForSelector('.sum [data-capture-job="done"]');
  const hash = new URL(page.url()).hash;
  const has = await new Promise((r) => execFile(strobe, ['open', '--help'], (e) => r(!e)));
  assert(has, 'this build has no strobe open');
  const open = spawn(strobe, ['open', path, '--listen', '127.0.0.1:0'], { stdio: ['ignore', 'pipe', 'inherit'] });
  onEnd(() => open.kill());
  let out = '';
  open.stdout.on('data', (d) => (out += d));
  const url = await until('strobe open to listen', () => /(http:\/\/\S+#token=\S+)/.exec(out)?.[1]);
  const [base, token] = url.split('#token=');
  const other = await openPage(`${base}${hash}&token=${token}`);
  await mode(other.page, 'capture');
  await other.page.waitForSelector('[data-capture]');
  await other.page.waitForSelector('[data-drawer]');
  await settled(other.page);
  await sleep(800);
  equal(await other.page.locator('[data-range]').innerText(), range, 'the range');
  const there = await shown(other.page, 'cpu.switches', 'all CPUs');
  near(there.value, here.value, 0.001, 0.5, 'maximum of context switches in the range');
  await sleep(3000);
  equal(await other.page.evaluate(() => document.documentElement.dataset.mode), 'capture', 'mode after a while');
  assert(!/stale/i.test(await other.page.locator('body').innerText()), 'something is stale');
  await shot(other.page, 'capture');
  await context.close();
  await other.context.close();
});

t('a capture that cannot be saved is said in words', async () => {
  const { page, context } = await openPage(agent.url);
  await mode(page, 'live');
  await page.route('**/api/v1/capture*', (r) => r.fulfill({ status: 429, body: '{"error":"one is being saved"}' }));
  await page.getByRole('button', { name: 'Export and share' }).click();
  await page.getByRole('button', { name: 'Last 10 min' }).click();
  await page.waitForSelector('dialog [data-capture-job="failed"]');
  assert(/busy/.test(await page.locator('dialog [data-capture-job]').innerText()), 'no reason is given');
  await context.close();
});

t('the page of the agent says what history costs', async () => {
  const { page, context } = await openPage(`${agent.base}#page=strobe&token=${agent.token}`);
  await mode(page, 'live');
  await page.waitForSelector('[data-figure="sample"]');
  const text = await page.locator('.retention').innerText();
  assert(/Held/.test(text) && /A day takes/.test(text), text);
  await shot(page, 'status');
  await context.close();
});

await t.run();
