#!/usr/bin/env node
// Who gets in, seen from a browser: the token, two agents in one browser, a tunnel on another port,
// foreign pages, and what the page loads.
// run.sh: pair
import { createServer, connect } from 'node:net';
import { createServer as httpServer } from 'node:http';
import { assert, equal, onEnd, openPage, startAgent, tests, until } from './lib.mjs';

const t = tests();
const live = (page) => page.waitForFunction(() => document.documentElement.dataset.mode === 'live', null, { timeout: 15000 });

/** A tunnel as `ssh -L` makes it: another port of this machine, the same bytes. */
export async function tunnel(port) {
  const server = createServer((a) => {
    const b = connect(port, '127.0.0.1');
    a.pipe(b).pipe(a);
    a.on('error', () => b.destroy());
    b.on('error', () => a.destroy());
  });
  await new Promise((r) => server.listen(0, '127.0.0.1', r));
  onEnd(() => server.close());
  return server.address().port;
}

t('the page runs, the token leaves the address, nothing foreign is asked', async () => {
  const agent = await startAgent();
  const { page, context, seen, violations } = await openPage(agent.url);
  await live(page);
  assert(!page.url().includes(agent.token), `the token is still in the address: ${page.url()}`);
  equal((await context.cookies()).length, 0, 'cookies');
  await page.waitForTimeout(1500);
  equal(JSON.stringify(await violations()), '[]', 'CSP violations');
  equal(JSON.stringify(seen.foreign), '[]', 'requests to other hosts');
  equal(JSON.stringify(seen.errors), '[]', 'console errors');
  for (const url of seen.requests) assert(!url.includes(agent.token), `the token is in a request's address: ${url}`);
  await page.reload();
  await live(page); // the token was kept for this tab
  await context.close();
});

t('without a token the page says how to get one', async () => {
  const agent = await startAgent();
  const { page, context } = await openPage(agent.base);
  await page.waitForFunction(() => document.documentElement.dataset.mode === 'denied', null, { timeout: 10000 });
  assert(/token/i.test(await page.locator('body').innerText()), 'the page does not speak of the token');
  await context.close();
});

t('a wrong token is refused and the page says so', async () => {
  const agent = await startAgent();
  const { page, context } = await openPage(`${agent.base}#token=0123456789abcdef0123456789abcdef`);
  await page.waitForFunction(() => document.documentElement.dataset.mode === 'denied', null, { timeout: 10000 });
  await context.close();
});

t('two agents in one browser keep their tokens apart', async () => {
  const a = await startAgent();
  const b = await startAgent();
  const { page, context } = await openPage(a.url);
  await live(page);
  const other = await context.newPage();
  await other.goto(b.url);
  await live(other);
  await page.reload();
  await live(page);
  await other.reload();
  await live(other);
  const mixed = await context.newPage();
  await mixed.goto(`${a.base}#token=${b.token}`);
  await mixed.waitForFunction(() => document.documentElement.dataset.mode === 'denied', null, { timeout: 10000 });
  await context.close();
});

t('a tunnel on another port works', async () => {
  const agent = await startAgent();
  const port = await tunnel(agent.port);
  for (const host of ['127.0.0.1', 'localhost']) {
    const { page, context, seen } = await openPage(`http://${host}:${port}/#token=${agent.token}`);
    await live(page);
    equal(JSON.stringify(seen.errors), '[]', 'console errors');
    await context.close();
  }
});

t('another site gets nothing, even with the token', async () => {
  const agent = await startAgent();
  const site = httpServer((_, res) => res.setHeader('Content-Type', 'text/html').end('<!doctype html><title>elsewhere</title>'));
  await new Promise((r) => site.listen(0, '127.0.0.1', r));
  onEnd(() => site.close());
  const { page, context } = await openPage(`http://127.0.0.1:${site.address().port}/`);
  const got = await page.evaluate(async ([base, token]) => {
    const ws = await new Promise((r) => {
      const s = new WebSocket(base.replace('http', 'ws') + 'stream', ['strobe.v1', `bearer.${token}`]);
      s.onopen = () => r('open');
      s.onerror = () => r('refused');
    });
    const get = await fetch(`${base}api/v1/status`, { headers: { Authorization: `Bearer ${token}` } }).then(() => 'read', () => 'refused');
    return `${ws} ${get}`;
  }, [agent.base, agent.token]);
  equal(got, 'refused refused', 'WebSocket and fetch from another origin');
  await context.close();
});

t('a name that is rebound to loopback gets nothing', async () => {
  const agent = await startAgent();
  for (const host of ['evil.example', `evil.example:${agent.port}`, '10.0.0.1', '']) {
    const answer = await new Promise((resolve) => {
      const s = connect(agent.port, '127.0.0.1', () =>
        s.write(`GET /api/v1/status HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Bearer ${agent.token}\r\nConnection: close\r\n\r\n`));
      let data = '';
      s.on('data', (d) => (data += d));
      s.on('close', () => resolve(data));
      s.on('error', () => resolve(data));
    });
    assert(!answer.includes('boot_id'), `Host "${host}" was answered: ${answer.slice(0, 120)}`);
  }
  equal((await agent.get('api/v1/status')).status, 200, 'the agent afterwards');
  await until('healthz', async () => (await fetch(`${agent.base}healthz`)).ok);
});

await t.run();
