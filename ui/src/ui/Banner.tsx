// One line under the header when something stands between the reader and the data.
import { useComputed } from '@preact/signals';
import { durationText } from '../charts/time';
import { age, shown } from '../state/pulse';
import { feed } from '../store/store';
import { link } from '../transport/socket';

export function Banner() {
  const text = useComputed(() => {
    const l = link.value;
    const a = age.value;
    if (l.state === 'refused' || l.state === 'no-token') return '';
    if (l.state === 'waiting' || (l.state === 'connecting' && l.failures > 0)) {
      const old = Number.isNaN(a) ? '' : ` Newest sample is ${durationText(a * 1e6)} old.`;
      return `${l.text === 'connection lost' ? 'Connection lost' : 'The agent does not answer'}.${old} Trying again.`;
    }
    if (shown.value === 'stale')
      return `No sample for ${durationText(a * 1e6)}: the agent does not send. What is shown is not now.`;
    if (feed.levelReason === 2 && feed.level > 1)
      return `The connection is slow: ${feed.level} ticks come as one, with their smallest and largest value.`;
    return '';
  });
  if (!text.value) return null;
  return (
    <div class="bar banner" role="alert" data-banner>
      <svg class="mark" width="9" height="8" aria-hidden="true">
        <path d="M4.5 0 9 8H0z" />
      </svg>
      {text}
    </div>
  );
}
