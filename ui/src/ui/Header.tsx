// The bar on top: host, state, age, windows, search, switches.
import { useComputed } from '@preact/signals';
import { dateText, durationText, minuteText, sameDay, undated } from '../charts/time';
import { bare } from '../state/bare';
import { page, profilerWords } from '../state/page';
import { isDark, theme, utc } from '../state/prefs';
import { age, capture, held, host, newSamples, shown } from '../state/pulse';
import { fixed, SECOND, WINDOWS, windowUs } from '../state/view';
import { store } from '../store/store';
import { link } from '../transport/socket';
import { runCommand, setWindow } from './commands';
import { setPalette } from './dialogs';
import { figures } from './figures';
import { LiveIcon, PausedIcon, SearchIcon, ShareIcon, ThemeIcon, WarnIcon } from './icons';
import { PageMenu } from './PageMenu';

function State() {
  const text = {
    capture: 'CAPTURE',
    live: 'LIVE',
    paused: 'PAUSED',
    range: 'PAUSED',
    stale: 'STALE',
    connecting: 'CONNECTING',
    denied: 'NO ACCESS',
  };
  const s = shown.value;
  return (
    <div class={`state ${s}`} role="status">
      {s === 'live' ? (
        <LiveIcon />
      ) : s === 'paused' || s === 'range' ? (
        <PausedIcon />
      ) : s === 'stale' || s === 'denied' ? (
        <WarnIcon />
      ) : null}
      {s === 'capture' && bare.value ? 'PROFILE' : text[s]}
    </div>
  );
}

/** Of a capture: its name and when it was recorded. */
function Recorded() {
  const name = capture.value;
  const h = held.value;
  const wall = (t: number) => store.clock.wallMs(t);
  const from = wall(h.known ? h.oldestUs : store.heldFrom);
  const to = wall(h.known ? h.to : store.newest);
  void utc.value;
  const times =
    store.newest && !undated(from)
      ? `${dateText(from)} ${minuteText(from)}–${sameDay(from, to) ? '' : `${dateText(to)} `}${minuteText(to)}`
      : '';
  return (
    <div class="kv capture" data-capture={name} title={times && `${name}, recorded ${times}`}>
      <b>{name}</b>
      {times && <span>recorded {times}</span>}
    </div>
  );
}

/** Age of the newest sample, or what came in since the page stands still. */
function Age() {
  const text = useComputed(() => {
    const a = age.value;
    if (Number.isNaN(a)) return '–';
    return a < 10 ? `${a.toFixed(a < 1 ? 2 : 1)} s` : durationText(a * 1e6);
  });
  const still = shown.value === 'paused' || shown.value === 'range';
  return (
    <div
      class={`kv${shown.value === 'stale' ? ' warn' : ''}`}
      data-age={Number.isNaN(age.value) ? '' : age.value.toFixed(3)}
    >
      {still ? (
        <>
          <b>{newSamples.value.toLocaleString('en-US')}</b> new samples
        </>
      ) : (
        <>
          age <b class="age">{text}</b>
        </>
      )}
    </div>
  );
}

function Windows() {
  const f = fixed.value;
  const width = f ? f.to - f.from : windowUs.value;
  const preset =
    WINDOWS.some((w) => w.us !== 0 && Math.abs(w.us - width) < 1000) || (!f && windowUs.value === 0);
  // Longer than an hour only where so much is held.
  const heldUs = held.value.known ? held.value.to - held.value.oldestUs : 0;
  const shownWindows = WINDOWS.filter(
    (w, i) => w.us <= 3600 * SECOND || w.us === width || (WINDOWS[i - 1]?.us ?? 0) < heldUs,
  );
  return (
    // biome-ignore lint/a11y/useSemanticElements: a toolbar of buttons, not of form fields
    <div class={`seg${shownWindows.length > 8 ? ' many' : ''}`} role="group" aria-label="Window">
      <button type="button" aria-label="One window back" onClick={() => runCommand('back')}>
        <span aria-hidden="true">◂</span>
      </button>
      {!preset && (
        <button type="button" aria-pressed="true">
          {durationText(width)}
        </button>
      )}
      {shownWindows.map((w) => (
        <button
          type="button"
          key={w.us}
          title={w.us ? undefined : 'All that is held'}
          aria-pressed={w.us === 0 ? !f && windowUs.value === 0 : preset && Math.abs(w.us - width) < 1000}
          onClick={() => setWindow(w.us)}
        >
          {w.label}
        </button>
      ))}
      <button
        type="button"
        aria-label="One window forward"
        disabled={!f}
        onClick={() => runCommand('forward')}
      >
        <span aria-hidden="true">▸</span>
      </button>
    </div>
  );
}

/** The profiler's rate and state; a click opens what it saw. */
function Profiler() {
  const w = profilerWords.value;
  if (!w) return null;
  const { state } = w;
  return (
    <button
      type="button"
      class={`kv profiler ${state}`}
      data-profiler={state}
      title={w.title}
      onClick={() => void (page.value = 'profile')}
    >
      {state === 'burst' ? 'burst ' : state === 'reduced' ? '▲ profiler ' : 'profiler '}
      <b>{w.text}</b>
    </button>
  );
}

export function Header() {
  const live = fixed.value === null;
  const h = host.value;
  const file = capture.value !== null;
  return (
    <div class={`bar head${file ? ' file' : ''}`}>
      <div class="side">
        <div class="host">
          <i />
          <h1>{h?.host || '–'}</h1>
          <PageMenu />
        </div>
        <State />
        {file ? <Recorded /> : <Age />}
        <div class="kv rate">
          {bare.value ? (
            'no metrics'
          ) : (
            <>
              <b>{h ? `${h.rateHz} Hz` : '–'}</b>
              <span class="opt"> · {figures.value.series}</span>
            </>
          )}
        </div>
        <Profiler />
      </div>
      <Windows />
      <button
        type="button"
        class="btn go"
        disabled={file && live}
        onClick={() => runCommand(live ? 'pause' : 'live')}
      >
        {file ? 'End of capture' : live ? 'Pause' : 'Go live'}{' '}
        <span class="kbd" aria-hidden="true">
          {live && !file ? 'Space' : 'L'}
        </span>
      </button>
      <div class="side">
        <button
          type="button"
          class="search"
          aria-label="Search: Metric, process, command"
          aria-keyshortcuts="/ Control+K"
          onClick={() => setPalette(true)}
        >
          <SearchIcon />
          <span>Metric, process, command</span>
          <span class="kbd" aria-hidden="true">
            /
          </span>
        </button>
        <div class="tools">
          <button
            type="button"
            class="ic wide"
            aria-label={utc.value ? 'UTC' : 'Local time'}
            title={utc.value ? 'Times are UTC. Click for local time' : 'Times are local. Click for UTC'}
            onClick={() => runCommand('utc')}
          >
            {utc.value ? 'UTC' : 'Local'}
          </button>
          <button
            type="button"
            class="ic"
            aria-label="Theme"
            title={`Theme: ${theme.value === 'system' ? 'the system’s' : theme.value}. Click for ${isDark() ? 'light' : 'dark'}`}
            onClick={() => runCommand('theme')}
          >
            <ThemeIcon />
          </button>
          <button
            type="button"
            class="ic"
            aria-label="Export and share"
            title="Export and share"
            onClick={() => runCommand('export')}
          >
            <ShareIcon />
          </button>
          <button type="button" class="ic" aria-label="Help" title="Help" onClick={() => runCommand('help')}>
            <span aria-hidden="true">?</span>
          </button>
        </div>
      </div>
      <span class="sr" role="status">
        {link.value.state === 'waiting' ? link.value.text : ''}
      </span>
    </div>
  );
}
