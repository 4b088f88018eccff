// How much a flame graph stands on.
import type { Sum } from '../../transport/profile';
import { briefTime, counted, countedText, countText, hzText, shareText } from './words';

/** Below so many samples shares mean little. */
export const FEW = 50;

/** n, Hz, lost and shallow: beside every flame graph. */
export function Sums({ sum, off }: { sum: Sum; off: boolean }) {
  if (counted.value)
    return (
      <span class="kv" data-n={sum.n}>
        <b>{countedText(sum.weightUs, counted.value)}</b>
      </span>
    );
  return (
    <>
      <span class={`kv${sum.n < FEW && !off ? ' warn' : ''}`} data-n={sum.n}>
        {off ? (
          <>
            <b>{briefTime(sum.weightUs)}</b> blocked
          </>
        ) : (
          <>
            <b>{countText(sum.n)}</b> {sum.n === 1 ? 'sample' : 'samples'}
          </>
        )}
      </span>
      {!off && sum.n > 0 && (
        <span class="kv">
          <b>{hzText(sum)}</b> Hz{sum.nCpus > 0 && ` × ${sum.nCpus}`}
        </span>
      )}
      <span class={`kv${sum.lost ? ' warn' : ''}`}>
        lost <b>{countText(sum.lost)}</b>
      </span>
      {sum.n > 0 && (
        <span class="kv" title="Stacks that end before the thread's entry">
          shallow <b>{shareText(sum.shallow / sum.n)}</b>
        </span>
      )}
      {sum.truncated > 0 && (
        <span class="kv" title="Stacks deeper than what is kept">
          truncated <b>{countText(sum.truncated)}</b>
        </span>
      )}
      {sum.throttled > 0 && (
        <span class="kv warn">
          throttled <b>{countText(sum.throttled)}</b>
        </span>
      )}
    </>
  );
}
