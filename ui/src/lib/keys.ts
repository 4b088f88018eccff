// Single-key shortcuts. Letters go by what is printed on the key, WASD by place (KeyboardEvent.code), so that
// they lie under the hand on every layout. Inert while typing.

export interface KeyLike {
  readonly key: string;
  readonly code: string;
  readonly ctrlKey: boolean;
  readonly metaKey: boolean;
  readonly altKey: boolean;
  readonly shiftKey: boolean;
}

/** The name of what was pressed: "Ctrl-k", "Space", "Shift-ArrowLeft", "z", "?", "@KeyW" by place. */
export function names(e: KeyLike): string[] {
  const mod = e.ctrlKey || e.metaKey ? 'Ctrl-' : '';
  if (e.altKey) return [];
  const key = e.key === ' ' ? 'Space' : e.key.length === 1 ? e.key.toLowerCase() : e.key;
  const shift = e.shiftKey && e.key.length > 1 ? 'Shift-' : '';
  return [`${mod}${shift}${key}`, `${mod}@${e.code}`];
}

interface TargetLike {
  readonly tagName?: string;
  readonly isContentEditable?: boolean;
  readonly type?: string;
}

/** Whether keys typed there are text. */
export function isTyping(t: TargetLike | null): boolean {
  if (!t) return false;
  const tag = t.tagName?.toUpperCase();
  if (tag === 'INPUT') return !['button', 'checkbox', 'radio', 'range'].includes(t.type ?? 'text');
  return tag === 'TEXTAREA' || tag === 'SELECT' || t.isContentEditable === true;
}

/** Keys that a focused button or link takes for itself. */
export function isTaken(t: TargetLike | null, name: string): boolean {
  const tag = t?.tagName?.toUpperCase();
  return (tag === 'BUTTON' || tag === 'A' || tag === 'SUMMARY') && (name === 'Space' || name === 'Enter');
}
