// The page: header, history, what is between, dialogs.
import { useEffect } from 'preact/hooks';
import { isTaken, isTyping, names } from '../lib/keys';
import { PAGES, page } from '../state/page';
import { shown } from '../state/pulse';
import { selection } from '../state/view';
import { Drawer, Overview } from '../views/Overview';
import { Banner } from './Banner';
import { commandOf } from './commands';
import { dialog } from './dialogs';
import { Header } from './Header';
import { History } from './History';
import { fetchLazy, lazy } from './lazy';
import { startPan } from './pan';

const Page = lazy(async () => (await import('../views/Page')).Page);
const Profile = lazy(async () => (await import('../views/profile/Profile')).Profile);
const Raw = lazy(async () => (await import('../views/Raw')).Raw);
const Denied = lazy(async () => (await import('./Denied')).Denied);
const Help = lazy(async () => (await import('./Help')).Help);
const Palette = lazy(async () => (await import('./Palette')).Palette);
const Share = lazy(async () => (await import('./Share')).Share);

function onKey(e: KeyboardEvent): void {
  // A dialog that was just closed tells so later: ask the page.
  if (e.defaultPrevented || document.querySelector('dialog[open]')) return;
  const target = e.target as HTMLElement | null;
  const said = names(e);
  const ctrl = e.ctrlKey || e.metaKey;
  if (isTyping(target) && !ctrl) {
    if (e.key === 'Escape') target?.blur();
    return;
  }
  if (said[0] && isTaken(target, said[0])) return;
  const c = commandOf(said);
  if (!c) return;
  e.preventDefault();
  c.run();
}

/** A click with the mouse leaves the keyboard where it was: Space still pauses after it. */
function keepFocus(e: MouseEvent): void {
  const button = (e.target as Element | null)?.closest('button');
  if (!button || button.closest('dialog, form')) return;
  e.preventDefault();
  const at = document.activeElement;
  if (at instanceof HTMLInputElement) at.blur();
}

function Body() {
  if (shown.value === 'denied') return <Denied />;
  const id = PAGES.some((p) => p.id === page.value) ? page.value : 'overview';
  if (id === 'overview')
    return (
      <>
        <h2 class="sr">Overview</h2>
        <Overview />
      </>
    );
  if (id === 'profile') return <Profile />;
  return (
    <>
      {id === 'raw' ? <Raw /> : <Page key={id} id={id} />}
      {selection.value && <Drawer range={selection.value} />}
    </>
  );
}

export function App() {
  useEffect(() => {
    addEventListener('keydown', onKey);
    addEventListener('mousedown', keepFocus);
    const stopPan = startPan();
    const rest = setTimeout(fetchLazy, 2000);
    return () => {
      clearTimeout(rest);
      stopPan();
      removeEventListener('keydown', onKey);
      removeEventListener('mousedown', keepFocus);
    };
  }, []);
  return (
    <>
      <header class="top">
        <Header />
        {shown.value !== 'denied' && <History />}
        <Banner />
      </header>
      <main class="content">
        <Body />
      </main>
      {dialog.value === 'help' && <Help />}
      {dialog.value === 'palette' && <Palette />}
      {dialog.value === 'share' && <Share />}
    </>
  );
}
