// Which host this is, where tabs look alike: accent colour and favicon from its name.
import { effect } from '@preact/signals';
import { host, shown } from '../state/pulse';

/** 32 px: a bar in the host's hue and its first letter; amber triangle when stale. */
function icon(letter: string, hue: number, bad: boolean): string {
  const c = document.createElement('canvas');
  c.width = c.height = 32;
  const g = c.getContext('2d')!;
  g.fillStyle = '#14181d';
  g.fillRect(0, 0, 32, 32);
  g.fillStyle = `hsl(${hue} 60% 65%)`;
  g.fillRect(0, 0, 6, 32);
  g.fillStyle = '#e8ecf0';
  g.font = '600 22px system-ui, sans-serif';
  g.textAlign = 'center';
  g.textBaseline = 'middle';
  g.fillText(letter, 19, 17);
  if (bad) {
    g.fillStyle = '#f5b73d';
    g.beginPath();
    g.moveTo(24, 16);
    g.lineTo(32, 32);
    g.lineTo(16, 32);
    g.fill();
  }
  return c.toDataURL('image/png');
}

export function startIdentity(): void {
  let drawn = '';
  effect(() => {
    const h = host.value;
    if (!h) return;
    const bad = shown.value === 'stale' || shown.value === 'denied';
    document.documentElement.style.setProperty('--hue', String(h.hue));
    const key = `${h.host} ${bad}`;
    if (key === drawn) return;
    drawn = key;
    const link = document.querySelector<HTMLLinkElement>('link[rel=icon]');
    // Drawing it costs more than a chart: not while the first samples wait.
    setTimeout(() => {
      if (link && drawn === key) link.href = icon((h.host[0] ?? '?').toUpperCase(), h.hue, bad);
    }, 1000);
  });
}
