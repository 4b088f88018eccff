#!/usr/bin/env node
// Source lines of a function are those where it was sampled, not of its first address: of a program that has exited, and
// of a capture of it on a host that never ran it.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import { after, before, test } from 'node:test';
import { binary, connect, request, startAgent } from './client.mjs';
import { flameRequest, linesRequest, profilerRequest } from './schema.mjs';

// Lines are told by the marks.
const SOURCE = `#include <stdio.h>
volatile unsigned sink;
static inline __attribute__((always_inline)) unsigned mix_inlined(unsigned x)
{
	for (unsigned i = 1; i < 40000; i++)  /* mix */
		x = x * 2654435761u + (x >> 13) + sink;  /* mix */
	return x;
}
__attribute__((noinline)) unsigned leaf(unsigned x)  /* leaf begins */
{
	unsigned a = x;
	sink = a;
	if (x == 77)
		printf("no");
	for (unsigned i = 0; i < 100000; i++)  /* leaf loop */
		sink = sink * 3 + i;  /* leaf loop */
	sink = a + 2;
	return a;
}
__attribute__((noinline)) unsigned hot(unsigned x)  /* hot begins */
{
	sink = x;
	sink = x + 1;
	x = mix_inlined(x);  /* hot inlines */
	sink = x + 3;
	x += leaf(x);  /* hot calls */
	sink = x + 4;
	return x;
}
int main(void)
{
	for (;;)
		sink += hot(5);
}
`;
const marked = (what) => SOURCE.split('\n').flatMap((l, i) => (l.includes(`/* ${what} */`) ? [i + 1] : []));
const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });
const START = 0, SELF = 1, CALL = 2;
let agent, c, prog, dir, state, range, skip = false;
const withErrors = (m) => { assert.ok(!m.error, m.error?.text); };
const one = async (client, message, field) => { client.stream.send(message); return client.stream.until(field, withErrors); };

/** The functions of the program by name: {module, buildId, addr, self, call}. */
async function functions(client, ranges, filter) {
  const all = [await one(client, flameRequest({ req: 7, ranges, filter }), 'flame')];
  while (!all.at(-1).last) all.push(await client.stream.until('flame', withErrors));
  const strings = all.flatMap((m) => m.strings), ret = new Map();
  for (const m of all) {
    assert.equal(m.place_node.length, m.place_self.length);
    assert.equal(m.place_node.length, m.place_call.length);
    let node = 0;
    for (const [i, d] of m.place_node.entries()) {
      node += d;
      ret.set(strings[m.name[node]], { module: strings[m.module[node]], buildId: strings[m.build_id[node]], addr: m.addr[node], self: m.place_self[i], call: m.place_call[i] });
    }
  }
  return ret;
}
async function linesOf(client, f, more = {}) {
  const l = await one(client, linesRequest({ req: 8, ...f, ...more }), 'lines');
  assert.equal(l.missing, '', JSON.stringify(l));
  return (of) => l.lines.filter((x) => x.of === of);
}

async function checkLines(client, names) {
  const hot = await linesOf(client, names.get('hot'));
  const [inner, outer, ...none] = hot(SELF);
  assert.deepEqual([inner.function, inner.inlined, outer.function, outer.inlined, none.length], ['mix_inlined', true, 'hot', false, 0]);
  assert.ok(marked('mix').includes(inner.line), `mix_inlined: ${inner.line}, not one of ${marked('mix')}`);
  assert.deepEqual([outer.line, outer.begins], [marked('hot inlines')[0], marked('hot begins')[0]]);
  assert.deepEqual(hot(CALL).map((l) => [l.function, l.line, l.begins]), [['hot', marked('hot calls')[0], marked('hot begins')[0]]]);
  assert.match(inner.file, /\/hotline\.c$/);
  const leaf = await linesOf(client, names.get('leaf'));
  assert.ok(marked('leaf loop').includes(leaf(SELF)[0].line), `leaf: ${leaf(SELF)[0].line}, not one of ${marked('leaf loop')}`);
  assert.deepEqual([leaf(SELF).length, leaf(CALL).length, leaf(START).length, leaf(SELF)[0].begins], [1, 0, 0, marked('leaf begins')[0]]);
}

before(async () => {
  agent = await startAgent();
  c = await connect(agent);
  state = await one(c, profilerRequest(1), 'profiler');
  if (!state.on) { skip = `no profiler here: ${state.reason}`; return; }
  dir = fs.mkdtempSync(path.join(fs.existsSync('/dev/shm') ? '/dev/shm' : '/tmp', 'strobe-lines-'));
  fs.writeFileSync(path.join(dir, 'hotline.c'), SOURCE);
  execFileSync('cc', ['-g', '-O2', '-pie', '-fPIE', '-o', 'hotline', 'hotline.c'], { cwd: dir });
  prog = spawn(path.join(dir, 'hotline'), { stdio: 'ignore' });
  // Its stacks are whole once the agent has its table.
  for (let i = 0, now = 0, names = new Map(); !(names.get('hot')?.call && names.get('hot').self && names.get('leaf')?.self); i++) {
    assert.ok(i < 100, `never seen whole: ${JSON.stringify([...names])}`);
    await sleep(300);
    now = (await one(c, profilerRequest(2), 'profiler')).now_us;
    names = await functions(c, [[now - 2000000, now]], { pid: prog.pid });
  }
  await sleep(2500);
  range = { to: (await one(c, profilerRequest(2), 'profiler')).now_us };
  range.from = range.to - 2000000;
  prog.kill('SIGKILL');
  await sleep(1500);
});
after(async () => {
  c?.stream.close();
  prog?.kill('SIGKILL');
  await agent?.stop();
  if (dir) fs.rmSync(dir, { recursive: true });
});
const it = (name, body) => test(name, async (t) => { if (skip) t.skip(skip); else await body(t); });

it('a function that was clicked has the lines where it was sampled, after its process has exited too', async () => {
  await checkLines(c, await functions(c, [[range.from, range.to]], { pid: prog.pid }));
});

it('without a place it has the line where it starts', async () => {
  const hot = (await functions(c, [[range.from, range.to]], { pid: prog.pid })).get('hot');
  const l = await linesOf(c, hot, { self: 0, call: 0 });
  assert.deepEqual([l(SELF).length, l(CALL).length, l(START).length], [0, 0, 1]);
  assert.ok(l(START)[0].line <= marked('hot inlines')[0] - 1 && l(START)[0].line >= marked('hot begins')[0], `${l(START)[0].line}`);
});

it('pprof has the address where it was sampled', async () => {
  const wall = (us) => (us + Number(c.hello.clocks.at(-1).real_off_us)) / 1e6;
  const names = await functions(c, [[range.from, range.to]], { pid: prog.pid });
  const r = await request(agent, `/api/v1/profile?from=${wall(range.from)}&to=${wall(range.to)}&pid=${prog.pid}&format=pprof`);
  assert.equal(r.status, 200);
  const file = path.join(dir, 'hot.pb.gz');
  fs.writeFileSync(file, r.body);
  assert.ok(gunzipSync(r.body).length > 100);
  const { leaf } = Object.fromEntries(names), varint = [];
  for (let v = BigInt(leaf.addr + leaf.self - 1); ; v >>= 7n) {
    varint.push(Number(v & 127n) | (v > 127n ? 128 : 0));
    if (v <= 127n) break;
  }
  assert.ok(gunzipSync(r.body).includes(Buffer.from([0x18, ...varint])), `no location at ${(leaf.addr + leaf.self - 1).toString(16)}`);
});

it('of a capture that is opened they are the same, by the build-id of the file', async () => {
  const file = path.join(dir, 'hot.strobe');
  execFileSync(binary, ['record', '-o', file, '--last', '30s', '--url', `${agent.url}#token=${agent.token}`], { stdio: 'pipe' });
  const opened = await startAgent({ verb: 'open', args: [file] });
  const o = await connect(opened);
  try {
    const names = await functions(o, [[range.from, range.to]], { pid: prog.pid });
    await checkLines(o, names);
    // Another build of it there is another program.
    fs.writeFileSync(path.join(dir, 'hotline.c'), `\n${SOURCE}`);
    execFileSync('cc', ['-g', '-O2', '-pie', '-fPIE', '-o', 'hotline', 'hotline.c'], { cwd: dir });
    const l = await one(o, linesRequest({ req: 9, ...names.get('hot') }), 'lines');
    assert.equal(l.lines.length, 0);
    assert.match(l.missing, /another build/);
    // And what the capture does not name is not looked for.
    const other = await one(o, linesRequest({ req: 10, module: '/bin/true', buildId: 'aa', addr: 4096 }), 'lines');
    assert.match(other.missing, /not known here/);
  } finally {
    o.stream.close();
    await opened.stop();
  }
});
