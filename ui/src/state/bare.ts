// A file without a single metric: a profile of another tool, looked at as a capture is. Its first screen is the
// profile page with all of it selected.
import { signal } from '@preact/signals';
import type { StoreImpl } from '../store/store';
import { page } from './page';
import { selection } from './view';

/** There are no metrics here, and none will come. */
export const bare = signal(false);

const says = (key: string) => new RegExp(`(^#?|&)${key}=`).test(location.hash);

export function startBare(store: StoreImpl): void {
  // What a pasted address says goes before; later the page writes it itself.
  const [chosen, ranged] = [says('page'), says('t')];
  const off = store.subscribe(() => {
    if (!store.host || store.catalog.version === 0) return;
    if (store.host.capture === null || store.catalog.groups.length > 0) {
      off();
      return;
    }
    if (!bare.peek()) {
      bare.value = true;
      if (!chosen) page.value = 'profile';
    }
    if (!store.held.known) return;
    off();
    const all = { from: store.held.oldestUs, to: store.held.to };
    setTimeout(() => {
      if (!ranged && !selection.peek()) selection.value = all;
    });
  });
}
