#!/usr/bin/env node
// The link breaks in every way it does in practice; the page says so within 2 s, and nothing that the
// agent's log still holds is missing afterwards.
// run.sh: pair
import { createServer, connect } from 'node:net';
import { readFileSync } from 'node:fs';
import { assert, equal, freePort, onEnd, openPage, scratch, sleep, startAgent, tests, until } from './lib.mjs';

const t = tests();
const mode = (page, want, timeout = 15000) =>
  page.waitForFunction((w) => document.documentElement.dataset.mode === w, want, { timeout });

/** A link to the agent that can be cut, and put back. */
async function cuttable(port) {
  const sockets = new Set();
  let up = true;
  const server = createServer((a) => {
    if (!up) return a.destroy();
    const b = connect(port, '127.0.0.1');
    for (const s of [a, b]) {
      sockets.add(s);
      s.on('error', () => {});
      s.on('close', () => (a.destroy(), b.destroy(), sockets.delete(s)));
    }
    a.pipe(b).pipe(a);
  });
  await new Promise((r) => server.listen(0, '127.0.0.1', r));
  onEnd(() => server.close());
  return {
    port: server.address().port,
    cut() {
      up = false;
      for (const s of sockets) s.destroy();
    },
    mend: () => (up = true),
  };
}

/** The samples that a chart of the page shows, as its CSV gives them: [[seconds, value...]]. */
async function csvOf(page, chart) {
  await page.getByRole('button', { name: /share|export/i }).first().click();
  const [file] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('button', { name: new RegExp(`^CSV of ${chart}`) }).click(),
  ]);
  const text = readFileSync(await file.path(), 'utf8');
  await page.keyboard.press('Escape');
  const rows = text.trim().split('\n').slice(1).map((l) => l.split(','));
  return rows.map((r) => [Date.parse(r[0]) / 1000, ...r.slice(1)]).filter((r) => r.slice(1).some((v) => v !== ''));
}
/** The longest distance between two samples, in seconds. */
const widest = (rows) => rows.slice(1).reduce((w, r, i) => Math.max(w, r[0] - rows[i][0]), 0);

/** The widest that is no hole: ticks that the agent itself missed, on a host that others use, are in no link's hands. */
const noHole = async (agent, s = 0.25) => s + 0.1 * (await agent.json('api/v1/status')).missed_ticks;

t('a cut link is stale within 2.5 s, unmistakably, and resumes with no lost tick', async () => {
  const agent = await startAgent();
  const link = await cuttable(agent.port);
  const { page, context, seen } = await openPage(`http://127.0.0.1:${link.port}/#token=${agent.token}`);
  await mode(page, 'live');
  await sleep(3000);
  link.cut();
  const cut = Date.now();
  await mode(page, 'stale', 5000);
  assert(Date.now() - cut < 3000, `stale after ${Date.now() - cut} ms`);
  assert(/^▲ STALE/.test(await page.title()), `title: ${await page.title()}`);
  await page.waitForSelector('[role=alert][data-banner]');
  await page.waitForFunction(() => document.querySelector('[data-panel]')?.dataset.state === 'stale');
  await sleep(8000);
  link.mend();
  await mode(page, 'live');
  await sleep(1500);
  const rows = await csvOf(page, 'Run queue');
  assert(rows.length > 100, `only ${rows.length} samples`);
  assert(widest(rows) < (await noHole(agent)), `a hole of ${widest(rows).toFixed(3)} s remains after the resume`);
  await page.waitForSelector('[role=alert][data-banner]', { state: 'detached' });
  equal(seen.errors.filter((e) => !/WebSocket|ERR_CONNECTION|ERR_SOCKET|ERR_EMPTY/.test(e)).join('\n'), '', 'console errors');
  await context.close();
});

t.beside('a minute asleep: the page comes back with every tick that the log still holds', async () => {
  const agent = await startAgent();
  const link = await cuttable(agent.port);
  const { page, context } = await openPage(`http://127.0.0.1:${link.port}/#token=${agent.token}`);
  await mode(page, 'live');
  await page.getByRole('button', { name: '5 min', exact: true }).click();
  await sleep(2000);
  link.cut();
  await sleep(60000);
  link.mend();
  await mode(page, 'live');
  await sleep(3000);
  const rows = await csvOf(page, 'Run queue');
  const span = rows.at(-1)[0] - rows[0][0];
  assert(span > 60, `only ${span} s are there`);
  assert(widest(rows) < (await noHole(agent)), `a hole of ${widest(rows).toFixed(3)} s remains`);
  await context.close();
});

t('a stopped agent (SIGSTOP): stale, then live again with the gap drawn, no joined line', async () => {
  const agent = await startAgent();
  const { page, context } = await openPage(agent.url);
  await mode(page, 'live');
  await sleep(2000);
  agent.signal('SIGSTOP');
  await mode(page, 'stale', 5000);
  await sleep(1500);
  agent.signal('SIGCONT');
  await mode(page, 'live');
  await sleep(1500);
  const rows = await csvOf(page, 'Run queue');
  assert(widest(rows) > 2.5, 'the stretch in which nothing was recorded is filled in');
  const status = await agent.json('api/v1/status');
  assert(status.missed_ticks >= 25, `missed ticks: ${status.missed_ticks}`);
  await page.waitForSelector('[data-events] [data-kind="3"]'); // EVENT_GAP
  await context.close();
});

t('an agent killed with -9 and started again: the page goes on by itself, the old samples stay', async () => {
  const dir = scratch();
  const env = { STROBE_TOKEN: 'feedfacefeedfacefeedfacefeedface' };
  const port = await freePort();
  let agent = await startAgent({ dir, env, port });
  const { page, context } = await openPage(agent.url);
  await mode(page, 'live');
  await sleep(5000);
  const before = await csvOf(page, 'Run queue');
  await agent.stop('SIGKILL');
  await mode(page, 'stale', 5000);
  agent = await startAgent({ dir, env, port });
  await mode(page, 'live', 20000);
  await sleep(3000);
  const rows = await csvOf(page, 'Run queue');
  assert(rows.some((r) => r[0] <= before.at(-1)[0] - 3), 'the samples from before the kill are gone');
  assert(rows.filter((r) => r[0] > before.at(-1)[0] + 1).length > 10, 'no samples after the restart');
  assert(widest(rows) > 1, 'no gap between them');
  // A page opened afresh sees the same.
  const fresh = await context.newPage();
  await fresh.goto(agent.url);
  await mode(fresh, 'live');
  await sleep(2000);
  const again = await csvOf(fresh, 'Run queue');
  assert(again.some((r) => r[0] <= before.at(-1)[0] - 3), 'a fresh page does not see the samples from before the kill');
  assert(again.filter((r) => r[0] > before.at(-1)[0] + 1).length > 10, 'a fresh page sees none after the restart');
  await context.close();
});

t('an agent started afresh (its log gone) is noticed: a new log, a new catalog, live again', async () => {
  const env = { STROBE_TOKEN: 'feedfacefeedfacefeedfacefeedface' };
  const first = await startAgent({ env });
  const { page, context } = await openPage(first.url);
  await mode(page, 'live');
  await first.stop();
  const second = await startAgent({ env, port: first.port });
  await mode(page, 'stale', 5000).catch(() => {});
  await mode(page, 'live', 20000);
  await until('new samples', () => page.evaluate(() => Number(document.querySelector('[data-age]')?.dataset.age) < 1));
  equal((await second.json('api/v1/status')).clients, 1, 'clients');
  await context.close();
});

t('two clients at two rates: a hidden tab asks for less, and a second page is not disturbed', async () => {
  const agent = await startAgent();
  const a = await openPage(agent.url);
  await mode(a.page, 'live');
  const b = await openPage(agent.url);
  await mode(b.page, 'live');
  await b.page.evaluate(() => {
    Object.defineProperty(document, 'hidden', { value: true, configurable: true });
    Object.defineProperty(document, 'visibilityState', { value: 'hidden', configurable: true });
    document.dispatchEvent(new Event('visibilitychange'));
  });
  await sleep(5000);
  await b.page.evaluate(() => {
    Object.defineProperty(document, 'hidden', { value: false, configurable: true });
    Object.defineProperty(document, 'visibilityState', { value: 'visible', configurable: true });
    document.dispatchEvent(new Event('visibilitychange'));
  });
  await mode(b.page, 'live');
  for (const { page } of [a, b]) await until('what a hidden tab did without is fetched', async () => widest(await csvOf(page, 'Run queue')) < (await noHole(agent, 0.35)));
  await a.context.close();
  await b.context.close();
});

await t.run();
