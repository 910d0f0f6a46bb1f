import type { ComponentChildren, VNode } from 'preact';
import { SYNC_STATES } from '../../../src/core/words.ts';
import { ApiError, get } from '../api.ts';
import { number, pluralize, Time } from '../format.tsx';
import { usePage } from '../page.ts';
import { Activity } from '../parts/activity.tsx';
import { Ages, Calls, Staleness } from '../parts/ages.tsx';
import { Badge } from '../parts/badge.tsx';
import { CauseTitle } from '../parts/cause.tsx';
import { ConfigDifferences, ConfigProblems } from '../parts/configuration.tsx';
import { Guide } from '../parts/guide.tsx';
import { Health } from '../parts/health.tsx';
import { Empty, Problem } from '../parts/notice.tsx';
import { Part, type PartOf, partOf } from '../parts/part.tsx';
import { TargetTable } from '../parts/target-table.tsx';
import { Verification } from '../parts/verification.tsx';
import { link, type Route } from '../router.ts';
import type { Picture, ReviewCause, ReviewQueue, Series, Status, Target } from '../types.ts';
import { defineView } from '../view.ts';

interface StartError {
  readonly code: string;
  readonly message: string;
  readonly remedy: string;
}

interface Data {
  readonly status: Status;
  readonly queue: PartOf<ReviewQueue>;
  readonly series: PartOf<Series>;
  readonly picture: PartOf<Picture>;
  readonly startError: StartError | undefined;
}

const DEFAULT_RANGE = '7d';
/** The lengths of time of the chart, each with the time between two points. */
const STEPS = new Map([
  ['24h', '1h'],
  ['7d', '1h'],
  ['30d', '3h'],
  ['90d', '6h'],
]);
/** The number of causes in the overview. The review queue lists all of them. */
const CAUSES = 6;

/** The maximum number of rows of each table. The mappings view lists all of them. */
const MAX_ROWS = 20;
const HEALTHY: readonly string[] = ['synced', 'waiting', 'pinned', 'stale'];

export const overviewView = defineView<Data>({
  title: () => 'Overview',
  refresh: 'redraw',
  async load({ query: { range = DEFAULT_RANGE } }, signal) {
    const [status, queue, series, picture] = await Promise.all([
      get('/api/v1/status', { signal }),
      partOf(get('/api/v1/review', { query: { limit: CAUSES }, signal })),
      partOf(get('/api/v1/series', { query: { since: range, step: STEPS.get(range) }, signal })),
      partOf(get('/api/v1/picture', { signal })),
    ]);
    return { status, queue, series, picture, startError: await loadStartError(status, signal) };
  },
  Show: Overview,
});

function Overview({ data, route }: { readonly data: Data; readonly route: Route }): VNode {
  const { status, queue, series, picture, startError } = data;
  const hasStarted = startError === undefined;
  const { namespaces } = usePage().session;
  return (
    <>
      <p class="lead muted">
        {`Instance ${status.instance}, version ${status.version}`}
        {status.replica === undefined ? '' : `, replica ${status.replica}`}
      </p>
      {namespaces !== undefined && (
        <p class="lead muted">{`You see only what concerns these namespaces: ${namespaces.join(', ')}.`}</p>
      )}
      <Guide />
      <ConfigProblems status={status} />
      <ConfigDifferences status={status} />
      {hasStarted ? (
        <Counts status={status} />
      ) : (
        <Problem error={new ApiError({ status: 503, ...startError })} />
      )}
      <div class="columns">
        {(hasStarted || 'data' in queue) && (
          <Section title="To review">
            <Part part={queue}>{({ causes }) => <Causes causes={causes} />}</Part>
            <p class="after-list">
              <a href={link(['review'])}>Open the review queue</a>
            </p>
          </Section>
        )}
        <Section title="Activity">
          <Ranges route={route} />
          <Part part={series}>
            {(lines) => <Activity series={lines} since={route.query.range ?? DEFAULT_RANGE} />}
          </Part>
        </Section>
      </div>
      {hasStarted && <ProblemSections status={status} />}
      {hasStarted && <Pictures picture={picture} />}
      <Section title="Health">
        <Health status={status} />
      </Section>
      <Section title="Verification">
        <Verification />
      </Section>
    </>
  );
}

/** Before the start there are no targets, so these pictures would be misleading. */
function Pictures({ picture }: { readonly picture: PartOf<Picture> }): VNode {
  return (
    <div class="columns">
      <Section title="Age of Secrets">
        <Part part={picture}>
          {({ ages, stale }) => (
            <>
              <Ages ages={ages} />
              <Staleness stale={stale} />
            </>
          )}
        </Part>
      </Section>
      <Section title="Calls to stores">
        <Part part={picture}>{({ calls }) => <Calls calls={calls} />}</Part>
      </Section>
    </div>
  );
}

function Ranges({ route }: { readonly route: Route }): VNode {
  const current = route.query.range ?? DEFAULT_RANGE;
  return (
    <nav class="segments small" aria-label="Time">
      {[...STEPS.keys()].map((range) => (
        <a key={range} href={link([], { range })} aria-current={range === current ? 'page' : undefined}>
          {range}
        </a>
      ))}
    </nav>
  );
}

function Causes({ causes }: { readonly causes: readonly ReviewCause[] }): VNode {
  if (causes.length === 0)
    return (
      <Empty text="Everything has been reviewed. New failures, refusals, holds, deletions and changes by people appear here." />
    );
  return (
    <ul class="cause-list">
      {causes.map((cause) => (
        <li key={cause.id}>
          <span class="cause-title">
            <CauseTitle cause={cause} />
          </span>
          <span class="muted">
            {`${pluralize(cause.count, 'change')}, `}
            <Time at={cause.last} />
          </span>
        </li>
      ))}
    </ul>
  );
}

/**
 * Returns the reason why the service has not started. Undefined if it has started. Before the start there are no
 * targets, so "no failures" would be misleading. The status does not contain the reason, so the error of another route
 * provides it.
 */
async function loadStartError(
  { engine, targets }: Status,
  signal: AbortSignal,
): Promise<StartError | undefined> {
  if (engine.state === 'up' || targets.length > 0) return undefined;
  try {
    await get('/api/v1/held', { query: { limit: 1 }, signal });
    return undefined;
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 503) throw error;
    const { code, message, remedy } = error;
    return { code, message, remedy };
  }
}

function ProblemSections({ status: { targets } }: { readonly status: Status }): VNode {
  const bad = targets.filter(({ state }) => !HEALTHY.includes(state)).sort(byState);
  const stale = targets.filter(({ state }) => state === 'stale').sort(byAge);
  return (
    <>
      <Section title="Failures">
        {bad.length === 0 ? (
          <Empty text="No target has failed, or is refused or held." />
        ) : (
          <TargetTable caption="Targets with problems" targets={bad.slice(0, MAX_ROWS)} />
        )}
        <More count={bad.length} />
      </Section>
      <Section title="Stale targets">
        {stale.length === 0 ? (
          <Empty text="No target is stale. A target whose source was not read in time appears here." />
        ) : (
          <TargetTable caption="Stale targets" targets={stale.slice(0, MAX_ROWS)} />
        )}
        <More count={stale.length} />
      </Section>
    </>
  );
}

function Section({
  title,
  children,
}: {
  readonly title: string;
  readonly children: ComponentChildren;
}): VNode {
  const id = `section-${title.toLowerCase().replaceAll(' ', '-')}`;
  return (
    <section aria-labelledby={id}>
      <h2 id={id}>{title}</h2>
      {children}
    </section>
  );
}

function More({ count }: { readonly count: number }): VNode | null {
  if (count <= MAX_ROWS) return null;
  return (
    <p>
      <a href={link(['mappings'])}>{`Show all ${number(count)}`}</a>
    </p>
  );
}

function Counts({ status: { targets, held } }: { readonly status: Status }): VNode {
  const states = SYNC_STATES.map((state) => ({
    state,
    count: targets.filter((target) => target.state === state).length,
  })).filter(({ state, count }) => count > 0 || ['failed', 'synced', 'stale'].includes(state));
  return (
    <ul class="tiles" aria-label="Counts">
      <Tile count={targets.length} href={link(['mappings'])}>
        <span class="muted">{targets.length === 1 ? 'target' : 'targets'}</span>
      </Tile>
      {states.toReversed().map(({ state, count }) => (
        <Tile key={state} count={count} href={link(['mappings'], { state })}>
          {count > 0 ? <Badge word={state} /> : <span class="muted">{state}</span>}
        </Tile>
      ))}
      <Tile count={held.length} href={link(['holds'])}>
        <span class="muted">{held.length === 1 ? 'hold' : 'holds'}</span>
      </Tile>
    </ul>
  );
}

interface TileProps {
  readonly count: number;
  readonly href: string;
  readonly children: ComponentChildren;
}

function Tile({ count, href, children }: TileProps): VNode {
  return (
    <li>
      <a href={href} class="tile">
        <span class="count">{number(count)}</span>
        {children}
      </a>
    </li>
  );
}

function byState(a: Target, b: Target): number {
  return SYNC_STATES.indexOf(a.state) - SYNC_STATES.indexOf(b.state);
}

function byAge(a: Target, b: Target): number {
  return (b.staleSeconds ?? 0) - (a.staleSeconds ?? 0);
}
