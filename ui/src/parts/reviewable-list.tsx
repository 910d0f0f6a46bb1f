import type { ComponentChildren, VNode } from 'preact';
import { useRef, useState } from 'preact/hooks';
import { usePage } from '../page.ts';
import { useAttempt } from './attempt.ts';
import { askToFlag, BulkReview, review } from './bulk-review.tsx';
import { listKeys } from './list-keys.ts';
import { Problem } from './notice.tsx';

/** The selected rows of a list, by their ids. */
export interface SelectedRows {
  readonly selected: ReadonlySet<string>;
  toggle(id: string): void;
  replace(ids: Iterable<string>): void;
}

interface Props {
  /** The ids of the rows, as in their `data-row`. */
  readonly ids: readonly string[];
  /** Returns the records that a row stands for. */
  readonly sequencesOf: (id: string) => readonly number[];
  /** Draws the rows. People who may not review get no selection. */
  readonly children: (selection: SelectedRows | undefined) => ComponentChildren;
}

/** A list whose rows a reviewer can select and review together, also by keyboard. */
export function ReviewableList({ ids, sequencesOf, children }: Props): VNode {
  const page = usePage();
  const attempt = useAttempt();
  const list = useRef<HTMLDivElement>(null);
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  if (!page.may('reviewer')) return <>{children(undefined)}</>;

  // A row that is no longer listed is not selected any more.
  const chosen = ids.filter((id) => selected.has(id));
  const sequences = [...new Set(chosen.flatMap(sequencesOf))];
  const replace = (rows: Iterable<string>): void => setSelected(new Set(rows));
  const clear = (): void => replace([]);
  const toggle = (id: string): void =>
    setSelected((old) => {
      const rows = new Set(old);
      if (!rows.delete(id)) rows.add(id);
      return rows;
    });
  const onKeyDown = listKeys(list, {
    toggle,
    toggleAll: () => replace(chosen.length === ids.length ? [] : ids),
    reviewed: () => {
      if (sequences.length > 0) void attempt.run(() => review(page, sequences, { state: 'reviewed' }, clear));
    },
    flag: () => {
      if (sequences.length > 0) askToFlag(page, sequences, clear);
    },
    clear,
  });
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: the keys work on the check boxes and links inside
    <div ref={list} onKeyDown={onKeyDown}>
      <p class="keys-hint muted">
        Keys in the list: <kbd>j</kbd> <kbd>k</kbd> move, <kbd>x</kbd> selects, <kbd>a</kbd> selects all,{' '}
        <kbd>r</kbd> marks as reviewed, <kbd>f</kbd> flags.
      </p>
      {children({ selected, toggle, replace })}
      {attempt.error !== undefined && <Problem error={attempt.error} />}
      <BulkReview sequences={sequences} done={clear} />
    </div>
  );
}
