// The pages, one native select-like menu beside the host's name: links, so that they open in new tabs.
import { useEffect, useRef, useState } from 'preact/hooks';
import { PAGES, page } from '../state/page';

export function PageMenu() {
  const [open, setOpen] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!open) return;
    const away = (e: Event) => {
      if (e instanceof KeyboardEvent ? e.key === 'Escape' : !box.current?.contains(e.target as Node))
        setOpen(false);
    };
    addEventListener('pointerdown', away);
    addEventListener('keydown', away, true);
    return () => {
      removeEventListener('pointerdown', away);
      removeEventListener('keydown', away, true);
    };
  }, [open]);
  const now = PAGES.find((p) => p.id === page.value);
  return (
    <div class="pages" ref={box}>
      <button
        type="button"
        aria-haspopup="true"
        aria-expanded={open}
        aria-label={`Page: ${now?.title ?? ''}`}
        onClick={() => setOpen(!open)}
      >
        {now?.title} <span aria-hidden="true">▾</span>
      </button>
      {open && (
        <nav aria-label="Pages">
          {PAGES.map((p) => (
            <a
              key={p.id}
              href={`#page=${p.id}`}
              aria-current={p.id === page.value ? 'page' : undefined}
              onClick={(e) => {
                if (e.ctrlKey || e.metaKey || e.shiftKey) return;
                e.preventDefault();
                page.value = p.id;
                setOpen(false);
              }}
            >
              {p.title}
            </a>
          ))}
        </nav>
      )}
    </div>
  );
}
