import { expect, test } from 'vitest';
import { folded } from '../../../test/trees';
import { missingRows } from './missing';

test('modules without names come with the time that is lost to them, the worst first', () => {
  const t = folded('main@app;lib.so+0x10`2@/usr/lib/lib.so 30\nmain@app;app+0x99@app 60\nmain@app 10');
  const rows = missingRows(
    ['/usr/lib/lib.so: stripped: install its -dbgsym package', 'app: no build-id', 'other'],
    t,
  );
  expect(rows.map((r) => [r.module, r.share, r.why])).toEqual([
    ['app', 0.6, 'no build-id'],
    ['lib.so', 0.3, 'stripped: install its -dbgsym package'],
    ['other', 0, ''],
  ]);
  expect(missingRows(['a: b'], null)[0]).toMatchObject({ module: 'a', share: 0 });
});
