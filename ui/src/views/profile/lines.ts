// Where a frame is in its source, in words.
import { LineOf } from '../../gen/strobe_pb';
import type { Line } from '../../transform/profiler';

/** Of a file its folder is told once. */
class Files {
  private readonly told = new Set<string>();

  text(file: string, line: number): string {
    const parts = this.told.has(file) ? 1 : 2;
    this.told.add(file);
    return `${file.split('/').slice(-parts).join('/')}:${line}`;
  }

  /** "mix dir/a.c:12 (inlined) ← a.c:30": the innermost first. */
  chain(lines: readonly Line[]): string {
    return lines
      .map((l) => {
        const at = this.text(l.file, l.line);
        return l.inlined ? `${l.function} ${at} (inlined)` : at;
      })
      .join(' ← ');
  }
}

/** "sampled at src/a.c:123 · calls at a.c:140 · begins at a.c:100". runs: it ran itself here, so that where it did so comes
 *  first. Where it was sampled is not known of old captures: then only where it begins. */
export function linesText(lines: readonly Line[], runs: boolean): string {
  const files = new Files();
  const self = { says: 'sampled at', of: LineOf.SELF };
  const call = { says: 'calls at', of: LineOf.CALL };
  const said: string[] = [];
  for (const { says, of } of [
    ...(runs ? [self, call] : [call, self]),
    { says: 'begins at', of: LineOf.START },
  ]) {
    const there = lines.filter((l) => l.of === of);
    if (there.length) said.push(`${says} ${files.chain(there)}`);
  }
  const own = lines.find((l) => l.of !== LineOf.START && !l.inlined && l.begins);
  if (own) said.push(`begins at ${files.text(own.file, own.begins)}`);
  return said.join(' · ');
}
