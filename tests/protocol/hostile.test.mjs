#!/usr/bin/env node
// What a client may do to the agent by asking for absurd things, by not reading and by going away.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { connect, startAgent } from './client.mjs';
import { rangeRequest } from './schema.mjs';

let agent;
before(async () => { agent = await startAgent(); });
after(async () => { await agent?.stop(); });

const answer = async (c) => {
  let m;
  do m = await c.stream.next(); while (m && !m.range && !m.error);
  return m;
};
const load = [{ metric: 'kernel.all.load', instance: '' }];

test('a range over all of time is answered', async () => {
  const c = await connect(agent);
  const ask = (fromUs, toUs, points) => {
    c.stream.send(rangeRequest({ req: 1, series: load, fromUs, toUs, points }));
    return answer(c);
  };

  for (let held = 0; !held;) held = (await ask(1n, 2n ** 62n, 1)).range?.series[0]?.count[0];
  for (const [fromUs, toUs] of [[0n, 2n ** 64n - 1n], [1n, 2n ** 64n - 1n], [2n ** 63n, 2n ** 64n - 1n], [0n, 2n ** 63n]])
    for (const points of [1, 3, 10000]) {
      const m = await ask(fromUs, toUs, points);
      assert.ok(m, `the agent went away: ${fromUs} ${toUs} ${points}`);
      if (fromUs < 2n) assert.equal(m.range.series[0].gap[0], 0);
    }
  c.stream.close();
});
