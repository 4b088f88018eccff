#!/usr/bin/env node
// Frames of a program whose functions are known: source lines with what was inlined, elided against what ran before, all
// that a frame's menu does, the sandwich, the flame chart, why its threads wait, and who it is in the drawer.
import { execFileSync, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { assert, equal, onEnd, openPage, scratch, sleep, startAgent, tests, until } from './lib.mjs';
import { dragMap, GRAPH, mode, openProfile, samples, settled } from './profile_lib.mjs';

const t = tests();
const SOURCE = `#include <pthread.h>
#include <signal.h>
#include <unistd.h>
static volatile sig_atomic_t after;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static volatile unsigned sink;
static void turn(int s) { (void)s; after = 1; }
static inline __attribute__((always_inline)) unsigned mix_inlined(unsigned x)
{
	sink = x; /* the first instruction of whoever calls it */
	for (unsigned i = 1; i < 40000; i++)
		x = x * 2654435761u + (x >> 13) + sink;
	return x;
}
__attribute__((noinline)) unsigned hot_now(unsigned x) { return mix_inlined(x); }
__attribute__((noinline)) unsigned only_before(unsigned x) { return mix_inlined(x ^ 5); }
__attribute__((noinline)) unsigned step_down(unsigned n)
{
	unsigned x = n ? step_down(n - 1) : after ? hot_now(n) : only_before(n);
	sink += x;
	return x + 1;
}
static void *waiter(void *p)
{
	for (;;) {
		pthread_mutex_lock(&lock);
		usleep(40000);
		pthread_mutex_unlock(&lock);
		usleep(1000);
	}
	return p;
}
int main(void)
{
	pthread_t a, b;
	signal(SIGUSR1, turn);
	pthread_create(&a, 0, waiter, 0);
	pthread_create(&b, 0, waiter, 0);
	for (;;)
		sink += step_down(5);
}
`;
const dir = scratch();
writeFileSync(join(dir, 'frames.c'), SOURCE);
execFileSync('gcc', ['-g', '-O2', '-fno-optimize-sibling-calls', '-pthread', '-o', 'frames_prog', 'frames.c'], { cwd: dir });
const agent = await startAgent();
const prog = spawn(join(dir, 'frames_prog'), { stdio: 'ignore' });
onEnd(() => prog.kill('SIGKILL'));
const began = Date.now();
let turned = 0;

/** From now on it runs hot_now, not only_before. */
async function turn() {
  if (turned) return;
  await sleep(Math.max(0, began + 8000 - Date.now()));
  turned = Date.now();
  prog.kill('SIGUSR1');
  await sleep(6000);
}

/** The page of the program alone, with its last seconds selected. */
async function page(more = {}, { from = 5, to = 2 } = {}) {
  const hash = `&p=${encodeURIComponent(`pid=${prog.pid}&name=frames_prog`)}`;
  await turn();
  const o = await openProfile(agent, hash, { permissions: ['clipboard-read', 'clipboard-write'], ...more });
  await o.page.waitForSelector('[data-chip="pid"]');
  await dragMap(o.page, from, to);
  await mode(o.page, 'range');
  await settled(o.page);
  await until('samples', async () => (await samples(o.page)) > 0);
  return o;
}

/** Selects a frame by the keyboard: walks in from the root to the first with that name. */
async function walkTo(page, name) {
  await page.locator(GRAPH).first().focus();
  await page.keyboard.press('Home');
  for (let i = 0; i < 40; i++) {
    if ((await page.locator('[data-details] b').first().innerText()) === name) return;
    await page.keyboard.press('ArrowUp');
  }
  throw new Error(`no frame ${name} on the heaviest path`);
}

/** A choice of the menu of the selected frame. */
async function choose(page, label) {
  await page.keyboard.press('Shift+F10');
  await page.getByRole('menu').getByText(label, { exact: true }).click();
}

/** Names in the table of functions; `ran`: of those that ran in the range, not only in its baseline. */
async function functions(page, ran = false) {
  await page.getByRole('tab', { name: 'Table' }).click();
  await page.waitForSelector('[data-table="functions"]');
  const names = await page.locator('[data-table="functions"] tbody tr').evaluateAll((rows, all) =>
    rows.filter((r) => all || r.cells[2].innerText !== '0').map((r) => r.querySelector('.name').innerText), !ran);
  await page.getByRole('tab', { name: 'Flame', exact: true }).click();
  await page.waitForSelector(`${GRAPH}[data-frames]`);
  return names;
}

t('elided shows what the range has lost, differential what it has gained', async () => {
  const { page: p, context, seen } = await page();
  await until('only what runs now', async () => {
    const now = await functions(p, true);
    return now.includes('hot_now') && !now.includes('only_before');
  });
  // The map stands still since the drag: seconds before its right edge.
  const ago = Date.now() - turned;
  await dragMap(p, Math.ceil(ago / 1000) + 5, Math.ceil(ago / 1000) + 2, { key: 'Control' });
  await until('the baseline', async () => !/preceding/.test(await p.locator('[data-against]').innerText()));
  await settled(p);
  await p.locator('[data-against]').click();
  await p.getByRole('menu').getByText(/^Elided/).click();
  await p.waitForFunction(() => /elided/.test(decodeURIComponent(location.hash)));
  await settled(p);
  const lost = await until('the elided frames', async () => {
    const names = await functions(p);
    return names.includes('only_before') && names;
  });
  assert(!lost.includes('hot_now'), `elided: ${lost}`);
  equal(JSON.stringify(seen.errors), '[]', 'console errors');
  if (process.env.SHOT) await p.screenshot({ path: `${process.env.SHOT}-elided.png` });
  await context.close();
});

t('a clicked frame says its line and what was inlined into it', async () => {
  const { page: p, context } = await page();
  await walkTo(p, 'hot_now');
  const source = await until('the source', () => p.locator('[data-details] .src').innerText().catch(() => ''), 15000);
  assert(/frames\.c:\d+/.test(source), `source: ${source}`);
  if (process.env.SHOT) await p.screenshot({ path: `${process.env.SHOT}-lines.png` });
  const at = (what) => SOURCE.split('\n').findIndex((l) => l.includes(what)) + 1;
  // Where it was sampled is the loop that is inlined, not the store that it begins with.
  const [, inner, outer] = /^sampled at mix_inlined \S*frames\.c:(\d+) \(inlined\) ← \S*frames\.c:(\d+)/.exec(source) ?? [];
  const loop = [at('unsigned i = 1'), at('x * 2654435761u')];
  assert(loop.includes(Number(inner)), `sampled in line ${inner}, not in ${loop}: ${source}`);
  equal(Number(outer), at('unsigned hot_now'), 'the line of the inlined call');
  assert(source.endsWith(`frames.c:${at('unsigned hot_now')}`) && / · begins at /.test(source), `where it begins: ${source}`);
  await context.close();
});

t('the menu of a frame: hide, focus, drop, collapse recursion, merge by module, copy, search', async () => {
  const { page: p, context } = await page();
  const edits = () => p.locator('[data-edits]');
  const undo = async () => {
    await p.locator('[data-edits] .chip').first().click();
    await edits().waitFor({ state: 'detached' });
  };
  await walkTo(p, 'step_down');
  await choose(p, 'Hide frame, keep its callees');
  await edits().getByText('without step_down').waitFor();
  let names = await functions(p);
  assert(names.includes('hot_now') && !names.includes('step_down'), `hidden: ${names}`);
  await undo();

  await walkTo(p, 'hot_now');
  await choose(p, 'Only from this frame on');
  await edits().getByText('only hot_now').waitFor();
  names = await functions(p);
  assert(names.includes('hot_now') && !names.includes('main'), `focus: ${names}`);
  await undo();

  await walkTo(p, 'hot_now');
  await choose(p, 'Hide stacks with it');
  await edits().getByText('no stacks with hot_now').waitFor();
  names = await functions(p).catch(() => []);
  assert(!names.includes('hot_now'), `dropped: ${names}`);
  await undo();

  const chain = () => p.locator(GRAPH).first().evaluate((c) => Number(c.dataset.frames));
  await walkTo(p, 'step_down');
  const before = await chain();
  await choose(p, 'Collapse recursion');
  await edits().getByText('recursion collapsed').waitFor();
  await until('fewer frames', async () => (await chain()) < before);
  await undo();

  await walkTo(p, 'hot_now');
  await choose(p, 'Merge by module');
  await edits().getByText('merged by module').waitFor();
  names = await functions(p);
  assert(names.includes('frames_prog') && !names.includes('hot_now'), `modules: ${names}`);
  await p.waitForFunction(() => /modules/.test(decodeURIComponent(location.hash)));
  await undo();

  await walkTo(p, 'hot_now');
  await choose(p, 'Copy stack');
  const stack = (await p.evaluate(() => navigator.clipboard.readText())).split('\n');
  assert(stack[0] === 'hot_now (frames_prog)' && stack.some((l) => l.startsWith('main (')), `stack: ${stack}`);
  await walkTo(p, 'hot_now');
  await choose(p, 'Search this name');
  const share = await until('the share', () => p.locator('[data-share]').innerText());
  assert(/%/.test(share), `share: ${share}`);
  await p.waitForFunction(() => /q=/.test(decodeURIComponent(location.hash)));
  await context.close();
});

t('the sandwich has the function once, its callers above and its callees below', async () => {
  const { page: p, context } = await page();
  await walkTo(p, 'step_down');
  await choose(p, 'Callers and callees');
  const centre = p.locator('[data-centre]');
  await centre.waitFor();
  assert(/step_down/.test(await centre.innerText()), `centre: ${await centre.innerText()}`);
  equal(await centre.count(), 1, 'rows of the function');
  equal(await p.locator(GRAPH).count(), 2, 'halves');
  const frames = await p.locator(GRAPH).evaluateAll((all) => all.map((c) => Number(c.dataset.frames)));
  assert(frames[0] >= 2 && frames[1] >= 1, `frames of the halves: ${frames}`);
  await context.close();
});

t('the flame chart joins samples of a busy thread, zooms by wheel, drag and keys, and knows whose it is', async () => {
  const { page: p, context } = await page();
  await p.getByRole('tab', { name: 'Flame chart' }).click();
  const chart = p.locator(GRAPH);
  await until('boxes', async () => Number(await chart.getAttribute('data-frames')) > 3);
  const n = await samples(p);
  assert(Number(await chart.getAttribute('data-frames')) < n * 4, 'samples are not joined');
  const span = async () => Number(await chart.getAttribute('data-span'));
  const whole = await span();
  const box = await chart.boundingBox();
  await p.mouse.move(box.x + 400, box.y + 10);
  await p.mouse.wheel(0, -400);
  await until('the zoom by the wheel', async () => (await span()) < whole);
  await p.mouse.dblclick(box.x + 400, box.y + box.height - 8);
  await until('the whole', async () => (await span()) === whole);
  await p.mouse.move(box.x + 300, box.y + box.height - 8);
  await p.mouse.down();
  await p.mouse.move(box.x + 500, box.y + box.height - 8, { steps: 4 });
  await p.mouse.up();
  await until('the zoom by a drag', async () => Math.abs((await span()) / whole - 200 / box.width) < 0.03);
  await p.getByRole('button', { name: 'Whole range' }).waitFor();
  await chart.focus();
  await p.keyboard.press('Escape');
  await until('the whole by Escape', async () => (await span()) === whole);
  await p.keyboard.press('+');
  await until('the zoom by a key', async () => (await span()) < whole);
  let x = 0;
  const said = await until('the details', async () => {
    x = (x + 37) % (box.width - 4);
    await p.mouse.move(box.x + x, box.y + 48);
    const text = await p.locator('[data-details]').innerText();
    return /from/.test(text) && text;
  });
  assert(/samples/.test(said), `details: ${said}`);
  await context.close();
});

t('off the CPU: waits by class, idle ones left out and said so, several classes at once', async () => {
  const { page: p, context } = await page();
  await p.getByRole('group', { name: 'Samples' }).getByRole('button', { name: 'Off-CPU' }).click();
  const bar = p.locator('[data-waits]');
  await bar.waitFor();
  const seconds = async (c) => (await p.locator(`[data-class="${c}"] b`).innerText()).trim();
  await until('how long in locks', async () => !/–/.test(await seconds('lock')), 20000);
  await until('how long asleep', async () => !/–/.test(await seconds('sleep')), 20000);
  const pressed = async (c) => p.locator(`[data-class="${c}"]`).getAttribute('aria-pressed');
  equal(await pressed('lock'), 'true', 'lock is shown');
  equal(await pressed('sleep'), 'false', 'sleep is shown');
  assert(/left out/.test(await p.locator('[data-left-out]').innerText()), 'nothing says what is left out');
  assert(/^\d[\d,.]* (ms|s)$/.test(await seconds('lock')), `lock: ${await seconds('lock')}`);
  await p.locator('[data-class="sleep"]').click();
  await p.locator('[data-class="other"]').click();
  await p.waitForFunction(() => /class=30/.test(decodeURIComponent(location.hash)));
  equal(await pressed('sleep'), 'true', 'sleep is not shown');
  await p.locator('[data-class="run queue"]').click();
  equal(await p.locator('[aria-label="Samples"] [aria-pressed="true"]').innerText(), 'Run queue', 'kind');
  await context.close();
});

t('the drawer tells of a range by process, thread and cgroup; each has its flame graph', async () => {
  const { page: p, context } = await openPage(agent.url);
  await mode(p, 'live');
  await sleep(3500);
  const words = await until('the profiler in the header', () => p.locator('[data-profiler]').innerText().catch(() => ''));
  assert(/\d+ Hz/.test(words), `header: ${words}`);
  const box = await p.locator('[data-panel="psi.some"], [data-panel="pressure"], [data-panel="cpu.switches"]').first().boundingBox();
  const y = box.y + box.height * 0.6;
  await p.mouse.move(box.x + box.width - 50, y);
  await p.mouse.down();
  await p.mouse.move(box.x + box.width - 20, y, { steps: 4 });
  await p.mouse.up();
  await p.waitForSelector(`[data-drawer] ${GRAPH}[data-painted]`);
  const table = p.locator('table[data-table="range-processes"]');
  const row = (key) => table.locator(`tr[data-pid="${key}"]`);
  await row(prog.pid).waitFor();
  const all = await samples(p);
  await p.getByRole('group', { name: 'Samples of' }).getByRole('button', { name: 'Threads' }).click();
  await row(`${prog.pid}/${prog.pid}`).waitFor();
  await row(`${prog.pid}/${prog.pid}`).locator('.name').click();
  await until('the thread alone', async () => {
    const n = await samples(p);
    return n > 0 && n < all;
  });
  await p.waitForFunction(() => ['tid=', 'who=thread'].every((s) => decodeURIComponent(decodeURIComponent(location.hash)).includes(s)));
  assert((await table.locator('tbody tr').count()) > 1, 'the others are gone');
  await p.getByRole('group', { name: 'Samples of' }).getByRole('button', { name: 'cgroups' }).click();
  await table.locator('tbody tr').first().waitFor();
  await context.close();
});

await t.run();
