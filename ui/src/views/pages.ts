// The pages per subsystem: which panels and metrics each shows, in order. A name is a panel's id or a
// metric's name; what this host does not have is left out.

export interface Section {
  readonly title: string;
  readonly items: readonly string[];
}

const all = (prefix: string, names: string) => names.split(' ').map((n) => `${prefix}.${n}`);

export const SECTIONS: Record<string, readonly Section[]> = {
  cpu: [
    { title: 'All CPUs', items: ['cpu.cores', 'cpu.runqueue', 'cpu.switches', 'cpu.interrupttime'] },
    {
      title: 'Time',
      items: all('kernel.all.cpu', 'user nice sys wait.total irq.hard irq.soft steal guest'),
    },
    { title: 'Each CPU', items: all('kernel.percpu.cpu', 'user sys wait.total irq.soft steal') },
    {
      title: 'Load and pressure',
      items: [
        'cpu.pressure',
        'kernel.all.load',
        'kernel.all.running',
        'kernel.all.blocked',
        'kernel.all.nprocs',
        'kernel.all.sysfork',
        'kernel.all.pressure.cpu.some.total',
        'kernel.all.pressure.cpu.full.total',
      ],
    },
  ],
  memory: [
    {
      title: 'Use',
      items: ['memory.use', 'memory.faults', ...all('mem.util', 'available anonpages')],
    },
    {
      title: 'Kernel and dirty pages',
      items: all('mem.util', 'cached dirty writeback slab pageTables kernelStack shmem mlocked'),
    },
    { title: 'Faults', items: all('mem.vmstat', 'pgfault pgmajfault pgpgin pgpgout') },
    {
      title: 'Reclaim and compaction',
      items: all(
        'mem.vmstat',
        'pgscan_kswapd pgscan_direct pgsteal_kswapd pgsteal_direct allocstall_normal compact_stall compact_fail compact_success workingset_refault_file workingset_refault_anon',
      ),
    },
    {
      title: 'Swap, huge pages, OOM',
      items: [
        ...all('mem.vmstat', 'pswpin pswpout thp_fault_alloc thp_fault_fallback thp_collapse_alloc oom_kill'),
        'mem.util.swapFree',
        'kernel.all.pressure.memory.some.total',
        'kernel.all.pressure.memory.full.total',
      ],
    },
  ],
  disk: [
    {
      title: 'Use and wait',
      items: ['disk.throughput', 'disk.utilisation', 'disk.readwait', 'disk.writewait'],
    },
    { title: 'Throughput', items: all('disk.dev', 'read_bytes write_bytes read write') },
    {
      title: 'Time',
      items: ['disk.queue', ...all('disk.dev', 'inflight in_flight read_rawactive write_rawactive')],
    },
    {
      title: 'Merges and others',
      items: all('disk.dev', 'read_merge write_merge discard_bytes flush'),
    },
    {
      title: 'Pressure',
      items: ['kernel.all.pressure.io.some.total', 'kernel.all.pressure.io.full.total', 'kernel.all.blocked'],
    },
  ],
  network: [
    {
      title: 'Busiest interface',
      items: ['network.throughput', 'network.received', 'network.sent', 'network.softnet'],
    },
    {
      title: 'Interfaces',
      items: [
        ...all('network.interface', 'in.packets out.packets'),
        ...all('network.interface', 'in.drops out.drops in.errors out.errors in.fifo out.carrier'),
      ],
    },
    {
      title: 'TCP',
      items: [
        'network.tcp',
        'network.retransmitted',
        ...all(
          'network.tcp',
          'insegs outsegs retranssegs activeopens passiveopens attemptfails estabresets outrsts currestab',
        ),
        ...all('network.tcp', 'listendrops listenoverflows timeouts synretrans backlogdrop'),
      ],
    },
    {
      title: 'UDP and IP',
      items: [
        ...all('network.udp', 'indatagrams outdatagrams inerrors noports recvbuferrors'),
        ...all('network.ip', 'inreceives outrequests indiscards'),
      ],
    },
    {
      title: 'Sockets and softnet',
      items: [
        ...all('network.sockstat', 'tcp.inuse tcp.tw tcp.mem udp.inuse'),
        ...all('network.softnet', 'processed dropped time_squeeze'),
      ],
    },
  ],
  interrupts: [
    {
      title: 'All CPUs',
      items: ['cpu.interrupttime', 'interrupts.sources', 'kernel.all.intr', 'kernel.all.softirqs.total'],
    },
    {
      title: 'By source',
      items: ['kernel.percpu.interrupts', 'kernel.all.interrupts.source', 'kernel.all.interrupts.total'],
    },
    { title: 'By CPU', items: all('kernel.percpu', 'intr sirq softirqs') },
  ],
  strobe: [
    { title: 'Cost', items: ['strobe.cost', ...all('strobe', 'mem.rss sample.count series')] },
    { title: 'The sampler', items: all('strobe', 'tick.count tick.lateness tick.late tick.missed') },
    {
      title: 'History on disk and in memory',
      items: all('strobe', 'history.memory_bytes history.disk_bytes history.flush_lag history.sealed'),
    },
    { title: 'The log', items: all('strobe', 'log.bytes log.held log.retention log.frames') },
    {
      title: 'Clients',
      items: all(
        'strobe',
        'client.count client.bytes client.slow client.gaps http.requests http.refused query.count query.time',
      ),
    },
    { title: 'Collectors', items: all('strobe.collector', 'cost wall series errors') },
  ],
};
