import type { RowSelectionState } from '@tanstack/table-core';
import type { VNode } from 'preact';
import type { Change } from '../types.ts';
import { ChangeTable } from './change-table.tsx';
import type { Selection } from './data-table.tsx';
import { ReviewableList, type SelectedRows } from './reviewable-list.tsx';

interface Props {
  readonly caption: string;
  readonly changes: readonly Change[];
}

/** A table of changes that a reviewer can select and review together. */
export function ReviewableChanges({ caption, changes }: Props): VNode {
  return (
    <ReviewableList
      ids={changes.map(({ sequence }) => String(sequence))}
      sequencesOf={(sequence) => [Number(sequence)]}
    >
      {(rows) => (
        <ChangeTable
          caption={caption}
          changes={changes}
          selection={rows === undefined ? undefined : selectionOf(rows)}
        />
      )}
    </ReviewableList>
  );
}

/** Returns the selection in the form that the table needs. */
function selectionOf({ selected, replace }: SelectedRows): Selection {
  const state: RowSelectionState = Object.fromEntries([...selected].map((id) => [id, true]));
  return {
    selected: state,
    change(update) {
      const next = typeof update === 'function' ? update(state) : update;
      replace(Object.keys(next).filter((id) => next[id]));
    },
  };
}
