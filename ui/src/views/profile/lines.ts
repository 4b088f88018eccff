// Where a frame is in its source, in words.
import { LineOf } from '../../gen/strobe_pb';
import type { Line } from '../../transform/profiler';

const fileText = (file: string) => file.split('/').slice(-2).join('/');

/** "mix dir/a.c:12 (inlined) ← dir/a.c:30": the innermost first. */
function chainText(lines: readonly Line[]): string {
  const one = (l: Line) =>
    `${l.inlined ? `${l.function} ` : ''}${fileText(l.file)}:${l.line}${l.inlined ? ' (inlined)' : ''}`;
  return lines.map(one).join(' ← ');
}

/** "sampled at a.c:123 · calls at a.c:140 · begins at a.c:100". runs: it ran itself here, so that where it did so comes
 *  first. Where it was sampled is not known of old captures: then only where it begins. */
export function linesText(lines: readonly Line[], runs: boolean): string {
  const of = (what: LineOf) => lines.filter((l) => l.of === what);
  const [self, call, start] = [of(LineOf.SELF), of(LineOf.CALL), of(LineOf.START)];
  const said = [
    self.length ? `sampled at ${chainText(self)}` : '',
    call.length ? `calls at ${chainText(call)}` : '',
  ];
  if (!runs) said.reverse();
  const own = [...self, ...call].find((l) => !l.inlined && l.begins);
  if (start.length) said.push(`begins at ${chainText(start)}`);
  else if (own) said.push(`begins at ${fileText(own.file)}:${own.begins}`);
  return said.filter(Boolean).join(' · ');
}
