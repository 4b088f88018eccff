// How a range is made on a sub-second map, the page's and the first screen's: time stands still while it is drawn, a
// baseline lets it go on, giving up as well.
import type { ScopeEvents, ScopeMap } from '../../charts/scope/map';
import { baseline, goLive, selection } from '../../state/view';
import type { Span } from '../../transform/scope';
import { standStill } from './play';

export class Drafting {
  /** What is being drawn, and whether it is a baseline. */
  now: { readonly span: Span; readonly base: boolean } | null = null;
  private wasLive = false;

  constructor(private readonly map: () => ScopeMap) {}

  readonly events: Pick<ScopeEvents, 'begin' | 'cancelled' | 'baseline' | 'draft'> = {
    begin: () => {
      this.wasLive = standStill(this.map().geometry);
    },
    cancelled: () => {
      if (this.wasLive) goLive();
    },
    baseline: (s) => {
      baseline.value = s;
      if (this.wasLive && !selection.peek()) goLive();
    },
    draft: (span, base) => {
      this.now = span && { span, base };
      this.map().paintSoon();
    },
  };
}
