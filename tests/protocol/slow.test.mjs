#!/usr/bin/env node
// A client that does not read: it is moved to a coarser level and told so, loses no tick, and comes
// back; one that never reads again is let go. Nobody else notices.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, before, test } from 'node:test';
import { connect, follow, getJson, request, startAgent } from './client.mjs';
import { rangeRequest, subscribe } from './schema.mjs';

let agent;
before(async () => { agent = await startAgent({ args: ['--rate', '100', '--cpu-budget', '60'] }); });
after(async () => { await agent?.stop(); });

const all = (c) => c.model.catalog.groups.map((g) => ({ group: g.id }));
const newest = (c) => c.model.ticks.at(-1)?.tick ?? 0;
const slowClients = (c) => c.model.groups.size ? Number(c.model.value('strobe', 'strobe.client.slow') ?? 0n) : 0;
const clients = (c) => (c.model.groups.size ? Number(c.model.value('strobe', 'strobe.client.count') ?? 99n) : 99);

async function stall(c, control, done) {
  c.stream.socket.pause();
  await follow(control, done);
  c.stream.socket.resume();
}

// A test of this file takes ten to thirty seconds; one that waits for what does not come ends in words.
const limit = { timeout: 120000 };

test('a client that stops reading gets a coarser level, keeps lo and hi, and comes back', limit, async () => {
  const control = await connect(agent), c = await connect(agent);
  control.stream.send(subscribe({ groups: all(control) }));
  c.stream.send(subscribe({ groups: all(c) }));
  await follow(c, () => c.model.ticks.length >= 50);
  await stall(c, control, () => slowClients(control) > 0 || clients(control) < 2);
  await follow(c, () => c.model.levels.length > 0);
  assert.ok(c.model.levels[0].ticks > 1);
  assert.equal(c.model.levels[0].reason, 2);
  await follow(c, () => c.model.levels.at(-1).ticks === 1 || clients(control) < 2);
  assert.equal(c.model.levels.at(-1).reason, 1);
  const at = newest(c) + 20;
  await follow(c, () => newest(c) >= at);
  await follow(control, () => newest(control) >= newest(c));
  while (newest(c) !== newest(control)) (newest(c) < newest(control) ? c : control).model.apply(await (newest(c) < newest(control) ? c : control).stream.next());
  for (const [id, g] of control.model.groups)
    assert.deepEqual([...c.model.groups.get(id).values].sort((x, y) => x[0] - y[0]), [...g.values].sort((x, y) => x[0] - y[0]), `group ${id}`);
  // Nothing is missing in between: every tick lies in exactly one interval.
  const taken = new Set(control.model.ticks.map((t) => t.tick)); // a loaded machine misses some
  let last = c.model.ticks[0].tick;
  for (const t of c.model.ticks.slice(1)) {
    const missed = Array.from({ length: t.tick - last }, (_, i) => last + 1 + i).some((n) => !taken.has(n));
    assert.ok([1, 2, 5, 10, 50].includes(t.tick - last) || missed, `tick ${last} then ${t.tick}`);
    last = t.tick;
  }
  assert.ok(control.model.ticks.every((t, i) => !i || t.tick === control.model.ticks[i - 1].tick + 1 || t.tick > control.model.ticks[i - 1].tick));
  c.stream.close();
  control.stream.close();
});

test('a client whose line is too thin for the backlog catches up at a coarser level', limit, async (t) => {
  // A unix socket holds a fixed amount on the way; a TCP receiver's buffer grows as it likes.
  const dir = fs.mkdtempSync('/dev/shm/strobe-slow-');
  const local = await startAgent({ listen: `unix:${dir}/s`, args: ['--rate', '100', '--cpu-budget', '60'] });
  t.after(async () => { await local.stop(); fs.rmSync(dir, { recursive: true }); });
  const control = await connect(local), c = await connect(local);
  control.stream.send(subscribe({ groups: all(control) }));
  // What a tick weighs is measured after the rows and attributes that a subscription begins with.
  await follow(control, () => control.model.ticks.length > 200);
  const bytes = control.stream.bytes, ticks = control.model.ticks.length;
  await follow(control, () => control.model.ticks.length > ticks + 200);
  const live = (control.stream.bytes - bytes) / (control.model.ticks.length - ticks) * 100; // a second
  const onData = c.stream.onData.bind(c.stream), begun = Date.now();
  c.stream.onData = (d) => {
    // Half of what is recorded in a second, less once that has not told.
    const rate = live * (Date.now() - begun < 30000 ? 0.5 : 0.3);
    c.stream.socket.pause();
    setTimeout(() => c.stream.socket.resume(), d.length / rate * 1000);
    onData(d);
  };
  c.stream.send(subscribe({ groups: all(c), windowUs: 60000000 }));
  await follow(c, () => c.model.levels.length > 0);
  assert.equal(c.model.levels[0].reason, 2);
  await follow(control, () => newest(control) > newest(c) + 1);
  await follow(c, () => newest(c) >= newest(control) - 100 || !control.stream.queue.length);
  assert.deepEqual(c.model.gaps, []);
  c.stream.close();
  control.stream.close();
});

test('a client that never reads again is let go; a backfill it asked for waits in the log, not in memory', limit, async () => {
  const control = await connect(agent);
  control.stream.send(subscribe({ groups: all(control) }));
  await follow(control, () => control.model.ticks.length > 10);
  const rss = async () => (await getJson(agent, '/api/v1/status')).rss_bytes;
  const before_ = await rss(), stuck = [], others = clients(control);
  for (let i = 0; i < 10; i++) {
    const c = await connect(agent);
    c.stream.send(subscribe({ groups: all(c), windowUs: 300000000 }));
    c.stream.socket.pause();
    stuck.push(c);
  }
  await follow(control, () => clients(control) >= others + 10);
  let most = 0;
  const begin = newest(control);
  await follow(control, () => { if (newest(control) % 100 === 0) most = Math.max(most, Number(control.model.value('strobe', 'strobe.mem.rss'))); return clients(control) === others; });
  const waited = (newest(control) - begin) / 100;
  assert.ok(waited > 5 && waited < 40, `gone after ${waited} s`);
  assert.ok(most - before_ < 10 * (1 << 20) + (8 << 20), `${(most - before_) / (1 << 20)} MiB for ten stuck clients`);
  for (const c of stuck) c.stream.close();
  control.stream.close();
});

// --memory 8M: 16 MiB for all results, 8 for one. 13 series of 10,000 points are 7.3 MB.
test('large results nobody takes do not add up: further ones are refused until those are gone', limit, async (t) => {
  // A unix socket holds a fixed amount on the way: what is stuffed into it first keeps the rest in the agent.
  const dir = fs.mkdtempSync('/dev/shm/strobe-slow-');
  const own = await startAgent({ listen: `unix:${dir}/s`, args: ['--memory', '8M', '--rate', '100', '--cpu-budget', '60'] });
  t.after(async () => { await own.stop(); fs.rmSync(dir, { recursive: true }); });
  const c = await connect(own), rss = async () => (await getJson(own, '/api/v1/status')).rss_bytes;
  c.stream.send(subscribe({ groups: [{ group: c.group('strobe') }] }));
  await follow(c, () => c.model.ticks.length > 150);
  const names = c.model.byName.get('memory.util').metrics.map((m) => m.name);
  const ask = (n, points) => rangeRequest({ req: n, series: names.slice(0, n).map((metric) => ({ metric })), fromUs: c.hello.now_us - 1e6, toUs: c.hello.now_us + 1e6, points });
  const answer = async (on, m) => {
    on.stream.send(m);
    for (;;) {
      const r = await on.stream.next();
      assert.ok(r, JSON.stringify(on.stream.closed));
      if (r.error) return r.error;
      if (r.range?.last) return null;
    }
  };
  const tooLarge = await answer(c, ask(20, 10000));
  assert.equal(tooLarge.code, 413, tooLarge.text);
  const before_ = await rss(), hogs = [];
  for (let i = 0; i < 12; i++) {
    const hog = await connect(own);
    hog.stream.socket.pause();
    for (let k = 0; k < 8; k++) hog.stream.send(k < 4 ? ask(names.length, 200) : ask(13, 10000));
    hogs.push(hog);
  }
  const q = `/api/v1/query?${names.slice(0, 13).map((n) => `metric=${n}`).join('&')}&from=-10s&points=10000`;
  let refused = null;
  for (let i = 0; i < 50 && !refused; i++) refused = await answer(c, ask(13, 10000));
  assert.equal(refused?.code, 429);
  assert.match(refused.text, /ask again/);
  assert.equal((await request(own, q)).status, 429);
  assert.equal(await answer(c, ask(1, 100)), null, 'a small one is still answered');
  const more = (await rss()) - before_;
  assert.ok(more < 20 << 20, `${more / (1 << 20)} MiB more`);
  for (const hog of hogs) hog.stream.close();
  let again = refused;
  for (let i = 0; i < 50 && again; i++) again = await answer(c, ask(13, 10000));
  assert.equal(again, null, 'and the large one once they are gone');
  c.stream.close();
});
