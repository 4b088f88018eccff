#!/usr/bin/env node
// An agent is killed at random moments, again and again. A client of its stream is the oracle: what it was
// sent must be there after the restart, every value right: from the log in tmpfs all of it but the tick
// that was being written; from the ring on disk alone (the log deleted) all but the last two seconds.
// KILLS: how often (10).
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';
import { connect, getJson, startAgent } from './client.mjs';
import { subscribe } from './schema.mjs';

const KILLS = Number(process.env.KILLS ?? 10);
const METRICS = ['kernel.all.pswitch', 'mem.util.available', 'strobe.tick.count'];
const RATE = 20, LOST_US = 2_500_000;
const sleep = (ms) => new Promise((r) => setTimeout(r, ms));

/** Follows the stream until the connection ends; fills seen[metric]: [at_us, value]. */
async function witness(agent, seen, state) {
  const c = await connect(agent);
  const real = Number(c.hello.clocks.at(-1).real_off_us);
  state.realOff = real;
  const where = METRICS.map((name) => {
    const g = c.model.catalog.groups.find((x) => x.metrics.some((m) => m.name === name));
    return { name, g, i: g.metrics.findIndex((m) => m.name === name) };
  });
  c.stream.send(subscribe({ groups: [...new Set(where.map((w) => w.g.id))].map((group) => ({ group })) }));
  for (;;) {
    const m = await c.stream.next().catch(() => null);
    if (!m) return;
    if (!m.batch) { c.model.apply(m); continue; }
    for (const tick of m.batch.ticks) {
      c.model.apply({ batch: { ticks: [tick], seq: m.batch.seq } });
      for (const w of where) {
        const t = tick.groups.find((x) => x.group === w.g.id);
        if (!t || t.reset) continue;
        const s = c.model.state(w.g.id);
        const v = s.values.get(w.i);
        if (v !== undefined && v !== null) seen[w.name].push([s.at, Number(v)]);
      }
    }
  }
}

/** Every sample of [from, to] µs of a metric as the agent tells it, raw: each point holds one at most. */
async function told(agent, metric, fromUs, toUs, realOff) {
  const points = new Map();
  const step = 1000;
  for (let a = fromUs; a <= toUs; a += step * 10000) {
    const s = (us) => ((us + realOff) / 1e6).toFixed(6);
    const r = await getJson(agent, `/api/v1/query?metric=${metric}&rate=0&from=${s(a)}&to=${s(a + step * 10000)}&points=10000`);
    for (const series of r.series)
      for (const p of series.points) points.set(Math.round((Number(p.t) * 1e6 - realOff - fromUs) / step), p);
  }
  return (at) => {
    const k = Math.floor((at - fromUs) / step);
    return points.get(k) ?? points.get(k - 1) ?? points.get(k + 1);
  };
}

test(`${KILLS} kills lose nothing that was acknowledged`, { timeout: 60000 + KILLS * 15000 }, async () => {
  const dir = fs.mkdtempSync('/dev/shm/strobe-kill-');
  const start = () => startAgent({ dir: `${dir}/run`, args: ['--rate', String(RATE), '--history', `${dir}/ring`, '--history-size', '16M', '--collectors', 'load,memory'] });
  fs.mkdirSync(`${dir}/run`);
  let compared = 0, lostTail = 0;
  try {
    let agent = await start();
    for (let k = 0; k < KILLS; k++) {
      const seen = Object.fromEntries(METRICS.map((m) => [m, []])), state = {};
      const done = witness(agent, seen, state);
      await sleep(300 + Math.random() * 2500);
      agent.child.kill('SIGKILL');
      await agent.exited;
      await done;
      const logGone = k % 3 === 2;
      if (logGone) fs.rmSync(`${dir}/run`, { recursive: true });
      fs.mkdirSync(`${dir}/run`, { recursive: true });
      agent = await start();
      for (const metric of METRICS) {
        const list = seen[metric];
        if (!list.length) continue;
        const scale = metric === 'mem.util.available' ? null : 1;
        const end = list.at(-1)[0], at = await told(agent, metric, list[0][0] - 5000, end + 5000, state.realOff);
        for (const [us, value] of list) {
          const p = at(us);
          if (!p) {
            assert.ok(logGone && us > end - LOST_US, `kill ${k}${logGone ? ' without the log' : ''}: ${metric} at ${us} is lost, ${(end - us) / 1e6} s before the end`);
            lostTail++;
            continue;
          }
          compared++;
          if (scale) assert.equal(p.last, value * scale, `kill ${k}: ${metric} at ${us}`);
          else assert.ok(Math.abs(p.last / value - 1) < 1e-9 || p.last === value, `kill ${k}: ${metric} at ${us}: ${p.last} and ${value}`);
        }
      }
    }
    assert.ok(compared > KILLS * 10, `only ${compared} samples were compared`);
    await agent.stop();
  } finally {
    fs.rmSync(dir, { recursive: true, force: true });
  }
  console.log(`# ${compared} samples compared, ${lostTail} lost with the log at the very end`);
});
