// An independent client of the stream: a WebSocket by hand over node:net, and a model of what the
// .proto says a client holds. No dependency, nothing shared with the agent or the dashboard.
import crypto from 'node:crypto';
import net from 'node:net';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { decode } from './schema.mjs';

export const root = path.resolve(import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname), '../..');
export const binary = process.env.STROBE ?? path.join(root, 'build/strobe');

// ---- an agent of this test's own ----

// verb: what serves; the options of a runtime directory are run's own. within: a command that runs it.
export async function startAgent({ args = [], env = {}, dir, listen = '127.0.0.1:0', token, verb = 'run', within = [] } = {}) {
  const own = dir ?? fs.mkdtempSync(path.join(fs.existsSync('/dev/shm') ? '/dev/shm' : os.tmpdir(), 'strobe-protocol-'));
  token ??= crypto.randomBytes(16).toString('hex');
  const [program, ...rest] = [...within, binary, verb, '--listen', listen, ...(verb === 'run' ? ['--runtime-dir', own] : []), ...args];
  const child = spawn(program, rest,
    { env: { ...process.env, STROBE_TOKEN: token, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '', err = '';
  child.stderr.on('data', (d) => { err += d; });
  const exited = new Promise((resolve) => child.on('exit', (code, signal) => resolve({ code, signal })));
  const url = await new Promise((resolve, reject) => {
    child.stdout.on('data', (d) => {
      out += d;
      const m = /listening on (\S+)/.exec(out);
      if (m) resolve(m[1].replace(/#.*/, ''));
    });
    exited.then((e) => reject(new Error(`the agent ended: ${JSON.stringify(e)}\n${out}${err}`)));
  });
  const agent = { url, token, child, dir: own, pid: child.pid, exited, stderr: () => err };
  const u = url.startsWith('unix:') ? null : new URL(url);
  agent.port = u ? Number(u.port) : 0;
  agent.address = u ? { host: '127.0.0.1', port: agent.port } : { path: url.slice(5) };
  agent.stop = async (signal = 'SIGTERM', keep = false) => {
    child.kill(signal);
    const e = await exited;
    if (!keep) fs.rmSync(own, { recursive: true, force: true });
    if (/Sanitizer|runtime error:/.test(err)) throw new Error(`a sanitizer found something:\n${err}`);
    if (signal === 'SIGTERM' && e.code !== 0) throw new Error(`the agent ended with ${JSON.stringify(e)}:\n${err}`);
    return e;
  };
  return agent;
}

// ---- HTTP ----

// One request, raw: {status, headers, body}. `head` adds or replaces header lines.
export function request(agent, target, { method = 'GET', head = {}, auth = true, body = '' } = {}) {
  const headers = { Host: `127.0.0.1:${agent.port}`, Connection: 'close', ...(auth ? { Authorization: `Bearer ${agent.token}` } : {}), ...head };
  return new Promise((resolve, reject) => {
    const chunks = [];
    const s = net.connect(agent.address, () => {
      const lines = Object.entries(headers).filter(([, v]) => v !== null).map(([k, v]) => `${k}: ${v}\r\n`);
      s.write(`${method} ${target} HTTP/1.1\r\n${lines.join('')}\r\n${body}`);
    });
    s.setTimeout(15000, () => s.destroy(new Error(`no answer to ${method} ${target}`)));
    s.on('data', (d) => chunks.push(d));
    s.on('error', reject);
    s.on('close', () => {
      const all = Buffer.concat(chunks), at = all.indexOf('\r\n\r\n');
      const [first, ...rest] = all.subarray(0, at).toString('latin1').split('\r\n');
      const fields = {};
      for (const l of rest) fields[l.slice(0, l.indexOf(':')).toLowerCase()] = l.slice(l.indexOf(':') + 1).trim();
      resolve({ status: Number(first.split(' ')[1] ?? 0), headers: fields, body: all.subarray(at + 4) });
    });
  });
}
export async function getJson(agent, target) {
  const r = await request(agent, target);
  if (r.status !== 200) throw new Error(`${target}: ${r.status} ${r.body}`);
  return JSON.parse(r.body);
}

// ---- WebSocket ----

export class Stream {
  constructor(socket) {
    this.socket = socket;
    this.rest = Buffer.alloc(0);
    this.queue = [];
    this.wanted = null;
    this.closed = null; // {code, reason}
    this.bytes = 0;
    this.largest = 0;
    this.payloads = new Map(); // the newest of each kind, undecoded
  }

  static open(agent, { head = {}, protocols, target = '/stream', token = agent.token } = {}) {
    const key = crypto.randomBytes(16).toString('base64');
    const headers = { Host: `127.0.0.1:${agent.port}`, Upgrade: 'websocket', Connection: 'Upgrade', 'Sec-WebSocket-Key': key, 'Sec-WebSocket-Version': '13', 'Sec-WebSocket-Protocol': protocols ?? `strobe.v1, bearer.${token}`, ...head };
    return new Promise((resolve, reject) => {
      const socket = net.connect(agent.address, () => {
        const lines = Object.entries(headers).filter(([, v]) => v !== null).map(([k, v]) => `${k}: ${v}\r\n`);
        socket.write(`GET ${target} HTTP/1.1\r\n${lines.join('')}\r\n`);
      });
      let seen = Buffer.alloc(0), done = false;
      const fail = (e) => { if (!done) { done = true; socket.destroy(); reject(e); } };
      socket.setTimeout(15000, () => fail(new Error('no answer to the upgrade')));
      socket.on('error', fail);
      socket.on('close', () => fail(Object.assign(new Error('closed before the upgrade'), { status: 0 })));
      socket.on('data', function onData(d) {
        seen = Buffer.concat([seen, d]);
        const at = seen.indexOf('\r\n\r\n');
        if (at < 0) return;
        const text = seen.subarray(0, at).toString('latin1'), status = Number(text.split(' ')[1]);
        if (status !== 101) return fail(Object.assign(new Error(`refused with ${status}`), { status }));
        const accept = crypto.createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
        if (!text.includes(accept)) return fail(new Error('wrong Sec-WebSocket-Accept'));
        done = true;
        socket.removeAllListeners();
        socket.setTimeout(0);
        const s = new Stream(socket);
        s.protocol = /sec-websocket-protocol: *(\S+)/i.exec(text)?.[1];
        socket.on('data', (x) => s.onData(x));
        socket.on('error', () => {});
        socket.on('close', () => s.onClose({ code: 1006, reason: '' }));
        s.onData(seen.subarray(at + 4));
        resolve(s);
      });
    });
  }

  onClose(why) {
    this.closed ??= why;
    this.wanted?.(null);
    this.wanted = null;
  }

  onData(d) {
    this.bytes += d.length;
    this.rest = this.rest.length ? Buffer.concat([this.rest, d]) : d;
    for (;;) {
      const b = this.rest;
      if (b.length < 2) return;
      let len = b[1] & 127, at = 2;
      if (b[1] & 128) throw new Error('a server frame is masked');
      if (len === 126) { if (b.length < 4) return; len = b.readUInt16BE(2); at = 4; }
      else if (len === 127) { if (b.length < 10) return; len = Number(b.readBigUInt64BE(2)); at = 10; }
      if (b.length < at + len) return;
      const payload = b.subarray(at, at + len), op = b[0] & 15;
      this.rest = b.subarray(at + len);
      if (op === 2) {
        if (!(b[0] & 128)) throw new Error('a message came in pieces');
        this.largest = Math.max(this.largest, len);
        const m = decode('ServerMessage', payload);
        this.payloads.set(Object.keys(m).find((k) => m[k]), Buffer.from(payload));
        if (this.wanted) { const w = this.wanted; this.wanted = null; w(m); } else this.queue.push(m);
      } else if (op === 8) {
        this.onClose({ code: len >= 2 ? payload.readUInt16BE(0) : 1005, reason: payload.subarray(2).toString() });
        this.socket.end();
      } else if (op === 9) {
        this.frame(10, payload);
      }
    }
  }

  frame(op, payload, { fin = true, len } = {}) {
    const mask = crypto.randomBytes(4), body = Buffer.from(payload);
    for (let i = 0; i < body.length; i++) body[i] ^= mask[i & 3];
    const n = len ?? body.length;
    let head;
    if (n < 126) head = Buffer.from([(fin ? 128 : 0) | op, 128 | n]);
    else if (n < 65536) { head = Buffer.alloc(4); head[0] = (fin ? 128 : 0) | op; head[1] = 254; head.writeUInt16BE(n, 2); }
    else { head = Buffer.alloc(10); head[0] = (fin ? 128 : 0) | op; head[1] = 255; head.writeBigUInt64BE(BigInt(n), 2); }
    this.socket.write(Buffer.concat([head, mask, body]));
  }
  send(message) { this.frame(2, message); }

  // The next message, or null once the connection is closed.
  async next(timeoutMs = 15000) {
    if (this.queue.length) return this.queue.shift();
    if (this.closed) return null;
    let timer;
    const r = await new Promise((resolve, reject) => {
      this.wanted = resolve;
      timer = setTimeout(() => { this.wanted = null; reject(new Error('no message came')); }, timeoutMs);
    });
    clearTimeout(timer);
    return r;
  }
  // The next message that holds `field`; others go to `other`.
  async until(field, other = () => {}) {
    for (;;) {
      const m = await this.next();
      if (!m) throw new Error(`closed (${JSON.stringify(this.closed)}) before ${field} came`);
      if (m[field]) return m[field];
      other(m);
    }
  }
  close() { this.socket.destroy(); }
}

// ---- what a client holds ----

export class Model {
  constructor() {
    this.groups = new Map(); // id -> {instances: Map slot -> {gen, name}, values: Map index -> BigInt, at}
    this.ticks = []; // [{tick, mono_us, groups: n}] in order of arrival, reset rows left out
    this.resets = 0;
    this.seq = 0;
    this.gaps = [];
    this.levels = [];
  }
  setCatalog(c) {
    this.catalog = c;
    this.byName = new Map(c.groups.map((g) => [g.name, g]));
  }
  state(id) {
    let g = this.groups.get(id);
    if (!g) this.groups.set(id, (g = { instances: new Map(), values: new Map(), at: 0, reads: [] }));
    return g;
  }
  static indices(gaps) {
    let i = -1;
    return gaps.map((gap) => (i += gap + 1));
  }
  applyGroup(tick, t) {
    const def = this.catalog.groups.find((g) => g.id === t.group), n = def.metrics.length;
    if (t.gap.length !== t.delta.length) throw new Error('gap and delta differ in length');
    if (t.reset) { this.groups.delete(t.group); this.resets++; }
    const g = this.state(t.group);
    if (!t.reset && !g.begun) throw new Error(`${def.name}: a tick before its reset row`);
    g.begun = true;
    const drop = (slot) => { for (let m = 0; m < n; m++) g.values.delete(slot * n + m); };
    for (const slot of t.ends) {
      if (!g.instances.delete(slot)) throw new Error(`${def.name}: slot ${slot} ends and was not there`);
      drop(slot);
    }
    for (const s of t.starts) {
      if (g.instances.has(s.slot)) throw new Error(`${def.name}: slot ${s.slot} starts and was there`);
      g.instances.set(s.slot, { gen: s.gen, name: s.name, attrs: new Map(s.attrs.map((a) => [a.key, a.value])) });
      for (let m = 0; m < n; m++) g.values.set(s.slot * n + m, 0n);
    }
    for (const i of Model.indices(t.absent)) g.values.set(i, null);
    Model.indices(t.gap).forEach((i, k) => {
      const slot = Math.floor(i / n);
      if (!g.instances.has(slot)) throw new Error(`${def.name}: a value of slot ${slot}, which nobody holds`);
      g.values.set(i, BigInt.asIntN(64, (g.values.get(i) ?? 0n) + t.delta[k]));
    });
    const read = !(t.has_period_ms && t.period_ms === 0 && !t.n) && !t.reset;
    g.at = tick.mono_us + Number(t.off_us);
    if (read) g.reads.push({ at: g.at, tick: tick.tick, t });
  }
  apply(m) {
    if (m.batch) {
      for (const tick of m.batch.ticks) {
        const reset = tick.groups.some((t) => t.reset);
        for (const t of tick.groups) this.applyGroup(tick, t);
        if (!reset) this.ticks.push({ tick: tick.tick, mono_us: tick.mono_us, groups: tick.groups.length });
      }
      if (m.batch.seq < this.seq) throw new Error('seq fell');
      this.seq = m.batch.seq;
    }
    if (m.attrs)
      for (const a of m.attrs.attrs) {
        const inst = this.groups.get(a.group)?.instances.get(a.slot);
        if (inst && inst.gen === a.gen) inst.attrs.set(a.key, a.value);
      }
    if (m.gap) this.gaps.push(m.gap);
    if (m.level) this.levels.push(m.level);
    return m;
  }
  value(groupName, metric, instance = '') {
    const def = this.byName.get(groupName), g = this.groups.get(def.id);
    const k = def.metrics.findIndex((x) => x.name === metric);
    for (const [slot, inst] of g.instances) if (inst.name === instance) return g.values.get(slot * def.metrics.length + k);
    return undefined;
  }
}

// Connected, with Hello and Catalog received.
export async function connect(agent, options) {
  const stream = await Stream.open(agent, options), model = new Model();
  const hello = await stream.until('hello');
  model.setCatalog(await stream.until('catalog'));
  return { stream, model, hello, group: (name) => model.byName.get(name).id };
}

// Takes messages until done() is true.
export async function follow(c, done) {
  while (!done()) {
    const m = await c.stream.next();
    if (!m) throw new Error(`closed: ${JSON.stringify(c.stream.closed)}`);
    c.model.apply(m);
    if (m.error) throw new Error(`the agent says: ${m.error.text}`);
  }
}
