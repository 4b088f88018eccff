// Tools of other projects that the tests here give our files to: those that package-lock.json pins, installed into
// BUILD/foreign on first use. Where they cannot be had the test is skipped, which it says.
import { execFile, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { strobe } from '../e2e/lib.mjs';

const here = new URL('./', import.meta.url).pathname;
const top = new URL('../../', import.meta.url).pathname;
export const fixtures = join(top, 'tests/fixtures/profiles/');

export function skip(reason) {
  console.log(reason);
  process.exit(77);
}

/** The folder of an installed package. */
export function tool(name) {
  const dir = join(process.env.B ?? join(top, 'build'), 'foreign');
  const lock = join(here, 'package-lock.json');
  mkdirSync(dir, { recursive: true });
  const held = join(dir, 'node_modules/.lock');
  if (!existsSync(held) || readFileSync(held, 'utf8') !== readFileSync(lock, 'utf8')) {
    for (const f of ['package.json', 'package-lock.json']) cpSync(join(here, f), join(dir, f));
    // Two tests at once must not both fill it.
    const r = spawnSync('flock', [join(dir, '.flock'), 'sh', '-c',
      `cmp -s package-lock.json node_modules/.lock ||
       { npm ci --no-audit --no-fund --ignore-scripts --prefer-offline --loglevel=error && cp package-lock.json node_modules/.lock; }`,
    ], { cwd: dir, encoding: 'utf8', timeout: 300000 });
    if (r.status !== 0) skip(`npm does not install ${name} here: ${(r.stderr || String(r.error ?? '')).trim().split('\n')[0]}`);
  }
  return join(dir, 'node_modules', name);
}

/** Runs a program: {status, out, err}. */
export function run(program, args, options = {}) {
  return new Promise((resolve) => {
    const child = execFile(program, args, { encoding: 'utf8', timeout: 120000, maxBuffer: 256 << 20, ...options },
      (e, out, err) => resolve({ status: e ? (e.code ?? e.signal) : 0, out, err }));
    child.stdin.on('error', () => {}); // it need not read it
    child.stdin.end(options.input ?? '');
  });
}

/** strobe flame ARGS; what it printed. */
export async function flame(args, options) {
  const r = await run(strobe, ['flame', ...args], options);
  if (r.status !== 0) throw new Error(`strobe flame ${args.join(' ')}: ${r.status}: ${r.err}`);
  return r.out;
}

/** Folded stacks as [{frames, weight}]. */
export function folded(text) {
  return text.trim().split('\n').map((l) => {
    const at = l.lastIndexOf(' ');
    return { frames: l.slice(0, at).split(';'), weight: Number(l.slice(at + 1)) };
  });
}

/** Self and total weight by function, and of all. */
export function sums(stacks) {
  const ret = { all: 0, self: new Map(), total: new Map() };
  const add = (m, k, n) => m.set(k, (m.get(k) ?? 0) + n);
  for (const { frames, weight } of stacks) {
    ret.all += weight;
    add(ret.self, frames.at(-1), weight);
    for (const f of new Set(frames)) add(ret.total, f, weight);
  }
  return ret;
}
