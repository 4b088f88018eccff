// Export of the charts on the page, and the address of what is shown.
import { useSignal } from '@preact/signals';
import { charts } from '../charts/Chart';
import { download, isoMicros, toCsv } from '../lib/export';
import { host } from '../state/pulse';
import { selection, viewNow } from '../state/view';
import { store } from '../store/store';
import { setShare } from './dialogs';
import { Modal } from './Modal';

type Drawn = typeof charts extends Map<string, infer C> ? C : never;

function fileName(c: Drawn, ext: string): string {
  const at = isoMicros(store.clock.wallMs(viewNow(store).to))
    .slice(0, 19)
    .replace(/:/g, '');
  const words = c.titleText().replace(/[^\w.-]+/g, '-');
  return `${host.peek()?.host ?? 'host'}-${words}-${at}Z.${ext}`;
}

function csv(c: Drawn): void {
  const { marks } = c.model;
  const view = selection.peek() ?? viewNow(store);
  // Wide enough for every sample, where that is no more than a spreadsheet takes.
  const frame = store.frame(
    marks.map((m) => m.source),
    view,
    Math.min(20_000, Math.max(400, (view.to - view.from) / store.tickUs)),
  );
  download(
    fileName(c, 'csv'),
    new Blob(
      [
        toCsv(
          frame,
          marks.map((m) => m.label),
          store.clock,
        ),
      ],
      { type: 'text/csv' },
    ),
  );
}

function png(c: Drawn): void {
  c.image().toBlob((b) => b && download(fileName(c, 'png'), b), 'image/png');
}

export function Share() {
  const copied = useSignal('');
  const link = location.href;
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(link);
      copied.value = 'Copied. It holds the window, not the token.';
    } catch {
      copied.value = 'Copy it from the address bar. It holds the window, not the token.';
    }
  };
  return (
    <Modal name="share" label="Export and share">
      <header>
        <h2>Export and share</h2>
        <button type="button" class="btn" onClick={() => setShare(false)}>
          Close <kbd>Esc</kbd>
        </button>
      </header>
      <div class="link">
        <button type="button" class="btn" onClick={copy}>
          Copy link
        </button>
        <span role="status">{copied.value || 'To exactly what is shown.'}</span>
      </div>
      <table>
        <tbody>
          {[...charts.values()].map((c) => (
            <tr key={c.spec.id}>
              <td class="l">{c.titleText()}</td>
              <td>
                <button
                  type="button"
                  class="btn"
                  aria-label={`CSV of ${c.titleText()}`}
                  onClick={() => csv(c)}
                >
                  CSV
                </button>
                <button
                  type="button"
                  class="btn"
                  aria-label={`PNG of ${c.titleText()}`}
                  onClick={() => png(c)}
                >
                  PNG
                </button>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      <p class="hint">CSV holds the selection if there is one, else what is shown.</p>
    </Modal>
  );
}
