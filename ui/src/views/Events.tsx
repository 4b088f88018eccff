// Events, newest first, and what the agent itself costs.
import { signal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { sched } from '../charts/sched';
import { clockText } from '../charts/time';
import { setText } from '../charts/title';
import { env } from '../panels/env';
import { capture } from '../state/pulse';
import { fixed } from '../state/view';
import type { HostEvent, View } from '../store/api';
import { store } from '../store/store';
import { derived, one, ref } from '../transform/source';

const SHAPES = ['○', '▲', '◆'];
const CLASSES = ['', 'warn', 'crit'];
const WORDS = ['info', 'warning', 'critical'];
const HOUR = 3_600_000_000;

/** Newest first, those of `over`; at most `most`. */
export function eventsOf(events: readonly HostEvent[], over: View, most: number): HostEvent[] {
  const out: HostEvent[] = [];
  for (let i = events.length - 1; i >= 0 && out.length < most; i--) {
    const e = events[i] as HostEvent;
    if (e.t >= over.from && e.t <= over.to) out.push(e);
  }
  return out;
}

export function EventRows({ events }: { events: readonly HostEvent[] }) {
  return (
    <ul class="ev" data-events="">
      {events.length === 0 ? (
        <li class="none">None</li>
      ) : (
        events.map((e) => (
          <li key={e.seq} data-kind={e.kind} title={`${e.source}: ${e.text}`}>
            <time>{clockText(env.store.clock.wallMs(e.t), 1)}</time>
            <span class={CLASSES[e.severity]} role="img" aria-label={WORDS[e.severity]}>
              {SHAPES[e.severity]}
            </span>
            <span>
              {e.text} <em>{e.source}</em>
            </span>
          </li>
        ))
      )}
    </ul>
  );
}

const list = signal<readonly HostEvent[]>([]);
const total = signal(0);

export function Events() {
  const at = useRef<HTMLElement>(null);
  useEffect(() => {
    let seen = '';
    let height = at.current?.clientHeight ?? 200;
    const sized = new ResizeObserver((e) => {
      height = e[0]?.contentRect.height ?? height;
    });
    if (at.current) sized.observe(at.current);
    const stop = sched.onText(() => {
      const view = fixed.peek();
      const to = Math.min(view?.to ?? Number.POSITIVE_INFINITY, env.store.newest + 1_000_000);
      const over = { from: to - HOUR, to };
      const fit = Math.max(1, Math.floor((height - 22 - 22 - 4) / 19));
      const all = eventsOf(env.store.events, over, 10_000);
      if (view) store.past.wantEvents(over.from);
      const key = `${all.length} ${all[0]?.seq} ${fit}`;
      if (key === seen) return;
      seen = key;
      total.value = all.length;
      list.value = all.slice(0, fit);
    });
    return () => {
      stop();
      sized.disconnect();
    };
  }, []);
  return (
    <section class="p" ref={at} aria-label="Events">
      <div class="head">
        <h2>Events</h2>
        <span class="u">{fixed.value || capture.value !== null ? 'hour before' : 'last hour'}</span>
        <span class="lg">
          <span class="u">{total.value}</span>
        </span>
      </div>
      <EventRows events={list.value} />
      <AgentFoot />
    </section>
  );
}

const CPU = derived(
  'agentcpu',
  'ratio',
  [ref('strobe.cpu.user'), ref('strobe.cpu.sys')],
  (x) => x[0]! + x[1]!,
  [1, 1],
);
const RSS = one('bytes', 'strobe.mem.rss');
const STATE = 'strobe.collector.state';

function AgentFoot() {
  const at = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const [cpu, rss, n, bad] = [...(at.current?.querySelectorAll('b') ?? [])] as HTMLElement[];
    if (!cpu || !rss || !n || !bad) return;
    return sched.onText(() => {
      const { store } = env;
      if (!store.newest) return;
      const c = store.stats(CPU, store.newest - 5_000_000, store.newest);
      setText(cpu, c ? `${(c.avg * 100).toFixed(1)} %` : '–');
      const r = store.latest(RSS);
      setText(rss, r ? `${Math.round(r.v / 2 ** 20)} MiB` : '–');
      const states = store.instances(STATE).map((i) => ({
        name: i.name,
        state: store.latest(one('state', STATE, i.name))?.v ?? 0,
        reason: i.attrs.reason ?? '',
      }));
      const worse = states.filter((s) => s.state >= 1 && s.state <= 3);
      setText(n, states.length ? String(states.filter((s) => s.state <= 3).length) : '–');
      setText(bad, worse.length ? `, ${worse.length} ${worstWord(worse)}` : '');
      bad.title = worse.map((s) => `${s.name}: ${s.reason}`).join('\n');
      bad.className = worse.some((s) => s.state === 3) ? 'crit' : worse.length ? 'warn' : '';
    });
  }, []);
  return (
    <div class="foot" ref={at}>
      <span>
        agent <b>–</b>
        <span class="opt"> of one core</span>, <b>–</b>
      </span>
      <span>
        <b>–</b> collectors
        <b />
      </span>
    </div>
  );
}

const worstWord = (w: readonly { state: number }[]) =>
  w.some((s) => s.state === 3) ? 'failed' : w.some((s) => s.state === 1) ? 'reduced' : 'partial';

/** What the events panel and the footer need live. */
export const eventWants = {
  sources: [CPU, RSS],
  groups: ['strobe.collector'],
  prio: 2,
  level: 10,
};
