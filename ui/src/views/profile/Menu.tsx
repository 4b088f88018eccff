// A small menu at a point: right click, or the menu key. Arrows walk, Enter runs, Esc closes.
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';

export interface MenuItem {
  readonly label: string;
  readonly cap?: string | undefined;
  readonly checked?: boolean;
  readonly disabled?: boolean;
  readonly run: () => void;
}

export interface MenuAt {
  readonly x: number;
  readonly y: number;
  readonly label: string;
  /** null: a line between groups. */
  readonly items: readonly (MenuItem | null)[];
}

export function Menu({ at, close }: { at: MenuAt; close: () => void }) {
  const box = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    const el = box.current;
    if (!el) return;
    const { offsetWidth: w, offsetHeight: h } = el;
    el.style.left = `${Math.max(4, Math.min(at.x, innerWidth - w - 4))}px`;
    el.style.top = `${Math.max(4, at.y + h > innerHeight - 4 ? at.y - h : at.y)}px`;
    el.querySelector<HTMLElement>('button:not(:disabled)')?.focus();
  }, [at]);
  useEffect(() => {
    const back = document.activeElement as HTMLElement | null;
    const away = (e: Event) => box.current?.contains(e.target as Node) || close();
    const key = (e: KeyboardEvent) => {
      if (!['Escape', 'ArrowDown', 'ArrowUp', 'Home', 'End', 'Tab'].includes(e.key)) return;
      e.preventDefault();
      e.stopPropagation();
      if (e.key === 'Escape' || e.key === 'Tab') {
        close();
        return;
      }
      const all = [...(box.current?.querySelectorAll<HTMLElement>('button:not(:disabled)') ?? [])];
      const i = all.indexOf(document.activeElement as HTMLElement);
      const next = { ArrowDown: i + 1, ArrowUp: i - 1, Home: 0, End: -1 }[e.key] ?? 0;
      all.at(next % all.length)?.focus();
    };
    addEventListener('pointerdown', away, true);
    addEventListener('keydown', key, true);
    addEventListener('blur', close);
    return () => {
      removeEventListener('pointerdown', away, true);
      removeEventListener('keydown', key, true);
      removeEventListener('blur', close);
      back?.focus?.({ preventScroll: true });
    };
  }, []);
  return (
    <div class="menu" role="menu" aria-label={at.label} ref={box}>
      {at.items.map((it, i) =>
        it === null ? (
          <hr key={`line ${i}`} />
        ) : (
          <button
            key={it.label}
            type="button"
            role="menuitemradio"
            aria-checked={it.checked ?? false}
            disabled={it.disabled}
            onClick={() => {
              close();
              it.run();
            }}
          >
            <span>
              {it.checked ? '✓ ' : ''}
              {it.label}
            </span>
            {it.cap && <kbd>{it.cap}</kbd>}
          </button>
        ),
      )}
    </div>
  );
}
