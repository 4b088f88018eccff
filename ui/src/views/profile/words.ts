// What a profile says in words: times, samples, shares, changes in CPUs.
import { signal } from '@preact/signals';
import type { Profile, Tree } from '../../transform/flame/tree';
import type { ProfilerState } from '../../transform/profiler';
import type { Sum } from '../../transport/profile';

/** "312 µs", "4.2 ms", "11,176 ms", "62 s". */
export function timeText(us: number): string {
  if (us < 1000) return `${Math.round(us)} µs`;
  if (us < 9_950) return `${(us / 1000).toFixed(1)} ms`;
  if (us < 99_950_000) return `${Math.round(us / 1000).toLocaleString('en-US')} ms`;
  return `${Math.round(us / 1e6).toLocaleString('en-US')} s`;
}

/** A time among others in a row: three digits, "720 ms", "7.74 s", "77.4 s", "725 s". */
export function briefTime(us: number): string {
  if (us < 999_500) return timeText(us);
  const s = us / 1e6;
  const digits = s < 9.995 ? 2 : s < 99.95 ? 1 : 0;
  return `${s.toFixed(digits).replace(/\B(?=(\d{3})+$)/g, digits ? '' : ',')} s`;
}

/** What weights are where they are no times, as in a heap profile of another tool: "bytes", "MiB", "samples",
 *  "alloc_objects"; "": microseconds. */
export const counted = signal('');

const POWERS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'];

/** "312 bytes", "4.2 MiB", "11,176 alloc_objects": a weight that is no time. */
export function countedText(v: number, unit: string): string {
  let power = POWERS.indexOf(unit);
  if (power < 0) return `${countText(v)} ${unit}`;
  for (; v >= 1024 && power + 1 < POWERS.length; power++) v /= 1024;
  return `${v < 99.95 && power > 0 ? v.toFixed(1) : countText(v)} ${POWERS[power]}`;
}

/** A weight for people: off the CPU a time, on it samples, else what it is. */
export function amountText(us: number, s: Sum, off: boolean): string {
  if (counted.value) return countedText(us, counted.value);
  return off ? briefTime(us) : countText(samplesOf(us, s));
}

/** The same with its unit always: "4,512 samples". */
export const amountUnit = (us: number, s: Sum, off: boolean): string =>
  `${amountText(us, s, off)}${off || counted.value ? '' : ' samples'}`;

export const countText = (n: number) => Math.round(n).toLocaleString('en-US');

/** "8.8 %", "<0.1 %". */
export function shareText(part: number): string {
  const p = part * 100;
  if (!Number.isFinite(p)) return '–';
  return p > 0 && p < 0.05 ? '<0.1 %' : `${p.toFixed(1)} %`;
}

export interface Measure {
  readonly off: boolean;
  readonly sum: Sum;
  readonly baseline: Sum | null;
}

const spanOf = (s: Sum | null) => (s ? s.coveredUs || s.spanUs : 0);

/** CPUs (off the CPU: tasks) that ran on average. */
export const rate = (us: number, s: Sum | null): number => (spanOf(s) > 0 ? us / spanOf(s) : 0);

/** Samples that a weight stands for. */
export const samplesOf = (us: number, s: Sum): number => (s.weightUs > 0 ? (us * s.n) / s.weightUs : 0);

export const changeOf = (t: Tree, i: number, m: Measure): number =>
  rate(t.total[i] ?? 0, m.sum) - rate(t.baseTotal[i] ?? 0, m.baseline);

/** "+1.28 CPUs", "−0.02 CPUs", "±0". */
export function changeText(v: number, off = false): string {
  const a = Math.abs(v);
  const unit = off ? ' tasks' : ' CPUs';
  if (a < 0.0005) return `±0${unit}`;
  const digits = a >= 9.95 ? 1 : a >= 0.0995 ? 2 : 3;
  return `${v > 0 ? '+' : '−'}${a.toFixed(digits)}${unit}`;
}

/** "lost · 34 of 57 samples of the baseline": the root of an elided graph. */
export function lostText(t: Tree, base: Sum, off: boolean): string {
  const us = t.total[0] ?? 0;
  if (off) return `lost · ${briefTime(us)} of ${briefTime(base.weightUs)} blocked in the baseline`;
  return `lost · ${countText(samplesOf(us, base))} of ${countText(base.n)} samples of the baseline`;
}

/** Why there is nothing to see in a range; '' if there is. `of`: of whom alone. */
export function emptyText(sum: Sum, off: boolean, of: string, began: string): string {
  if (off ? sum.weightUs > 0 : sum.n > 0) return '';
  if (!sum.coveredUs) return `No profiler ran in this range${began && `: the first stacks are of ${began}`}.`;
  const who = of ? ` of ${of}` : '';
  if (off) return `No wait${who} ended in this range, of those that are shown.`;
  return `No samples${who} in this range: nothing ran when it was looked at.`;
}

const STEPS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 4, 8, 16, 32, 64, 128];

/** A round end for the colours of a differential: the largest change below the root. */
export function changeScale(t: Tree, m: Measure): number {
  let most = 0;
  for (let i = 1; i < t.n; i++) most = Math.max(most, Math.abs(changeOf(t, i, m)));
  return STEPS.find((s) => most <= s) ?? most;
}

/** "all · 12,518 samples · +2.7 CPUs". */
export function rootText(p: Profile, off: boolean): string {
  const m = { off, sum: p.sum, baseline: p.baseline };
  const parts = ['all', `${amountUnit(p.sum.weightUs, p.sum, off)}${off ? ' blocked' : ''}`];
  if (p.baseline && p.tree.n) parts.push(changeText(changeOf(p.tree, 0, m), off));
  return parts.join(' · ');
}

const TYPE_NAMES = ['unknown', 'program', 'library', '[kernel]', 'JIT', 'inlined', 'process'];

/** Where a frame comes from. */
export const originText = (t: Tree, i: number): string =>
  i === 0 ? '' : (t.strings[t.module[i]!] ?? '') || TYPE_NAMES[t.type[i]!] || '';

/** "12,518 samples, 99 Hz × 32 CPUs, lost 0, shallow 3.1 %": beside every flame graph. */
export function hzText(s: Sum): string {
  if (!s.hzMax) return '–';
  return s.hzMin && s.hzMin !== s.hzMax ? `${s.hzMin}–${s.hzMax}` : `${s.hzMax}`;
}

/** "8,982", "12.3 k", "9.0 M". */
export function shortText(n: number): string {
  if (n < 9_999.5) return countText(n);
  return n < 999_500 ? `${(n / 1e3).toFixed(n < 99_950 ? 1 : 0)} k` : `${(n / 1e6).toFixed(1)} M`;
}

/** How waits are seen ("eBPF ≥ 1.0 ms", "context-switch events"), what is only counted (", 9.0 M shorter"), and both in
 *  a sentence; null: it is not said. */
export function offCpuTexts(
  p: ProfilerState | null | undefined,
): { readonly how: string; readonly more: string; readonly all: string } | null {
  if (!p?.hasOffCpu || !p.offTier) return null;
  const least = p.offMinUs ? timeText(p.offMinUs).replace('.0 ', ' ') : '';
  const more =
    (p.offShort ? `, ${shortText(p.offShort)} shorter` : '') +
    (p.offLost ? `, ${shortText(p.offLost)} lost` : '');
  const short = p.offShort
    ? `; ${countText(p.offShort)} shorter ones so far are only counted, ${timeText(p.offShortUs)} together`
    : '';
  const lost = p.offLost ? `; ${countText(p.offLost)} were lost` : '';
  return {
    how: p.offTier + (least && ` ≥ ${least}`),
    more,
    all: `Seen by ${p.offTier}: ${least ? `waits from ${least} on` : 'every wait'}${short}${lost}`,
  };
}

/** What the agent says, as a sentence. */
export const sentence = (s: string): string =>
  `${s.slice(0, 1).toUpperCase()}${s.slice(1)}${/[.!?]$/.test(s) ? '' : '.'}`;
