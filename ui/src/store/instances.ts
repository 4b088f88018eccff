// The instances of a group: who holds which slot, who held it before, by name.
import type { StartedInstance } from '../transport/decode';
import type { GroupMeta } from './catalog';
import type { Column } from './column';

export interface Inst {
  readonly slot: number;
  readonly gen: number;
  readonly name: string;
  readonly attrs: Record<string, string>;
  /** First row, and the row after the last one (Infinity while live). */
  startRow: number;
  endRow: number;
  startUs: number; // 0: it was there before what is held
  endUs: number | null;
  /** By metric; null: a rate that was always 0, a level that was never read. */
  readonly cols: (Column | null)[];
}

const CROWD = 1500;

/** An instance's key among all holders of all slots. */
const keyOf = (slot: number, gen: number) => slot * 4294967296 + gen;

export class Instances {
  /** Everything held, ended ones included. */
  private readonly all = new Map<number, Inst>();
  readonly bySlot: (Inst | undefined)[] = [];
  readonly byName = new Map<string, Inst[]>(); // oldest first

  constructor(private readonly meta: GroupMeta) {}

  values(): IterableIterator<Inst> {
    return this.all.values();
  }
  get(slot: number, gen: number): Inst | undefined {
    return this.all.get(keyOf(slot, gen));
  }

  /** The instance that a start names; one that was held before goes on. `isNew`: it was not. */
  start(s: StartedInstance, row: number, us: number): { inst: Inst; isNew: boolean } {
    let inst = this.get(s.slot, s.gen);
    const isNew = !inst;
    if (!inst) {
      const attrs: Record<string, string> = {};
      for (const a of s.attrs) attrs[this.meta.attrKeys[a.key] ?? `${a.key}`] = a.value;
      inst = {
        slot: s.slot,
        gen: s.gen,
        name: s.name,
        attrs,
        startRow: row,
        endRow: Number.POSITIVE_INFINITY,
        startUs: us,
        endUs: null,
        cols: new Array(this.meta.metrics.length).fill(null),
      };
      this.all.set(keyOf(s.slot, s.gen), inst);
      const list = this.byName.get(s.name);
      if (list) list.push(inst);
      else this.byName.set(s.name, [inst]);
    }
    inst.endRow = Number.POSITIVE_INFINITY;
    inst.endUs = null;
    this.bySlot[s.slot] = inst;
    return { inst, isNew };
  }

  end(inst: Inst, row: number, us: number): void {
    inst.endRow = Math.min(inst.endRow, row);
    inst.endUs = us;
    if (this.bySlot[inst.slot] === inst) this.bySlot[inst.slot] = undefined;
  }

  /** Drops those whose rows are all gone; of very many also those that ended before `beforeUs`: a machine that
   *  compiles has thousands of short lives a minute, and ranges still have them. */
  forget(first: number, beforeUs: number): void {
    const crowded = this.all.size > CROWD;
    for (const [key, inst] of this.all) {
      if (inst.endRow > first && !(crowded && inst.endUs !== null && inst.endUs < beforeUs)) continue;
      this.all.delete(key);
      const list = this.byName.get(inst.name)?.filter((x) => x !== inst) ?? [];
      if (list.length) this.byName.set(inst.name, list);
      else this.byName.delete(inst.name);
    }
  }
}

/** Of the holders of a name, the one that has this row. */
export function holderAt(list: readonly Inst[], row: number): Inst | null {
  for (let i = list.length - 1; i >= 0; i--) {
    const x = list[i]!;
    if (row >= x.startRow && row < x.endRow) return x;
  }
  return null;
}
