import type { RowSelectionState } from '@tanstack/table-core';
import type { VNode } from 'preact';
import { useRef, useState } from 'preact/hooks';
import { usePage } from '../page.ts';
import type { Change } from '../types.ts';
import { useAttempt } from './attempt.ts';
import { askToFlag, BulkReview, review } from './bulk-review.tsx';
import { ChangeTable } from './change-table.tsx';
import { listKeys } from './list-keys.ts';
import { Problem } from './notice.tsx';

interface Props {
  readonly caption: string;
  readonly changes: readonly Change[];
}

/** Changes that a reviewer can select and review together, also by keyboard. */
export function ReviewableChanges({ caption, changes }: Props): VNode {
  const page = usePage();
  const attempt = useAttempt();
  const list = useRef<HTMLDivElement>(null);
  const [selected, setSelected] = useState<RowSelectionState>({});
  if (!page.may('reviewer')) return <ChangeTable caption={caption} changes={changes} />;

  // A change that is no longer listed is not selected any more.
  const sequences = changes.map(({ sequence }) => sequence).filter((sequence) => selected[sequence]);
  const clear = (): void => setSelected({});
  const onKeyDown = listKeys(list, {
    toggle: (row) =>
      setSelected(({ [row]: isSelected, ...others }) => (isSelected ? others : { ...others, [row]: true })),
    toggleAll: () =>
      setSelected(
        sequences.length === changes.length
          ? {}
          : Object.fromEntries(changes.map(({ sequence }) => [sequence, true])),
      ),
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
      <ChangeTable
        caption={caption}
        changes={changes}
        selection={{
          selected,
          change: (update) => setSelected((old) => (typeof update === 'function' ? update(old) : update)),
        }}
      />
      {attempt.error !== undefined && <Problem error={attempt.error} />}
      <BulkReview sequences={sequences} done={clear} />
    </div>
  );
}
