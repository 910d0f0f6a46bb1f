import { get } from '../api.ts';
import { Pages, Timeline } from '../parts/timeline.tsx';
import { link } from '../router.ts';
import type { Timeline as Data } from '../types.ts';
import { defineView } from '../view.ts';

const PAGE = 50;

/** What a person, a token or another actor has done. */
export const personView = defineView<Data>({
  title: ({ path }) => path[1] ?? '',
  refresh: 'notify',
  load: ({ path: [, actor], query: { cursor } }, signal) =>
    get('/api/v1/timeline', { query: { actor, cursor, limit: PAGE }, signal }),
  Show: ({ data: { changes, next }, route: { path, query } }) => (
    <>
      <p class="lead">
        <span class="muted">What this actor has done, newest first. </span>
        <a href={link(['records'], { actor: path[1] })}>Show as records</a>
      </p>
      <Timeline
        changes={changes}
        hasSubjects
        empty="There are no changes by this actor. Commands, releases, approvals and reviews appear here."
      />
      <Pages path={path} cursor={query.cursor} next={next} />
    </>
  ),
});
