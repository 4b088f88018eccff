// Text in frames: widths from a table of characters, so that ten thousand frames need no measuring. Names lose
// their package before they lose letters.
export class TextFit {
  private readonly widths = new Map<string, number>();
  private readonly whole = new Map<string, number>();

  constructor(
    private readonly measure: (s: string) => number,
    readonly font: string,
  ) {}

  private char(c: string): number {
    let w = this.widths.get(c);
    if (w === undefined) this.widths.set(c, (w = this.measure(c)));
    return w;
  }

  width(s: string): number {
    let w = this.whole.get(s);
    if (w !== undefined) return w;
    w = 0;
    for (const c of s) w += this.char(c);
    if (this.whole.size > 20_000) this.whole.clear();
    this.whole.set(s, w);
    return w;
  }

  /** As much of `s` as fits: '' when less than three letters would. */
  fit(s: string, room: number): string {
    if (this.width(s) <= room) return s;
    let short = s;
    for (;;) {
      const next = unpackaged(short);
      if (next === short) break;
      short = next;
      if (this.width(short) <= room) return short;
    }
    let w = this.char('…');
    let n = 0;
    for (const c of short) {
      w += this.char(c);
      if (w > room) break;
      n += c.length;
    }
    return n >= 3 ? `${short.slice(0, n)}…` : '';
  }
}

/** One package, namespace or path less: "a::b::c" to "b::c". What stands in <> or () is not taken apart, nor what a
 * compiler adds to a function's name (".isra.0"), nor a place in a module ("libc.so.6+0x88ef0"). */
export function unpackaged(s: string): string {
  if (/\+0x[0-9a-f]+$/.test(s)) return s;
  const open = s.search(/[<(]/);
  const head = open < 0 ? s : s.slice(0, open);
  const m =
    /^[^:./]*(::|\.(?!isra\b|part\b|constprop\b|cold\b|lto_priv\b|llvm\b|clone\b|\d)|\/)(?=[^:./\s])/.exec(
      head,
    );
  return m ? s.slice(m[0].length) : s;
}
