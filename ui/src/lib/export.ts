// A chart as CSV or PNG, and files given to the reader.
import type { Clock, Frame } from '../store/api';

const quote = (s: string) => (/[",\n]/.test(s) ? `"${s.replace(/"/g, '""')}"` : s);
const cell = (v: number) => (Number.isFinite(v) ? String(Number(v.toPrecision(12))) : '');

/** Time (ISO, UTC, µs) and per series its value; with min and max where a row holds more than one sample.
 *  A gap is a row with empty cells. */
export function toCsv(frame: Frame, labels: readonly string[], clock: Clock): string {
  const banded = frame.cols.map(
    (c) => frame.kind === 'coarse' || c.lo.some((lo, i) => lo !== c.v[i] && !Number.isNaN(lo)),
  );
  const head = ['time', 'monotonic_us'];
  labels.forEach((l, i) => {
    head.push(...(banded[i] ? [`${l} mean`, `${l} min`, `${l} max`] : [l]));
  });
  const rows = [head.map(quote).join(',')];
  for (let k = 0; k < frame.t.length; k++) {
    const t = frame.t[k]!;
    if (t < frame.view.from || t > frame.view.to) continue;
    const row = [isoMicros(clock.wallMs(t)), String(Math.round(t))];
    frame.cols.forEach((c, i) => {
      if (c.cut[k] && rows.length > 1 && i === 0) rows.push(`${','.repeat(head.length - 1)}`);
      row.push(cell(c.v[k]!));
      if (banded[i]) row.push(cell(c.lo[k]!), cell(c.hi[k]!));
    });
    rows.push(row.join(','));
  }
  return `${rows.join('\n')}\n`;
}

/** "2026-11-20T18:38:01.123456Z" */
export function isoMicros(wallMs: number): string {
  const us = Math.round(wallMs * 1000);
  const sec = Math.floor(us / 1e6);
  return `${new Date(sec * 1000).toISOString().slice(0, 19)}.${String(us - sec * 1e6).padStart(6, '0')}Z`;
}

export function download(name: string, data: Blob): void {
  const a = document.createElement('a');
  a.href = URL.createObjectURL(data);
  a.download = name;
  a.click();
  setTimeout(() => URL.revokeObjectURL(a.href), 10_000);
}
