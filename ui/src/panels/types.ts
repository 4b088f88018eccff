// A panel is data: what it reads, how that becomes marks, how they are drawn. Adding one is one entry in a
// file of this folder; it is found by glob and validated when the page starts.
import type { Colour } from '../charts/palette';
import type { Kind, Source, Store } from '../store/api';

/** What a panel may ask of the page while it makes its marks. */
export interface Env {
  readonly store: Store;
  /** The disk that is busiest of late, whole devices only; undefined: none. Changes seldom. */
  disk(rank: number): string | undefined;
  /** The interface that carries most of late, loopback last; undefined: none. */
  iface(rank: number): string | undefined;
}

/** How a mark is drawn. `value`: only in the title. `dash`: a neutral reference line. */
export type Style = 'line' | 'area' | 'bar' | 'dash' | 'value';

export interface Mark {
  readonly label: string;
  readonly source: Source;
  readonly colour: Colour;
  readonly style: Style;
  /** Drawn below zero: the other direction of the same thing. */
  readonly down?: boolean;
  /** May leave a narrow title while it is zero. */
  readonly minor?: boolean;
  /** Unit of its own, e.g. operations beside bytes; only for `value`. */
  readonly kind?: Kind;
  /** Part of the colour over the panel in stacked areas, 0..1. */
  readonly tint?: number;
}

/** lines: marks by their style. stack: areas on each other. heat: a row each mark. cores: rows over a
 *  stacked band (see charts/cores.ts). */
export type Draw = 'lines' | 'stack' | 'heat' | 'cores';

export interface PanelSpec {
  readonly id: string;
  readonly title: string | ((env: Env) => string);
  /** Catalog names of everything the panel reads. The first decides what is said when there is no data. */
  readonly metrics: readonly string[];
  /** Kind of the y axis; what is counted ("tasks", "segments"); words after it ("busy", "of 32 CPUs"). */
  readonly unit: {
    readonly kind: Kind;
    readonly noun?: string;
    readonly word?: string | ((env: Env) => string);
  };
  readonly transform: (env: Env) => readonly Mark[];
  readonly draw: Draw;
  /** The domain never gets smaller than this (base units). */
  readonly floor: number;
  /** The domain is this, whatever the data: 1 for percent of a whole. */
  readonly max?: number | ((env: Env) => number);
  /** Heat maps: the ramp is logarithmic over three decades. */
  readonly log?: boolean;
  /** Marks drawn as stacked areas below the rows of `cores`. */
  readonly band?: (env: Env) => readonly Mark[];
  /** Place on the first screen, 1 to 12, row by row; none: not there. */
  readonly place?: number;
  /** One sentence for the details: what the chart is good for. */
  readonly help?: string;
}
