import type { VNode } from 'preact';
import { get } from '../api.ts';
import { Empty } from '../parts/notice.tsx';
import { link } from '../router.ts';
import type { SearchResult } from '../types.ts';
import { defineView } from '../view.ts';

const LIMIT = 50;

interface Data {
  readonly results: readonly SearchResult[];
}

export const searchView = defineView<Data>({
  title: ({ query: { q = '' } }) => (q === '' ? 'Search' : `Search for “${q}”`),
  refresh: 'never',
  load: ({ query: { q = '' } }, signal) =>
    q === ''
      ? Promise.resolve({ results: [] })
      : get('/api/v1/search', { query: { q, limit: LIMIT }, signal }),
  Show: ({ data: { results }, route }) =>
    results.length === 0 ? (
      <Empty
        text={
          route.query.q === undefined
            ? 'Enter a part of the name of a Secret, mapping, store, source key or person, or a word of a note.'
            : 'Nothing has this text in its name or note.'
        }
      />
    ) : (
      <ul class="results">
        {results.map((result) => (
          <li key={JSON.stringify(result)}>
            <span class="badge plain">{result.kind === 'actor' ? 'person' : result.kind}</span>{' '}
            <Result result={result} />
          </li>
        ))}
      </ul>
    ),
});

function Result({ result }: { readonly result: SearchResult }): VNode {
  const { kind, name, namespace, secret, sequence } = result;
  const address = addressOf(result);
  return (
    <a href={address} class="name">
      {kind === 'secret' && namespace !== undefined && <span class="muted">{`${namespace}/`}</span>}
      {kind === 'secret' ? (secret ?? name) : name}
      {kind === 'note' && sequence !== undefined && <span class="muted">{` #${sequence}`}</span>}
    </a>
  );
}

function addressOf({ kind, name, namespace = '', secret, store = '', sequence = 0 }: SearchResult): string {
  switch (kind) {
    case 'mapping':
      return link(['mappings', name]);
    case 'secret':
      return link(['targets', namespace, secret ?? name]);
    case 'store':
      return link(['changes'], { store: name });
    case 'key':
      return store === '' ? link(['changes'], { key: name }) : link(['sources', store, name]);
    case 'actor':
      return link(['people', name]);
    case 'note':
      return link(['changes', sequence]);
  }
}
