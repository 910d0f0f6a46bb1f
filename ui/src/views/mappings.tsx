import type { VNode } from 'preact';
import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import { SYNC_STATES } from '../../../src/core/words.ts';
import { get } from '../api.ts';
import { number, pluralize } from '../format.tsx';
import { DataTable, type SortableColumn } from '../parts/data-table.tsx';
import { Empty } from '../parts/notice.tsx';
import { UnpinButton } from '../parts/pins.tsx';
import { SyncButton } from '../parts/sync.tsx';
import { TARGET_COLUMNS, targetKey } from '../parts/target-table.tsx';
import { link, type Route } from '../router.ts';
import type { Mapping, Target } from '../types.ts';
import { defineView } from '../view.ts';

/** The number of rows that each click on the button adds. On a phone, a row needs more height. */
const STEP = matchMedia('(max-width: 640px)').matches ? 50 : 200;

const COLUMNS: readonly SortableColumn<Target>[] = [
  ...TARGET_COLUMNS,
  { title: 'Actions', cell: (target) => <Actions target={target} /> },
];

export const mappingsView = defineView<readonly Mapping[]>({
  title: () => 'Mappings',
  refresh: 'redraw',
  load: (_, signal) => allMappings(signal),
  Show: Mappings,
});

function Mappings({ data, route }: { readonly data: readonly Mapping[]; readonly route: Route }): VNode {
  const [chosen, setChosen] = useState<Choice>({
    find: route.query.find ?? '',
    state: route.query.state ?? '',
  });
  const [limit, setLimit] = useState(STEP);
  const targets = data.flatMap((mapping) => mapping.targets).sort(worstFirst);
  const withoutTargets = data.filter((mapping) => mapping.targets.length === 0);
  const text = chosen.find.trim().toLowerCase();
  const matching = targets.filter((target) => matches(target, chosen.state, text));

  function choose(next: Choice): void {
    setChosen(next);
    setLimit(STEP);
    // Store the filters in the URL, so that people can share the URL. Do not add a history entry for each letter.
    history.replaceState(null, '', link(['mappings'], { state: next.state, find: next.find.trim() }));
  }

  return (
    <>
      <Filters chosen={chosen} choose={choose} />
      <p class="muted count-line" role="status">
        {`${pluralize(matching.length, 'target')} of ${number(targets.length)}`}
      </p>
      {matching.length === 0 ? (
        <NoTarget isFiltered={targets.length > 0} />
      ) : (
        <Targets targets={matching} limit={limit} setLimit={setLimit} />
      )}
      {withoutTargets.length > 0 && (
        <p>
          {'Mappings without targets: '}
          {withoutTargets.map(({ mapping }) => (
            <a key={mapping} href={link(['mappings', mapping])} class="chip">
              {mapping}
            </a>
          ))}
        </p>
      )}
    </>
  );
}

interface Choice {
  readonly find: string;
  readonly state: string;
}

interface FiltersProps {
  readonly chosen: Choice;
  readonly choose: (next: Choice) => void;
}

function Filters({ chosen, choose }: FiltersProps): VNode {
  return (
    <form
      class="filters"
      role="search"
      aria-label="Find targets"
      onSubmit={(event) => event.preventDefault()}
    >
      <div class="fields">
        <div class="field">
          <label for="find">Name</label>
          <input
            id="find"
            type="search"
            value={chosen.find}
            autocomplete="off"
            spellcheck={false}
            onInput={({ currentTarget }) => choose({ ...chosen, find: currentTarget.value })}
          />
        </div>
        <div class="field">
          <label for="state">State</label>
          <select
            id="state"
            value={chosen.state}
            onChange={({ currentTarget }) => choose({ ...chosen, state: currentTarget.value })}
          >
            <option value="">any</option>
            {SYNC_STATES.map((word) => (
              <option key={word} value={word}>
                {word}
              </option>
            ))}
          </select>
        </div>
      </div>
    </form>
  );
}

interface TargetsProps {
  readonly targets: readonly Target[];
  /** Shows at most this number of targets. */
  readonly limit: number;
  readonly setLimit: (limit: number) => void;
}

function Targets({ targets, limit, setLimit }: TargetsProps): VNode {
  const list = useRef<HTMLDivElement>(null);
  const firstNew = useRef<number>(undefined);
  const rest = Math.max(0, targets.length - limit);
  useLayoutEffect(() => {
    // The focused button may no longer exist. For keyboard users, move the focus to the first new row.
    if (firstNew.current === undefined) return;
    list.current?.querySelectorAll('tbody tr')[firstNew.current]?.querySelector('a')?.focus();
    firstNew.current = undefined;
  }, [limit]);
  const showMore = (): void => {
    firstNew.current = limit;
    setLimit(limit + STEP);
  };
  return (
    <div ref={list}>
      <DataTable
        caption="Targets, problems first"
        columns={COLUMNS}
        rows={targets}
        limit={limit}
        keyOf={targetKey}
      />
      {rest > 0 && (
        <button type="button" class="more" onClick={showMore}>
          {`Show ${number(Math.min(rest, STEP))} more`}
        </button>
      )}
    </div>
  );
}

function NoTarget({ isFiltered }: { readonly isFiltered: boolean }): VNode {
  return isFiltered ? (
    <Empty text="No target matches." />
  ) : (
    <Empty text="There are no targets yet. Each Secret that a mapping of the configuration wants appears here." />
  );
}

function Actions({ target }: { readonly target: Target }): VNode {
  return (
    <>
      <SyncButton mapping={target.mapping} />
      <UnpinButton target={target} />
    </>
  );
}

async function allMappings(signal: AbortSignal): Promise<readonly Mapping[]> {
  const mappings: Mapping[] = [];
  let cursor: string | undefined;
  do {
    const page = await get('/api/v1/mappings', { query: { limit: 1_000, cursor }, signal });
    mappings.push(...page.mappings);
    cursor = page.next;
  } while (cursor !== undefined);
  return mappings;
}

function matches(target: Target, state: string, text: string): boolean {
  const { mapping, namespace, secret, code = '' } = target;
  if (state !== '' && target.state !== state) return false;
  return text === '' || `${mapping} ${namespace}/${secret} ${code.toLowerCase()}`.includes(text);
}

function worstFirst(a: Target, b: Target): number {
  return (
    SYNC_STATES.indexOf(a.state) - SYNC_STATES.indexOf(b.state) ||
    a.namespace.localeCompare(b.namespace) ||
    a.secret.localeCompare(b.secret)
  );
}
