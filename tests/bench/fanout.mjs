#!/usr/bin/env node
// CPU of the server for 1, 10 and 100 live clients at 10 Hz, and how long a sample takes from the tick
// to a client. Clients subscribe to every group, as the dashboard could.
import fs from 'node:fs';
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads';
import { connect, startAgent } from '../protocol/client.mjs';
import { subscribe } from '../protocol/schema.mjs';

const SECONDS = Number(process.env.BENCH_SECONDS ?? 8);
const sleep = (ms) => new Promise((r) => { setTimeout(r, ms); });

// The drains run on a thread of their own: they only read and throw away.
if (!isMainThread) {
  const drains = [];
  for (let i = 0; i < workerData.n; i++) {
    const c = await connect(workerData.agent);
    c.stream.send(subscribe({ groups: c.model.catalog.groups.map((g) => ({ group: g.id })) }));
    await c.stream.until('batch');
    c.stream.onData = () => {}; // undecoded: what is measured is the agent
    drains.push(c);
  }
  parentPort.postMessage('ready');
  await new Promise(() => {});
}

// CPU time in us of the server's thread (the process's first), and of all threads together.
function cpuUs(pid) {
  const ns = (tid) => Number(fs.readFileSync(`/proc/${pid}/task/${tid}/schedstat`, 'utf8').split(' ')[0]);
  return [ns(pid), fs.readdirSync(`/proc/${pid}/task`).reduce((sum, tid) => sum + ns(tid), 0)].map((v) => v / 1000);
}
// Percent of one core: [server, agent].
async function cpuPercent(agent) {
  const begin = process.hrtime.bigint(), cpu = cpuUs(agent.pid);
  await sleep(SECONDS * 1000);
  const us = Number(process.hrtime.bigint() - begin) / 1000;
  return cpuUs(agent.pid).map((v, i) => (v - cpu[i]) / us * 100);
}
function result(name, value, unit, budget) {
  const verdict = budget === undefined ? 'info' : value <= budget ? 'pass' : 'fail';
  console.log(`bench ${name} ${value.toFixed(3)} ${unit} budget ${budget ?? '-'} ${verdict}`);
}
const quantile = (a, q) => a.sort((x, y) => x - y)[Math.min(a.length - 1, Math.floor(a.length * q))];

const agent = await startAgent({ args: ['--cpu-budget', '50'] });
try {
  await sleep(2000);
  // What clients cost is the server's thread: it sleeps without them. The sampler's own cost moves
  // with the load of the machine by more than that.
  const [idle, alone] = await cpuPercent(agent);
  result('fanout_0_cpu_percent', idle, '%', 0.02);
  result('fanout_0_agent_cpu_percent', alone, '%');
  const plain = { url: agent.url, token: agent.token, port: agent.port, address: agent.address };
  const cost = {};
  for (const n of [1, 10, 100]) {
    const w = new Worker(new URL(import.meta.url), { workerData: { n, agent: plain } });
    await new Promise((resolve, reject) => { w.on('message', resolve); w.on('error', reject); });
    await sleep(500);
    const [server, whole] = await cpuPercent(agent);
    await w.terminate();
    await sleep(500);
    cost[n] = server;
    result(`fanout_${n}_cpu_percent`, server, '%', n === 100 ? 5 : n === 1 ? 0.1 : undefined);
    if (n === 100) result('fanout_100_agent_cpu_percent', whole, '%');
  }
  result('fanout_client_us', (cost[100] - cost[1]) / 99 / 100 * 1e6 / 10, 'us'); // of one client, a tick

  const c = await connect(agent), ms = [];
  c.stream.send(subscribe({ groups: c.model.catalog.groups.map((g) => ({ group: g.id })) }));
  while (ms.length < SECONDS * 10) {
    const m = await c.stream.next();
    const nowUs = Number(process.hrtime.bigint() / 1000n); // CLOCK_MONOTONIC, the agent's clock
    if (m.batch?.ticks.length) ms.push((nowUs - m.batch.ticks.at(-1).mono_us) / 1000);
  }
  c.stream.close();
  result('sample_to_client_ms_p50', quantile(ms, 0.5), 'ms', 50);
  result('sample_to_client_ms_p99', quantile(ms, 0.99), 'ms', 120);
} finally {
  await agent.stop();
}
