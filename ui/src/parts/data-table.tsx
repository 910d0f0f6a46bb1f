import {
  constructTable,
  createSortedRowModel,
  type OnChangeFn,
  type Row,
  type RowSelectionState,
  rowSelectionFeature,
  rowSortingFeature,
  type SortingState,
  sortFn_basic,
  type Table as TanStackTable,
  tableFeatures,
} from '@tanstack/table-core';
import { storeReactivityBindings } from '@tanstack/table-core/store-reactivity-bindings';
import type { VNode } from 'preact';
import { useRef, useState } from 'preact/hooks';
import { Cell, type Column } from './table.tsx';

const FEATURES = tableFeatures({
  coreReactivityFeature: storeReactivityBindings(),
  rowSelectionFeature,
  rowSortingFeature,
  sortedRowModel: createSortedRowModel(),
  sortFns: { basic: sortFn_basic },
});
type Features = typeof FEATURES;

/** A column of a table that can be sorted. */
export interface SortableColumn<T> extends Column<T> {
  /** The value to sort by. Without it, the column cannot be sorted. */
  readonly sort?: (row: T) => string | number;
}

export interface Selection {
  readonly selected: RowSelectionState;
  readonly change: OnChangeFn<RowSelectionState>;
}

interface Props<T extends object> {
  /** For screen readers. */
  readonly caption: string;
  readonly columns: readonly SortableColumn<T>[];
  readonly rows: readonly T[];
  readonly keyOf: (row: T) => string | number;
  readonly kindOf?: (row: T) => string | undefined;
  /** Shows at most this number of rows. */
  readonly limit?: number;
  /** Adds a column with check boxes. */
  readonly selection?: Selection | undefined;
  /** The accessible name of a row, for its check box. */
  readonly nameOf?: (row: T) => string;
  readonly class?: string;
}

/** A table whose rows can be sorted and selected. */
export function DataTable<T extends object>(props: Props<T>): VNode {
  const { caption, columns, limit, selection, nameOf, keyOf, kindOf } = props;
  const table = useTable(props);
  const rows = table.getSortedRowModel().rows.slice(0, limit);
  return (
    <table role="table" class={`cards ${props.class ?? ''}`}>
      <caption class="visually-hidden">{caption}</caption>
      <thead role="rowgroup">
        <tr role="row">
          {selection !== undefined && (
            <th scope="col" role="columnheader" class="select">
              <AllBox table={table} />
            </th>
          )}
          {columns.map((column) => (
            <HeadCell key={column.title} table={table} column={column} />
          ))}
        </tr>
      </thead>
      <tbody role="rowgroup">
        {rows.map((row) => (
          <tr
            key={row.id}
            role="row"
            data-row={keyOf(row.original)}
            class={[kindOf?.(row.original), row.getIsSelected() && 'selected'].filter(Boolean).join(' ')}
          >
            {selection !== undefined && (
              <td role="cell" class="select">
                <RowBox row={row} name={nameOf?.(row.original) ?? row.id} />
              </td>
            )}
            {columns.map((column) => (
              <Cell key={column.title} column={column} row={row.original} />
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function useTable<T extends object>(props: Props<T>): TanStackTable<Features, T> {
  const { rows, keyOf, selection } = props;
  const [sorting, setSorting] = useState<SortingState>([]);
  // The definitions are kept, because the library computes its columns again when they change.
  const latest = useRef(props);
  latest.current = props;
  const [columns] = useState(() =>
    props.columns.map(({ title, sort }) => ({
      id: title,
      accessorFn: (row: T) => latest.current.columns.find((one) => one.title === title)?.sort?.(row) ?? '',
      enableSorting: sort !== undefined,
      sortFn: 'basic' as const,
    })),
  );
  const options = {
    features: FEATURES,
    columns,
    data: rows as T[],
    getRowId: (row: T) => String(keyOf(row)),
    enableMultiSort: false,
    state: { sorting, rowSelection: selection?.selected ?? {} },
    onSortingChange: setSorting as OnChangeFn<SortingState>,
    onRowSelectionChange: selection?.change ?? (() => {}),
  };
  const table = useRef<TanStackTable<Features, T>>(undefined);
  table.current ??= constructTable<Features, T>(options);
  table.current.setOptions((previous) => ({ ...previous, ...options }));
  return table.current;
}

interface HeadProps<T extends object> {
  readonly table: TanStackTable<Features, T>;
  readonly column: SortableColumn<T>;
}

function HeadCell<T extends object>({ table, column }: HeadProps<T>): VNode {
  const { title, kind, sort } = column;
  if (sort === undefined)
    return (
      <th scope="col" role="columnheader" class={kind}>
        {title}
      </th>
    );
  const model = table.getColumn(title);
  const sorted = model?.getIsSorted() ?? false;
  const direction = sorted === false ? undefined : sorted === 'asc' ? 'ascending' : 'descending';
  return (
    <th scope="col" role="columnheader" class={kind} aria-sort={direction}>
      <button type="button" class="sort" onClick={() => model?.toggleSorting()}>
        {title}
        <span aria-hidden="true">{sorted === false ? ' ↕' : sorted === 'asc' ? ' ↑' : ' ↓'}</span>
      </button>
    </th>
  );
}

function AllBox<T extends object>({ table }: { readonly table: TanStackTable<Features, T> }): VNode {
  const isAll = table.getIsAllRowsSelected();
  const isSome = table.getIsSomeRowsSelected() && !isAll;
  return (
    <input
      type="checkbox"
      aria-label="Select all rows of this page"
      checked={isAll}
      indeterminate={isSome}
      onChange={() => table.toggleAllRowsSelected(!isAll)}
    />
  );
}

interface BoxProps<T extends object> {
  readonly row: Row<Features, T>;
  readonly name: string;
}

/** With Shift, a click selects all rows between this row and the row that was clicked before. */
function RowBox<T extends object>({ row, name }: BoxProps<T>): VNode {
  return (
    <input
      type="checkbox"
      aria-label={`Select ${name}`}
      checked={row.getIsSelected()}
      onClick={row.getToggleSelectedHandler()}
    />
  );
}
