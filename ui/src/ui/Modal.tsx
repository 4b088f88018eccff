// A native dialog that follows a signal: focus is kept inside and comes back to where it was.
import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { type Dialog, dialog } from './dialogs';

export function Modal({
  name,
  label,
  children,
}: {
  name: Exclude<Dialog, null>;
  label: string;
  children: ComponentChildren;
}) {
  const ref = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const d = ref.current;
    if (d && !d.open) d.showModal();
    return () => d?.close();
  }, []);
  const close = () => {
    if (dialog.peek() === name) dialog.value = null;
  };
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: Escape is the dialog's own
    <dialog
      ref={ref}
      class={`modal ${name}`}
      aria-label={label}
      onClose={close}
      onClick={(e) => {
        if (e.target === ref.current) close(); // the backdrop
      }}
    >
      {children}
    </dialog>
  );
}
