import { capture } from '../../state/pulse';
import { burst, burstText, profiler } from './profiler';

/** Samples ten times as often for a while. */
export function Burst() {
  const p = profiler.value;
  // That nothing is sampled into a file goes without saying.
  if (capture.value !== null) return null;
  if (!p?.on) return p?.reason ? <span class="kv warn">▲ {p.reason}</span> : null;
  const left = Math.ceil((p.burstUntilUs - p.nowUs) / 1e6);
  if (p.burstUntilUs > 0 && left > 0)
    return (
      <span class="kv warn" data-burst="">
        burst <b>{p.hz} Hz</b>, {left} s left
      </span>
    );
  return (
    <>
      <button
        type="button"
        class="btn"
        title="Samples ten times as often for ten seconds: short ranges get enough of them"
        onClick={() => void burst()}
      >
        Burst 999 Hz
      </button>
      {burstText.value && <span class="kv warn">▲ {burstText.value}</span>}
    </>
  );
}
