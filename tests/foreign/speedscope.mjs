#!/usr/bin/env node
// What we write, opened in the real speedscope (its build from npm, served here from loopback, in headless Chromium): every
// format of ours that it reads shows the same functions with the same figures as our folded stacks; and profiles of other
// tools that it reads itself, it and `strobe flame` agree on.
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join } from 'node:path';
import { assert, equal, near, onEnd, openPage, scratch, tests } from '../e2e/lib.mjs';
import { fixtures, flame, folded, sums, tool } from './tools.mjs';

const release = join(tool('speedscope'), 'dist/release');
const dir = scratch();
const t = tests();
const MIME = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.wasm': 'application/wasm' };

let given;
const server = createServer((q, a) => {
  const path = decodeURIComponent(new URL(q.url, 'http://x').pathname);
  try {
    const name = path === '/' ? '/index.html' : path;
    const body = path.startsWith('/profile/') ? given : readFileSync(join(release, name));
    a.writeHead(200, { 'Content-Type': MIME[extname(name)] ?? 'application/octet-stream' }).end(body);
  } catch {
    a.writeHead(404).end();
  }
});
await new Promise((r) => server.listen(0, '127.0.0.1', r));
onEnd(() => (server.closeAllConnections(), server.close()));

const UNITS = { ns: 1e-3, 'µs': 1, us: 1, ms: 1e3, s: 1e6, min: 6e7, B: 1, KB: 1024, MB: 1 << 20, GB: 2 ** 30, '': 1 };
function figure(text) { // "383.84ms (100%)", "4:05.25 (12%)", "38 (<0.01%)"
  const m = /^(?:(\d+):)?([\d,.]+) ?(\D*?) \((<?)([\d.]+)%\)$/.exec(text.trim());
  assert(m && m[3] in UNITS, `no figure: ${JSON.stringify(text)}`);
  return { value: (Number(m[1] ?? 0) * 60 + Number(m[2].replaceAll(',', ''))) * (m[1] ? 1e6 : UNITS[m[3]]), percent: Number(m[5]), unit: m[3] };
}

/** Opens bytes as a file of that name: {name, index, of, rows} of the profile that it shows first. */
async function opened(bytes, name) {
  given = bytes;
  const base = `http://127.0.0.1:${server.address().port}/`;
  const { page, context, seen } = await openPage(`${base}#profileURL=${encodeURIComponent(`${base}profile/${name}`)}`, { width: 900, height: 1800 });
  const says = await Promise.race([
    page.getByText('Export').waitFor({ timeout: 30000 }).then(() => ''),
    page.getByText('Something went wrong').waitFor({ timeout: 30000 }).then(() => 'Something went wrong'),
  ]);
  equal(says, '', `${name}: what speedscope says; ${seen.errors.join('\n')}`);
  const title = (await page.locator('body').innerText()).split('\n')[1];
  await page.keyboard.press('3');
  await page.getByText('Symbol Name').waitFor();
  const cells = await page.locator('table').last().locator('xpath=ancestor::div[2]').locator('tr').evaluateAll((rows) => rows.map((r) => [...r.cells].map((c) => c.innerText)));
  equal(seen.errors.join('\n'), '', `${name}: errors`);
  equal(seen.foreign.join(' '), '', `${name}: other hosts`);
  await context.close();
  const m = /^(.*?)(?: \((\d+)\/(\d+)\))?$/.exec(title);
  const rows = cells.filter((c) => c.length === 3 && c[0].includes('%')).map((c) => ({ total: figure(c[0]), self: figure(c[1]), name: c[2].trim() }));
  assert(rows.length, `${name}: speedscope shows no function: ${JSON.stringify(cells)}`);
  return { name: m[1], index: Number(m[2] ?? 1), of: Number(m[3] ?? 1), rows };
}

/** Functions and shares as those of folded stacks. Figures are rounded by speedscope: four digits, or hundredths of a unit. */
function agrees(shown, want, what, tolerance = 0.6) {
  const names = new Set(shown.rows.map((r) => r.name));
  for (const name of want.total.keys()) assert(names.has(name), `${what}: no ${name} among ${[...names].join(', ')}`);
  for (const r of shown.rows) {
    assert(want.total.has(r.name), `${what}: ${r.name} is not ours`);
    near(r.total.percent, (100 * want.total.get(r.name)) / want.all, 0.005, tolerance, `${what}: total % of ${r.name}`);
    near(r.self.percent, (100 * (want.self.get(r.name) ?? 0)) / want.all, 0.005, tolerance, `${what}: self % of ${r.name}`);
  }
}

const perf = join(fixtures, 'perf.txt');
const spin = sums(folded(await flame([perf, '--process', 'spin', '--by', 'none'])));
const whole = sums(folded(await flame([perf, '--by', 'none'])));

t('speedscope JSON: one profile a thread, the busiest first, functions and times', async () => {
  const s = await opened(await flame([perf, '--speedscope']), 'perf.speedscope.json');
  equal(s.name, 'spin 396', 'the title');
  equal(`${s.index}/${s.of}`, '2/2', 'which of the threads');
  agrees(s, spin, 'JSON');
  near(s.rows[0].total.value, 38 * 10101, 0.001, 0, 'time of all, us');
});

for (const [what, file, args] of [['folded stacks', 'x.folded', ['--folded', '--by', 'none']], ['pprof', 'x.pb.gz', ['--pprof', '--by', 'none']]])
  t(`${what}: all of it`, async () => {
    const out = join(dir, file);
    await flame([perf, ...args, '-o', out]);
    const s = await opened(readFileSync(out), file);
    agrees(s, whole, what);
    if (file === 'x.pb.gz') near(s.rows[0].total.value, (whole.total.get(s.rows[0].name) * 545454) / whole.all, 0.002, 0, 'time, us');
  });

t("perf script text: a profile a thread", async () => {
  const s = await opened(await flame([perf, '--perf']), 'x.perf.txt');
  equal(s.of, 2, 'threads');
  // It begins with the first it meets; the name tells which.
  const process = /(spin|test_time)/.exec(s.name)?.[1];
  agrees(s, sums(folded(await flame([perf, '--process', process, '--by', 'none']))), `perf text of ${s.name}`);
});

t('names of C++, Rust, JITs and others survive in every format', async () => {
  const names = ['std::vector<int, std::allocator<int> >::push_back(int const&)', '(anonymous namespace)::f(int, char*)::{lambda(int)#1}::operator()(int) const',
    '<alloc::vec::Vec<T> as core::iter::Extend<T>>::extend', 'LazyCompile:*render /srv/app.js:12', 'naïve_μ', 'operator->', 'a "quoted" \\ name', 'main.(*T).run.func1'];
  const text = Array.from({ length: 20 }, (_, i) => `odd 7/7 [000] 1.${String(i * 10000).padStart(6, '0')}: 10101010 cpu-clock:\n${
    names.slice(i % 3).map((n, k) => `\t${(0x1000 + k * 16).toString(16)} ${n}+0x1 (/bin/odd)\n`).join('')}\n`).join('');
  const file = join(dir, 'odd.txt');
  writeFileSync(file, text);
  const want = sums(folded(await flame([file, '--by', 'none'])));
  for (const n of names) assert(want.total.has(n), `our own folded stacks have no ${n}`);
  for (const [as, name] of [['--speedscope', 'x.json'], ['--folded', 'x.folded'], ['--pprof', 'x.pb.gz']]) {
    const out = join(dir, name);
    await flame([file, as, '--by', 'none', '-o', out]);
    agrees(await opened(readFileSync(out), name), want, as);
  }
});

t('a Chrome cpuprofile: both read the same, to the time of every function', async () => {
  const theirs = await opened(readFileSync(join(fixtures, 'node.cpuprofile')), 'node.cpuprofile');
  const ours = await opened(await flame([join(fixtures, 'node.cpuprofile'), '--speedscope']), 'ours.json');
  // Where a function is in its file is a part of our names. Of those without a name there are several.
  const plain = (r) => r.name.replace(/ \S+:\d+$/, '');
  const named = (rows) => rows.filter((r) => !r.name.startsWith('(anonymous'));
  const by = new Map(named(ours.rows).map((r) => [plain(r), r]));
  equal([...by.keys()].sort().join(), named(theirs.rows).map(plain).sort().join(), 'functions');
  for (const r of named(theirs.rows))
    near(by.get(plain(r)).self.value, r.self.value, 0.001, 10, `self of ${r.name}`);
});

t('a heap profile stays one of bytes', async () => {
  const file = join(fixtures, 'go.heap.pb.gz');
  const ours = sums(folded(await flame([file, '--by', 'none'])));
  const theirs = await opened(readFileSync(file), 'go.heap.pb.gz');
  agrees(theirs, ours, 'the file itself');
  for (const [as, name] of [['--speedscope', 'x.json'], ['--pprof', 'x.pb.gz']]) {
    const out = join(dir, name);
    await flame([file, as, '--by', 'none', '-o', out]);
    const s = await opened(readFileSync(out), name);
    agrees(s, ours, as);
    assert(/B$/.test(s.rows[0].total.unit), `${as}: ${JSON.stringify(s.rows[0])} is no size`);
  }
});

await t.run();
