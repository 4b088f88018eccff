// Times as labels: local or UTC, with as many decimals as the pixels can tell apart.

let utc = false;

/** Whether labels are UTC (else local time). */
export function setUtc(on: boolean): void {
  utc = on;
}

const two = (n: number) => String(n).padStart(2, '0');

/** "14:02:10", with `decimals` of the second. */
export function clockText(wallMs: number, decimals = 0): string {
  const step = 10 ** (3 - decimals);
  const d = new Date(Math.floor(wallMs / step + 1e-6) * step);
  const [h, m, s, ms] = utc
    ? [d.getUTCHours(), d.getUTCMinutes(), d.getUTCSeconds(), d.getUTCMilliseconds()]
    : [d.getHours(), d.getMinutes(), d.getSeconds(), d.getMilliseconds()];
  const tail = decimals ? `.${String(ms).padStart(3, '0').slice(0, decimals)}` : '';
  return `${two(h)}:${two(m)}:${two(s)}${tail}`;
}

/** "14:02": for windows of many minutes. */
export const minuteText = (wallMs: number) => clockText(wallMs).slice(0, 5);

/** Decimals of a second that one column of `dt` microseconds can tell apart. */
export const decimalsFor = (dt: number) => (dt >= 1e6 ? 0 : dt >= 1e5 ? 1 : dt >= 1e4 ? 2 : 3);

/** "80 ms", "4.8 s", "1 min 10 s", "2 h 5 min". */
export function durationText(us: number): string {
  const s = us / 1e6;
  if (s < 1) return `${Math.round(us / 1000)} ms`;
  if (s < 9.95) return `${s.toFixed(1)} s`;
  if (s < 60) return `${Math.round(s)} s`;
  const m = Math.floor(s / 60);
  if (m < 60) return `${m} min${Math.round(s % 60) ? ` ${Math.round(s % 60)} s` : ''}`;
  return `${Math.floor(m / 60)} h${m % 60 ? ` ${m % 60} min` : ''}`;
}

/** Milliseconds to add to UTC for the zone that labels are in, at `wallMs`. */
export const zoneMs = (wallMs: number) => (utc ? 0 : -new Date(wallMs).getTimezoneOffset() * 60_000);
