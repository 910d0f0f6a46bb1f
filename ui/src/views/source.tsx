import type { VNode } from 'preact';
import { get } from '../api.ts';
import { Time } from '../format.tsx';
import { Version } from '../parts/change.tsx';
import { Empty } from '../parts/notice.tsx';
import { TargetLink } from '../parts/subject.tsx';
import { Pages, Timeline } from '../parts/timeline.tsx';
import { link, type Route } from '../router.ts';
import type { Present, Reach, ReachedTarget, Timeline as TimelineData } from '../types.ts';
import { defineView } from '../view.ts';

const PAGE = 50;

interface Data {
  readonly timeline: TimelineData;
  /** What the version in the address reached. Without a version: what the present version reached. */
  readonly reach: Reach;
}

export const sourceView = defineView<Data>({
  title: ({ path, query: { version } }) =>
    `${path[1]}: ${path[2]}${version === undefined ? '' : `, version ${version}`}`,
  refresh: 'notify',
  async load({ path: [, store, key], query: { version, cursor } }, signal) {
    const [timeline, reach] = await Promise.all([
      get('/api/v1/timeline', { query: { store, key, version, cursor, limit: PAGE }, signal }),
      get('/api/v1/reach', { query: { store, key, version }, signal }),
    ]);
    return { timeline, reach };
  },
  Show: SourcePage,
});

function SourcePage({
  data: { timeline, reach },
  route,
}: {
  readonly data: Data;
  readonly route: Route;
}): VNode {
  const { path, query } = route;
  const [, store = '', key = ''] = path;
  return (
    <>
      <p class="lead">
        <a href={link(['graph'], { store })}>{`Store ${store}`}</a>
        {query.version !== undefined && (
          <>
            {', '}
            <a href={link(path)}>all versions of this key</a>
          </>
        )}
        {', '}
        <a href={link(['records'], { store, key })}>records</a>
      </p>
      {timeline.now?.source !== undefined && <ReadLast source={timeline.now.source} />}
      <ReachCards reach={reach} store={store} source={key} />
      <section aria-labelledby="history">
        <h2 id="history">{query.version === undefined ? 'History' : 'Changes with this version'}</h2>
        <Timeline
          changes={timeline.changes}
          hasSubjects
          empty="No change has used this source yet. Reads of the key, and the Secrets that were written from it, appear here."
        />
        <Pages
          path={path}
          query={query.version === undefined ? {} : { version: query.version }}
          cursor={query.cursor}
          next={timeline.next}
        />
      </section>
    </>
  );
}

function ReadLast({ source }: { readonly source: NonNullable<Present['source']> }): VNode {
  const { store, key, version, since } = source;
  return (
    <p class="read-last">
      {'Now version '}
      <Version store={store} source={key} version={version} />
      {', since '}
      <Time at={since} />
    </p>
  );
}

interface ReachProps {
  readonly reach: Reach;
  readonly store: string;
  readonly source: string;
}

function ReachCards({ reach, store, source }: ReachProps): VNode {
  const cards = [
    ['Have this version now', reach.now, 'No Secret has this version now.'],
    ['Had this version', reach.held, 'No other Secret had this version.'],
    ['Have another version', reach.others, 'No other Secret uses this source.'],
  ] as const;
  return (
    <div class="thirds">
      {cards.map(([title, targets, empty]) => (
        <ReachCard key={title} {...{ title, targets, empty, store, source }} />
      ))}
    </div>
  );
}

interface ReachCardProps {
  readonly title: string;
  readonly targets: readonly ReachedTarget[];
  readonly empty: string;
  readonly store: string;
  readonly source: string;
}

function ReachCard({ title, targets, empty, store, source }: ReachCardProps): VNode {
  return (
    <section class="card" aria-label={title}>
      <h2>
        {title} <span class="badge plain">{targets.length}</span>
      </h2>
      {targets.length === 0 ? (
        <Empty text={empty} />
      ) : (
        <ul class="plain-list">
          {targets.map(({ mapping = '', namespace, secret, versions }) => (
            <li key={`${mapping} ${namespace}/${secret}`}>
              <TargetLink namespace={namespace} secret={secret} />{' '}
              {versions.map((version) => (
                <Version key={version} store={store} source={source} version={version} />
              ))}
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}
