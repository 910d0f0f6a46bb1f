import type { ComponentChildren, VNode } from 'preact';

/**
 * A table column. On narrow screens, CSS changes `display` to show each row as a card. This change removes the table
 * semantics, so explicit ARIA roles are needed.
 */
export interface Column<T> {
  readonly title: string;
  readonly cell: (row: T) => ComponentChildren;
  readonly kind?: 'actor' | 'wide' | 'head' | 'number';
}

interface TableProps<T> {
  /** For screen readers. */
  readonly caption: string;
  readonly columns: readonly Column<T>[];
  readonly rows: readonly T[];
  readonly keyOf: (row: T) => string | number;
  /** The CSS class of a row. */
  readonly kindOf?: (row: T) => string | undefined;
  /** Whether all cells of a row follow each other on a narrow screen. */
  readonly isFlowing?: boolean;
}

export function Table<T>(props: TableProps<T>): VNode {
  const { caption, columns, rows, keyOf, kindOf, isFlowing = false } = props;
  return (
    <table role="table" class={isFlowing ? 'cards flow' : 'cards'}>
      <caption class="visually-hidden">{caption}</caption>
      <thead role="rowgroup">
        <tr role="row">
          {columns.map(({ title, kind }) => (
            <th key={title} scope="col" role="columnheader" class={kind}>
              {title}
            </th>
          ))}
        </tr>
      </thead>
      <tbody role="rowgroup">
        {rows.map((row) => (
          <tr key={keyOf(row)} role="row" class={kindOf?.(row)}>
            {columns.map((column) => (
              <Cell key={column.title} column={column} row={row} />
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

export function Cell<T>({ column, row }: { readonly column: Column<T>; readonly row: T }): VNode {
  const { title, cell, kind } = column;
  const content = cell(row);
  const classes = [kind, isEmpty(content) && 'nothing'].filter(Boolean).join(' ') || undefined;
  return kind === 'head' ? (
    <th scope="row" role="rowheader" class={classes} data-title={title}>
      {content}
    </th>
  ) : (
    <td role="cell" class={classes} data-title={title}>
      {content}
    </td>
  );
}

function isEmpty(content: ComponentChildren): boolean {
  if (Array.isArray(content)) return content.every(isEmpty);
  return content === undefined || content === null || content === false || content === '';
}

type Pair = readonly [name: string, value: ComponentChildren];

/** A definition list. Pairs without a value are skipped. */
export function Facts({ pairs }: { readonly pairs: readonly Pair[] }): VNode {
  return (
    <dl class="facts">
      {pairs
        .filter(([, value]) => !isEmpty(value))
        .map(([name, value]) => (
          <>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </>
        ))}
    </dl>
  );
}
