// The one component that puts a panel on the page; it renders once, the chart draws itself after that.
import { useEffect, useRef } from 'preact/hooks';
import { env } from '../panels/env';
import type { PanelSpec } from '../panels/types';
import { Chart as Drawn } from './chart';
import { followPointer, watchReader } from './cursor';
import { sched } from './sched';

/** Charts on the page by panel id: for export and for keys that need the focused one. */
export const charts = new Map<string, Drawn>();

let started = false;

/** Once for the page: the pointer and the reader's actions move the charts. */
function start(): void {
  if (started) return;
  started = true;
  sched.onFrame(() => followPointer(env.store));
  watchReader();
  document.addEventListener('visibilitychange', () => document.hidden || sched.invalidate());
}

export function Chart({ spec, axis = true }: { spec: PanelSpec; axis?: boolean }) {
  const at = useRef<HTMLDivElement>(null);
  useEffect(() => {
    start();
    const chart = new Drawn(spec, env, axis);
    charts.set(spec.id, chart);
    at.current?.append(chart.el);
    return () => {
      charts.delete(spec.id);
      chart.destroy();
    };
  }, [spec, axis]);
  return <div class="cell" ref={at} />;
}
