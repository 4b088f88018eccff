#!/usr/bin/env node
// Stacks outlive the agent: killed and started again, with and without its log on the tmpfs, after a reboot, with
// damaged files, on a full disk; and in captures of several boots. A client that knows the .proto alone compares
// flame graphs of one and the same range.
import assert from 'node:assert/strict';
import { execFile, execFileSync, spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { binary, connect, request, root, startAgent } from './client.mjs';
import { flameRequest, profilerRequest } from './schema.mjs';

const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });
const strobe = (args) => new Promise((resolve) => {
  execFile(binary, args, { env: { PATH: process.env.PATH, HOME: '/nonexistent' }, encoding: 'utf8', timeout: 60000, maxBuffer: 64 << 20 }, (e, stdout, stderr) => resolve({ status: e ? e.code : 0, stdout, stderr }));
});
const one = async (c, message, field) => { c.stream.send(message); return c.stream.until(field, (m) => { assert.ok(!m.error, m.error?.text); }); };

/** [stack, weight] of a pid in a range, in order; an empty list: none. */
async function flame(c, pid, [from, to]) {
  const parts = [await one(c, flameRequest({ req: 1, ranges: [[from, to]], filter: { pid } }), 'flame')];
  while (!parts.at(-1).last) parts.push(await c.stream.until('flame'));
  const strings = parts.flatMap((p) => p.strings), path = [], ret = [];
  for (const p of parts)
    p.depth.forEach((d, i) => {
      path.length = d;
      path.push(strings[p.name[i]]);
      if (p.self_us[i]) ret.push(`${path.slice(1).join(';')} ${p.self_us[i]}`);
    });
  ret.sort();
  ret.n = parts[0].sum.n;
  return ret;
}
const total = (rows) => rows.reduce((a, r) => a + Number(r.slice(r.lastIndexOf(' ') + 1)), 0);
/** The same samples; what was not named yet when it was lost may be named now, and the other way round. */
function assertSame(now, was, what) {
  assert.ok(total(was) > 0, `${what}: nothing to compare`);
  assert.equal(total(now), total(was), `${what}: us in all`);
  const leaf = (rows) => rows.map((r) => r.split(';').length).reduce((a, b) => a + b, 0) / rows.length;
  assert.ok(Math.abs(leaf(now) - leaf(was)) < 1.5, `${what}: as deep as before`);
}

let skip = false;
{
  const probe = await startAgent(), c = await connect(probe), s = await one(c, profilerRequest(1), 'profiler');
  if (!s.on) skip = `no profiler here: ${s.reason}`;
  c.stream.close();
  await probe.stop();
}
const cases = []; // they mostly wait: two at a time
const it = (name, body) => cases.push([name, body]);

async function lab(body) {
  const dir = fs.mkdtempSync('/dev/shm/strobe-past-'), all = [];
  const spin = spawn('sh', ['-c', 'while :; do i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; sleep 0.03; done'], { stdio: 'ignore' });
  const start = async (options = {}) => {
    fs.mkdirSync(`${dir}/run`, { recursive: true });
    const agent = await startAgent({ dir: options.verb ? undefined : `${dir}/run`, ...options });
    all.push(agent);
    return agent;
  };
  try {
    await body({ dir, start, pid: spin.pid });
  } finally {
    spin.kill('SIGKILL');
    for (const a of all) if (a.child.exitCode === null && a.child.signalCode === null) a.child.kill('SIGKILL');
    fs.rmSync(dir, { recursive: true, force: true });
  }
}
const ring = (dir) => ['--memory', '64M', '--history', `${dir}/ring`, '--history-size', '128M'];
async function kill(agent) { agent.child.kill('SIGKILL'); await agent.exited; }

/** Lets the agent run for a while: the range of it that has been, and its flame graph. */
async function life(agent, pid, ms) {
  const c = await connect(agent), from = (await one(c, profilerRequest(1), 'profiler')).now_us;
  await sleep(ms);
  const to = (await one(c, profilerRequest(2), 'profiler')).now_us - 300000;
  const seen = { range: [from, to], real: Number(c.hello.clocks.at(-1).real_off_us) };
  // Samples come late, by a poll or more where the host is busy: until nothing more of the range comes.
  for (let same = 0, before = -1; same < 2; ) {
    await sleep(300);
    seen.flame = await flame(c, pid, seen.range);
    same = total(seen.flame) === before && before > 0 ? same + 1 : 0;
    before = total(seen.flame);
  }
  c.stream.close();
  return seen;
}
async function look(agent, pid, range) {
  const c = await connect(agent);
  for (let i = 0; ; i++) { // what was found again may still be on its way to its place
    const f = await flame(c, pid, range);
    if (f.length || i === 20) { c.stream.close(); return f; }
    await sleep(100);
  }
}

it('killed and started again: the same flame graph from the log on the tmpfs', async () => {
  await lab(async ({ dir, start, pid }) => {
    let agent = await start();
    const was = await life(agent, pid, 1500);
    for (let turn = 0; turn < 2; turn++) {
      await kill(agent);
      agent = await start();
      assertSame(await look(agent, pid, was.range), was.flame, `kill ${turn}`);
      assert.doesNotMatch(agent.stderr(), /damaged/);
      await sleep(1300); // sealed by now
      assertSame(await look(agent, pid, was.range), was.flame, `kill ${turn}, sealed`);
      if (turn) break;
      const more = await life(agent, pid, 700);
      await agent.stop('SIGTERM', true);
      agent = await start();
      assertSame(await look(agent, pid, more.range), more.flame, 'ended in good order');
      break;
    }
    await agent.stop('SIGTERM', true);
    assert.ok(fs.existsSync(dir));
  });
});

it('killed with a ring: nothing is lost or counted twice, however often', async () => {
  await lab(async ({ dir, start, pid }) => {
    const seen = [];
    for (let turn = 0; turn < 3; turn++) {
      const agent = await start({ args: ring(dir) });
      for (const [i, was] of seen.entries()) assertSame(await look(agent, pid, was.range), was.flame, `life ${i} in ${turn}`);
      seen.push(await life(agent, pid, 900));
      await (turn === 1 ? agent.stop('SIGTERM', true) : kill(agent));
    }
    fs.rmSync(`${dir}/run`, { recursive: true });
    const agent = await start({ args: ring(dir) });
    for (const i of [0, 1]) assertSame(await look(agent, pid, seen[i].range), seen[i].flame, `life ${i} from the ring alone`);
    await agent.stop('SIGTERM', true);
  });
});

it('the tmpfs is gone: what the disk has of the open epoch is half a minute old at most', async () => {
  await lab(async ({ dir, start, pid }) => {
    let agent = await start({ args: ring(dir) });
    const log = `${dir}/ring/profile/open.log`, was = await life(agent, pid, 1000), until = Date.now() + 40000;
    const begun = fs.existsSync(log) ? fs.statSync(log).mtimeMs : 0;
    process.kill(pid, 'SIGSTOP'); // nothing more to see until then
    while (!fs.existsSync(log) || fs.statSync(log).mtimeMs === begun) { assert.ok(Date.now() < until, 'no copy within 40 s'); await sleep(200); }
    await sleep(300);
    await kill(agent);
    const copy = fs.readFileSync(log);
    fs.rmSync(`${dir}/run`, { recursive: true });
    agent = await start({ args: ring(dir) });
    assertSame(await look(agent, pid, was.range), was.flame, 'from the copy');
    await kill(agent);
    // Damage in the middle: what is before it is served, and it is said.
    for (const [what, damage] of [['flipped', (b) => { b[b.length >> 1] ^= 0x10; return b; }], ['nonsense', (b) => b.fill(0x5a)]]) {
      fs.rmSync(`${dir}/run`, { recursive: true });
      fs.rmSync(`${dir}/ring`, { recursive: true });
      fs.mkdirSync(`${dir}/ring/profile`, { recursive: true });
      fs.writeFileSync(log, damage(Buffer.from(copy)));
      agent = await start({ args: ring(dir) });
      if (what === 'flipped') assert.match(agent.stderr(), /stretch.* of stacks.*damaged/, agent.stderr());
      const rows = await look(agent, pid, [was.range[0] - 1000000, was.range[1]]);
      assert.ok(total(rows) <= total(was.flame) * 2, what);
      await kill(agent);
    }
  });
});

it('a damaged ring of stacks: said in words, the rest is served', async () => {
  await lab(async ({ dir, start, pid }) => {
    const seen = [];
    for (let turn = 0; turn < 2; turn++) {
      const agent = await start({ args: ring(dir) });
      seen.push(await life(agent, pid, 900));
      await agent.stop('SIGTERM', true);
    }
    const file = `${dir}/ring/profile/history.strobe`, b = fs.readFileSync(file), magic = Buffer.from('epoc');
    const at = [...function* () { for (let i = b.indexOf(magic); i >= 0; i = b.indexOf(magic, i + 1)) yield i; }()];
    assert.ok(at.length >= 2, `${at.length} epochs`);
    const fd = fs.openSync(file, 'r+');
    fs.writeSync(fd, Buffer.from([b[at[0] + 200] ^ 1]), 0, 1, at[0] + 200);
    fs.closeSync(fd);
    fs.rmSync(`${dir}/run`, { recursive: true });
    const agent = await start({ args: ring(dir) });
    assertSame(await look(agent, pid, seen[1].range), seen[1].flame, 'the one that is whole');
    const c = await connect(agent), lost = await flame(c, pid, seen[0].range);
    assert.equal(total(lost), 0, 'the damaged one is not made up');
    c.stream.close();
    const two = spawnSync(binary, ['run', '--listen', '127.0.0.1:0', '--runtime-dir', `${dir}/run2`, ...ring(dir)], { encoding: 'utf8', timeout: 20000 });
    assert.notEqual(two.status, 0);
    assert.match(two.stderr, /ring|history/);
    await agent.stop('SIGTERM', true);
  });
});

it('a full disk: the agent goes on, and what it has is served', async (t) => {
  await lab(async ({ dir, start, pid }) => {
    fs.mkdirSync(`${dir}/small`);
    if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=150m', 'none', `${dir}/small`]).status) return t.skip('mount is not permitted');
    try {
      const args = ['--memory', '64M', '--history', `${dir}/small/ring`, '--history-size', '128M'];
      const agent = await start({ args });
      spawnSync('dd', ['if=/dev/zero', `of=${dir}/small/fill`, 'bs=1M'], { stdio: 'ignore' });
      const was = await life(agent, pid, 1000);
      assertSame(await look(agent, pid, was.range), was.flame, 'full');
      await agent.stop('SIGTERM', true);
      const again = await start({ args });
      assertSame(await look(again, pid, was.range), was.flame, 'full, started again');
      await again.stop('SIGTERM', true);
    } finally {
      execFileSync('umount', ['-l', `${dir}/small`]);
    }
  });
});

// ---- boots ----

/** A folder that is /proc but for the boot id. */
function procOf(dir, name, bootId) {
  const here = `${dir}/${name}`;
  const mirror = (sub, leave) => {
    fs.mkdirSync(`${here}/${sub}`);
    for (const e of fs.readdirSync(`/proc/${sub}`)) if (e !== leave && !/^\d+$/.test(e)) fs.symlinkSync(path.join('/proc', sub, e), path.join(here, sub, e));
  };
  mirror('', 'sys');
  for (const e of ['self', ...fs.readdirSync('/proc').filter((x) => /^\d+$/.test(x))]) try { fs.symlinkSync(`/proc/${e}`, `${here}/${e}`); } catch { /* there */ }
  mirror('sys', 'kernel');
  mirror('sys/kernel', 'random');
  mirror('sys/kernel/random', 'boot_id');
  fs.writeFileSync(`${here}/sys/kernel/random/boot_id`, `${bootId}\n`);
  return here;
}
const boots = ['11111111-1111-4111-8111-111111111111', '22222222-2222-4222-8222-222222222222'];

it('a reboot: the stacks of the earlier boot lie where they were, by the wall clock; captures of both, too', async () => {
  await lab(async ({ dir, start, pid }) => {
    // The first boot was ten days ago by the wall clock, which the shim turns back.
    const shim = `${dir}/shim.so`, offsets = `${dir}/offsets`, turn = Buffer.alloc(16);
    execFileSync(process.env.CC ?? 'cc', ['-O2', '-shared', '-fPIC', '-o', shim, path.join(root, 'tests/clock_shim.c')]);
    turn.writeBigInt64LE(-864000n * 1000000000n, 0);
    fs.writeFileSync(offsets, turn);
    const env = { LD_PRELOAD: shim, CLOCK_SHIM: offsets, ASAN_OPTIONS: 'verify_asan_link_order=0' };
    let agent = await start({ args: [...ring(dir), '--proc', procOf(dir, 'proc0', boots[0])], env });
    const was = await life(agent, pid, 1500);
    assert.ok(Math.abs((was.range[0] + was.real) / 1e6 - (Date.now() / 1000 - 864000)) < 60, 'the shim works');
    await agent.stop('SIGTERM', true);
    const stopped = (Date.now() - 864000000) * 1000; // by its own wall clock
    await sleep(1000);
    agent = await start({ args: [...ring(dir), '--proc', procOf(dir, 'proc1', boots[1])] });
    const now = await life(agent, pid, 1500);
    const c = await connect(agent), real = Number(c.hello.clocks.at(-1).real_off_us);
    const old = was.range.map((us) => us + was.real - real); // on this boot's timeline
    assertSame(await flame(c, pid, old), was.flame, 'the earlier boot');
    assert.equal(total(await flame(c, pid, [stopped - real + 100000, stopped - real + 900000])), 0, 'nothing between the boots');
    assertSame(await flame(c, pid, now.range), now.flame, 'this boot');
    c.stream.close();
    const wall = (us) => ((us + real) / 1e6).toFixed(6), url = `${agent.url}#token=${agent.token}`;
    const folded = async (args) => {
      const r = await strobe(['flame', '--folded', '--pid', String(pid), ...args]);
      assert.equal(r.status, 0, r.stderr);
      return r.stdout.trim().split('\n').reduce((a, l) => a + Number(l.slice(l.lastIndexOf(' ') + 1)), 0);
    };
    assert.ok(old[1] < 0, 'before this boot');
    const files = { both: [old[0] - 200000, now.range[1]], old: [old[0] - 200000, old[1] + 100000] };
    const live = await folded(['--url', url, '--from', wall(old[0]), '--to', wall(old[1])]);
    assert.ok(Math.abs(live - was.flame.n) <= 1, `${live} of ${was.flame.n} samples of the earlier boot`);
    for (const [name, [from, to]] of Object.entries(files)) {
      const file = `${dir}/${name}.strobe`, r = await request(agent, `/api/v1/capture?from=${wall(from)}&to=${wall(to)}`, { head: { Connection: 'close' } });
      assert.equal(r.status, 200, r.body.toString('latin1').slice(0, 300));
      fs.writeFileSync(file, unchunk(r.body));
      { const n = await folded([file, "--from", wall(old[0]), "--to", wall(old[1])]); assert.ok(Math.abs(n - live) <= 1, `strobe flame ${name}: ${n}, not ${live} samples`); }
      const opened = await start({ verb: 'open', args: [file] }), o = await connect(opened), oreal = Number(o.hello.clocks.at(-1).real_off_us);
      const there = was.range.map((us) => us + was.real - oreal);
      assertSame(await flame(o, pid, there), was.flame, `strobe open ${name}: the earlier boot`);
      if (name === 'both') assertSame(await flame(o, pid, now.range.map((us) => us + real - oreal)), now.flame, 'strobe open both: the later boot');
      // A capture of the capture.
      const copy = await request(opened, '/api/v1/capture');
      fs.writeFileSync(`${file}2`, unchunk(copy.body));
      assert.ok(Math.abs(await folded([`${file}2`, '--from', wall(old[0]), '--to', wall(old[1])]) - live) <= 1, `a capture of ${name}`);
      o.stream.close();
      await opened.stop();
    }
    await agent.stop('SIGTERM', true);
  });
});

function unchunk(b) {
  const out = [];
  for (let at = 0; ;) {
    const eol = b.indexOf('\r\n', at), n = parseInt(b.toString('latin1', at, eol), 16);
    if (!n) return Buffer.concat(out);
    out.push(b.subarray(eol + 2, eol + 2 + n));
    at = eol + 4 + n;
  }
}

// ---- recordings ----

const CAPTURE_PROFILE = 6;
function sections(b) {
  const list = [];
  for (let at = 16; at + 24 <= b.length; at += 24 + b.readUInt32LE(at + 8)) list.push([b.readUInt32LE(at), at, at + 24 + b.readUInt32LE(at + 8)]);
  return list;
}

it('record by itself: the command is in it, --profile-hz and --no-profile are kept; cut anywhere it still opens', async () => {
  await lab(async ({ dir }) => {
    const file = `${dir}/r.strobe`, cmd = ['--', 'sh', '-c', 'i=0; while [ $i -lt 400000 ]; do i=$((i+1)); done; sleep 6; exit 3'];
    const r = await strobe(['record', '-o', file, '--profile-hz', '199', ...cmd]);
    assert.equal(r.status, 3, r.stderr);
    const all = await strobe(['flame', file, '--folded', '--process', 'sh']);
    assert.equal(all.status, 0, all.stderr);
    assert.ok(all.stdout.length > 20, 'the command is in it');
    const none = await strobe(['record', '-o', `${dir}/n.strobe`, '--no-profile', '--for', '1s']);
    assert.equal(none.status, 0, none.stderr);
    const f = await strobe(['flame', `${dir}/n.strobe`]);
    assert.notEqual(f.status, 0);
    assert.match(f.stderr, /no profile in it/);
    const b = fs.readFileSync(file), list = sections(b), stacks = list.filter(([type]) => type === CAPTURE_PROFILE);
    assert.ok(stacks.length >= 2, `${stacks.length} sections of stacks`);
    for (const end of [stacks[0][2], stacks[0][2] + 7, stacks[1][1] + 24 + ((stacks[1][2] - stacks[1][1]) >> 1), stacks[1][2] - 1, b.length - 5]) {
      const cut = `${dir}/cut.strobe`;
      fs.writeFileSync(cut, b.subarray(0, end));
      const x = await strobe(['flame', cut, '--folded', '--process', 'sh']);
      assert.equal(x.status, 0, `cut at ${end}: ${x.stderr}`);
      assert.ok(x.stdout.length > 20, `cut at ${end}`);
    }
  });
});

describe('stacks of the past', { concurrency: 2 }, () => {
  for (const [name, body] of cases) test(name, { timeout: 120000 }, async (t) => { if (skip) t.skip(skip); else await body(t); });
});
