// Processes of a moment of the past, for the table: what each did in the second before it, from the agent's
// totals, those that have ended since included.
import type { Instance, View } from '../store/api';
import { ROLLUP_US } from '../store/held';
import type { StoreImpl } from '../store/store';
import type { ColumnId } from './procdata';
import { COLUMNS, PROCESS } from './procdata';
import { procCatalog } from './rangeprocs';

const MOST = 500;
/** A view that is being dragged is asked about when it rests. */
const REST_MS = 250;

export interface PastRow {
  readonly inst: Instance;
  readonly values: Readonly<Record<ColumnId, number>>;
}

export class PastProcs {
  private key = '';
  private since = 0;
  private asked = '';
  private rows: ReadonlyMap<string, PastRow> | null = null;
  private refused = false;

  constructor(private readonly store: StoreImpl) {}

  /** Whether what came live reaches back that far. */
  private live(from: number): boolean {
    const d = this.store.feed.groupByName(this.store.info(PROCESS)?.group ?? '');
    return d !== null && d.rows > d.first && d.firstUs <= from;
  }

  /** Rows of the second before `to`; null: take those that came live. */
  at(over: View): ReadonlyMap<string, PastRow> | null {
    if (this.refused || this.live(over.from)) return null;
    const rolled = over.from < this.store.fullFrom;
    const wide = rolled ? { from: over.to - ROLLUP_US, to: over.to } : over;
    const key = `${wide.from} ${wide.to}`;
    const now = performance.now();
    if (key !== this.key) this.since = now;
    this.key = key;
    if (key !== this.asked && now - this.since >= REST_MS) {
      this.asked = key;
      void this.ask(wide, key);
    }
    return this.rows ?? NONE;
  }

  private async ask(over: View, key: string): Promise<void> {
    const metrics = COLUMNS.flatMap((c) => c.source('').inputs.map((r) => r.metric));
    const cat = procCatalog(this.store, metrics);
    if (!cat) return;
    const { value, why } = await this.store.past.totals({
      group: cat.group,
      metrics: cat.metrics,
      over,
      base: null,
      limit: MOST,
    });
    if (key !== this.asked) return;
    if (!value) {
      this.refused = why !== null && why.code !== 429;
      if (!why) this.asked = '';
      return;
    }
    const seconds = (over.to - over.from) / 1e6;
    const index = new Map(cat.metrics.map((m, i) => [m, i]));
    this.rows = new Map(
      value.rows.map((r) => {
        const attrs = Object.fromEntries(r.attrs.map((a) => [cat.attrKeys[a.key] ?? '', a.value]));
        const of = (metric: string): number => {
          const i = index.get(metric);
          if (i === undefined || r.deltas[i] === undefined) return Number.NaN;
          const v = Number(r.deltas[i]) * (cat.scales[i] ?? Number.NaN);
          return this.store.info(metric)?.counter ? v / seconds : v;
        };
        const values = Object.fromEntries(
          COLUMNS.map((c) => [c.id, c.source('').inputs.reduce((s, x) => s + of(x.metric), 0)]),
        ) as Record<ColumnId, number>;
        const inst: Instance = { name: r.instance, gen: 0, attrs, startUs: 0, endUs: null };
        return [r.instance, { inst, values }];
      }),
    );
    this.store.feed.bump();
  }
}

const NONE: ReadonlyMap<string, PastRow> = new Map();
