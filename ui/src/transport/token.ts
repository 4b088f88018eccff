// The access token: from the printed URL's fragment into sessionStorage, which is per origin with
// port, so that two tunnels on one localhost keep theirs apart.
const KEY = 'strobe.token';

/** Moves token=... from the fragment to sessionStorage and strips it from the address. */
export function takeToken(): void {
  const m = /(?:^#|&)token=([^&]*)/.exec(location.hash);
  if (!m) return;
  sessionStorage.setItem(KEY, decodeURIComponent(m[1]!));
  const rest = location.hash
    .slice(1)
    .split('&')
    .filter((p) => !p.startsWith('token='))
    .join('&');
  history.replaceState(null, '', `${location.pathname}${location.search}${rest ? `#${rest}` : ''}`);
}

export const token = (): string | null => sessionStorage.getItem(KEY);
export const forgetToken = (): void => sessionStorage.removeItem(KEY);
export const setToken = (t: string): void => sessionStorage.setItem(KEY, t);
