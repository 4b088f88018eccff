import { type Edit, editWords } from '../../transform/flame/edit';

/** What was done to the graph, each to be undone: a line of its own while there is any. */
export function Edits({ list, set }: { list: readonly Edit[]; set: (e: readonly Edit[]) => void }) {
  if (!list.length) return null;
  return (
    <div class="bar tb edits" data-edits={list.length}>
      <span class="kv">shown</span>
      {list.map((e, i) => (
        <button
          type="button"
          class="chip"
          key={`${i} ${editWords(e)}`}
          title={`${editWords(e)}: click to undo`}
          onClick={() => set(list.filter((_, j) => j !== i))}
        >
          <b>{editWords(e)}</b> <span aria-hidden="true">✕</span>
        </button>
      ))}
      {list.length > 1 && (
        <button type="button" class="link" onClick={() => set([])}>
          undo all
        </button>
      )}
    </div>
  );
}
