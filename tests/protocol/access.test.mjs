#!/usr/bin/env node
// Who may read the agent: nobody without the token, no page of another site, no other local user.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { binary, connect, getJson, request, startAgent, Stream } from './client.mjs';
import { ping } from './schema.mjs';

let agent;
before(async () => { agent = await startAgent(); });
after(async () => { await agent?.stop(); });

const status = async (target, options) => (await request(agent, target, options)).status;
const upgrade = (options, a = agent) => Stream.open(a, options).then((s) => { s.close(); return 101; }, (e) => e.status ?? -1);
const refused = (s) => [0, 400, 401, 403, 404].includes(s);

test('without the token, or with another one, the API gives nothing away', async () => {
  for (const target of ['/api/v1/status', '/api/v1/metrics', '/api/v1/query?metric=kernel.all.load', '/api/v1/nothing']) {
    for (const head of [{}, { Authorization: 'Bearer ' }, { Authorization: `Bearer ${'0'.repeat(32)}` }, { Authorization: `Bearer ${agent.token}x` }, { Authorization: `Bearer ${agent.token.slice(1)}` }, { Authorization: `Basic ${agent.token}` }, { Cookie: `token=${agent.token}` }]) {
      const r = await request(agent, target, { auth: false, head });
      assert.equal(r.status, 401, `${target} ${JSON.stringify(head)}`);
      assert.ok(!r.body.toString().includes(agent.token));
      assert.ok(JSON.parse(r.body).hint);
    }
  }
  assert.equal(await status(`/api/v1/status?token=${agent.token}`, { auth: false }), 401);
  assert.equal(await status('/api/v1/status'), 200);
});

test('assets and healthz need no token; every answer carries the security headers', async () => {
  const page = await request(agent, '/', { auth: false });
  assert.equal(page.status, 200);
  assert.match(page.body.toString(), /<title>strobe/);
  assert.equal((await request(agent, '/healthz', { auth: false })).body.toString(), 'ok');
  for (const target of ['/', '/healthz', '/api/v1/status', '/nothing']) {
    for (const auth of [true, false]) {
      const { headers } = await request(agent, target, { auth });
      assert.match(headers['content-security-policy'], /default-src 'none'; script-src 'self'/);
      assert.match(headers['content-security-policy'], /require-trusted-types-for 'script'/);
      assert.doesNotMatch(headers['content-security-policy'], /unsafe/);
      assert.equal(headers['x-content-type-options'], 'nosniff');
      assert.equal(headers['x-frame-options'], 'DENY');
      assert.equal(headers['referrer-policy'], 'no-referrer');
      assert.equal(headers['cross-origin-resource-policy'], 'same-origin');
      assert.equal(headers['cross-origin-opener-policy'], 'same-origin');
      assert.equal(headers['access-control-allow-origin'], undefined);
      assert.equal(headers['set-cookie'], undefined);
    }
  }
});

test('a foreign Host (DNS rebinding) is refused everywhere, a tunnel with another port is not', async () => {
  for (const Host of ['evil.example', 'evil.example:9820', '127.0.0.1.evil.example', 'localhost.evil.example', '10.0.0.1', '0.0.0.0', '[::1', 'localhost:', 'localhost:99999999', '']) {
    assert.equal(await status('/', { head: { Host } }), 403, `Host: ${Host}`);
    assert.equal(await status('/api/v1/status', { head: { Host } }), 403, `Host: ${Host}`);
    assert.ok(refused(await upgrade({ head: { Host } })), `Host: ${Host}`);
  }
  for (const Host of ['localhost', 'localhost:1', '127.0.0.1:65535', '[::1]:8080', 'LOCALHOST:80']) {
    assert.equal(await status('/api/v1/status', { head: { Host } }), 200, `Host: ${Host}`);
    assert.equal(await upgrade({ head: { Host } }), 101, `Host: ${Host}`);
  }
  assert.ok(refused(await status('/', { head: { Host: null } })));
});

test('a foreign Origin is refused, for requests and for the WebSocket', async () => {
  const own = `127.0.0.1:${agent.port}`;
  for (const Origin of ['http://evil.example', 'null', `https://${own}`, `http://localhost:${agent.port}`, 'http://127.0.0.1:1', `http://${own}.evil.example`, `http://${own}/`]) {
    assert.equal(await status('/api/v1/status', { head: { Origin } }), 403, Origin);
    assert.ok(refused(await upgrade({ head: { Origin } })), Origin);
  }
  assert.equal(await status('/api/v1/status', { head: { Origin: `http://${own}` } }), 200);
  assert.equal(await upgrade({ head: { Origin: `http://${own}` } }), 101);
  assert.equal(await upgrade({ head: { Host: 'localhost:9999', Origin: 'http://localhost:9999' } }), 101);
});

test('the WebSocket needs the token, the protocol and the path', async () => {
  assert.equal(await upgrade({}), 101);
  for (const protocols of ['strobe.v1', null, `bearer.${agent.token}`, `strobe.v1, bearer.${'0'.repeat(32)}`, `strobe.v2, bearer.${agent.token}`, `strobe.v1, bearer.${agent.token}0`, `strobe.v1, ${agent.token}`, 'http', 'strobe-fd', `http, bearer.${agent.token}`])
    assert.ok(refused(await upgrade({ protocols: protocols ?? '', ...(protocols === null ? { head: { 'Sec-WebSocket-Protocol': null } } : {}) })), `protocols ${protocols}`);
  assert.ok(refused(await upgrade({ target: '/' })));
  assert.ok(refused(await upgrade({ target: '/streams' })));
  assert.ok(refused(await upgrade({ target: '/api/v1/stream' })));
});

test('only GET and HEAD are answered', async () => {
  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH']) {
    const r = await request(agent, '/api/v1/status', { method, head: { 'Content-Length': '4' }, body: 'abcd' });
    assert.ok(r.status === 405 || r.status === 0 || r.status === 403, `${method}: ${r.status}`);
    assert.ok(!r.body.includes('boot_id'));
  }
  const r = await request(agent, '/api/v1/metrics', { method: 'HEAD' });
  assert.equal(r.status, 200);
  assert.equal(r.body.length, 0);
  assert.ok(Number(r.headers['content-length']) > 1000);
});

test('wrong arguments are answered with what is right', async () => {
  const q = async (args) => { const r = await request(agent, `/api/v1/query?${args}`); return [r.status, r.status ? JSON.parse(r.body) : {}]; };
  for (const [args, expected] of [['', 400], ['metric=no.such.metric', 404], ['metric=kernel.all.load&from=tomorrow', 400], ['metric=kernel.all.load&from=now&to=-5s', 400], ['metric=kernel.all.load&points=0', 400], ['metric=kernel.all.load&points=-3', 400], ['metric=kernel.all.load&points=1e9', 400], ['metric=kernel.all.load&points=99999', 413], ['metric=kernel.all.load&format=xml', 400], ['metric=kernel.all.load&rate=2', 400], ['metric=kernel.all.load&bogus=1', 400], ['metric', 400], ['metric=', 404], ['metric=%00', 0], ['metric=kernel.all.load&from=1e308', 400], ['metric=kernel.all.load&from=-99999999999999d', 200], [`metric=${'a'.repeat(3000)}`, 404]]) {
    const [s, body] = await q(args);
    assert.equal(s, expected, `${args}: ${JSON.stringify(body).slice(0, 200)}`);
    if (s > 200) assert.ok(body.error && body.hint, args);
  }
  assert.ok(refused(await status(`/api/v1/query?metric=${'a'.repeat(60000)}`)) || true);
  assert.equal(await status('/healthz'), 200);
});

test('times of a query may be absolute, ISO or relative', async () => {
  const now = Date.now() / 1000;
  for (const from of ['-10s', '-10000ms', '-1m', '-1h', '-2d', '-30', String(now - 10), new Date(Date.now() - 10000).toISOString(), encodeURIComponent('2026-01-01T00:00:00+02:00'), '2026-01-01T00:00:00'])
    assert.equal(await status(`/api/v1/query?metric=mem.util.free&from=${from}&to=now&points=2`), 200, from);
  const q = await getJson(agent, `/api/v1/query?metric=mem.util.free&from=${now - 5}&to=${now}&points=1`);
  assert.ok(Math.abs(q.from - (now - 5)) < 0.001);
  assert.ok(Math.abs(q.to - now) < 0.001);
});

test('assets: strong ETag, 304, gzip for those who take it, the same bytes for the others', async () => {
  const plain = await request(agent, '/', { auth: false }), { gunzipSync } = await import('node:zlib');
  assert.equal(plain.headers['content-encoding'], undefined);
  const packed = await request(agent, '/', { auth: false, head: { 'Accept-Encoding': 'br, gzip' } });
  assert.equal(packed.headers['content-encoding'], 'gzip');
  assert.deepEqual(gunzipSync(packed.body), plain.body);
  assert.notEqual(packed.headers.etag, plain.headers.etag);
  assert.equal(packed.headers['cache-control'], 'no-cache');
  assert.match(packed.headers.vary, /accept-encoding/i);
  for (const [etag, head] of [[plain.headers.etag, {}], [packed.headers.etag, { 'Accept-Encoding': 'gzip' }]]) {
    const r = await request(agent, '/', { auth: false, head: { 'If-None-Match': etag, ...head } });
    assert.equal(r.status, 304);
    assert.equal(r.body.length, 0);
  }
  const asset = /(?:src|href)="\.?(\/assets\/[^"]+)"/.exec(plain.body.toString());
  if (asset) assert.match((await request(agent, asset[1], { auth: false })).headers['cache-control'], /immutable/);
  for (const target of ['/../etc/passwd', '/assets/../index.html', '/%2e%2e/etc/passwd', '//etc/passwd', '/index.html%00'])
    assert.ok(![500].includes(await status(target)) && !(await request(agent, target)).body.includes('root:'), target);
});

test('one connection serves request after request', async () => {
  const s = net.connect(agent.address), chunks = [];
  s.on('data', (d) => chunks.push(d));
  const head = `Host: 127.0.0.1\r\nAuthorization: Bearer ${agent.token}\r\n`;
  const count = () => Buffer.concat(chunks).toString().split('HTTP/1.1 200').length - 1;
  for (let i = 1; i <= 5; i++) {
    s.write(`GET ${i % 2 ? '/api/v1/status' : '/healthz'} HTTP/1.1\r\n${head}\r\n`);
    while (count() < i) await new Promise((r) => { s.once('data', r); });
  }
  s.destroy();
});

test('bad frames and broken requests end their connection, never the agent', async () => {
  const garbage = (n) => Buffer.from(Array.from({ length: n }, (_, i) => (i * 7919 + 13) & 255));
  const trials = [
    (s) => s.send(Buffer.alloc(0)),
    (s) => s.send(garbage(100)),
    (s) => s.send(garbage(60000)),
    (s) => s.frame(1, Buffer.from('{"subscribe":true}')),
    (s) => s.send(Buffer.alloc(70000, 1)), // over 64 KiB
    (s) => s.frame(2, garbage(10), { len: 1 << 30 }), // promises a GiB
    (s) => s.frame(2, garbage(10), { fin: false }),
    (s) => { s.frame(2, garbage(40000), { fin: false }); s.frame(0, garbage(40000)); },
    (s) => s.frame(3, garbage(5)), // reserved opcode
    (s) => s.frame(9, garbage(200)), // a control frame that is too long
    (s) => s.socket.write(Buffer.concat([Buffer.from([0x82, 5]), garbage(5)])), // not masked
    (s) => s.send(Buffer.from([0x0a, 0xff, 0xff, 0xff, 0xff, 0x7f])), // a Subscribe that promises 32 GiB
    (s) => s.send(Buffer.from([0x0a, 4, 0x0a, 2, 8, 200])), // a varint cut off
    (s) => { for (let i = 0; i < 3000; i++) s.send(ping(i)); s.socket.pause(); },
    (s) => { for (let i = 0; i < 200; i++) s.send(garbage(3)); },
    (s) => s.socket.end(),
    (s) => s.socket.resetAndDestroy?.(),
  ];
  for (const trial of trials) {
    const { stream } = await connect(agent);
    trial(stream);
    // The next ping of another client is answered: the loop goes on.
    const other = await connect(agent);
    other.stream.send(ping(9));
    assert.equal((await other.stream.until('pong')).id, 9, trial.toString());
    other.stream.close();
    stream.close();
  }
  for (const text of ['\r\n\r\n', 'GET\r\n\r\n', 'GET / HTTP/9.9\r\n\r\n', `GET /${'a'.repeat(20000)} HTTP/1.1\r\nHost: localhost\r\n\r\n`, `GET / HTTP/1.1\r\nHost: localhost\r\nX: ${'b'.repeat(100000)}\r\n\r\n`, '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'POST /api/v1/status HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzzz\r\n']) {
    const s = net.connect(agent.address);
    s.on('error', () => {});
    s.write(text);
    await new Promise((r) => { s.once('data', r); s.once('close', r); setTimeout(r, 300); });
    s.destroy();
  }
  assert.equal(await status('/healthz'), 200);
  assert.equal(agent.child.exitCode, null);
});

test('two agents on one host: a token of the one is nothing to the other', async () => {
  const other = await startAgent();
  try {
    assert.notEqual(other.port, agent.port);
    assert.equal((await request(other, '/api/v1/status')).status, 200);
    assert.equal((await request(other, '/api/v1/status', { head: { Authorization: `Bearer ${agent.token}` } })).status, 401);
    assert.ok(refused(await upgrade({ token: agent.token }, other)));
    assert.equal(await upgrade({}, other), 101);
    const [a, b] = [await connect(agent), await connect(other)];
    assert.notDeepEqual(a.hello.log_id, b.hello.log_id);
    a.stream.close();
    b.stream.close();
  } finally {
    await other.stop();
  }
});

const asNobody = (...argv) => spawnSync('setpriv', ['--reuid', '65534', '--regid', '65534', '--clear-groups', ...argv], { encoding: 'utf8' });
const canDrop = process.getuid() === 0 && asNobody('true').status === 0;

test('another local user finds neither the token nor a way in', { skip: canDrop ? false : 'needs root and setpriv' }, async () => {
  const found = fs.readdirSync(agent.dir, { recursive: true }).map(String);
  const file = found.find((f) => f.endsWith('agent.json'));
  assert.ok(file, `agent.json in ${found}`);
  assert.ok(fs.readFileSync(path.join(agent.dir, file), 'utf8').includes(agent.token));
  for (const f of found) {
    const full = path.join(agent.dir, f);
    if (!fs.statSync(full).isFile()) continue;
    assert.equal(fs.statSync(full).mode & 0o077, 0, `${f} is closed to others`);
    assert.notEqual(asNobody('cat', full).status, 0, `${f} can be read`);
  }
  const node = process.execPath;
  const script = `fetch('http://127.0.0.1:${agent.port}/api/v1/status').then((r) => r.text().then((t) => { console.log(r.status, t); }))`;
  assert.match(asNobody(node, '-e', script).stdout, /^401 /);
  assert.equal(asNobody('grep', '-a', '-c', agent.token, `/proc/${agent.pid}/cmdline`).stdout.trim(), '0');
  assert.notEqual(asNobody('cat', `/proc/${agent.pid}/environ`).status, 0);
});

test('a unix socket: for its user alone, gone after the end', async () => {
  const dir = fs.mkdtempSync('/tmp/strobe-socket-'), file = path.join(dir, 'agent.sock');
  fs.chmodSync(dir, 0o755);
  const one = await startAgent({ listen: `unix:${file}` });
  try {
    assert.equal(fs.statSync(file).mode & 0o777, 0o600);
    assert.equal((await request(one, '/api/v1/status', { head: { Host: 'localhost' } })).status, 200);
    assert.equal((await request(one, '/api/v1/status', { auth: false, head: { Host: 'localhost' } })).status, 401);
    const c = await connect(one, { head: { Host: 'localhost' } });
    assert.equal(c.hello.protocol, 1);
    c.stream.close();
    if (canDrop) {
      const script = `require('net').connect(${JSON.stringify(file)}).on('error', (e) => { console.log(e.code); }).on('connect', () => { console.log('connected'); process.exit(); })`;
      assert.equal(asNobody(process.execPath, '-e', script).stdout.trim(), 'EACCES');
    }
    const second = spawnSync(binary, ['run', '--listen', `unix:${file}`, '--runtime-dir', path.join(agent.dir, 'second')], { encoding: 'utf8', timeout: 10000 });
    assert.notEqual(second.status, 0);
    assert.ok(second.stderr.length > 10, 'it says why');
  } finally {
    await one.stop();
  }
  assert.equal(fs.existsSync(file), false);
  fs.rmSync(dir, { recursive: true });
});

test('an address that is not loopback is refused, with the way to go', () => {
  for (const listen of ['0.0.0.0:0', '192.0.2.1:9820', '[::]:0', 'example.com:80']) {
    const r = spawnSync(binary, ['run', '--listen', listen], { encoding: 'utf8', timeout: 10000 });
    assert.notEqual(r.status, 0, listen);
    assert.match(r.stderr, /loopback/, listen);
    assert.match(r.stderr, /ssh|TLS/i, listen);
  }
});

test('a port that is taken says so', async () => {
  const r = spawnSync(binary, ['run', '--listen', `127.0.0.1:${agent.port}`, '--runtime-dir', path.join(agent.dir, 'second')], { encoding: 'utf8', timeout: 10000 });
  assert.notEqual(r.status, 0);
  assert.match(r.stderr, /in use|already/i);
});
