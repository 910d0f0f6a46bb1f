import type { VNode } from 'preact';
import { usePage } from '../page.ts';
import { link, type Route } from '../router.ts';
import { Chips, FilterForm, filtersOf } from './filters.tsx';

interface Props {
  readonly area: 'changes' | 'records';
  readonly query: Route['query'];
  /** The other parameters that stay in the address. */
  readonly rest: Readonly<Record<string, string>>;
  readonly isOpen: boolean;
}

/** Leads between changes and records, and shows and changes the filters of both. */
export function FilterBar({ area, query, rest, isOpen }: Props): VNode {
  const { go } = usePage();
  const filters = filtersOf(query);
  const count = Object.keys(filters).length;
  const isAttention = area === 'changes' && query.state === 'open';
  const current = (isCurrent: boolean): 'page' | undefined => (isCurrent ? 'page' : undefined);
  return (
    <div class="filter-bar">
      <nav class="segments" aria-label="Which changes">
        <a href={link(['changes'], filters)} aria-current={current(area === 'changes' && !isAttention)}>
          All
        </a>
        <a href={link(['changes'], { ...filters, state: 'open' })} aria-current={current(isAttention)}>
          Need attention
        </a>
        <a href={link(['records'], filters)} aria-current={current(area === 'records')}>
          Records
        </a>
      </nav>
      {count > 0 && <Chips path={[area]} filters={filters} rest={rest} />}
      <details class="filter-menu" open={isOpen}>
        <summary>{count === 0 ? 'Filter' : 'Change filters'}</summary>
        <FilterForm query={query} apply={(chosen) => go(link([area], { ...chosen, ...rest }))} />
      </details>
    </div>
  );
}
