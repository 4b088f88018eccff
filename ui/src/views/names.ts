// Names a reader knows for metrics: a panel's where a panel shows it, a few that matter in an incident, else
// the metric's own words put in order.
import type { PanelSpec } from '../panels/types';
import type { Kind } from '../store/api';

export interface Named {
  readonly name: string;
  /** Shown in another unit: the value times this. */
  readonly kind?: Kind;
  readonly factor?: number;
}

const bits = (name: string): Named => ({ name, kind: 'bits/s', factor: 8 });
const of = (prefix: string, names: Record<string, string | Named>): [string, Named][] =>
  Object.entries(names).map(([k, v]) => [prefix + k, typeof v === 'string' ? { name: v } : v]);

const CPU: Record<string, string> = {
  user: 'user',
  nice: 'nice',
  sys: 'sys',
  'wait.total': 'waiting for I/O',
  'irq.hard': 'irq',
  'irq.soft': 'softirq',
  steal: 'steal',
  idle: 'idle',
  guest: 'guest',
  guest_nice: 'guest, nice',
};
const cpu = (prefix: string) =>
  of(prefix, Object.fromEntries(Object.entries(CPU).map(([k, v]) => [k, `CPU ${v}`])));

const KNOWN = new Map<string, Named>([
  ...cpu('kernel.all.cpu.'),
  ...cpu('kernel.percpu.cpu.'),
  ...of('kernel.all.', {
    running: 'Run queue',
    runnable: 'Runnable tasks',
    blocked: 'Blocked tasks',
    pswitch: 'Context switches',
    intr: 'Interrupts',
    sysfork: 'Forks',
    nprocs: 'Threads',
    load: 'Load',
    'softirqs.total': 'Softirqs',
    'interrupts.total': 'Interrupts',
    'interrupts.source': 'Interrupts',
  }),
  ...of('kernel.percpu.', {
    intr: 'Interrupts',
    sirq: 'Softirqs',
    softirqs: 'Softirqs',
    interrupts: 'Interrupts',
  }),
  ...['cpu', 'memory', 'io', 'irq'].flatMap((r) =>
    ['some', 'full'].flatMap((s) =>
      of(`kernel.all.pressure.${r}.${s}.`, {
        total: `${r === 'io' ? 'I/O' : r === 'cpu' ? 'CPU' : r === 'irq' ? 'IRQ' : 'Memory'} pressure, ${s}`,
        avg: `${r === 'io' ? 'I/O' : r === 'cpu' ? 'CPU' : r === 'irq' ? 'IRQ' : 'Memory'} pressure, ${s}, averaged`,
      }),
    ),
  ),
  ...of('proc.', {
    'schedstat.cpu_time': 'CPU',
    'schedstat.run_delay': 'Run delay',
    'schedstat.pcount': 'Runs',
    'psinfo.utime': 'CPU user',
    'psinfo.stime': 'CPU sys',
    'psinfo.rss': 'Resident memory',
    'psinfo.vsize': 'Address space',
    'psinfo.threads': 'Threads',
    'psinfo.minflt': 'Minor faults',
    'psinfo.maj_flt': 'Major faults',
    'psinfo.vctxsw': 'Voluntary switches',
    'psinfo.nvctxsw': 'Involuntary switches',
    'io.read_bytes': 'Reads',
    'io.write_bytes': 'Writes',
    'io.rchar': 'Bytes read by calls',
    'io.wchar': 'Bytes written by calls',
    'io.syscr': 'Read calls',
    'io.syscw': 'Write calls',
    nprocs: 'Processes',
    births: 'Processes started',
    exits: 'Processes ended',
    'task.births': 'Tasks started',
    'task.exits': 'Tasks ended',
  }),
  ...of('disk.dev.', {
    read_bytes: 'Reads',
    write_bytes: 'Writes',
    read: 'Read requests',
    write: 'Write requests',
    avactive: 'Utilisation',
    aveq: 'Requests queued',
    inflight: 'Requests in flight',
    in_flight: 'Requests in flight',
    read_rawactive: 'Time in reads',
    write_rawactive: 'Time in writes',
    read_merge: 'Reads merged',
    write_merge: 'Writes merged',
    discard_bytes: 'Discards',
    flush: 'Flushes',
  }),
  ...of('network.interface.', {
    'in.bytes': bits('Received'),
    'out.bytes': bits('Sent'),
    'in.packets': 'Packets received',
    'out.packets': 'Packets sent',
    'in.drops': 'Receive drops',
    'out.drops': 'Send drops',
    'in.errors': 'Receive errors',
    'out.errors': 'Send errors',
  }),
  ...of('network.tcp.', {
    retranssegs: 'TCP retransmits',
    estabresets: 'TCP resets',
    insegs: 'TCP segments in',
    outsegs: 'TCP segments out',
    activeopens: 'TCP connects',
    passiveopens: 'TCP accepts',
    currestab: 'TCP connections',
    listenoverflows: 'TCP accept overflows',
    listendrops: 'TCP accept drops',
  }),
  ...of('mem.util.', {
    available: 'Memory available',
    free: 'Memory free',
    anonpages: 'Memory anon',
    cached: 'Page cache',
    dirty: 'Dirty pages',
    writeback: 'Pages in writeback',
    slab: 'Kernel slab',
    shmem: 'Shared memory',
  }),
  ...of('mem.vmstat.', {
    pgfault: 'Page faults',
    pgmajfault: 'Major faults',
    pgpgin: 'Paged in',
    pgpgout: 'Paged out',
    pswpin: 'Swapped in',
    pswpout: 'Swapped out',
    oom_kill: 'OOM kills',
  }),
]);

/** Parts of a metric's name that say where it belongs, in words; the longest first. */
const PLACES: readonly [RegExp, string][] = [
  [/^kernel\.percpu\./, ''],
  [/^kernel\.all\./, ''],
  [/^network\.interface\./, 'interface '],
  [/^network\.(tcp|udp|udplite|ip|icmp|icmp6|ip6)\./, '$1 '],
  [/^network\./, ''],
  [/^mem\.vmstat\./, ''],
  [/^mem\.(util|numa\.util)\./, 'memory '],
  [/^disk\.dev\./, ''],
  [/^proc\.psinfo\./, ''],
  [/^strobe\./, 'strobe '],
];
const ABBREVIATIONS = /\b(tcp|udp|udplite|ip|ip6|icmp|icmp6|cpu|io|irq|thp|oom|numa|rss|arp|syn|ack)\b/gi;

/** "mem.vmstat.compact_fail" to "Compact fail", "network.udp.inErrors" to "UDP in errors". */
export function humanise(metric: string): string {
  const [re, place] = PLACES.find(([r]) => r.test(metric)) ?? [null, ''];
  const text = (re ? metric.replace(re, place) : metric)
    .replace(/([a-z])([A-Z])/g, '$1 $2')
    .replace(/[._]+/g, ' ')
    .toLowerCase()
    .replace(ABBREVIATIONS, (m) => m.toUpperCase())
    .trim();
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** What a metric is called, and the unit it is shown in. */
export function nameOf(metric: string, panels: readonly PanelSpec[]): Named {
  const known = KNOWN.get(metric);
  if (known) return known;
  // A panel about this one metric says what it is.
  const p = panels.find((s) => s.metrics.length === 1 && s.metrics[0] === metric);
  return { name: p && typeof p.title === 'string' ? p.title : humanise(metric) };
}
