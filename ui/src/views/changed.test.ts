import { create } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { RankRowSchema, TotalsRowSchema } from '../gen/strobe_pb';
import type { MetricInfo } from '../store/api';
import { changeText, type Known, rowsOfRank } from './changed';
import { humanise, nameOf } from './names';
import { rangeProcs } from './rangeprocs';

const info = (name: string, over: Partial<MetricInfo> = {}): MetricInfo => ({
  name,
  group: 'g',
  collector: 'c',
  indom: '',
  unit: 'count',
  kind: 'count',
  counter: false,
  quantum: 0,
  source: '',
  help: '',
  names: [],
  ...over,
});

describe('what changed, as the agent ranks it', () => {
  const known: Known = {
    info: (m) =>
      m === 'unknown' ? undefined : info(m, /bytes/.test(m) ? { kind: 'bytes/s', counter: true } : {}),
    scale: (m) => (/proc/.test(m) ? 1e-9 : 1),
    words: (m, i) => (m.startsWith('proc.') ? `cc1 ${i}` : i),
  };
  const row = (metric: string, instance: string, before: bigint, now: bigint, others = 0) =>
    create(RankRowSchema, { metric, instance, before, now, others });

  it('rates come in thousandths, links in bits, others are counted', () => {
    const [a, b] = rowsOfRank(
      [
        row('disk.dev.write_bytes', 'vda', 39_000_000n, 572_000_000n, 3),
        row('network.interface.out.bytes', 'eth0', 1000n, 500n),
      ],
      known,
      [],
    );
    expect(a).toMatchObject({
      name: 'Writes',
      of: 'vda',
      before: 39_000,
      now: 572_000,
      others: 3,
      change: '×15',
    });
    expect(a!.search).toBe('disk.dev.write_bytes[vda]');
    expect(b).toMatchObject({
      name: 'Sent',
      kind: 'bits/s',
      before: 8,
      now: 4,
      change: '×0.50',
      strong: true,
    });
    expect(b!.source.fn!(new Float64Array([2]))).toBe(16);
  });
  it('a process goes by its command, a metric this page does not know is left out', () => {
    const rows = rowsOfRank(
      [row('proc.schedstat.cpu_time', '77', 0n, 9n), row('unknown', '', 1n, 2n)],
      known,
      [],
    );
    expect(rows.map((r) => [r.name, r.of, r.change])).toEqual([['CPU', 'cc1 77', 'new']]);
  });
  it('a change too small for a factor is a difference, a state its word', () => {
    expect(changeText(2 ** 30, 2 ** 30 + 2 ** 20, 'bytes')).toBe('+1 MiB');
    expect(changeText(100, 98, 'count')).toBe('−2');
    expect(changeText(0, 3, 'state', ['ok', 'reduced', 'partial', 'failed'])).toBe('failed');
    expect(changeText(4, 300, 'count')).toBe('×75');
  });
});

describe('names', () => {
  it('are the words of the field, or the metric’s own', () => {
    expect(nameOf('kernel.all.pressure.cpu.some.total', []).name).toBe('CPU pressure, some');
    expect(nameOf('kernel.percpu.cpu.irq.soft', []).name).toBe('CPU softirq');
    expect(humanise('mem.vmstat.compact_fail')).toBe('Compact fail');
    expect(humanise('network.udp.inErrors')).toBe('UDP in errors');
    expect(humanise('strobe.log.held')).toBe('Strobe log held');
  });
});

describe('processes of a range', () => {
  const cat = {
    group: 'process',
    metrics: [
      'proc.schedstat.cpu_time',
      'proc.schedstat.run_delay',
      'proc.io.read_bytes',
      'proc.io.write_bytes',
    ],
    scales: [1e-9, 1e-9, 1, 1],
    attrKeys: ['comm', 'cmdline'],
  };
  const row = (instance: string, cpu: bigint, before: number, over: object = {}) =>
    create(TotalsRowSchema, {
      instance,
      attrs: [{ key: 0, value: `c${instance}` }],
      deltas: [cpu, 5_000_000n, 4096n, 0n],
      before: [before, 0, 0, 0],
      ...over,
    });
  const over = { from: 0, to: 2e6 };
  it('are amounts, most CPU first, those that ended in it included', () => {
    const rows = rangeProcs(
      {
        nInstances: 3,
        rows: [
          row('1', 100_000_000n, 25e6),
          row('2', 1_600_000_000n, -1, { started: true, ended: true }),
          row('3', 0n, 0, { deltas: [0n, 0n, 0n, 0n] }),
        ],
      },
      cat,
      over,
    );
    expect(rows.map((r) => [r.pid, r.comm, r.cpuMs, r.delayMs, r.factor, r.fate])).toEqual([
      ['2', 'c2', 1600, 5, Number.POSITIVE_INFINITY, 'started, exited'],
      ['1', 'c1', 100, 5, 2, ''],
    ]);
  });
});
