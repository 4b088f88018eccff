// The few icons of the chrome, drawn on a 16 px grid in the text's colour.
import type { ComponentChildren } from 'preact';

function Icon({ children, size = 16 }: { children: ComponentChildren; size?: number }) {
  return (
    <svg class="icon" width={size} height={size} viewBox="0 0 16 16" aria-hidden="true">
      {children}
    </svg>
  );
}

export const ThemeIcon = () => (
  <Icon>
    <circle cx="8" cy="8" r="5.4" />
    <path class="solid" d="M8 2.6a5.4 5.4 0 0 1 0 10.8z" />
  </Icon>
);
export const ShareIcon = () => (
  <Icon>
    <path d="M8 10V2.5M5 5l3-3 3 3M3 8v5.5h10V8" />
  </Icon>
);
export const SearchIcon = () => (
  <Icon size={14}>
    <circle cx="6.5" cy="6.5" r="4.4" />
    <path d="m10 10 4 4" />
  </Icon>
);
export const LiveIcon = () => (
  <svg class="mark" width="8" height="8" aria-hidden="true">
    <circle cx="4" cy="4" r="4" />
  </svg>
);
export const PausedIcon = () => (
  <svg class="mark" width="8" height="9" aria-hidden="true">
    <path d="M0 0h3v9H0zM5 0h3v9H5z" />
  </svg>
);
export const WarnIcon = () => (
  <svg class="mark" width="9" height="8" aria-hidden="true">
    <path d="M4.5 0 9 8H0z" />
  </svg>
);
