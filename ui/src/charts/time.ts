// Times as labels: local or UTC, with as many decimals as the pixels can tell apart.

let utc = false;

/** Whether labels are UTC (else local time). */
export function setUtc(on: boolean): void {
  utc = on;
}

/** Of a file that does not say when it was made the clock begins at 0: times are those since then, and
 *  before it there are none. */
export const undated = (wallMs: number) => wallMs < 365 * 86_400_000;

const two = (n: number) => String(n).padStart(2, '0');

/** "14:02:10", with `decimals` of the second. */
export function clockText(wallMs: number, decimals = 0): string {
  if (wallMs < 0) return '';
  const step = 10 ** (3 - decimals);
  const d = new Date(Math.floor(wallMs / step + 1e-6) * step);
  const [h, m, s, ms] =
    utc || undated(wallMs)
      ? [d.getUTCHours(), d.getUTCMinutes(), d.getUTCSeconds(), d.getUTCMilliseconds()]
      : [d.getHours(), d.getMinutes(), d.getSeconds(), d.getMilliseconds()];
  const tail = decimals ? `.${String(ms).padStart(3, '0').slice(0, decimals)}` : '';
  return `${two(h)}:${two(m)}:${two(s)}${tail}`;
}

/** "14:02": for windows of many minutes. */
export const minuteText = (wallMs: number) => clockText(wallMs).slice(0, 5);

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

const dayOf = (wallMs: number): [number, number, number] => {
  const d = new Date(wallMs);
  return utc || undated(wallMs)
    ? [d.getUTCFullYear(), d.getUTCMonth(), d.getUTCDate()]
    : [d.getFullYear(), d.getMonth(), d.getDate()];
};

/** "26 Nov". */
export function dayText(wallMs: number): string {
  if (undated(wallMs)) return '';
  const [, m, d] = dayOf(wallMs);
  return `${d} ${MONTHS[m]}`;
}

/** "2026-11-26". */
export function dateText(wallMs: number): string {
  const [y, m, d] = dayOf(wallMs);
  return `${y}-${two(m + 1)}-${two(d)}`;
}

/** Whether both lie on one day. */
export const sameDay = (a: number, b: number) => dateText(a) === dateText(b);

/** The time, with its day before it where that is not today. */
export function dayClockText(wallMs: number, decimals = 0, now = Date.now()): string {
  const t = clockText(wallMs, decimals);
  return undated(wallMs) || sameDay(wallMs, now) ? t : `${dayText(wallMs)} ${t}`;
}

/** Decimals of a second that one column of `dt` microseconds can tell apart. */
export const decimalsFor = (dt: number) => (dt >= 1e6 ? 0 : dt >= 1e5 ? 1 : dt >= 1e4 ? 2 : 3);

/** "80 ms", "4.8 s", "1 min 10 s", "2 h 5 min". */
export function durationText(us: number): string {
  const s = us / 1e6;
  if (s < 1) return `${Math.round(us / 1000)} ms`;
  if (s < 9.95) return `${s.toFixed(1)} s`;
  const whole = Math.round(s);
  if (whole < 60) return `${whole} s`;
  const m = Math.floor(whole / 60);
  if (m < 60) return `${m} min${whole % 60 ? ` ${whole % 60} s` : ''}`;
  const h = Math.floor(m / 60);
  if (h < 48) return `${h} h${m % 60 ? ` ${m % 60} min` : ''}`;
  return `${Math.floor(h / 24)} d${h % 24 ? ` ${h % 24} h` : ''}`;
}

/** Milliseconds to add to UTC for the zone that labels are in, at `wallMs`. */
export const zoneMs = (wallMs: number) =>
  utc || undated(wallMs) ? 0 : -new Date(wallMs).getTimezoneOffset() * 60_000;
