#!/usr/bin/env node
// A capture as a stranger's client sees it: said in Hello, time stands still, every tick there, damage a Gap that
// the stream goes on behind; and the file as HTTP hands it out.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { binary, connect, follow, request, startAgent } from './client.mjs';
import { ping, subscribe } from './schema.mjs';

let dir, file;
before(() => {
  dir = fs.mkdtempSync('/tmp/strobe-capture-');
  file = path.join(dir, 'x.strobe');
  execFileSync(binary, ['record', '-o', file, '--rate', '100', '--for', '7s', '--collectors', 'cpu,load'], { stdio: 'ignore' });
});
after(() => { fs.rmSync(dir, { recursive: true, force: true }); });

const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms).unref(); });
const all = (c) => c.model.catalog.groups.map((g) => ({ group: g.id }));
const serve = (f) => startAgent({ verb: 'open', args: [f] });

// Sections of a capture: [type, where its payload begins, how long it is].
function sections(b) {
  const list = [];
  for (let at = 16; at + 24 <= b.length; at += 24 + b.readUInt32LE(at + 8)) list.push([b.readUInt32LE(at), at + 24, b.readUInt32LE(at + 8)]);
  return list;
}

async function ticksOf(f) {
  const agent = await serve(f), c = await connect(agent);
  c.stream.send(subscribe({ groups: all(c), windowUs: 300000000 }));
  // Until nothing more comes: a Ping's answer overtakes nothing, so the second one ends it.
  let pongs = 0;
  for (let n = 0; pongs < 3;) {
    if (n === pongs) { c.stream.send(ping(++n)); await new Promise((r) => setTimeout(r, 200)); }
    const m = await c.stream.next();
    c.model.apply(m);
    if (m.pong) { pongs++; c.pong = m.pong; }
  }
  c.stream.close();
  await agent.stop();
  return c;
}

test('Hello names it, now is its end and does not move, the window has every tick', async () => {
  const c = await ticksOf(file), ticks = c.model.ticks;
  assert.equal(c.hello.capture, true);
  assert.equal(c.hello.capture_name, 'x.strobe');
  assert.equal(c.hello.rate_hz, 100);
  assert.equal(c.pong.now_us, c.hello.now_us);
  assert.ok(c.hello.now_us >= ticks.at(-1).mono_us && c.hello.now_us < ticks.at(-1).mono_us + 50000);
  assert.ok(ticks.length > 600 && ticks.length <= 702, `${ticks.length} ticks of 7 s at 100 Hz`);
  assert.equal(c.model.gaps.length, 0);
  assert.equal(c.model.resets, c.model.catalog.groups.length);
});

test('a damaged section is a Gap, and the stream goes on behind it', async () => {
  const b = fs.readFileSync(file), frames = sections(b).filter(([type]) => type === 4), whole = await ticksOf(file);
  assert.ok(frames.length >= 7, `${frames.length} sections`);
  const [, at, len] = frames[2], bad = Buffer.from(b), f = path.join(dir, 'bad.strobe');
  bad[at + (len >> 1)] ^= 0x10;
  fs.writeFileSync(f, bad);
  const c = await ticksOf(f), have = new Set(whole.model.ticks.map((t) => t.tick));
  assert.equal(c.model.gaps.length, 1);
  assert.ok(c.model.ticks.every((t) => have.has(t.tick)));
  assert.ok(c.model.ticks.length < whole.model.ticks.length && c.model.ticks.at(-1).tick === whole.model.ticks.at(-1).tick);
  for (const [id, g] of whole.model.groups) assert.deepEqual([...c.model.groups.get(id).values].sort(), [...g.values].sort(), 'values at the end');
});

test('HTTP: chunked, a name for the file, whole; refused without the token', async () => {
  const agent = await serve(file);
  const r = await request(agent, '/api/v1/capture');
  assert.equal(r.status, 200);
  assert.equal(r.headers['transfer-encoding'], 'chunked');
  assert.match(r.headers['content-disposition'], /^attachment; filename="strobe-[\w.-]+-\d{8}T\d{6}Z\.strobe"$/);
  assert.ok(r.body.toString('latin1').endsWith('\r\n0\r\n\r\n'));
  assert.equal((await request(agent, '/api/v1/capture', { auth: false })).status, 401);
  assert.equal((await request(agent, '/api/v1/capture', { method: 'POST' })).status, 405);
  assert.equal((await request(agent, '/api/v1/capture', { method: 'HEAD' })).body.length, 0);
  for (const [query, status] of [['from=now&to=-5s', 400], ['from=tomorrow', 400], ['x=1', 400], ['from_seq=0', 400], ['from_seq=999999', 404], ['to=-1h', 404]]) {
    const e = await request(agent, `/api/v1/capture?${query}`);
    assert.equal(e.status, status, query);
    assert.ok(JSON.parse(e.body).error, query);
  }
  await agent.stop();
});

test('a capture of a running agent ends, though stacks come all the time', async () => {
  const agent = await startAgent({ args: ['--collectors', 'load', '--profile-hz', '499'] }), busy = spawn('sh', ['-c', 'while :; do :; done']);
  try {
    await sleep(1200);
    for (const query of ['', '?from=-1m', '?from=-24h&to=now']) {
      const r = await Promise.race([request(agent, `/api/v1/capture${query}`), sleep(20000).then(() => assert.fail(`${query}: it does not end`))]);
      assert.equal(r.status, 200);
      assert.ok(r.body.toString('latin1').endsWith('\r\n0\r\n\r\n'), query);
    }
  } finally {
    busy.kill('SIGKILL');
    await agent.stop();
  }
});

test('more captures at once than are sent wait their turn or hear 429; one that goes away frees its place', async () => {
  const agent = await serve(file);
  const answers = await Promise.all(Array.from({ length: 30 }, () => request(agent, '/api/v1/capture')));
  assert.ok(answers.every((a) => a.status === 200 || a.status === 429), answers.map((a) => a.status).join());
  assert.ok(answers.some((a) => a.status === 200));
  assert.equal((await request(agent, '/api/v1/capture')).status, 200);
  await agent.stop();
});
