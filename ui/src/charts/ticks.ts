// Round numbers for axes, and domains that grow at once and shrink only after a minute of not being needed.

/** The smallest of 1, 2, 2.5, 5 x 10^k that is >= x (powers of two when `binary`, for bytes). */
export function niceStep(x: number, binary = false): number {
  if (!(x > 0)) return 1;
  if (binary && x >= 1) return 2 ** Math.ceil(Math.log2(x) - 1e-9);
  const p = 10 ** Math.floor(Math.log10(x) + 1e-9);
  for (const m of [1, 2, 2.5, 5]) if (m * p >= x * (1 - 1e-9)) return m * p;
  return 10 * p;
}

export interface Domain {
  min: number;
  max: number;
  /** Values that get a line and a label, rising. */
  ticks: number[];
}

/** A round domain that holds [lo, hi] and zero, with about `want` steps. */
export function roundDomain(lo: number, hi: number, want: number, binary = false): Domain {
  const a = Math.min(0, lo);
  const b = Math.max(0, hi);
  const step = niceStep((b - a) / Math.max(1, want), binary);
  const min = Math.floor(a / step + 1e-9) * step;
  const max = Math.max(Math.ceil(b / step - 1e-9) * step, min + step);
  const ticks: number[] = [];
  for (let k = Math.round(min / step); k <= Math.round(max / step); k++) ticks.push(k * step);
  return { min: min || 0, max, ticks };
}

/** From zero to exactly `max`, the size of a whole, with two or more round ticks below it. */
export function fixedDomain(max: number, want: number, binary = false): Domain {
  const { ticks } = roundDomain(0, max, want, binary);
  const step = ticks[1] ?? max;
  const fits = ticks.filter((t) => t <= max * (1 + 1e-9));
  if (fits.length >= 3 || !binary) return { min: 0, max, ticks: fits };
  return { min: 0, max, ticks: fits.flatMap((t) => [t, t + step / 2]).filter((t) => t <= max) };
}

/** Three to five labels fit, depending on the plot's height. */
export const ticksFor = (height: number) => (height < 48 ? 1 : height < 100 ? 2 : height < 200 ? 3 : 5);

const HOLD_MS = 60_000;

/** Follows the extent of what is shown: larger at once, smaller only when a minute has not needed it. */
export class StickyDomain {
  private lo = 0;
  private hi = 0;
  private needed = Number.NEGATIVE_INFINITY;
  private want = 0;
  private held: Domain | null = null;
  private peak = { lo: 0, hi: 0 };

  constructor(
    private readonly floor: number,
    private readonly binary = false,
  ) {}

  /** The domain for the extent [lo, hi] at time `now` (ms). NaN extents count as nothing shown. */
  update(lo: number, hi: number, now: number, want: number): Domain {
    const a = Math.min(0, Number.isNaN(lo) ? 0 : lo);
    const b = Math.max(this.floor, Number.isNaN(hi) ? 0 : hi);
    const fresh = roundDomain(a, b, want, this.binary);
    const old = this.held;
    if (!old || want !== this.want) return this.take(fresh, a, b, now, want);
    if (a < this.lo || b > this.hi) {
      return this.take(
        roundDomain(Math.min(a, this.lo), Math.max(b, this.hi), want, this.binary),
        Math.min(a, this.lo),
        Math.max(b, this.hi),
        now,
        want,
      );
    }
    if (fresh.min === old.min && fresh.max === old.max) {
      this.needed = now;
      this.peak = { lo: 0, hi: 0 };
      return old;
    }
    // The most that was shown since the domain was last needed.
    this.peak.lo = Math.min(this.peak.lo, a);
    this.peak.hi = Math.max(this.peak.hi, b);
    if (now - this.needed < HOLD_MS) return old;
    const { lo: l, hi: h } = this.peak;
    return this.take(roundDomain(l, h, want, this.binary), l, h, now, want);
  }

  /** Forgets the past: another unit or another series is shown. */
  reset(): void {
    this.held = null;
  }

  private take(d: Domain, lo: number, hi: number, now: number, want: number): Domain {
    this.held = d;
    this.lo = Math.min(lo, d.min);
    this.hi = Math.max(hi, d.max);
    this.needed = now;
    this.want = want;
    this.peak = { lo: 0, hi: 0 };
    return d;
  }
}

const TIME_STEPS = [
  0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800,
  3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800,
];

/** Seconds between labels so that each has at least `room` pixels. */
export function timeStep(spanS: number, widthPx: number, room: number): number {
  const least = (spanS * room) / Math.max(1, widthPx);
  return TIME_STEPS.find((s) => s >= least) ?? 604_800;
}
