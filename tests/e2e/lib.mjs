// For the end-to-end tests: agents and browsers of their own, and a small sequential test runner.
//
//   const t = tests();
//   t('name', async () => { ... });
//   t.beside('name', async () => { ... });  // begins with the first and mostly waits: the others run meanwhile
//   await t.run();
//
// Every agent listens on a port that the kernel picks and keeps its files in a folder of its own;
// what a test started is stopped when the process ends, whatever happens.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const top = new URL('../../', import.meta.url).pathname;
const require = createRequire(join(top, 'ui/package.json'));
export const strobe = process.env.STROBE ?? join(top, 'build/strobe');
export const sleep = (ms) => new Promise((r) => setTimeout(r, ms));

const cleanups = [];
export const onEnd = (fn) => cleanups.push(fn);
async function cleanUp() {
  while (cleanups.length) await Promise.resolve(cleanups.pop()()).catch(() => {});
}
// Whatever ends this process, no agent outlives it.
const children = new Set();
process.on('exit', () => {
  for (const c of children) c.kill('SIGKILL');
});
process.on('SIGTERM', () => cleanUp().then(() => process.exit(1)));

export function scratch() {
  const dir = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'strobe-e2e-'));
  onEnd(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

/** Waits until fn() gives something truthy and returns it. */
export async function until(what, fn, ms = 10000) {
  const end = Date.now() + ms;
  for (;;) {
    const v = await fn();
    if (v) return v;
    if (Date.now() > end) throw new Error(`timed out after ${ms} ms waiting for ${what}`);
    await sleep(20);
  }
}

export function assert(ok, text) {
  if (!ok) throw new Error(text);
}
export function equal(got, want, text = 'value') {
  assert(got === want, `${text}: got ${JSON.stringify(got)}, want ${JSON.stringify(want)}`);
}
/** |got - want| within a share of want or an absolute step. */
export function near(got, want, share, step, text = 'value') {
  const ok = Math.abs(got - want) <= Math.max(Math.abs(want) * share, step);
  assert(ok, `${text}: got ${got}, want ${want} within ${share * 100} % or ${step}`);
}

/** A port that is free now: for an agent that is to be started again on the same one. */
export function freePort() {
  return new Promise((resolve) => {
    const s = createServer().listen(0, '127.0.0.1', () => {
      const { port } = s.address();
      s.close(() => resolve(port));
    });
  });
}

/** Starts an agent; resolves once it printed its URL. */
export async function startAgent({ args = [], dir = scratch(), port = 0, env = {} } = {}) {
  const child = spawn(strobe, ['run', '--listen', `127.0.0.1:${port}`, '--runtime-dir', dir, ...args], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let out = '';
  let err = '';
  child.stdout.on('data', (d) => (out += d));
  child.stderr.on('data', (d) => (err += d));
  let exited = false;
  children.add(child);
  const exit = new Promise((r) =>
    child.on('exit', (code, signal) => ((exited = true), children.delete(child), r(code ?? signal))));
  onEnd(async () => {
    if (!exited) {
      child.kill('SIGCONT');
      child.kill('SIGTERM');
      await Promise.race([exit, sleep(3000).then(() => child.kill('SIGKILL'))]);
    }
  });
  const url = await until('the agent to listen', () => {
    if (exited) throw new Error(`the agent ended: ${err}`);
    return /^strobe: listening on (\S+)/m.exec(out)?.[1];
  }, 30000);
  const [base, token] = url.split('#token=');
  const agent = {
    url, base, token, dir, child, exit,
    port: Number(new URL(base).port),
    pid: child.pid,
    stderr: () => err,
    signal: (s) => child.kill(s),
    async stop(signal = 'SIGTERM') {
      child.kill(signal);
      return exit;
    },
    async get(path, options = {}) {
      return fetch(base + path, { ...options, headers: { Authorization: `Bearer ${token}`, ...options.headers } });
    },
    async json(path) {
      const r = await agent.get(path);
      assert(r.ok, `GET ${path}: ${r.status} ${await r.clone().text()}`);
      return r.json();
    },
  };
  return agent;
}

let browser;
/** One headless Chromium for all tests of a file. */
export const chromium = () => (browser ??= launch());
async function launch() {
  const pw = require('playwright-core');
  const path = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((p) => existsSync(p));
  assert(path, 'no Chromium found: apt-get install chromium');
  const launched = await pw.chromium.launch({
    executablePath: path,
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync', '--force-color-profile=srgb'],
  });
  onEnd(() => launched.close());
  return launched;
}

/** A fresh profile with one page that records what must not happen: console errors, page errors, CSP
 *  violations, requests to another host. */
export async function openPage(url, { width = 1440, height = 760, theme = 'dark', ...more } = {}) {
  const context = await (await chromium()).newContext({ viewport: { width, height }, colorScheme: theme, ...more });
  const page = await context.newPage();
  const seen = { errors: [], foreign: [], requests: [] };
  const own = url && new URL(url).host;
  page.on('console', (m) => m.type() === 'error' && seen.errors.push(m.text()));
  page.on('pageerror', (e) => seen.errors.push(String(e)));
  page.on('request', (r) => {
    const u = new URL(r.url());
    seen.requests.push(r.url());
    if (own && u.host !== own && !['data:', 'blob:'].includes(u.protocol)) seen.foreign.push(r.url());
  });
  await page.addInitScript(() => {
    globalThis.cspViolations = [];
    document.addEventListener('securitypolicyviolation', (e) =>
      globalThis.cspViolations.push(`${e.violatedDirective} ${e.blockedURI} ${e.sourceFile}:${e.lineNumber}`));
  });
  if (url) await page.goto(url);
  return { page, context, seen, violations: () => page.evaluate(() => globalThis.cspViolations) };
}

/** CPU of a process so far, in microseconds (schedstat counts ns). */
export function cpuUs(pid) {
  return Number(readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ')[0]) / 1000;
}

export function axeSource() {
  return readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
}

export function tests() {
  const list = [];
  const t = (name, fn) => list.push({ name, fn });
  t.beside = (name, fn) => list.push({ name, fn, beside: true });
  t.run = async () => {
    let passed = 0;
    let failed = 0;
    const run = async ({ name, fn }) => {
      const start = Date.now();
      try {
        await fn();
        passed++;
        console.log(`ok      ${name} (${Date.now() - start} ms)`);
      } catch (e) {
        failed++;
        console.log(`FAILED  ${name}\n        ${e.stack ?? e}`);
      }
    };
    const only = process.argv[2];
    const wanted = list.filter(({ name }) => !only || name.includes(only));
    const beside = wanted.filter((x) => x.beside).map(run);
    for (const x of wanted) if (!x.beside) await run(x);
    await Promise.all(beside);
    await cleanUp();
    console.log(`${passed} passed, ${failed} failed`);
    process.exit(failed ? 1 : 0);
  };
  return t;
}
