// A profiler that answers out of thin air: a host of 32 CPUs on which a log shipper compresses for 80 ms every
// 900 ms. For looking at the page without an agent that profiles, and for tests of what it shows.
import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import {
  type ClientMessage,
  ClientMessageSchema,
  type FlameChartRequest,
  type FlameRequest,
  type HeatRequest,
  type ProfileFilter,
  ServerMessageSchema,
} from '../src/gen/strobe_pb';
import { random } from './trees';

type Of = NonNullable<MessageInitShape<typeof ServerMessageSchema>['of']>;

const CPUS = 32;
const HZ = 99;
const CELL = 20_000;
const PERIOD = 900_000;
const LONG = 80_000;

const L =
  'logship 2207`6;clone3@libc.so.6`2;start_thread@libc.so.6`2;std::sys::thread::Thread::new::thread_start;core::ops::function::FnOnce::call_once`5;logship::sink::flush_worker;';
const Z = `${L}logship::codec::compress_chunk;zstd_safe::CCtx::compress_stream2\`5;ZSTD_compressStream2@libzstd.so.1.5.4\`2;ZSTD_compressContinue_internal@libzstd.so.1.5.4\`2;`;
const ZB = `${Z}ZSTD_compressBlock_internal@libzstd.so.1.5.4\`2;`;
const ZS = `${ZB}ZSTD_buildSeqStore@libzstd.so.1.5.4\`2;ZSTD_compressBlock_lazy2_row@libzstd.so.1.5.4\`2`;
const FAULT =
  'alloc::raw_vec::RawVec::grow`5;asm_exc_page_fault`3;exc_page_fault`3;handle_mm_fault`3;do_anonymous_page`3;';
const W =
  '__write@libc.so.6`2;entry_SYSCALL_64_after_hwframe`3;do_syscall_64`3;ksys_write`3;vfs_write`3;ext4_file_write_iter`3;ext4_buffered_write_iter`3;generic_perform_write`3;';
const J =
  'java 18211`6;clone3@libc.so.6`2;start_thread@libc.so.6`2;thread_native_entry@libjvm.so`2;JavaThread::thread_main_inner@libjvm.so`2;call_stub@libjvm.so`2;io.netty.channel.epoll.EpollEventLoop.run`4;';
const JH = `${J}io.netty.channel.DefaultChannelPipeline.fireChannelRead\`4;com.shop.checkout.CartHandler.channelRead0\`4;`;
const G =
  'java 18211`6;clone3@libc.so.6`2;start_thread@libc.so.6`2;thread_native_entry@libjvm.so`2;WorkerThread::run@libjvm.so`2;G1ParTask::work@libjvm.so`2;';
const N =
  'nginx 1904`6;__libc_start_main@libc.so.6`2;main@nginx;ngx_master_process_cycle@nginx;ngx_worker_process_cycle@nginx;ngx_process_events_and_timers@nginx;ngx_epoll_process_events@nginx;';
const P =
  'postgres 4410`6;__libc_start_main@libc.so.6`2;main;PostmasterMain;ServerLoop;BackendStartup;PostgresMain;exec_simple_query;PortalRun;ExecutorRun;';
const SYS = 'entry_SYSCALL_64_after_hwframe`3;do_syscall_64`3;';

/** [stack, weight in a burst, weight else]. */
export const STACKS: readonly (readonly [string, number, number])[] = [
  [`${ZS};ZSTD_RowFindBestMatch@libzstd.so.1.5.4\`2`, 148, 0.6],
  [`${ZS};ZSTD_RowFindBestMatch@libzstd.so.1.5.4\`2;ZSTD_row_update\`5`, 38, 0.2],
  [`${ZS};ZSTD_count\`5`, 27, 0.1],
  [ZS, 21, 0.1],
  [
    `${ZB}ZSTD_entropyCompressSeqStore@libzstd.so.1.5.4\`2;HUF_compress4X_repeat@libzstd.so.1.5.4\`2`,
    34,
    0.2,
  ],
  [
    `${ZB}ZSTD_entropyCompressSeqStore@libzstd.so.1.5.4\`2;ZSTD_encodeSequences_bmi2@libzstd.so.1.5.4\`2`,
    19,
    0.1,
  ],
  [`${Z}XXH64_update@libzstd.so.1.5.4\`2`, 9, 0],
  [`${L}logship::codec::compress_chunk;${FAULT}alloc_pages_mpol\`3;clear_page_erms\`3`, 31, 0.2],
  [`${L}logship::codec::compress_chunk;${FAULT}lru_add\`3`, 7, 0.1],
  [`${L}${W}ext4_da_write_begin\`3;filemap_add_folio\`3`, 12, 0.2],
  [`${L}${W}copy_folio_from_iter_atomic\`3;rep_movs_alternative\`3`, 17, 0.4],
  [`${L}serde_json::ser::to_writer;serde_json::ser::format_escaped_str`, 14, 0.9],
  [
    `${JH}com.shop.checkout.PriceEngine.quote\`4;com.shop.checkout.RuleSet.match\`4;java.util.HashMap.getNode\`4`,
    18,
    31,
  ],
  [`${JH}com.shop.checkout.PriceEngine.quote\`4;com.shop.checkout.RuleSet.match\`4`, 11, 22],
  [`${JH}com.shop.checkout.PriceEngine.quote\`4;java.math.BigDecimal.multiply\`4`, 7, 13],
  [
    `${JH}com.fasterxml.jackson.databind.ObjectMapper.writeValueAsBytes\`4;com.fasterxml.jackson.core.json.UTF8JsonGenerator.writeString\`4`,
    10,
    19,
  ],
  [
    `${J}io.netty.channel.epoll.Native.writevAddresses\`4;writev@libc.so.6\`2;${SYS}do_writev\`3;tcp_sendmsg\`3;tcp_sendmsg_locked\`3;tcp_push\`3;__tcp_transmit_skb\`3;ip_queue_xmit\`3;dev_queue_xmit\`3`,
    9,
    16,
  ],
  [
    `${G}G1ParScanThreadState::trim_queue@libjvm.so\`2;G1ParScanThreadState::do_copy_to_survivor_space@libjvm.so\`2`,
    6,
    9,
  ],
  [`${G}G1RemSet::scan_heap_roots@libjvm.so\`2`, 3, 4],
  [
    `${N}ngx_http_process_request@nginx;ngx_http_upstream_handler@nginx;ngx_ssl_write@nginx;SSL_write@libssl.so.3\`2;aesni_gcm_encrypt@libcrypto.so.3\`2`,
    9,
    17,
  ],
  [`${N}ngx_http_process_request@nginx;ngx_http_core_run_phases@nginx;ngx_http_rewrite_handler@nginx`, 3, 6],
  [`${N}ngx_unix_recv@nginx;recv@libc.so.6\`2;${SYS}__sys_recvfrom\`3;tcp_recvmsg\`3`, 4, 8],
  [`${P}ExecIndexScan;index_getnext_slot;heap_hot_search_buffer`, 7, 14],
  [`${P}ExecIndexScan;index_getnext_slot;_bt_readpage`, 4, 8],
  [`${P}ExecHashJoin;ExecHashGetHashValue`, 3, 7],
  ['redis-server 2551`6;main;aeMain;aeProcessEvents;readQueryFromClient;processCommand;call;dictFind', 3, 5],
  [
    'python3 7002`6;_start;__libc_start_main@libc.so.6`2;Py_RunMain@libpython3.11.so`2;_PyEval_EvalFrameDefault@libpython3.11.so`2;_PyEval_EvalFrameDefault@libpython3.11.so`2;_PyEval_EvalFrameDefault@libpython3.11.so`2;PyObject_Call@libpython3.11.so`2',
    2,
    4,
  ],
  ['tool 9100`6;0x4a10@libvendor.so`0;0x71c4@libvendor.so`0', 2, 3],
  [
    'kworker/u64:3 412`6;ret_from_fork_asm`3;kthread`3;worker_thread`3;wb_workfn`3;ext4_writepages`3;nvme_queue_rq`3',
    9,
    0.8,
  ],
  ['ksoftirqd/1 16`6;ret_from_fork_asm`3;kthread`3;run_ksoftirqd`3;net_rx_action`3;napi_poll`3', 4, 3],
];

const OFF: readonly (readonly [string, number, number, number])[] = [
  // stack, burst, else, class
  [
    `${J}io.netty.channel.epoll.Native.epollWait\`4;epoll_wait@libc.so.6\`2;${SYS}do_epoll_wait\`3;schedule\`3`,
    10,
    90,
    3,
  ],
  [
    `${L}parking_lot::Mutex::lock_slow;syscall@libc.so.6\`2;${SYS}do_futex\`3;futex_wait\`3;schedule\`3`,
    60,
    4,
    2,
  ],
  [`${L}${W}balance_dirty_pages\`3;io_schedule\`3`, 35, 2, 1],
  [
    `${P}heapgetpage;pread64@libc.so.6\`2;${SYS}ext4_file_read_iter\`3;folio_wait_bit\`3;io_schedule\`3`,
    8,
    12,
    1,
  ],
  ['redis-server 2551`6;main;aeMain;epoll_wait@libc.so.6`2;do_epoll_wait`3;schedule`3', 5, 40, 4],
  [`${J}com.shop.checkout.PriceEngine.quote\`4`, 50, 2, 5],
];

const noise = (k: number, salt = 0): number => {
  let h = Math.imul(k ^ (salt * 0x9e3779b9), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return ((h ^ (h >>> 16)) >>> 0) / 4294967296;
};

/** CPUs in a burst and else, in the 20 ms that begin at t: [burst, rest]. */
function at(t: number): [number, number] {
  const cell = Math.floor(t / CELL);
  const inBurst = ((t % PERIOD) + PERIOD) % PERIOD < LONG && Math.floor(t / 40e6) % 3 !== 0;
  const slow = 0.4 + 0.05 * Math.sin(t / 19e6) + 0.03 * Math.sin(t / 5.3e6);
  const rest = Math.max(0.02, slow + 0.16 * (noise(cell) - 0.5)) * CPUS;
  return inBurst ? [CPUS * 0.62, rest * 0.8] : [0, rest];
}

interface Line {
  frames: { name: string; module: string; type: number }[];
  pid: number;
  comm: string;
  burst: number;
  rest: number;
  klass: number;
}

const parse = (s: string, burst: number, rest: number, klass: number): Line => {
  const frames = s.split(';').map((f) => {
    const m = /^([^@`]*)(?:@([^`]*))?(?:`(\d))?$/.exec(f)!;
    return { name: m[1]!, module: m[2] ?? '', type: m[3] === undefined ? 1 : Number(m[3]) };
  });
  const m = /^(.*) (\d+)$/.exec(frames[0]!.name)!;
  return { frames, comm: m[1]!, pid: Number(m[2]), burst, rest, klass };
};
const norm = (lines: Line[]): Line[] => {
  const b = lines.reduce((s, l) => s + l.burst, 0);
  const r = lines.reduce((s, l) => s + l.rest, 0);
  return lines.map((l) => ({ ...l, burst: l.burst / b, rest: l.rest / r }));
};
const ON_LINES = norm(STACKS.map(([s, b, r]) => parse(s, b, r, 0)));
const OFF_LINES = norm(OFF.map(([s, b, r, k]) => parse(s, b, r, k)));

function linesOf(f: ProfileFilter | undefined): Line[] {
  const all = f?.offCpu ? OFF_LINES : ON_LINES;
  return all.filter(
    (l) =>
      (!f?.pid || l.pid === f.pid) &&
      (!f?.offCpu || !f.classes || (f.classes & (1 << l.klass)) !== 0) &&
      (!f?.process || l.comm === f.process),
  );
}

export class MockProfiler {
  burstUntil = 0;

  constructor(
    private readonly nowUs: () => number,
    private readonly opts: {
      off?: boolean;
      on?: boolean;
      reason?: string;
      nodes?: number;
      gapAt?: number;
    } = {},
  ) {}

  /** Answers to a client's message; null: it was about something else. */
  answer(bytes: Uint8Array): Uint8Array[] | null {
    const { of } = fromBinary(ClientMessageSchema, bytes);
    const out = this.of(of);
    return out?.map((o) => toBinary(ServerMessageSchema, create(ServerMessageSchema, { of: o }))) ?? null;
  }

  private of(m: ClientMessage['of']): Of[] | null {
    switch (m.case) {
      case 'profiler':
        return [this.state(m.value.req)];
      case 'heat':
        return [this.heat(m.value)];
      case 'flame':
        return this.flame(m.value);
      case 'chart':
        return [this.chart(m.value)];
      case 'lines':
        return [
          {
            case: 'lines',
            value: {
              req: m.value.req,
              lines: [
                {
                  function: 'ZSTD_count',
                  file: '/usr/src/zstd/lib/compress/zstd_compress_internal.h',
                  line: 612,
                  inlined: true,
                },
                { function: 'f', file: '/usr/src/zstd/lib/compress/zstd_lazy.c', line: 1204, inlined: false },
              ],
            },
          },
        ];
      default:
        return null;
    }
  }

  private state(req: number): Of {
    const now = this.nowUs();
    const on = this.opts.on ?? true;
    return {
      case: 'profiler',
      value: {
        req,
        on,
        reason: this.opts.reason ?? '',
        tier: 'every CPU',
        event: 'cycles',
        hz: this.burstUntil > now ? 999 : HZ,
        baseHz: HZ,
        burstUntilUs: BigInt(this.burstUntil > now ? Math.round(this.burstUntil) : 0),
        hasOffCpu: this.opts.off ?? true,
        oldestUs: BigInt(on ? Math.round(now - 3600e6) : 0),
        samples: 1_234_567n,
        nowUs: BigInt(Math.round(now)),
        nCpus: CPUS,
        bytesPerSample: 7.2,
      },
    };
  }

  private weights(t: number, l: Line, off: boolean): number {
    const [b, r] = at(t);
    const k = off ? 3 : 1;
    return (b * l.burst + r * l.rest) * k * CELL;
  }

  private heat(h: HeatRequest): Of {
    const off = h.filter?.offCpu ?? false;
    const lines = linesOf(h.filter);
    let re: RegExp | null = null;
    if (h.pattern)
      try {
        re = new RegExp(h.pattern, h.ignoreCase ? 'i' : '');
      } catch {
        return {
          case: 'error',
          value: {
            req: h.req,
            code: 400,
            text: `"${h.pattern}" is no regular expression: unmatched ( or \\(`,
          },
        };
      }
    const col = Number(h.columnUs);
    const from = Number(h.fromUs);
    const now = this.nowUs();
    const hits = lines.map((l) => re !== null && l.frames.slice(1).some((f) => re.test(f.name)));
    const labels =
      h.by === 0
        ? []
        : h.by === 1
          ? Array.from({ length: CPUS }, (_, i) => ({ label: `cpu${i}`, cpu: i }))
          : h.by === 4
            ? ['/system.slice/logship.service', '/system.slice/java.service', '/kubepods.slice/web'].map(
                (label) => ({ label, cpu: -1 }),
              )
            : [...new Map(lines.map((l) => [l.pid, l])).values()]
                .slice(0, h.nRows)
                .map((l) => ({ label: l.comm, pid: l.pid, tid: h.by === 3 ? l.pid + 1 : 0, cpu: -1 }));
    const nRows = h.by === 0 ? h.nRows : labels.length;
    const cells: { i: number; w: number; m: number }[] = [];
    const covered = new Uint8Array(h.nColumns).fill(255);
    const lost: number[] = [];
    const cpuFilter = h.filter?.cpu ? 1 / CPUS : 1;
    for (let c = 0; c < h.nColumns; c++) {
      const start = from + c * col;
      if (this.opts.gapAt && Math.abs(start - this.opts.gapAt) < 2e6) {
        covered[c] = 0;
        continue;
      }
      lost[c] = noise(Math.floor(start / col), 7) > 0.985 ? 12 : 0;
      const rows = new Float64Array(nRows);
      const found = new Float64Array(nRows);
      const steps = Math.min(50, col / CELL);
      for (let k = 0; k < steps; k++) {
        const t = start + (k + 0.5) * (col / steps);
        if (t > now) break;
        const scale = col / steps / CELL;
        lines.forEach((l, j) => {
          const w = this.weights(t, l, off) * scale * cpuFilter;
          const put = (r: number, x: number) => {
            rows[r]! += x;
            if (hits[j]) found[r]! += x;
          };
          if (h.by === 0) put(Math.floor((k * nRows) / steps), w);
          else if (h.by === 1)
            for (let i = 0; i < CPUS; i++)
              put(i, (w / CPUS) * (1.5 - i / CPUS) * (0.7 + 0.6 * noise(Math.floor(t / col) + i * 7919)));
          else if (h.by === 4) put(l.comm === 'logship' ? 0 : l.comm === 'java' ? 1 : 2, w);
          else
            put(
              Math.max(
                0,
                labels.findIndex((x) => 'pid' in x && x.pid === l.pid),
              ),
              w,
            );
        });
      }
      for (let r = 0; r < nRows; r++)
        if (rows[r]! > 0) cells.push({ i: c * nRows + r, w: Math.round(rows[r]!), m: Math.round(found[r]!) });
    }
    return {
      case: 'heat',
      value: {
        req: h.req,
        fromUs: h.fromUs,
        columnUs: h.columnUs,
        nColumns: h.nColumns,
        nRows,
        gap: cells.map((x, i) => x.i - (i ? cells[i - 1]!.i : -1) - 1),
        weightUs: cells.map((x) => x.w),
        matchedUs: re ? cells.map((x) => x.m) : [],
        lost: lost.some(Boolean) ? Array.from(lost, (v) => v ?? 0) : [],
        covered,
        labels,
        last: true,
      },
    };
  }

  private amounts(
    ranges: readonly { fromUs: bigint; toUs: bigint }[],
    lines: Line[],
    off: boolean,
  ): number[] {
    const out = lines.map(() => 0);
    const now = this.nowUs();
    for (const r of ranges) {
      const to = Math.min(now, Number(r.toUs));
      const step = Math.max(CELL, Math.ceil((to - Number(r.fromUs)) / 20_000 / CELL) * CELL);
      for (let t = Number(r.fromUs); t < to; t += step)
        lines.forEach((l, j) => {
          out[j]! += (this.weights(t, l, off) * Math.min(step, to - t)) / CELL;
        });
    }
    return out.map((w) => Math.round(w));
  }

  private flame(f: FlameRequest): Of[] {
    const off = f.filter?.offCpu ?? false;
    const lines = linesOf(f.filter);
    let now = this.amounts(f.ranges, lines, off);
    let base = this.amounts(f.baseline, lines, off);
    if (f.elided) {
      base = base.map((b, i) => (lines[i]!.burst > 0.05 ? 0 : b));
      now = now.map(() => 0);
    }
    const strings: string[] = ['', 'all'];
    const known = new Map<string, number>([
      ['', 0],
      ['all', 1],
    ]);
    const str = (s: string) => {
      if (!known.has(s)) known.set(s, strings.push(s) - 1);
      return known.get(s)!;
    };
    interface Node {
      name: string;
      module: string;
      type: number;
      t: number;
      s: number;
      b: number;
      bs: number;
      kids: Map<string, Node>;
    }
    const node = (name: string, module: string, type: number): Node => ({
      name,
      module,
      type,
      t: 0,
      s: 0,
      b: 0,
      bs: 0,
      kids: new Map(),
    });
    const root = node('all', '', 0);
    const add = (frames: Line['frames'], w: number, b: number) => {
      let at = root;
      root.t += w;
      root.b += b;
      for (const fr of frames) {
        const key = `${fr.name}|${fr.module}|${fr.type}`;
        let k = at.kids.get(key);
        if (!k) at.kids.set(key, (k = node(fr.name, fr.module, fr.type)));
        at = k;
        at.t += w;
        at.b += b;
      }
      at.s += w;
      at.bs += b;
    };
    for (const [i, l] of lines.entries()) add(l.frames, now[i]!, base[i]!);
    const r = random(7);
    for (let made = 0; made < (this.opts.nodes ?? 0); ) {
      const depth = 8 + Math.floor(r() * 45);
      const frames = Array.from({ length: depth }, (_, d) => ({
        name: `module_${d}::function_${Math.floor(r() ** 3 * 60)}`,
        module: 'big',
        type: 1 + Math.floor(r() * 5),
      }));
      add([{ name: 'big 1', module: '', type: 6 }, ...frames], 5000 + Math.floor(r() * 20000), 0);
      made += depth * 0.9;
    }
    const c = { depth: [] as number[], name: [] as number[], module: [] as number[], type: [] as number[] };
    const v = {
      t: [] as bigint[],
      s: [] as bigint[],
      b: [] as bigint[],
      bs: [] as bigint[],
      a: [] as bigint[],
    };
    const put = (n: Node, d: number) => {
      c.depth.push(d);
      c.name.push(str(n.name));
      c.module.push(str(n.module));
      c.type.push(n.type);
      v.t.push(BigInt(n.t));
      v.s.push(BigInt(n.s));
      v.b.push(BigInt(n.b));
      v.bs.push(BigInt(n.bs));
      v.a.push(n.type === 1 || n.type === 2 ? BigInt(0x1000 + c.depth.length) : 0n);
      for (const k of [...n.kids.values()].sort((x, y) => x.name.localeCompare(y.name))) put(k, d + 1);
    };
    put(root, 0);
    const sum = (ranges: FlameRequest['ranges'], w: number) => {
      const span = ranges.reduce((s, x) => s + Number(x.toUs - x.fromUs), 0);
      const n = off ? 0 : Math.round((w * HZ) / 1e6);
      return {
        n: BigInt(off ? 4000 : n),
        weightUs: BigInt(w),
        spanUs: BigInt(span),
        coveredUs: BigInt(span),
        shallow: BigInt(Math.round(n * 0.031)),
        lost: 0n,
        hzMin: HZ,
        hzMax: HZ,
        nCpus: CPUS,
      };
    };
    const byPid = new Map<number, { l: Line; w: number; b: number }>();
    lines.forEach((l, i) => {
      const o = byPid.get(l.pid) ?? { l, w: 0, b: 0 };
      o.w += now[i]!;
      o.b += base[i]!;
      byPid.set(l.pid, o);
    });
    const tasks = [...byPid.values()]
      .sort((x, y) => y.w - x.w)
      .slice(0, f.tasks)
      .map(({ l, w, b }) => ({
        pid: l.pid,
        comm: l.comm,
        weightUs: BigInt(w),
        n: BigInt(Math.round((w * HZ) / 1e6)),
        baseUs: BigInt(b),
      }));
    // In two parts, as a large one would come.
    const half = Math.ceil(c.depth.length / 2);
    const part = (a: number, b: number, first: boolean): Of => ({
      case: 'flame',
      value: {
        req: f.req,
        strings: first ? strings : [],
        depth: c.depth.slice(a, b),
        name: c.name.slice(a, b),
        module: c.module.slice(a, b),
        type: Uint8Array.from(c.type.slice(a, b)),
        totalUs: v.t.slice(a, b),
        selfUs: v.s.slice(a, b),
        baseTotalUs: f.baseline.length ? v.b.slice(a, b) : [],
        baseSelfUs: f.baseline.length ? v.bs.slice(a, b) : [],
        addr: v.a.slice(a, b),
        buildId: c.depth.slice(a, b).map(() => 0),
        ...(first
          ? {
              sum: sum(f.ranges, root.t),
              ...(f.baseline.length ? { baseline: sum(f.baseline, root.b) } : {}),
              tasks,
              missing: ['libvendor.so: no symbol table; install libvendor-dbgsym (build-id 4f2a91c0…)'],
            }
          : {}),
        last: !first,
      },
    });
    return [part(0, half, true), part(half, c.depth.length, false)];
  }

  private chart(f: FlameChartRequest): Of {
    const lines = linesOf(f.filter);
    const strings = ['', 'all'];
    const nodes = { parent: [0], name: [1], module: [0], type: [0] };
    const ids = new Map<string, number>();
    const leaf = lines.map((l) => {
      let at = 0;
      for (const fr of l.frames.slice(1)) {
        const key = `${at} ${fr.name}`;
        let id = ids.get(key);
        if (id === undefined) {
          id = nodes.parent.push(at) - 1;
          nodes.name.push(strings.push(fr.name) - 1);
          nodes.module.push(strings.push(fr.module) - 1);
          nodes.type.push(fr.type);
          ids.set(key, id);
        }
        at = id;
      }
      return at;
    });
    const pid = lines[0]?.pid ?? 1;
    const threads = [1, 2, 3].map((k) => {
      const at_us: bigint[] = [];
      const node: number[] = [];
      let last = 0;
      for (let t = Number(f.fromUs); t < Number(f.toUs); t += 10_101) {
        if (noise(Math.floor(t / 300_000), k) < 0.4) continue;
        at_us.push(BigInt(Math.round(t - last)));
        last = t;
        node.push(leaf[Math.floor(noise(Math.floor(t / 60_000), k + 10) * leaf.length)] ?? 0);
      }
      return {
        pid,
        tid: pid + k,
        comm: `${lines[0]?.comm ?? 'x'}-${k}`,
        atUs: at_us,
        weightUs: node.map(() => 10_101),
        node,
        cpu: node.map(() => k),
      };
    });
    return {
      case: 'chart',
      value: { req: f.req, strings, ...nodes, type: Uint8Array.from(nodes.type), threads, last: true },
    };
  }
}
