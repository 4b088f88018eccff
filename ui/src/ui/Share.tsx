// Export of the charts on the page, and the address of what is shown.
import { useSignal } from '@preact/signals';
import { charts } from '../charts/Chart';
import { download, isoMicros, toCsv } from '../lib/export';
import { addressNow } from '../state/address';
import { host } from '../state/pulse';
import { selection, viewNow } from '../state/view';
import type { View } from '../store/api';
import { store } from '../store/store';
import { captureJob, saveCapture } from './capture';
import { setShare } from './dialogs';
import { figures } from './figures';
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

function Save({ label, view }: { label: string; view: () => View }) {
  return (
    <button
      type="button"
      class="btn"
      disabled={captureJob.value.state === 'running'}
      onClick={() => void saveCapture(view())}
    >
      {label}
    </button>
  );
}

export function Share() {
  const copied = useSignal('');
  const link = addressNow(store);
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
      <section class="save" aria-label="Save a capture">
        <h3>Save a capture: everything recorded, to open with strobe open on any machine</h3>
        <div class="link">
          <Save label="Last 10 min" view={() => ({ from: store.newest - 600e6, to: store.newest })} />
          <Save
            label={selection.value ? 'This range' : 'What is shown'}
            view={() => selection.peek() ?? viewNow(store)}
          />
          <Save label="All" view={() => ({ from: store.heldFrom, to: store.newest })} />
          <span role="status" data-capture-job={captureJob.value.state}>
            {captureJob.value.text || figures.value.held}
          </span>
        </div>
      </section>
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
