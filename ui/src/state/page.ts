// Which page is shown.
import { signal } from '@preact/signals';

export const PAGES = [
  { id: 'overview', title: 'Overview' },
  { id: 'profile', title: 'Profile' },
  { id: 'cpu', title: 'CPU' },
  { id: 'memory', title: 'Memory' },
  { id: 'disk', title: 'Disk' },
  { id: 'network', title: 'Network' },
  { id: 'interrupts', title: 'Interrupts' },
  { id: 'strobe', title: 'strobe' },
  { id: 'raw', title: 'All metrics' },
] as const;

export type PageId = (typeof PAGES)[number]['id'];

export const page = signal<string>('overview');
/** What the raw page searches for. */
export const query = signal('');
/** What the profile page shows, as the address carries it; see state/profile.ts. */
export const profileText = signal('');
/** There are stacks to look at: a profiler runs, or ran. */
export const profiling = signal(false);
/** The profiler in the header: "99 Hz", how it is, and why on hover; null: not known, or there is none. */
export interface ProfilerWords {
  readonly state: 'on' | 'burst' | 'reduced' | 'off';
  readonly text: string;
  readonly title: string;
}
export const profilerWords = signal<ProfilerWords | null>(null);
