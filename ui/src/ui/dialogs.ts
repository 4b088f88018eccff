// Which dialog is open. One at a time.
import { signal } from '@preact/signals';

export type Dialog = 'help' | 'palette' | 'share' | null;
export const dialog = signal<Dialog>(null);

const set = (d: Exclude<Dialog, null>) => (on: boolean) => {
  dialog.value = on ? d : dialog.peek() === d ? null : dialog.peek();
};
export const setHelp = set('help');
export const setPalette = set('palette');
export const setShare = set('share');
