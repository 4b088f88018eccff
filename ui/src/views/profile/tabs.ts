// The keyboard on a list of tabs.

/** Arrows go from tab to tab, as they do elsewhere. */
export function walkTabs(e: KeyboardEvent): void {
  const by = e.key === 'ArrowLeft' ? -1 : e.key === 'ArrowRight' ? 1 : 0;
  const list = [...(e.currentTarget as HTMLElement).querySelectorAll('button')];
  const next = list[(list.indexOf(e.target as HTMLButtonElement) + by + list.length) % list.length];
  if (!by || !next || e.ctrlKey || e.metaKey || e.altKey) return;
  e.preventDefault();
  e.stopPropagation();
  next.focus();
  next.click();
}
