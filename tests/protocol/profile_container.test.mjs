#!/usr/bin/env node
// Processes that live elsewhere: their own mount and pid namespaces, an executable that the host's root does not
// show, a JIT whose perf map lies in a private /tmp under the pid that it has in there.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { connect, root, startAgent } from './client.mjs';
import { flameRequest, profilerRequest } from './schema.mjs';

const B = process.env.B ?? path.join(root, 'build');
const children = [];
let agent, c, skip = false;
const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

// Runs a shell script as if in a container: other mounts, pids from 1 on.
function inside(script) {
  const child = spawn('unshare', ['--mount', '--pid', '--fork', '--kill-child', '--mount-proc', 'sh', '-c', script], { stdio: ['ignore', 'ignore', 'pipe'] });
  child.stderr.on('data', (d) => process.stderr.write(`# ${d}`));
  children.push(child);
}
async function namesOf(process) {
  c.stream.send(profilerRequest(1));
  const { now_us } = await c.stream.until('profiler', () => {});
  c.stream.send(flameRequest({ req: 2, ranges: [[now_us - 2000000, now_us]], filter: { process } }));
  const t = { strings: [], name: [], module: [], type: [] };
  for (let last = false; !last;) {
    const m = await c.stream.until('flame', (e) => assert.ok(!e.error, e.error?.text));
    for (const k of Object.keys(t)) t[k].push(...m[k]);
    ({ last } = m);
  }
  return t.name.map((s, i) => ({ name: t.strings[s], module: t.strings[t.module[i]], type: t.type[i] }));
}
// Until all of these functions have been seen by their names.
async function see(process, wanted) {
  let have = [];
  for (let i = 0; i < 40; i++) {
    have = await namesOf(process);
    if (wanted.every((w) => have.some((f) => w.test(f.name)))) return have;
    await sleep(500);
  }
  return assert.fail(`${wanted} not among ${[...new Set(have.map((f) => f.name))].join(' ')}`);
}

before(async () => {
  try { execFileSync('unshare', ['--mount', '--pid', '--fork', 'true']); } catch { skip = 'no namespaces for this user'; return; }
  agent = await startAgent();
  c = await connect(agent);
  c.stream.send(profilerRequest(9));
  const s = await c.stream.until('profiler', () => {});
  if (!s.on || !/every CPU/.test(s.tier)) skip = `no profiles of other users' processes: ${s.reason}`;
});
after(async () => { c?.stream.close(); for (const child of children) child.kill('SIGKILL'); await agent?.stop(); });

test('an executable that only its own mounts show has its names', async (t) => {
  if (skip) return t.skip(skip);
  const tool = path.join(B, 'tests/tool_spin');
  inside(`mount -t tmpfs t /mnt && cp ${tool} /mnt/elsewhere && exec /mnt/elsewhere shares 60`);
  const have = await see('elsewhere', [/^spin_hot/]);
  assert.ok(have.some((f) => f.module === 'elsewhere'), JSON.stringify(have.slice(0, 20)));
  return undefined;
});

test("a JIT's functions have their names from the perf map in its own /tmp", async (t) => {
  if (skip) return t.skip(skip);
  const js = 'function hotJittedLoop(n){let x=0;for(let i=0;i<n;i++)x=(x*31+i)%65521;return x} for(;;)hotJittedLoop(1e6)';
  inside(`mount -t tmpfs t /tmp && cd /tmp && exec ${process.execPath} --perf-basic-prof -e '${js}'`);
  const have = await see('node', [/hotJittedLoop/]);
  assert.ok(have.filter((f) => /hotJittedLoop/.test(f.name)).every((f) => f.type === 4), 'of type JIT');
  return undefined;
});
