// Parts of the page that come after the first screen: fetched when needed, and in advance once the page is
// at rest, so that they are there when the agent is not.
import type { ComponentType } from 'preact';
import { useEffect, useState } from 'preact/hooks';

type Load<P> = () => Promise<ComponentType<P>>;
const loads: Load<never>[] = [];

export function lazy<P extends object>(load: Load<P>): ComponentType<P> {
  let got: ComponentType<P> | null = null;
  const once = async () => {
    got ??= await load();
    return got;
  };
  loads.push(once as Load<never>);
  return function Lazy(props: P) {
    const [, ready] = useState(got !== null);
    useEffect(() => {
      // Not to be had while the agent is away: tried again when it is shown next.
      if (!got)
        once().then(
          () => ready(true),
          () => undefined,
        );
    }, []);
    const It = got;
    return It ? <It {...props} /> : null;
  };
}

export function fetchLazy(): void {
  for (const l of loads) void l().catch(() => undefined);
}
