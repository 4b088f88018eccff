#!/usr/bin/env node
// What a client may do to the agent by asking for absurd things, by not reading and by going away.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import { after, before, test } from 'node:test';
import { connect, request, startAgent } from './client.mjs';
import { rangeRequest } from './schema.mjs';

let agent;
before(async () => { agent = await startAgent(); });
after(async () => { await agent?.stop(); });

const answer = async (c) => {
  let m;
  do m = await c.stream.next(); while (m && !m.range && !m.error);
  return m;
};
const load = [{ metric: 'kernel.all.load', instance: '' }];

test('a range over all of time is answered', async () => {
  const c = await connect(agent);
  const ask = (fromUs, toUs, points) => {
    c.stream.send(rangeRequest({ req: 1, series: load, fromUs, toUs, points }));
    return answer(c);
  };

  for (let held = 0; !held;) held = (await ask(1n, 2n ** 62n, 1)).range?.series[0]?.count[0];
  // Times are signed: before 0 lies what an earlier boot recorded.
  const least = -(2n ** 63n), most = 2n ** 63n - 1n;
  for (const [fromUs, toUs] of [[0n, most], [1n, most], [least, most], [least, 0n], [most - 1n, most], [5n, 5n], [most, least]])
    for (const points of [1, 3, 10000]) {
      const m = await ask(fromUs, toUs, points);
      assert.ok(m, `the agent went away: ${fromUs} ${toUs} ${points}`);
      if (fromUs >= toUs) assert.equal(m.error.code, 400);
      else if (fromUs < 2n && toUs === most) assert.equal(m.range.series[0].gap.length, 1, `${fromUs} ${toUs} ${points}`);
      else assert.ok(m.range.series.every((s) => s.gap.length === 0), `${fromUs} ${toUs} ${points}`);
    }
  c.stream.close();
});

test('without a free descriptor the agent waits, and answers when there is one again', async () => {
  const limit = (n) => execFileSync('prlimit', ['--pid', String(agent.pid), `--nofile=${n}:`]);
  const cpuTicks = () => {
    const f = fs.readFileSync(`/proc/${agent.pid}/task/${agent.pid}/stat`, 'latin1').replace(/.*\) /, '').split(' ');
    return Number(f[11]) + Number(f[12]);
  };
  const before = execFileSync('prlimit', ['--pid', String(agent.pid), '--nofile', '-o', 'SOFT', '--noheadings']).toString().trim();

  limit(8);
  const idle = Array.from({ length: 20 }, () => net.connect(agent.address).on('error', () => {}));
  await new Promise((resolve) => setTimeout(resolve, 300));
  const begin = cpuTicks();
  await new Promise((resolve) => setTimeout(resolve, 1500)); // the time over which it must not spin
  const used = cpuTicks() - begin;
  limit(before);
  for (const s of idle) s.destroy();
  assert.ok(used < 30, `${used * 10} ms of CPU in 1.5 s`);
  assert.equal((await request(agent, '/healthz')).status, 200);
});

test('more connections than there are places are closed, and the places come back', async () => {
  const places = 1024, more = 100;
  let closed = 0;
  const idle = [];
  while (idle.length < places + more) { // few at a time: the queue of the listening socket is short
    const s = net.connect(agent.address).on('error', () => {}).on('data', () => {}).on('close', () => closed++);
    idle.push(s);
    if (idle.length % 16 === 0) await new Promise((resolve) => s.once('connect', resolve));
  }
  while (closed < more) await new Promise((resolve) => setTimeout(resolve, 20));
  assert.ok(closed < 2 * more, `${closed} were closed`);
  for (const s of idle) s.destroy();
  for (let status = 0; status !== 200;) status = await request(agent, '/healthz').then((r) => r.status, () => 0);
});

test('an agent on another loopback address answers there', async () => {
  const own = await startAgent({ listen: '127.0.0.2:0' });
  own.address.host = '127.0.0.2';
  const head = { Host: `127.0.0.2:${own.port}` };
  assert.equal((await request(own, '/api/v1/status', { head })).status, 200);
  assert.equal((await request(own, '/api/v1/status', { head: { ...head, Origin: `http://127.0.0.2:${own.port}` } })).status, 200);
  await own.stop();
});

test('what clients send wrong is not written to the log of the host', async () => {
  const before = agent.stderr();
  for (let i = 0; i < 20; i++) await request(agent, '/', { head: { X: 'a'.repeat(20000) } }).catch(() => {});
  for (const bytes of ['\x16\x03\x01\x02\x00\x01\x00', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'GET /%00 HTTP/1.1\r\n\r\n'])
    await new Promise((resolve) => net.connect(agent.address).on('close', resolve).on('error', () => {}).resume().end(bytes));
  assert.equal((await request(agent, '/healthz')).status, 200);
  assert.doesNotMatch(agent.stderr().slice(before.length), /libwebsockets/);
});
