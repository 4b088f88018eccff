#!/usr/bin/env node
// The page against its budgets: weight, first sample painted, sample -> paint, CPU of the whole browser.
// The browser rasters in software, the dearest case.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { chromium, onEnd, openPage, sleep, startAgent } from '../e2e/lib.mjs';

const result = (name, value, unit, budget = '-') =>
  console.log(`bench ${name} ${value} ${unit} budget ${budget} ${budget === '-' ? 'info' : value <= budget ? 'pass' : 'fail'}`);
const quantile = (list, q) => [...list].sort((a, b) => a - b)[Math.min(list.length - 1, Math.floor(list.length * q))];
const live = (page) => page.waitForFunction(() => document.documentElement.dataset.mode === 'live', null, { timeout: 20000 });

/** CPU of a process and all its descendants so far, in seconds. */
function treeCpu(root) {
  const parent = new Map(execFileSync('ps', ['-e', '-o', 'pid=,ppid=']).toString().trim().split('\n')
    .map((l) => l.trim().split(/\s+/).map(Number)));
  let ns = 0;
  for (const [pid] of parent) {
    let p = pid;
    while (p && p !== root) p = parent.get(p);
    if (p !== root) continue;
    try {
      for (const tid of execFileSync('ls', [`/proc/${pid}/task`]).toString().trim().split('\n'))
        ns += Number(readFileSync(`/proc/${pid}/task/${tid}/schedstat`, 'utf8').split(' ')[0]);
    } catch { /* ended meanwhile */ }
  }
  return ns / 1e9;
}

const agent = await startAgent();
await sleep(35000); // so that a 30 s window is full

const firsts = [];
let weight = 0;
for (let i = 0; i < 5; i++) {
  const { page, context } = await openPage(agent.url);
  await page.waitForFunction(() => performance.getEntriesByName('strobe:first-sample').length > 0, null, { timeout: 20000 });
  const r = await page.evaluate(() => ({
    at: performance.getEntriesByName('strobe:first-sample')[0].startTime,
    bytes: performance.getEntriesByType('resource').concat(performance.getEntriesByType('navigation'))
      .filter((e) => e.startTime < performance.getEntriesByName('strobe:first-sample')[0].startTime)
      .reduce((n, e) => n + e.encodedBodySize, 0),
  }));
  firsts.push(r.at);
  weight = Math.max(weight, r.bytes);
  await context.close();
}
result('page_kib_gz', Number((weight / 1024).toFixed(1)), 'KiB', 107.4); // 110 kB
result('first_sample_ms', Math.round(quantile(firsts, 0.5)), 'ms', 500);

const { page, context } = await openPage(agent.url);
await live(page);
await sleep(5000);
await page.evaluate(() => {
  globalThis.painted = [];
  document.addEventListener('strobe:painted', (e) => globalThis.painted.push((e.detail.now - e.detail.tick) / 1000));
  document.documentElement.dataset.trace = '1';
});
await sleep(20000);
const lag = await page.evaluate(() => {
  delete document.documentElement.dataset.trace;
  return globalThis.painted;
});
result('sample_to_paint_ms_p50', Number(quantile(lag, 0.5).toFixed(1)), 'ms', 50);
result('sample_to_paint_ms_p99', Number(quantile(lag, 0.99).toFixed(1)), 'ms', 120);
console.log(`# ${lag.length} draws in 20 s`);

const browser = await chromium();
const name = (p) => {
  try {
    return readFileSync(`/proc/${p}/cmdline`, 'utf8').split('\0')[0];
  } catch {
    return ''; // the ps itself, for one
  }
};
const pid = Number(execFileSync('ps', ['-o', 'pid=', '--ppid', String(process.pid)]).toString().trim().split('\n')
  .map((s) => s.trim()).find((p) => /chrom/.test(name(p))));
const perMinute = [];
for (let i = 0; i < 3; i++) {
  const c = treeCpu(pid), at = performance.now();
  await sleep(10000);
  perMinute.push(((treeCpu(pid) - c) / (performance.now() - at)) * 60000);
}
result('dashboard_cpu_s_per_min', Number(quantile(perMinute, 0.5).toFixed(1)), 's', 10);
await page.getByRole('button', { name: '5 min', exact: true }).click();
await sleep(4000);
const c = treeCpu(pid), at = performance.now();
await sleep(10000);
result('dashboard_5min_cpu_s_per_min', Number((((treeCpu(pid) - c) / (performance.now() - at)) * 60000).toFixed(1)), 's');
await context.close();
await browser.close();
await agent.stop();
process.exit(0);
