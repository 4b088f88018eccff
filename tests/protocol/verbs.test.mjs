#!/usr/bin/env node
// strobe status and strobe get against a running agent: found by themselves, by URL, by environment.
import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { after, before, test } from 'node:test';
import { binary, connect, follow, getJson, startAgent } from './client.mjs';
import { subscribe } from './schema.mjs';

let agent, url;
before(async () => {
  agent = await startAgent();
  url = `${agent.url}#token=${agent.token}`;
  const c = await connect(agent); // a second of samples
  c.stream.send(subscribe({ groups: [{ group: 0 }] }));
  await follow(c, () => c.model.ticks.length >= 12);
  c.stream.close();
});
after(async () => { await agent?.stop(); });

const bare = { PATH: process.env.PATH, HOME: '/nonexistent' };
// Asynchronous: the agent's output must go on being read meanwhile.
const strobe = (args, env = {}) => new Promise((resolve) => {
  execFile(binary, args, { env: { ...bare, ...env }, encoding: 'utf8', timeout: 20000 }, (e, stdout, stderr) => resolve({ status: e ? e.code : 0, stdout, stderr }));
});

test('status for people and as JSON', async () => {
  const people = await strobe(['status', '--url', url]);
  assert.equal(people.status, 0, people.stderr);
  for (const word of [/^strobe \d/, /sampling +10 Hz/, /resident/, /holds/, /\bcpu +ok +100 ms/, /\bmemory +ok/]) assert.match(people.stdout, word);
  const json = JSON.parse((await strobe(['status', '--json', '--url', url])).stdout);
  for (const key of ['version', 'host', 'boot_id', 'uptime_s', 'rate_hz', 'series', 'samples_per_s', 'clients', 'cpu_percent', 'rss_bytes', 'retention_s', 'late_ticks', 'missed_ticks', 'collectors']) assert.ok(key in json, key);
  for (const c of json.collectors) for (const key of ['name', 'state', 'tier', 'reason', 'period_ms', 'series', 'cost_us']) assert.ok(key in c, key);
  assert.ok(json.series > 300 && json.cpu_percent > 0 && json.rss_bytes > 1e6 && json.samples_per_s > 1000, JSON.stringify(json).slice(0, 300));
  assert.ok(json.history.blocks >= 0 && json.retention_s > 0.5 && json.retention_s <= json.uptime_s + 1);
  assert.equal(json.rate_hz, 10);
});

test('get: a table, points, CSV, JSON, raw counters', async () => {
  const table = await strobe(['get', 'kernel.percpu.cpu.idle', 'mem.physmem', '--url', url]);
  assert.equal(table.status, 0, table.stderr);
  assert.match(table.stdout, /^metric +newest +min +avg +max +unit/);
  assert.match(table.stdout, /kernel\.percpu\.cpu\.idle\[cpu0\] .*millisec\/s/);
  const total = Number(/^MemTotal: +(\d+)/m.exec(fs.readFileSync('/proc/meminfo', 'utf8'))[1]);
  assert.match(table.stdout, new RegExp(`mem\\.physmem +${total} +${total} +${total} +${total} +Kbyte`));
  const one = await strobe(['get', 'kernel.percpu.cpu.idle', '--instance', 'cpu0', '--url', url]);
  assert.equal(one.stdout.trim().split('\n').length, 2);
  const points = await strobe(['get', 'mem.util.free', '--from', '-1s', '--points', '5', '--url', url]);
  assert.ok(points.stdout.trim().split('\n').length >= 5);
  const csv = (await strobe(['get', 'mem.util.free', '--from', '-1s', '--points', '5', '--csv', '--url', url])).stdout;
  assert.equal(csv.split('\n')[0], 'metric,instance,unit,time,t,n,first,min,avg,max,last');
  const json = JSON.parse((await strobe(['get', 'kernel.all.cpu.idle', '--json', '--raw', '--url', url])).stdout);
  const raw = json.series[0].points[0], metric = json.series[0];
  assert.equal(metric.rate, false);
  assert.equal(metric.unit, 'millisec');
  const idle = Number(fs.readFileSync('/proc/stat', 'utf8').split(/\s+/)[4]) * 10;
  assert.ok(raw.last > idle - 5000 && raw.last <= idle, `${raw.last} against ${idle}`);
  assert.ok(raw.first <= raw.last);
});

test('metrics: of an agent they are those of its build', async () => {
  const own = await strobe(['metrics', '--json']), told = await strobe(['metrics', '--json', '--url', url]);
  assert.equal(told.status, 0, told.stderr);
  const byName = (text) => new Map(JSON.parse(text).map(({ collector, ...m }) => [m.name, m]));
  const known = byName(own.stdout), its = byName(told.stdout);
  assert.ok(its.size > 100);
  for (const [name, m] of its) assert.deepEqual(m, known.get(name));
  assert.match((await strobe(['metrics', '--url', url, 'kernel.all.load'])).stdout, /^kernel\.all\.load\n.*instant/);
  assert.equal((await strobe(['metrics', '--url', url, 'no.such'])).status, 1);
  assert.match((await strobe(['metrics', '--url', 'http://127.0.0.1:1/#token=0123456789abcdef0123'])).stderr, /^strobe: /);
});

test('the agent is found by STROBE_URL, by its token alone, or not at all, with words', async () => {
  assert.equal((await strobe(['status'], { STROBE_URL: url })).status, 0);
  assert.equal((await strobe(['status'], { STROBE_URL: agent.url, STROBE_TOKEN: agent.token })).status, 0);
  const none = await strobe(['status', '--url', 'http://127.0.0.1:1/']);
  assert.equal(none.status, 1);
  assert.match(none.stderr, /refused.*strobe run/s);
  const wrong = await strobe(['get', 'mem.util.free'], { STROBE_URL: `${agent.url}#token=${'x'.repeat(20)}` });
  assert.equal(wrong.status, 1);
  assert.match(wrong.stderr, /token/);
  const malformed = await strobe(['status', '--url', 'ftp://somewhere']);
  assert.match(malformed.stderr, /expected http:/);
});

test('what is wrong is said with what is right', async () => {
  const cases = [[['get', '--url', url], 2, /which metric/], [['get', 'no.such', '--url', url], 1, /no\.such.*strobe metrics/s], [['get', 'mem.util.free', '--instance', 'cpu9999', '--url', url], 1, /instance/], [['get', 'mem.util.free', '--from', 'yesterday', '--url', url], 1, /from is no time/], [['get', 'mem.util.free', '--points', '0', '--url', url], 1, /points/], [['get', '--nonsense'], 2, /--help/], [['status', 'extra'], 2, /--help/], [['get', 'mem.util.free', '--csv', '--json'], 2, /not both/], [['rank', '--nonsense'], 2, /--help/], [['rank', 'extra'], 2, /--help/], [['rank', '--limit', '0', '--url', url], 1, /limit/], [['rank', '--from', 'yesterday', '--url', url], 1, /is no time/], [['rank', '--from', 'now', '--to', '-5s', '--url', url], 1, /before/], [['rank', '--baseline-from', '-1h', '--url', url], 1, /baseline_to/]];
  for (const [args, status, words] of cases) {
    const r = await strobe(args);
    assert.equal(r.status, status, `${args}: ${r.stderr}`);
    assert.match(r.stderr, words, args.join(' '));
    assert.equal(r.stdout, '');
  }
  for (const verb of ['status', 'get', 'rank']) assert.match((await strobe([verb, '--help'])).stdout, /^usage: strobe /);
});

test('over a unix socket, too', async () => {
  const dir = fs.mkdtempSync('/dev/shm/strobe-verbs-'), one = await startAgent({ listen: `unix:${dir}/s` });
  try {
    const r = await strobe(['status', '--url', `${one.url}#token=${one.token}`]);
    assert.equal(r.status, 0, r.stderr);
    assert.equal((await getJson({ ...one, port: 1 }, '/api/v1/status')).clients, 0);
  } finally {
    await one.stop();
    fs.rmSync(dir, { recursive: true });
  }
  assert.equal(spawnSync(binary, ['status', '--url', `unix:${dir}/s#token=${one.token}`]).status, 1);
});
