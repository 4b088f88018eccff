#!/usr/bin/env node
// What is on the page can be seen: at every width nothing lies over something else or beyond the edge, a drag opens a
// drawer in view, figures keep their units, and a capture is shown as the file it is.
// run.sh: pair
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { assert, equal, onEnd, openPage, scratch, sleep, startAgent, strobe, tests, until } from './lib.mjs';
import { dragMap, GRAPH, MAP, mode, openProfile, settled } from './profile_lib.mjs';

const t = tests();
const agent = await startAgent();
const started = Date.now();
const burner = spawn('sh', ['-c', 'while :; do i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; sleep 0.05; done'], { stdio: 'ignore' });
onEnd(() => burner.kill());

/** What of the controls under `root` is cut by the window's edge or lies over another one. */
const misplaced = (page, root) => page.evaluate((sel) => {
  const all = [...document.querySelectorAll(`${sel} :is(button, input, h1, h3, .kv, .state, [data-legend])`)]
    .filter((e) => !e.closest('dialog, nav, [role="menu"]') && e.getClientRects().length > 0)
    .filter((e) => !e.parentElement.closest(`${sel} :is(button, .kv, .search)`));
  const box = (e) => e.getBoundingClientRect();
  const name = (e) => `${e.tagName.toLowerCase()} "${(e.textContent || e.getAttribute('aria-label') || '').trim().slice(0, 30)}"`;
  const bad = all.filter((e) => box(e).right > innerWidth + 1 || box(e).left < -1).map((e) => `${name(e)} is beyond the edge`);
  for (const [i, a] of all.entries())
    for (const b of all.slice(i + 1)) {
      if (a.contains(b) || b.contains(a)) continue;
      const [p, q] = [box(a), box(b)];
      if (p.left < q.right - 1 && q.left < p.right - 1 && p.top < q.bottom - 1 && q.top < p.bottom - 1) bad.push(`${name(a)} over ${name(b)}`);
    }
  return bad;
}, root);

t('header and toolbars hold at every width', async () => {
  const { page, context } = await openProfile(agent);
  for (const width of [900, 1100, 1280, 1440, 1920]) {
    await page.setViewportSize({ width, height: 800 });
    await sleep(300);
    for (const root of ['.head', '.tb:not(.two)', '.tb.two'])
      equal((await misplaced(page, root)).join('\n'), '', `${root} at ${width} px`);
    // The length of a column can be chosen, and it is said what the graph is compared with.
    await page.locator('.opt2 .link').click();
    equal(await page.getByRole('menuitem').count() + (await page.getByRole('menuitemradio').count()) >= 3, true, `lengths of columns at ${width} px`);
    await page.keyboard.press('Escape');
    assert(/^against/.test((await page.locator('[data-against]').innerText()).trim()), `at ${width} px: ${await page.locator('[data-against]').innerText()}`);
  }
  await context.close();
});

t('buttons stay where they are when other samples or rows are chosen', async () => {
  const { page, context } = await openProfile(agent, '', { width: 1280 });
  const at = async () => Math.round((await page.getByRole('group', { name: 'Rows' }).boundingBox()).x);
  const first = await at();
  const kinds = page.getByRole('group', { name: 'Samples', exact: true });
  for (const name of ['Off-CPU', 'Run queue', 'On-CPU']) {
    await kinds.getByRole('button', { name }).click();
    equal(await at(), first, `the rows' buttons with ${name}`);
  }
  // Rows fill the map, however few they are.
  await page.getByRole('group', { name: 'Rows' }).getByRole('button', { name: 'CPU' }).click();
  await settled(page);
  equal(await at(), first, "the rows' buttons with CPU");
  await context.close();
});

t('a drag on a narrow page opens its drawer in view; figures of what changed are whole', async () => {
  const { page, context } = await openPage(agent.url, { width: 900, height: 800 });
  await mode(page, 'live');
  await page.waitForSelector('[data-panel="cpu.samples"] canvas[data-painted]');
  await sleep(3000);
  const box = await page.locator('[data-panel="cpu.runqueue"], [data-panel]:nth-child(1)').first().boundingBox();
  const [x, y] = [box.x + box.width - 30, box.y + box.height * 0.6];
  await page.mouse.move(x - 40, y);
  await page.mouse.down();
  await page.mouse.move(x, y, { steps: 4 });
  await page.mouse.up();
  await page.waitForSelector(`[data-drawer] ${GRAPH}[data-painted]`);
  const graph = await page.locator(`[data-drawer] ${GRAPH}`).boundingBox();
  assert(graph.y + graph.height <= 801 && graph.height > 60, `the graph is at ${graph.y}, ${graph.height} px high`);
  for (const width of [1280, 1440]) {
    await page.setViewportSize({ width, height: 800 });
    await page.waitForSelector('table[data-table="changed"] tbody tr');
    const cut = await page.locator('[data-drawer] tbody td:not(.l)').evaluateAll((l) =>
      l.filter((e) => e.scrollWidth > e.clientWidth).map((e) => e.textContent));
    equal(cut.join(', '), '', `figures cut at ${width} px`);
  }
  await context.close();
});

t('the map outlines the cell under the pointer and says which it is', async () => {
  const { page, context } = await openProfile(agent);
  const box = await page.locator(MAP).boundingBox();
  const d = await page.locator(MAP).evaluate((c) => ({ ...c.dataset }));
  await page.mouse.move(box.x + Number(d.x) + Number(d.width) - 30, box.y + 100);
  const over = () => page.locator(MAP).evaluate((c) => c.dataset.over);
  const cell = await until('an outline', over);
  assert(/samples|not yet|loading|no profiler/.test(await page.locator('[data-hint]').innerText()), await page.locator('[data-hint]').innerText());
  await page.mouse.move(box.x + Number(d.x) + Number(d.width) - 90, box.y + 100);
  await until('another', async () => (await over()) && (await over()) !== cell);
  await page.mouse.move(box.x + 300, box.y + 500);
  await until('none', async () => (await over()) === '');
  await context.close();
});

t('what is no regular expression is searched as it is written, on the map, too; a refusal goes with its pattern', async () => {
  const { page, context } = await openProfile(agent, '', { width: 1280 });
  const field = page.getByRole('textbox', { name: 'Search functions' });
  await field.fill('zz[');
  await page.locator('.tb:not(.two) .warn', { hasText: 'searched as written' }).waitFor();
  await until('cells on the map', () => page.locator(MAP).evaluate((c) => {
    const end = Number(c.dataset.x) + Number(c.dataset.width);
    const d = c.getContext('2d').getImageData(end - 20, 20, 18, 160).data;
    let seen = 0;
    for (let i = 0; i < d.length; i += 4) if (d[i] > 40) seen++; // the ground has 20
    return seen > 50;
  }));
  await field.fill('(?=x)');
  await page.waitForSelector('.tb:not(.two) .warn');
  for (const root of ['.tb:not(.two)']) equal((await misplaced(page, root)).join('\n'), '', root);
  await field.fill('');
  await page.waitForSelector('.tb:not(.two) .warn', { state: 'detached' });
  await context.close();
});

t('the profile page shows minutes, and gives back the window that was there before', async () => {
  const { page, context } = await openPage(agent.url);
  await mode(page, 'live');
  const pressed = () => page.getByRole('group', { name: 'Window' }).locator('[aria-pressed="true"]').innerText();
  await page.getByRole('button', { name: '15 s', exact: true }).click();
  await page.keyboard.press('p');
  await page.waitForSelector(`${MAP}[data-painted]`);
  equal(await pressed(), '5 min', 'the window of the profile page');
  await page.locator('.pages button').click();
  await page.locator('.pages nav a', { hasText: 'Overview' }).click();
  await page.waitForSelector('.overview');
  await until('15 s again', async () => (await pressed()) === '15 s');
  await context.close();
});

t('views that a control is not for do not show it; tabs go by arrows', async () => {
  const { page, context } = await openProfile(agent);
  await page.getByRole('tab', { name: 'Flame', exact: true }).focus();
  for (const name of ['Icicle', 'Sandwich', 'Table', 'Flame chart']) {
    await page.keyboard.press('ArrowRight');
    equal(await page.getByRole('tab', { name }).getAttribute('aria-selected'), 'true', name);
  }
  equal(await page.locator('[data-against]').count(), 0, 'a baseline of a flame chart');
  equal(await page.getByRole('group', { name: 'Colour' }).count(), 0, 'colours of a flame chart');
  await page.getByRole('tab', { name: 'Table' }).click();
  await page.waitForSelector('[data-table="functions"] tbody tr');
  assert(/library|user|kernel/.test(await page.locator('[data-details] .legend').innerText()), 'the bars have colours that nothing explains');
  await page.getByRole('tab', { name: 'Sandwich' }).click();
  // The list is made anew while the window moves: row and list are looked at in one go.
  await until('the function that is shown to stand in view in its list', () => page.evaluate(() => {
    const list = document.querySelector('[data-table="sandwich"]');
    const [r, l] = [list?.querySelector('tr[aria-selected="true"]')?.getBoundingClientRect(), list?.getBoundingClientRect()];
    return r && r.top >= l.top && r.bottom <= l.bottom + 1;
  }));
  await context.close();
});

t.beside('a flame chart of a long window offers its end', async () => {
  const o = await openProfile(agent);
  await o.page.getByRole('tab', { name: 'Flame chart' }).click();
  await until('a window of more than a minute', async () => (await o.page.getByRole('button', { name: 'Show its last 10 s' }).count()) > 0, 70000);
  await o.page.getByRole('button', { name: 'Show its last 10 s' }).click();
  await mode(o.page, 'range');
  await until('frames', async () => Number(await o.page.locator(GRAPH).first().evaluate((c) => c.dataset.frames ?? 0)) > 0);
  assert(/^10(\.000)? s/.test(await o.page.locator('[data-range]').innerText()), await o.page.locator('[data-range]').innerText());
  await o.context.close();
});

t('a capture: the map begins where it does, off-CPU can be looked at, nothing warns that it is a file', async () => {
  await sleep(Math.max(0, started + 16000 - Date.now()));
  const file = join(scratch(), 'x.strobe');
  const rec = spawn(strobe, ['record', '-o', file, '--last', '15s', '--url', agent.url], { stdio: 'ignore' });
  equal(await new Promise((r) => rec.on('exit', r)), 0, 'record');
  const child = spawn(strobe, ['open', file], { stdio: ['ignore', 'pipe', 'ignore'] });
  onEnd(() => child.kill());
  let out = '';
  child.stdout.on('data', (d) => (out += d));
  const url = await until('the file to be served', () => /^strobe: listening on (\S+)/m.exec(out)?.[1]);
  const { page, context } = await openPage(`${url}&page=profile`);
  await page.waitForSelector(`${GRAPH}[data-frames]`);
  const columns = Number(await page.locator(MAP).evaluate((c) => c.dataset.columns));
  assert(columns <= 18, `${columns} columns for 15 s`);
  assert(/up to its end/.test(await page.locator('[data-range]').innerText()), await page.locator('[data-range]').innerText());
  equal(await page.locator('.tb:not(.two) .warn').count(), 0, 'warnings over the map');
  const off = page.getByRole('group', { name: 'Samples', exact: true }).getByRole('button', { name: 'Off-CPU' });
  await off.click();
  await until('the page to tell of waits', async () => /blocked/.test(await page.locator('.tb.two').innerText()), 20000).catch(async (e) => { throw new Error(`${e.message}: ${await page.locator('.profile').innerText()}`); });
  await context.close();
});

await t.run();
