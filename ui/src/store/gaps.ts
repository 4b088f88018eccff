// Why there is nothing between two reads: what the agent and the clock records said.
import type { AgentClock } from '../transport/clock';
import type { Gap, HostEvent, MonoUs, View } from './api';
import { seamReason } from './held';
import type { Past } from './past';

const EVENT_AGENT_START = 1;
const EVENT_GAP = 3;

interface Lost {
  from: MonoUs;
  to: MonoUs;
  reason: number;
}

const overlaps = (a: Lost | View, from: MonoUs, to: MonoUs) => a.from < to && a.to > from;

export class GapLog {
  private lost: Lost[] = [];
  events: HostEvent[] = [];
  past: Past | null = null;

  constructor(private readonly clock: AgentClock) {}

  clear(): void {
    this.lost = [];
  }

  /** A Gap message. */
  add(from: MonoUs, to: MonoUs, reason: number): void {
    this.lost.push({ from, to, reason });
    if (this.lost.length > 200) this.lost.shift();
  }

  reason(from: MonoUs, to: MonoUs): Pick<Gap, 'reason' | 'text'> {
    for (const l of this.lost)
      if (overlaps(l, from, to))
        return {
          reason: 'lost',
          text: l.reason === 2 ? 'dropped, slow connection' : 'no longer held by the agent',
        };
    const slept = this.clock.suspends(from - 1, to + 1)[0];
    if (slept) return { reason: 'suspend', text: `suspended ${Math.round(slept.us / 1e6)} s` };
    const seam = this.past?.held.seamIn(from, to);
    if (seam) return seamReason(seam);
    for (const e of this.events) {
      if (e.t < from - 1e6 || e.t > to + 1e6) continue;
      if (e.kind === EVENT_AGENT_START) return { reason: 'missed', text: 'agent was not running' };
      if (e.kind === EVENT_GAP) return { reason: 'missed', text: e.text };
    }
    return { reason: 'missed' };
  }

  /** Gaps of all groups in a view. A suspend has no width: monotonic time stands still in it. */
  within(view: View): Gap[] {
    const out: Gap[] = [];
    for (const l of this.lost)
      if (l.from > 0 && overlaps(l, view.from, view.to))
        out.push({ from: l.from, to: l.to, ...this.reason(l.from, l.to) });
    for (const s of this.clock.suspends(view.from, view.to))
      out.push({ from: s.at, to: s.at, reason: 'suspend', text: `suspended ${Math.round(s.us / 1e6)} s` });
    return out;
  }
}
