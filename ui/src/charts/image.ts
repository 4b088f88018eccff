// A chart as one picture: its title line as text over its canvas.
import { palette } from './palette';

const HEAD = 22;

/** Title, unit and values of the section `el` drawn over its plot, in device pixels. */
export function picture(el: HTMLElement, plot: HTMLCanvasElement, w: number, h: number): HTMLCanvasElement {
  const k = devicePixelRatio || 1;
  const out = document.createElement('canvas');
  out.width = Math.round(w * k);
  out.height = Math.round((h + HEAD) * k);
  const c = out.getContext('2d');
  if (!c) return out;
  const { css, font } = palette();
  c.fillStyle = css.panel;
  c.fillRect(0, 0, out.width, out.height);
  c.drawImage(plot, 0, Math.round(HEAD * k));
  c.scale(k, k);
  c.textBaseline = 'alphabetic';
  const box = el.getBoundingClientRect();
  const walker = document.createTreeWalker(el.querySelector('.head') ?? el, NodeFilter.SHOW_TEXT);
  for (let n = walker.nextNode(); n; n = walker.nextNode()) {
    const parent = n.parentElement;
    const text = n.nodeValue ?? '';
    if (!parent || !text.trim()) continue;
    const range = document.createRange();
    range.selectNodeContents(n);
    const r = range.getBoundingClientRect();
    if (!r.width) continue;
    const style = getComputedStyle(parent);
    c.font = `${style.fontWeight} ${style.fontSize} ${font}`;
    c.fillStyle = style.color;
    c.fillText(text.trimStart(), r.left - box.left, 16);
  }
  for (const i of el.querySelectorAll<HTMLElement>('.head i')) {
    const r = i.getBoundingClientRect();
    c.fillStyle = getComputedStyle(i).backgroundColor;
    c.fillRect(r.left - box.left, r.top - box.top, r.width, r.height);
  }
  return out;
}
