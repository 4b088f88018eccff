#!/usr/bin/env node
// Clocks under a running agent: a reboot (another boot id, another CLOCK_MONOTONIC) between two agents on
// one history, and a wall clock that is set forwards and back, and a suspend, through a preloaded shim.
// Nothing is lost, nothing is where nothing was read, and wall times are those that the clock showed.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { connect, follow, getJson, root, startAgent } from './client.mjs';
import { subscribe } from './schema.mjs';

const RATE = 20, TICK_S = 1 / RATE, METRIC = 'strobe.tick.count';
const EVENT_SUSPEND = 4, EVENT_CLOCK_STEP = 5;

/** Runs `body` with a folder and what starts agents; ends them whatever happens. */
async function lab(body) {
  const dir = fs.mkdtempSync('/dev/shm/strobe-clocks-'), all = [];
  const start = async (options) => {
    fs.mkdirSync(`${dir}/run`, { recursive: true });
    const agent = await startAgent({ dir: `${dir}/run`, ...options });
    all.push(agent);
    agent.agentPid = options.within?.length ? Number(fs.readFileSync(`/proc/${agent.pid}/task/${agent.pid}/children`, 'utf8')) : agent.pid;
    return agent;
  };
  try {
    await body(dir, start);
  } finally {
    for (const a of all) if (a.child.exitCode === null && a.child.signalCode === null) process.kill(a.agentPid ?? a.child.pid, 'SIGKILL');
    fs.rmSync(dir, { recursive: true, force: true });
  }
}
const args = (dir) => ['--rate', String(RATE), '--collectors', 'load,strobe', '--memory', '8M', '--history', `${dir}/ring`, '--history-size', '16M'];

/** The samples of the range as the agent tells them, at most one a point: [{t, v}]. */
async function told(agent, from, to = 'now') {
  const r = await getJson(agent, `/api/v1/query?metric=${METRIC}&rate=0&from=${from}&to=${to}&points=10000`);
  assert.equal(r.truncated, false);
  const all = r.series.flatMap((s) => s.points);
  for (const p of all) assert.ok(p.n === 1 || r.step_s > TICK_S, `${p.n} samples in a point of ${r.step_s} s`);
  return { step: r.step_s, samples: all.map((p) => ({ t: p.t, v: p.last })) };
}

/** Counts without a gap: nothing is missing between the first and the last. */
function assertWhole(samples, what) {
  samples.forEach((s, i) => assert.ok(!i || s.v === samples[i - 1].v + 1, `${what}: after ${samples[i - 1]?.v} comes ${s.v}`));
}

// ---- a reboot ----

/** A folder that is /proc but for the boot id. */
function procOf(dir, name, bootId) {
  const here = `${dir}/${name}`;
  const mirror = (sub, leave) => {
    fs.mkdirSync(`${here}/${sub}`);
    for (const e of fs.readdirSync(`/proc/${sub}`)) if (e !== leave && !/^\d+$/.test(e)) fs.symlinkSync(path.join('/proc', sub, e), path.join(here, sub, e));
  };
  mirror('', 'sys');
  mirror('sys', 'kernel');
  mirror('sys/kernel', 'random');
  mirror('sys/kernel/random', 'boot_id');
  fs.writeFileSync(`${here}/sys/kernel/random/boot_id`, `${bootId}\n`);
  return here;
}

const boots = ['11111111-1111-4111-8111-111111111111', '22222222-2222-4222-8222-222222222222'];
/** A host that booted a few seconds ago. */
function anew() {
  const up = Number(fs.readFileSync('/proc/uptime', 'utf8').split(' ')[0]), back = -Math.floor(up - 5);
  const within = ['unshare', '--time', `--monotonic=${back}`, `--boottime=${back}`, '--fork', '--kill-child'];
  return up > 60 && spawnSync(within[0], [...within.slice(1), 'true']).status === 0 ? within : null;
}

for (const [what, clock] of [['as far as the boot id goes', () => []], ['with a monotonic clock that begins anew', anew]])
  test(`a reboot, ${what}`, { timeout: 60000 }, async (t) => {
    const within = clock();
    if (!within) return t.skip('this host does not allow time namespaces');
    await lab(async (dir, start) => {
      const was = await life(dir, start);
      await new Promise((r) => setTimeout(r, 1500));
      const began = Date.now() / 1000;
      const now = await start({ within, args: [...args(dir), '--proc', procOf(dir, 'proc1', boots[1])] });
      await ticks(now, 40);
      const held = await getJson(now, '/api/v1/held');
      assert.deepEqual(held.spans.map((s) => s.boot_id), boots, JSON.stringify(held.spans));
      assert.notEqual(held.spans[0].log_id, held.spans[1].log_id);
      const [a, b] = held.spans;
      // It went on until it had ended, however long that took.
      assert.ok(Math.abs(a.from - was.first.t) < 0.3 && a.to > was.last.t - 0.3 && a.to < was.ended + 0.3, `the first boot: ${JSON.stringify([a, was])}`);
      assert.ok(b.from >= began - 0.1 && b.to <= Date.now() / 1000 + 0.1, `the second boot: ${JSON.stringify([b, began])}`);
      assert.ok(b.from - a.to > 1.4, 'the gap between the boots');
      const old = (await told(now, (a.from - 0.5).toFixed(3), (a.to + 0.5).toFixed(3))).samples, fresh = (await told(now, b.from.toFixed(6))).samples;
      assertWhole(old, 'the first boot');
      assertWhole(fresh, 'the second boot');
      assert.ok(fresh.length > 30 && fresh[0].v < old.at(-1).v && old.length >= was.samples.length, `${old.length} of ${was.samples.length}, ${fresh.length}`);
      was.samples.forEach((s, i) => {
        assert.equal(old[i].v, s.v);
        assert.ok(Math.abs(old[i].t - s.t) < 0.02, `sample ${s.v} was read at ${s.t} and is at ${old[i].t}`);
      });
      for (const from of ['-1h', '-30s', (a.from - 0.5).toFixed(3)]) {
        const { step, samples } = await told(now, from);
        assert.ok(samples.some((s) => s.t < a.to) && samples.some((s) => s.t > b.from - step), `from ${from}: not of both boots`);
        assert.ok(!samples.some((s) => s.t > a.to && s.t + step < b.from), `from ${from}: something between the boots`);
      }
      process.kill(now.agentPid, 'SIGTERM');
      assert.equal((await now.exited).code, 0);
    });
  });

async function ticks(agent, n) {
  const c = await connect(agent);
  c.stream.send(subscribe({ groups: [{ group: c.group('strobe') }] }));
  await follow(c, () => c.model.ticks.length >= n);
  c.stream.close();
}

/** An agent of the first boot, ended in good order: what it was last seen to hold. */
async function life(dir, start) {
  const agent = await start({ args: [...args(dir), '--proc', procOf(dir, 'proc0', boots[0])] });
  await ticks(agent, 60);
  const { samples } = await told(agent, '-10s');
  assert.ok(samples.length > 50, `${samples.length} samples`);
  assertWhole(samples, 'before the reboot');
  process.kill(agent.agentPid, 'SIGTERM');
  assert.equal((await agent.exited).code, 0);
  return { samples, first: samples[0], last: samples.at(-1), ended: Date.now() / 1000 };
}

// ---- the wall clock is set, the host sleeps ----

test('a clock that is set, a suspend, and agents after it', { timeout: 90000 }, async () => {
  await lab(async (dir, start) => {
    const shim = `${dir}/shim.so`, file = `${dir}/offsets`, phases = [];
    execFileSync(process.env.CC ?? 'cc', ['-O2', '-shared', '-fPIC', '-o', shim, path.join(root, 'tests/clock_shim.c')]);
    fs.writeFileSync(file, Buffer.alloc(16));
    const off = { real: 0, boot: 0 };
    const turn = (real, boot) => {
      off.real += real;
      off.boot += boot;
      const b = Buffer.alloc(16);
      b.writeBigInt64LE(BigInt(off.real) * 1000000000n, 0);
      b.writeBigInt64LE(BigInt(off.boot) * 1000000000n, 8);
      const fd = fs.openSync(file, 'r+');
      fs.writeSync(fd, b);
      fs.closeSync(fd);
    };
    const options = { args: args(dir), env: { LD_PRELOAD: shim, CLOCK_SHIM: file, ASAN_OPTIONS: 'verify_asan_link_order=0' } };
    let agent = await start(options);
    const c = await connect(agent), group = c.group('strobe');
    const realOff = Number(c.hello.clocks.at(-1).real_off_us);
    const events = [], clocks = [];
    const take = async (done) => {
      while (!done()) {
        const m = await c.stream.next();
        c.model.apply(m);
        events.push(...(m.events?.events ?? m.batch?.events?.events ?? []));
        clocks.push(...(m.batch?.clocks ?? []));
      }
    };
    c.stream.send(subscribe({ groups: [{ group }] }));
    const def = c.model.catalog.groups.find((g) => g.id === group), index = def.metrics.findIndex((m) => m.name === METRIC);
    const phase = async (what) => {
      const seen = [], from = c.model.ticks.length;
      while (c.model.ticks.length < from + 40) {
        const n = c.model.ticks.length;
        await take(() => c.model.ticks.length > n);
        seen.push({ at: c.model.state(group).at, v: Number(c.model.state(group).values.get(index)) });
      }
      phases.push({ what, off: realOff / 1e6 + off.real, seen: seen.slice(3, -1) });
    };
    const kind = (k) => events.filter((e) => e.kind === k && e.mono_us > c.model.ticks[0].mono_us);
    await phase('as it was');
    for (const [real, boot, what, want, text] of [
      [3600, 0, 'forward', EVENT_CLOCK_STEP, /set forward by 3600\.0/], [-7200, 0, 'back', EVENT_CLOCK_STEP, /set back by 7200\.0/],
      [600, 600, 'slept', EVENT_SUSPEND, /suspended for 600\.0/], [3000, 0, 'right again', EVENT_CLOCK_STEP, /set forward by 3000\.0/]]) {
      const n = kind(want).length;
      turn(real, boot);
      await take(() => kind(want).length > n);
      assert.match(kind(want).at(-1).text, text, what);
      await phase(what);
    }
    c.stream.close();
    const check = async (when) => {
      const all = await told(agent, '-40s');
      const last = phases.at(-1).seen.at(-1).v;
      assertWhole(all.samples.slice(0, 1 + all.samples.findIndex((s) => s.v === last)), `${when}: relative`);
      const byValue = new Map(all.samples.toReversed().map((s) => [s.v, s])); // a later agent counts anew
      for (const p of phases) {
        const wall = (s) => s.at / 1e6 + p.off;
        for (const s of p.seen) {
          const have = byValue.get(s.v);
          assert.ok(have, `${when}: ${p.what}: tick ${s.v} is lost`);
          assert.ok(Math.abs(have.t - wall(s)) < 0.02, `${when}: ${p.what}: tick ${s.v} was at ${wall(s)} and is at ${have.t}`);
        }
        const part = await told(agent, (wall(p.seen[0]) - 0.02).toFixed(6), (wall(p.seen.at(-1)) + 0.02).toFixed(6));
        const [first, last] = [p.seen[0].v, p.seen.at(-1).v]; // one beside them may have come early or late
        assertWhole(part.samples, `${when}: ${p.what}: by wall time`);
        assert.ok(part.samples.length && part.samples[0].v <= first && part.samples[0].v >= first - 1 && part.samples.at(-1).v >= last && part.samples.at(-1).v <= last + 1, `${when}: ${p.what}: by wall time ${part.samples[0]?.v} to ${part.samples.at(-1)?.v} instead of ${first} to ${last}`);
      }
    };
    await check('at once');
    process.kill(agent.agentPid, 'SIGKILL');
    await agent.exited;
    agent = await start(options);
    await ticks(agent, 10);
    await check('killed and started again');
    await agent.stop('SIGTERM', true);
    fs.rmSync(`${dir}/run`, { recursive: true });
    agent = await start(options);
    await ticks(agent, 10);
    await check('with the history of the disk alone');
    await agent.stop('SIGTERM', true);
  });
});
