// The messages of proto/strobe.proto as tables, written from that file alone: field number ->
// [name, type, repeated]. Types: u unsigned, i signed, s zigzag, b bool, t text, y bytes, d double, or a message.
export const M = {
  ServerMessage: { 1: ['hello', 'Hello'], 2: ['catalog', 'Catalog'], 3: ['batch', 'Batch'], 4: ['attrs', 'AttrList'], 5: ['events', 'EventList'], 6: ['range', 'Range'], 7: ['gap', 'Gap'], 8: ['error', 'Error'], 9: ['level', 'Level'], 10: ['pong', 'Pong'], 11: ['held', 'Held'], 12: ['rank', 'Rank'], 13: ['totals', 'Totals'], 14: ['texts', 'Texts'], 15: ['heat', 'Heat'], 16: ['flame', 'Flame'], 17: ['chart', 'FlameChart'], 18: ['lines', 'FrameLines'], 19: ['profiler', 'Profiler'] },
  Hello: { 1: ['protocol', 'u'], 2: ['version', 't'], 3: ['log_id', 'y'], 4: ['boot_id', 't'], 5: ['host', 't'], 6: ['machine_id', 't'], 7: ['oldest_seq', 'u'], 8: ['newest_seq', 'u'], 9: ['oldest_us', 'u'], 10: ['now_us', 'u'], 11: ['clocks', 'Clock', 1], 12: ['rate_hz', 'u'], 13: ['n_cpus', 'u'], 14: ['mem_total_bytes', 'u'], 15: ['started_us', 'u'], 16: ['kernel', 't'], 17: ['recoverable', 'b'], 18: ['history_oldest_us', 'i'], 19: ['capture', 'b'], 20: ['capture_name', 't'] },
  Clock: { 1: ['mono_us', 'i'], 2: ['real_off_us', 's'], 3: ['boot_off_us', 's'], 4: ['reason', 'u'] },
  Catalog: { 1: ['version', 'u'], 2: ['groups', 'Group', 1] },
  Group: { 1: ['id', 'u'], 2: ['name', 't'], 3: ['indom', 't'], 4: ['period_ms', 'u'], 6: ['metrics', 'Metric', 1], 7: ['attr_keys', 't', 1], 8: ['instances', 'Instance', 1], 9: ['collector', 't'] },
  Metric: { 1: ['name', 't'], 2: ['unit', 't'], 3: ['mul', 'u'], 4: ['div', 'u'], 5: ['semantics', 'u'], 6: ['quantum', 's'], 9: ['names', 't', 1] },
  Texts: { 1: ['version', 'u'], 2: ['groups', 'GroupTexts', 1] },
  GroupTexts: { 1: ['group', 'u'], 2: ['metrics', 'MetricTexts', 1] },
  MetricTexts: { 1: ['source', 't'], 2: ['help', 't'] },
  Instance: { 1: ['slot', 'u'], 2: ['gen', 'u'], 3: ['name', 't'], 4: ['attrs', 'Attr', 1] },
  Attr: { 1: ['key', 'u'], 2: ['value', 't'] },
  Batch: { 1: ['ticks', 'Tick', 1], 2: ['seq', 'u'], 3: ['clocks', 'Clock', 1] },
  Tick: { 1: ['mono_us', 'u'], 2: ['tick', 'u'], 3: ['groups', 'GroupTick', 1] },
  GroupTick: { 1: ['group', 'u'], 2: ['off_us', 's'], 3: ['reset', 'b'], 4: ['period_ms', 'u'], 5: ['ends', 'u', 1], 6: ['starts', 'Instance', 1], 7: ['absent', 'u', 1], 8: ['gap', 'u', 1], 9: ['delta', 's', 1], 10: ['lo', 's', 1], 11: ['hi', 's', 1], 12: ['sum', 's', 1], 13: ['n', 'u'], 14: ['span_us', 'u'] },
  AttrList: { 1: ['attrs', 'AttrChange', 1] },
  AttrChange: { 1: ['group', 'u'], 2: ['slot', 'u'], 3: ['gen', 'u'], 4: ['key', 'u'], 5: ['value', 't'] },
  EventList: { 1: ['events', 'Event', 1], 2: ['req', 'u'], 3: ['older_left_out', 'b'] },
  Event: { 1: ['seq', 'u'], 2: ['mono_us', 'i'], 3: ['kind', 'u'], 4: ['severity', 'u'], 5: ['source', 't'], 6: ['text', 't'] },
  Gap: { 1: ['from_seq', 'u'], 2: ['to_seq', 'u'], 3: ['from_us', 'u'], 4: ['to_us', 'u'], 5: ['reason', 'u'] },
  Level: { 1: ['ticks', 'u'], 2: ['reason', 'u'] },
  Range: { 1: ['req', 'u'], 2: ['from_us', 'i'], 3: ['step_us', 'u'], 4: ['points', 'u'], 5: ['series', 'RangeSeries', 1], 6: ['last', 'b'], 7: ['oldest_us', 'i'] },
  RangeSeries: { 1: ['metric', 't'], 2: ['instance', 't'], 3: ['group', 'u'], 4: ['metric_index', 'u'], 5: ['slot', 'u'], 6: ['gen', 'u'], 7: ['gap', 'u', 1], 8: ['count', 'u', 1], 9: ['first', 's', 1], 10: ['min', 's', 1], 11: ['max', 's', 1], 12: ['last', 's', 1], 13: ['mean', 'd', 1] },
  Held: { 1: ['req', 'u'], 2: ['spans', 'Span', 1], 3: ['oldest_us', 'i'], 4: ['full_us', 'i'], 5: ['bytes', 'u'], 6: ['disk_size_bytes', 'u'], 7: ['disk_used_bytes', 'u'], 8: ['clocks', 'Clock', 1], 9: ['bytes_per_sample', 'd'] },
  Span: { 1: ['from_us', 'i'], 2: ['to_us', 'i'], 3: ['boot_id', 't'], 4: ['log_id', 'y'], 5: ['rollup', 'b'] },
  Rank: { 1: ['req', 'u'], 2: ['base_from_us', 'i'], 3: ['base_to_us', 'i'], 4: ['n_series', 'u'], 5: ['n_scored', 'u'], 6: ['rows', 'RankRow', 1], 7: ['resolution_us', 'u'] },
  RankRow: { 1: ['metric', 't'], 2: ['instance', 't'], 3: ['group', 'u'], 4: ['metric_index', 'u'], 5: ['others', 'u'], 6: ['score', 'd'], 7: ['before', 's'], 8: ['now', 's'], 9: ['min', 's'], 10: ['max', 's'], 11: ['n', 'u'], 12: ['n_before', 'u'], 13: ['brief', 'b'] },
  Totals: { 1: ['req', 'u'], 2: ['rows', 'TotalsRow', 1], 3: ['n_instances', 'u'], 4: ['last', 'b'], 5: ['resolution_us', 'u'] },
  TotalsRow: { 1: ['instance', 't'], 2: ['attrs', 'Attr', 1], 3: ['deltas', 's', 1], 4: ['before', 'd', 1], 5: ['started', 'b'], 6: ['ended', 'b'] },
  Profiler: { 1: ['req', 'u'], 2: ['on', 'b'], 3: ['reason', 't'], 4: ['tier', 't'], 5: ['event', 't'], 6: ['hz', 'u'], 7: ['base_hz', 'u'], 8: ['burst_until_us', 'i'], 9: ['has_off_cpu', 'b'], 10: ['oldest_us', 'i'], 11: ['samples', 'u'], 12: ['lost', 'u'], 13: ['throttled', 'u'], 14: ['shallow', 'u'], 15: ['truncated', 'u'], 16: ['bytes', 'u'], 17: ['bytes_per_sample', 'd'], 18: ['now_us', 'i'], 19: ['n_cpus', 'u'], 20: ['untimed', 'b'], 21: ['unit', 't'] },
  Heat: { 1: ['req', 'u'], 2: ['from_us', 'i'], 3: ['column_us', 'u'], 4: ['n_columns', 'u'], 5: ['n_rows', 'u'], 6: ['gap', 'u', 1], 7: ['weight_us', 'u', 1], 8: ['matched_us', 'u', 1], 9: ['lost', 'u', 1], 10: ['covered', 'y'], 11: ['labels', 'HeatRow', 1], 12: ['n_samples', 'u'], 13: ['n_matched', 'u'], 14: ['last', 'b'] },
  HeatRow: { 1: ['label', 't'], 2: ['pid', 'u'], 3: ['tid', 'u'], 4: ['cpu', 'i'], 5: ['total_us', 'u'] },
  Flame: { 1: ['req', 'u'], 2: ['strings', 't', 1], 3: ['depth', 'u', 1], 4: ['name', 'u', 1], 5: ['module', 'u', 1], 6: ['type', 'y'], 7: ['total_us', 'u', 1], 8: ['self_us', 'u', 1], 9: ['base_total_us', 'u', 1], 10: ['base_self_us', 'u', 1], 11: ['addr', 'u', 1], 12: ['build_id', 'u', 1], 13: ['sum', 'FlameSum'], 14: ['baseline', 'FlameSum'], 15: ['left_out', 'u'], 16: ['last', 'b'], 17: ['tasks', 'FlameTask', 1], 18: ['missing', 't', 1], 19: ['place_node', 'u', 1], 20: ['place_self', 'u', 1], 21: ['place_call', 'u', 1] },
  FlameSum: { 1: ['n', 'u'], 2: ['weight_us', 'u'], 3: ['span_us', 'u'], 4: ['covered_us', 'u'], 5: ['shallow', 'u'], 6: ['truncated', 'u'], 7: ['lost', 'u'], 8: ['throttled', 'u'], 9: ['hz_min', 'u'], 10: ['hz_max', 'u'], 11: ['n_cpus', 'u'] },
  FlameTask: { 1: ['pid', 'u'], 2: ['tid', 'u'], 3: ['comm', 't'], 4: ['cgroup', 't'], 5: ['weight_us', 'u'], 6: ['n', 'u'], 7: ['base_us', 'u'] },
  FlameChart: { 1: ['req', 'u'], 2: ['strings', 't', 1], 3: ['parent', 'u', 1], 4: ['name', 'u', 1], 5: ['module', 'u', 1], 6: ['type', 'y'], 7: ['threads', 'FlameRow', 1], 8: ['left_out', 'u'], 9: ['last', 'b'] },
  FlameRow: { 1: ['pid', 'u'], 2: ['tid', 'u'], 3: ['comm', 't'], 4: ['at_us', 's', 1], 5: ['weight_us', 'u', 1], 6: ['node', 'u', 1], 7: ['cpu', 'u', 1] },
  FrameLines: { 1: ['req', 'u'], 2: ['lines', 'FrameLine', 1], 3: ['missing', 't'] },
  FrameLine: { 1: ['function', 't'], 2: ['file', 't'], 3: ['line', 'u'], 4: ['inlined', 'b'], 5: ['of', 'u'], 6: ['begins', 'u'] },
  Error: { 1: ['req', 'u'], 2: ['text', 't'], 3: ['code', 'u'] },
  Pong: { 1: ['id', 'u'], 2: ['now_us', 'u'] },
};

function varint(b, at) {
  let v = 0n;
  for (let shift = 0n; ; shift += 7n) {
    if (at.i >= b.length || shift > 63n) throw new Error('varint cut off');
    const c = b[at.i++];
    v |= BigInt(c & 127) << shift;
    if (c < 128) return BigInt.asUintN(64, v);
  }
}

// Values of samples are BigInt (they wrap at 2^64); everything else fits a Number.
function scalar(type, raw) {
  if (type === 's') return BigInt.asIntN(64, (raw >> 1n) ^ -(raw & 1n));
  if (type === 'b') return raw !== 0n;
  if (type === 'i') return Number(BigInt.asIntN(64, raw));
  return Number(raw);
}

export function decode(name, b) {
  const schema = M[name], ret = { };
  const at = { i: 0 };
  for (const [field, type, repeated] of Object.values(schema)) {
    if (repeated) ret[field] = [];
    else ret[field] = { u: 0, i: 0, d: 0, s: 0n, b: false, t: '', y: Buffer.alloc(0) }[type];
  }
  while (at.i < b.length) {
    const tag = Number(varint(b, at)), wire = tag & 7, def = schema[tag >> 3];
    let raw, bytes;
    if (wire === 0) raw = varint(b, at);
    else if (wire === 1) { bytes = b.subarray(at.i, at.i + 8); at.i += 8; }
    else if (wire === 5) at.i += 4;
    else if (wire === 2) {
      const len = Number(varint(b, at));
      if (at.i + len > b.length) throw new Error(`${name}: field ${tag >> 3} is cut off`);
      bytes = b.subarray(at.i, at.i + len);
      at.i += len;
    } else throw new Error(`${name}: wire type ${wire}`);
    if (!def) continue;
    const [field, type, repeated] = def;
    if (type === 'd') {
      if (!repeated) ret[field] = bytes.readDoubleLE(0);
      else for (let i = 0; i < bytes.length; i += 8) ret[field].push(bytes.readDoubleLE(i));
    } else if (type === 't' || type === 'y') {
      const v = type === 't' ? new TextDecoder('utf-8', { fatal: true }).decode(bytes) : Buffer.from(bytes);
      if (repeated) ret[field].push(v); else ret[field] = v;
    } else if (type.length > 1) {
      const v = decode(type, bytes);
      if (repeated) ret[field].push(v); else ret[field] = v;
    } else if (repeated) {
      if (wire === 0) ret[field].push(scalar(type, raw));
      else for (const p = { i: 0 }; p.i < bytes.length;) ret[field].push(scalar(type, varint(bytes, p)));
    } else {
      ret[field] = scalar(type, raw);
      ret[`has_${field}`] = true;
    }
  }
  if (at.i !== b.length) throw new Error(`${name}: runs over`);
  return ret;
}

// ---- the few messages a client sends ----

function putVarint(out, v) {
  for (v = BigInt.asUintN(64, BigInt(v)); v > 127n; v >>= 7n) out.push(Number(v & 127n) | 128);
  out.push(Number(v));
}
function putField(out, field, v) {
  if (typeof v === 'number' || typeof v === 'bigint' || typeof v === 'boolean') {
    putVarint(out, field << 3);
    putVarint(out, Number(v) === v || typeof v === 'bigint' ? v : v ? 1 : 0);
    return;
  }
  const bytes = typeof v === 'string' ? Buffer.from(v) : v;
  putVarint(out, (field << 3) | 2);
  putVarint(out, bytes.length);
  for (const c of bytes) out.push(c);
}
function message(...fields) { // [number, value]...; undefined is left out
  const out = [];
  for (const [n, v] of fields) if (v !== undefined) putField(out, n, v);
  return Buffer.from(out);
}

export function subscribe({ groups, logId, seq, windowUs }) {
  const subs = groups.map((g) => [1, message([1, g.group], [2, g.level], [3, g.fresh])]);
  return message([1, message(...subs, [2, logId], [3, seq], [4, windowUs])]);
}
export function rangeRequest({ req, series, fromUs, toUs, points, raw }) {
  const list = series.map((s) => [2, message([1, s.metric], [2, s.instance])]);
  return message([2, message([1, req], ...list, [3, fromUs], [4, toUs], [5, points], [6, raw])]);
}
export function heldRequest(req) { return message([4, message([1, req])]); }
export function rankRequest({ req, fromUs, toUs, baseFromUs, baseToUs, limit }) {
  return message([5, message([1, req], [2, fromUs], [3, toUs], [4, baseFromUs], [5, baseToUs], [6, limit])]);
}
export function totalsRequest({ req, group, metrics, fromUs, toUs, baseFromUs, baseToUs, limit }) {
  return message([6, message([1, req], [2, group], ...metrics.map((m) => [3, m]), [4, fromUs], [5, toUs], [6, baseFromUs], [7, baseToUs], [8, limit])]);
}
export function eventsRequest({ req, fromUs, toUs }) { return message([7, message([1, req], [2, fromUs], [3, toUs])]); }
export function ping(id) { return message([3, message([1, id])]); }
export function profilerRequest(req) { return message([9, message([1, req])]); }
function profileFilter(f) { return f && message([1, f.offCpu], [2, f.cpu === undefined ? undefined : f.cpu + 1], [3, f.pid], [4, f.tid], [5, f.classes], [6, f.cgroup], [7, f.process], [8, f.minUs]); }
export function heatRequest({ req, fromUs, columnUs, columns, by, rows, filter, pattern, ignoreCase }) {
  return message([10, message([1, req], [2, fromUs], [3, columnUs], [4, columns], [5, by], [6, rows], [7, profileFilter(filter)], [8, pattern], [9, ignoreCase])]);
}
const timeRange = (n) => ([from, to]) => [n, message([1, from], [2, to])];
export function flameRequest({ req, ranges, base = [], filter, byProcess, byThread, elided, maxNodes, tasks, threads }) {
  return message([11, message([1, req], ...ranges.map(timeRange(2)), ...base.map(timeRange(3)), [4, profileFilter(filter)], [5, byProcess], [6, byThread], [7, elided], [8, maxNodes], [9, tasks], [10, threads])]);
}
export function flameChartRequest({ req, fromUs, toUs, filter }) { return message([12, message([1, req], [2, fromUs], [3, toUs], [4, profileFilter(filter)])]); }
export function linesRequest({ req, module, buildId, addr, self, call }) { return message([13, message([1, req], [2, module], [3, buildId], [4, addr], [5, self], [6, call])]); }
export function texts() { return message([8, message()]); }
