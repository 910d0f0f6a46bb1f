import type { TargetedSubmitEvent, VNode } from 'preact';
import { ACTIONS, OUTCOMES, REVIEW_STATES } from '../../../src/core/words.ts';
import { link } from '../router.ts';

interface Field {
  readonly name: string;
  readonly title: string;
  readonly hint?: string;
  readonly words?: readonly string[];
  readonly isTime?: boolean;
}

type Filters = Readonly<Record<string, string>>;

const COMMON: readonly Field[] = [
  { name: 'since', title: 'Since', hint: 'for example 7d', isTime: true },
  { name: 'until', title: 'Until', hint: 'for example 1h', isTime: true },
  { name: 'mapping', title: 'Mapping' },
  { name: 'namespace', title: 'Namespace' },
  { name: 'secret', title: 'Secret' },
  { name: 'action', title: 'Action', words: ACTIONS },
  { name: 'outcome', title: 'Outcome', words: OUTCOMES },
  { name: 'review', title: 'Review', words: REVIEW_STATES },
];
const RARE: readonly Field[] = [
  { name: 'actor', title: 'Actor', hint: 'ann or drift' },
  { name: 'store', title: 'Store' },
  { name: 'key', title: 'Source key' },
  { name: 'code', title: 'Error code', hint: 'NOT_OWNED' },
  { name: 'request', title: 'Request ID' },
  { name: 'fingerprint', title: 'Fingerprint', hint: 'of a value or a target' },
];
const FIELDS = [...COMMON, ...RARE];
const TIMES = ['1h', '24h', '7d', '30d', '90d'];

/** Returns only the query parameters of a route that are filters. */
export function filtersOf(query: Filters): Filters {
  return Object.fromEntries(
    Object.entries(query).filter(([name]) => FIELDS.some((field) => field.name === name)),
  );
}

interface FormProps {
  readonly query: Filters;
  readonly apply: (filters: Filters) => void;
}

export function FilterForm({ query, apply }: FormProps): VNode {
  const rare = RARE.some(({ name }) => query[name] !== undefined);
  function submit(event: TargetedSubmitEvent<HTMLFormElement>): void {
    event.preventDefault();
    const fields = [...new FormData(event.currentTarget)].map(
      ([name, value]) => [name, String(value).trim()] as const,
    );
    apply(Object.fromEntries(fields.filter(([, value]) => value !== '')));
  }
  return (
    <form class="filters" role="search" aria-label="Filter records" onSubmit={submit}>
      <div class="fields">
        {COMMON.map((field) => (
          <Input key={field.name} field={field} value={query[field.name] ?? ''} />
        ))}
      </div>
      <details open={rare}>
        <summary>More filters</summary>
        <div class="fields">
          {RARE.map((field) => (
            <Input key={field.name} field={field} value={query[field.name] ?? ''} />
          ))}
        </div>
      </details>
      <div class="buttons">
        <button type="submit" class="primary">
          Apply filters
        </button>
        <button type="button" onClick={() => apply({})}>
          Clear
        </button>
      </div>
      <datalist id="times">
        {TIMES.map((value) => (
          <option key={value} value={value} />
        ))}
      </datalist>
    </form>
  );
}

function Input({ field, value }: { readonly field: Field; readonly value: string }): VNode {
  const { name, title, hint, words, isTime = false } = field;
  const id = `filter-${name}`;
  return (
    <div class="field">
      <label for={id}>{title}</label>
      {words === undefined ? (
        <input
          id={id}
          name={name}
          defaultValue={value}
          placeholder={hint}
          maxlength={512}
          autocomplete="off"
          autocapitalize="off"
          spellcheck={false}
          list={isTime ? 'times' : undefined}
          title={isTime ? '7d (days ago), 2026-01-31 or 2026-01-31T08:00:00Z, in UTC' : undefined}
        />
      ) : (
        <select id={id} name={name}>
          <option value="">any</option>
          {words.map((word) => (
            <option key={word} value={word} selected={word === value}>
              {word}
            </option>
          ))}
        </select>
      )}
    </div>
  );
}

interface ChipsProps {
  readonly path: readonly string[];
  readonly filters: Filters;
  /** The parameters that every link keeps. */
  readonly rest: Readonly<Record<string, string | undefined>>;
}

/** The active filters as links. Each link removes its filter. */
export function Chips({ path, filters, rest }: ChipsProps): VNode {
  return (
    <div class="chips" role="group" aria-label="Active filters">
      {Object.entries(filters).map(([name, value]) => {
        const { [name]: _, ...others } = filters;
        const title = FIELDS.find((field) => field.name === name)?.title ?? name;
        const short = value.length > 40 ? `${value.slice(0, 37)}…` : value;
        return (
          <a
            key={name}
            class="chip"
            href={link(path, { ...others, ...rest })}
            // The label contains the visible text, because voice control needs it.
            aria-label={`Remove the filter ${title} ${short}`}
            title={short === value ? undefined : value}
          >
            <span class="muted">{`${title} `}</span>
            {short}
            <span aria-hidden="true"> ×</span>
          </a>
        );
      })}
    </div>
  );
}
