#!/usr/bin/env node
// Absurd requests for profiles: each is answered or refused in words, the agent stays as it was.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, before, test } from 'node:test';
import { connect, request, startAgent } from './client.mjs';
import { flameChartRequest, flameRequest, heatRequest, linesRequest, profilerRequest } from './schema.mjs';

const MEMORY_MIB = 64, least = -(2n ** 63n), most = 2n ** 63n - 1n;
let agent, c, skip = false;
const sanitized = /thread|address/.test(process.env.STROBE ?? '');
const answer = async (client, message, fields) => {
  client.stream.send(message);
  for (;;) {
    const m = await client.stream.next(60000);
    assert.ok(m, `the agent went away: ${JSON.stringify(client.stream.closed)} ${agent.stderr()}`);
    if (m.error) return m;
    const f = fields.find((k) => m[k]);
    if (f && (m[f].last ?? true)) return m;
  }
};
const kinds = ['heat', 'flame', 'chart', 'lines', 'profiler'];
let asked = 0;
async function any(client, message) {
  if (client !== c) return answer(client, message, kinds);
  if (++asked % 20 === 0) { // who is refused too often is hung up on
    c.stream.close();
    c = await connect(agent);
  }
  return answer(c, message, kinds);
}
/** CPU that the agent has had: on a busy host an answer takes longer than the work for it. */
const cpuMs = () => fs.readdirSync(`/proc/${agent.pid}/task`).reduce((a, t) => a + Number(fs.readFileSync(`/proc/${agent.pid}/task/${t}/schedstat`, 'utf8').split(' ')[0]) / 1e6, 0);
const rssMib = () => [...fs.readFileSync(`/proc/${agent.pid}/status`, 'utf8').matchAll(/^Rss(?:Anon|Shmem):\s+(\d+)/gm)].reduce((a, m) => a + Number(m[1]), 0) / 1024;

before(async () => {
  agent = await startAgent({ args: ['--memory', `${MEMORY_MIB}M`] });
  c = await connect(agent);
  const s = (await any(c, profilerRequest(1))).profiler;
  if (!s.on) skip = `no profiler here: ${s.reason}`;
  await new Promise((r) => { setTimeout(r, 1500); });
});
after(async () => { c?.stream.close(); await agent?.stop(); });
const it = (name, body) => test(name, { timeout: 120000 }, async (t) => { if (skip) t.skip(skip); else await body(t); });
async function alive() {
  assert.equal((await request(agent, '/healthz')).status, 200);
  for (let i = 0, m; !m?.profiler; i++) { // behind what others have asked for
    m = await any(c, profilerRequest(7));
    assert.ok(m.profiler?.on || ([429, 503].includes(m.error?.code) && i < 100), JSON.stringify(m));
    if (m.error) await new Promise((r) => { setTimeout(r, 100); });
  }
}

it('times at the ends of what a number holds', async () => {
  const times = [[least, most], [least, least + 1n], [most - 1n, most], [0n, most], [least, 0n], [most, least], [0n, 0n]];
  for (const [from, to] of times) {
    for (const base of [[], [[from, to]], [[least, most]]]) await any(c, flameRequest({ req: 1, ranges: [[from, to]], base, tasks: 500, byProcess: true, byThread: true, elided: true }));
    await any(c, flameChartRequest({ req: 2, fromUs: from, toUs: to }));
    for (const columnUs of [1000n, 86400000000n, most, 2n ** 64n - 1n]) await any(c, heatRequest({ req: 3, fromUs: from, columnUs, columns: 4096, rows: 256 }));
    for (const f of ['folded', 'strobe', 'pprof', 'html']) assert.ok((await request(agent, `/api/v1/profile?format=${f}&from_us=${from}&to_us=${to}`)).status);
    assert.ok((await request(agent, `/api/v1/capture?from_us=${from}&to_us=${to}`, { method: 'HEAD' })).status);
  }
  for (const filter of [{ cpu: 2 ** 32 - 2 }, { pid: 2 ** 32 - 1, tid: 2 ** 32 - 1 }, { classes: 2 ** 32 - 1, offCpu: true, minUs: 2 ** 32 - 1 }, { cgroup: 'x'.repeat(2000) }, { process: 'x'.repeat(256) }, { process: '\u0000' }])
    await any(c, flameRequest({ req: 4, ranges: [[0n, most / 8n]], filter }));
  for (const m of [{ columns: 4096, rows: 257 }, { columns: 2 ** 32 - 1, rows: 2 ** 32 - 1 }, { columns: 65536, rows: 65536 }, { columns: 0, rows: 0 }, { columns: 4096, rows: 256, by: 99 }])
    assert.equal((await any(c, heatRequest({ req: 5, fromUs: 0n, columnUs: 1000n, ...m }))).error?.code, 400, JSON.stringify(m));
  for (const [module, buildId, addr] of [['/etc/shadow', '', 0n], ['../../etc/passwd', 'zz', 2n ** 64n - 1n], ['x'.repeat(255), 'a'.repeat(40), 1n], ['[kernel]', '', most]])
    await any(c, linesRequest({ req: 6, module, buildId, addr }));
  await alive();
});

it('patterns that cost too much are refused, or end', async () => {
  const now = (await any(c, profilerRequest(1))).profiler.now_us, rq = { req: 10, fromUs: now - 3000000, columnUs: 1000000, columns: 4, rows: 50 };
  for (const pattern of ['((a{1,60}){1,60}){1,60}', 'a{30000}', '(.*)(.*)\\1\\2', `${'('.repeat(40)}a${')+'.repeat(40)}`, '('.repeat(255)]) {
    const e = (await any(c, heatRequest({ ...rq, pattern }))).error;
    assert.equal(e?.code, 400, pattern);
    assert.match(e.text, /\w{4,}/);
  }
  for (const pattern of ['(a*)*b', '(.*e.{99}x)|(.*f.{98}y)', '(.|e)*e.{200}[ab]$', '.*.*.*.*.*.*.*.*x', '[[:alpha:]]+_[^]]*', '()', '|', '[[=a=]]']) {
    const begin = cpuMs(), m = await any(c, heatRequest({ ...rq, pattern, ignoreCase: true })), ms = cpuMs() - begin;
    assert.ok(m.heat || (m.error.code === 400 && /pattern|work|long/.test(m.error.text)), `${pattern}: ${JSON.stringify(m.error)}`);
    assert.ok(sanitized || ms < 8000, `${pattern}: ${ms} ms of CPU`);
  }
  const found = await any(c, heatRequest({ ...rq, pattern: '^(do|__|x).{0,20}[a-z]+' }));
  assert.ok(found.heat, JSON.stringify(found.error));
  await alive();
});

it('the largest maps and trees, many clients at once: answered or told to wait, within memory', async () => {
  const now = (await any(c, profilerRequest(1))).profiler.now_us, clients = [];
  for (let i = 0; i < 12; i++) clients.push(await connect(agent));
  let busy = 0, done = 0, peak = 0;
  const watch = setInterval(() => { peak = Math.max(peak, rssMib()); }, 20);
  const slowest = { ms: 0 };
  const ping = (async () => { while (done < clients.length) { const t = performance.now(); await request(agent, '/healthz'); slowest.ms = Math.max(slowest.ms, performance.now() - t); await new Promise((r) => { setTimeout(r, 50); }); } })();
  await Promise.all(clients.map(async (x, i) => {
    for (let k = 0; k < 5; k++) {
      const m = await any(x, [
        heatRequest({ req: k, fromUs: now - 4096000000, columnUs: 1000000, columns: 4096, rows: 256, pattern: 'a', by: 0 }),
        heatRequest({ req: k, fromUs: now - 40960000, columnUs: 10000, columns: 4096, rows: 256, pattern: '.', by: 1 + (k % 4) }),
        flameRequest({ req: k, ranges: Array.from({ length: 16 }, (_, n) => [now - 100000 * (n + 1), now - 100000 * n]), base: [[now - 9000000, now - 5000000]], tasks: 500, threads: true, byThread: true, byProcess: true }),
        flameChartRequest({ req: k, fromUs: now - 600000000, toUs: now })][(i + k) % 4]);
      busy += !!m.error;
      if (m.error) assert.ok([404, 429, 503].includes(m.error.code), JSON.stringify(m.error));
    }
    done++;
  }));
  clearInterval(watch);
  await ping;
  for (const x of clients) x.stream.close();
  console.log(`# ${busy} of ${clients.length * 5} told to wait; RSS at most ${peak.toFixed(1)} MiB, now ${rssMib().toFixed(1)}; slowest /healthz ${slowest.ms.toFixed(0)} ms`);
  assert.ok(sanitized || peak < MEMORY_MIB + 72, `${peak} MiB`);
  assert.ok(slowest.ms < 3000, `/healthz took ${slowest.ms} ms`);
  await alive();
});

it('clients that ask and go away leave nothing behind', async () => {
  const now = (await any(c, profilerRequest(1))).profiler.now_us;
  for (let i = 0; i < 40; i++) {
    const x = await connect(agent);
    for (let k = 0; k < 4; k++) x.stream.send(heatRequest({ req: k, fromUs: now - 4096000000, columnUs: 1000000, columns: 4096, rows: 256, pattern: 'e' }));
    x.stream.close();
  }
  await alive();
  const r = await request(agent, '/api/v1/profile?from=-1s&format=folded');
  assert.ok([200, 404].includes(r.status), `${r.status} ${r.body}`);
});
