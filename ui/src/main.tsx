import './transport/early';
import './styles/tokens.css';
import './styles/panels.css';
import './styles/shell.css';
import './styles/profile.css';
import { effect } from '@preact/signals';
import { render } from 'preact';
import { themeChanged } from './charts/palette';
import { sched } from './charts/sched';
import { dayClockText, setUtc } from './charts/time';
import { startAddress } from './state/address';
import { startBare } from './state/bare';
import { applyTheme, loadPrefs, theme, utc } from './state/prefs';
import { startPulse } from './state/pulse';
import { fixed, selection, windowUs } from './state/view';
import { setClockText, startStore, store } from './store/store';
import { App } from './ui/App';
import { CHROME, refreshFigures } from './ui/figures';
import { startIdentity } from './ui/identity';

loadPrefs();
setClockText(dayClockText);
effect(() => {
  void theme.value;
  applyTheme();
  themeChanged();
  sched.invalidate();
});
matchMedia('(prefers-color-scheme: light)').addEventListener('change', () => {
  themeChanged();
  sched.invalidate();
});
effect(() => {
  setUtc(utc.value);
  sched.invalidate();
});
effect(() => {
  void [fixed.value, selection.value, windowUs.value];
  sched.invalidate();
});
store.subscribe(() => sched.data());
store.show('chrome', [{ sources: CHROME, prio: 9 }]);
startPulse(store);
startAddress(store);
startBare(store);
startIdentity();
startStore();
sched.onText(() => refreshFigures(store));
render(<App />, document.getElementById('app') as HTMLElement);
