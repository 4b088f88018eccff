// The USE strip as data: for each resource utilisation, saturation and errors, each a source or the words
// that say what would supply it.

import type { Colour } from '../charts/palette';
import { cpuShare, cpus } from '../panels/cpu.panels';
import type { Env } from '../panels/types';
import type { Kind, Source } from '../store/api';
import { derived, one, ref, sum } from '../transform/source';

export interface UseRow {
  readonly source: Source | null;
  /** Shown in this kind; a rate of events as events a second. */
  readonly kind?: Kind;
  /** After the value: "utilised", "runnable on 2". */
  readonly words: string;
  readonly warn?: number;
  readonly crit?: number;
  /** Full height of the sparkline; none: no sparkline. */
  readonly full?: number;
  /** Without a source: what would supply it. */
  readonly missing?: string;
}

export interface UseCell {
  readonly id: string;
  readonly name: string;
  readonly detail: string;
  readonly colour: Colour;
  readonly rows: readonly [UseRow, UseRow, UseRow];
}

const GIB = 2 ** 30;

function cpuCell(env: Env): UseCell {
  const n = cpus(env);
  const mce = env.store.instances('kernel.all.interrupts.total').some((i) => i.name === 'MCE');
  return {
    id: 'cpu',
    name: 'CPU',
    detail: n === 1 ? '1 core' : `${n} cores`,
    colour: 'cpu',
    rows: [
      {
        source: cpuShare(env, 'busy', ['user', 'nice', 'sys', 'irq.hard', 'irq.soft', 'steal']),
        words: 'utilised',
        full: 1,
        warn: 0.95,
      },
      {
        source: one('count', 'kernel.all.running'),
        words: `runnable on ${n}`,
        full: 2.5 * n,
        warn: n + 0.5,
        crit: 8 * n,
      },
      mce
        ? {
            source: one('count/s', 'kernel.all.interrupts.total', 'MCE'),
            words: 'machine checks',
            crit: 1e-9,
          }
        : {
            source: null,
            words: '',
            missing: 'Machine checks: row MCE of /proc/interrupts, not on this host',
          },
    ],
  };
}

function memoryCell(env: Env): UseCell {
  const total = env.store.host?.memTotal ?? 0;
  const refs = [ref('mem.util.available'), ref('mem.physmem')];
  return {
    id: 'memory',
    name: 'Memory',
    detail: total ? `${(total / GIB).toFixed(total < 10 * GIB ? 1 : 0)} GiB` : '',
    colour: 'mem',
    rows: [
      {
        source: derived('memused', 'ratio', refs, (x) => 1 - x[0]! / x[1]!),
        words: 'used',
        full: 1,
        warn: 0.9,
        crit: 0.97,
      },
      {
        source: one('ratio', 'kernel.all.pressure.memory.some.total'),
        words: 'pressure',
        full: 0.2,
        warn: 0.05,
        crit: 0.4,
      },
      { source: one('count/s', 'mem.vmstat.oom_kill'), words: 'OOM kills', crit: 1e-9 },
    ],
  };
}

const blank = (missing: string): UseRow => ({ source: null, words: ' ', missing });

/** Why `metric` is not read, as a row; null when it is. */
function whyNot(env: Env, metric: string): UseRow | null {
  const s = env.store.status(metric);
  const known = env.store.info(metric) !== undefined;
  if (known && (s.state === 'ok' || s.state === 'reduced' || s.state === 'partial')) return null;
  return { source: null, words: '', missing: s.reason || `This agent does not supply ${metric}` };
}

function diskCell(env: Env, rank: number): UseCell {
  const disk = env.disk(rank);
  const all = env.store.instances('disk.dev.avactive').length;
  const missing = rank ? 'This host has one disk' : 'No block device is listed in /proc/diskstats';
  if (disk === undefined) {
    const off = whyNot(env, 'disk.dev.avactive');
    if (off)
      return {
        id: `disk${rank}`,
        name: rank ? 'Second disk' : 'Disk',
        detail: '',
        colour: 'disk',
        rows: [off, off, off],
      };
    const none: UseRow = { source: null, words: rank ? 'no second disk' : 'no disk', missing };
    const name = rank ? 'Second disk' : 'Disk';
    return {
      id: `disk${rank}`,
      name,
      detail: 'none',
      colour: 'disk',
      rows: [none, blank(missing), blank(missing)],
    };
  }
  return {
    id: `disk${rank}`,
    name: disk,
    detail: rank ? 'next' : all > 1 ? `worst of ${all}` : 'the only disk',
    colour: 'disk',
    rows: [
      { source: one('ratio', 'disk.dev.avactive', disk), words: 'utilised', full: 1, warn: 0.9 },
      {
        // Its rate is request-seconds a second: the mean number of requests in flight.
        source: derived('queue', 'count', [ref('disk.dev.aveq', disk)], (x) => x[0]!, [1]),
        words: 'queued',
        full: 16,
        warn: 8,
        crit: 64,
      },
      {
        source: null,
        words: '',
        missing:
          'I/O errors: /proc/diskstats has none; the kernel log or ioerr_cnt of a SCSI device would tell',
      },
    ],
  };
}

function ifaceCell(env: Env): UseCell {
  const { store } = env;
  const name = env.iface(0);
  if (name === undefined) {
    const off = whyNot(env, 'network.interface.in.bytes');
    const none = off ?? {
      source: null,
      words: 'no interface',
      missing: 'No interface is listed in /proc/net/dev',
    };
    return { id: 'net', name: 'Network', detail: off ? '' : 'none', colour: 'net', rows: [none, none, none] };
  }
  const speed = store.latest(one('bits/s', 'network.interface.link_speed', name))?.v ?? 0;
  const inputs = [ref('network.interface.in.bytes', name), ref('network.interface.out.bytes', name)];
  const most = (x: Float64Array) => Math.max(x[0]!, x[1]!) * 8;
  const gbit = speed >= 1e9 ? `${speed / 1e9} Gb/s` : `${speed / 1e6} Mb/s`;
  return {
    id: 'net',
    name,
    detail: speed > 0 ? gbit : 'link speed unknown',
    colour: 'net',
    rows: [
      speed > 0
        ? {
            source: derived(`linkuse/${speed}`, 'ratio', inputs, (x) => most(x) / speed, [1, 1]),
            words: 'of the link',
            full: 1,
            warn: 0.8,
            crit: 0.95,
          }
        : {
            source: derived('linkmost', 'bits/s', inputs, most, [1, 1]),
            words: 'busier way',
            full: 0,
          },
      {
        source: sum('count/s', ['network.interface.in.drops', 'network.interface.out.drops'], name),
        words: 'drops',
        full: 10,
        warn: 1,
      },
      {
        source: sum('count/s', ['network.interface.in.errors', 'network.interface.out.errors'], name),
        words: 'errors',
        warn: 1e-9,
      },
    ],
  };
}

function tcpCell(env: Env): UseCell {
  const open = env.store.latest(one('count', 'network.tcp.currestab'))?.v;
  return {
    id: 'tcp',
    name: 'TCP',
    detail: open === undefined ? '' : `${open.toLocaleString('en-US')} connection${open === 1 ? '' : 's'}`,
    colour: 'net',
    rows: [
      { source: null, words: 'no capacity', missing: 'TCP has no capacity that could be used up' },
      {
        source: one('count/s', 'network.tcp.listenoverflows'),
        words: 'accept overflows',
        full: 5,
        warn: 1e-9,
      },
      {
        source: one('count/s', 'network.tcp.retranssegs'),
        words: 'retransmits',
        full: 50,
        warn: 10,
        crit: 1000,
      },
    ],
  };
}

/** The six cells of the strip as they are now. */
export function useCells(env: Env): readonly UseCell[] {
  return [cpuCell(env), memoryCell(env), diskCell(env, 0), diskCell(env, 1), ifaceCell(env), tcpCell(env)];
}

export type Level = '' | 'warn' | 'crit';

/** How bad a value is. */
export function levelOf(row: UseRow, v: number): Level {
  if (row.crit !== undefined && v >= row.crit) return 'crit';
  return row.warn !== undefined && v >= row.warn ? 'warn' : '';
}
