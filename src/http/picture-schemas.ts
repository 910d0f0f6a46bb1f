import { AGE_GROUPS } from './picture.ts';
import {
  boolean,
  counts,
  extended,
  integer,
  list,
  object,
  oneOf,
  reference,
  text,
  time,
} from './schema-parts.ts';

// The JSON Schemas of timelines, searches and pictures.

const reached = list(reference('ReachedTarget'));

export const pictureSchemas = {
  Content: object({
    ...{ sequence: integer, time, action: text },
    keys: list(reference('ContentKey')),
    sources: list(reference('SourceVersion')),
  }),
  ContentKey: object({ name: text, fingerprint: text, since: time, sequence: integer }, ['fingerprint']),
  Present: object(
    {
      targets: list(reference('Target')),
      held: list(reference('Held')),
      content: {
        ...reference('Content'),
        description: 'What the last writes say about the content of the Secret.',
      },
      mapping: reference('Mapping'),
      store: reference('Store'),
      source: { ...reference('PresentVersion'), description: 'The version that was read last.' },
    },
    ['targets', 'held', 'content', 'mapping', 'store', 'source'],
  ),
  PresentVersion: object({ store: text, key: text, version: text, since: time }),
  Timeline: object(
    {
      changes: list(reference('Change')),
      next: text,
      now: { ...reference('Present'), description: 'The present state. Only the first page contains it.' },
    },
    ['next', 'now'],
  ),
  ReachedTarget: object(
    {
      ...{ mapping: text, namespace: text, secret: text },
      versions: { ...list(text), description: 'The versions that the Secret holds now.' },
      ...{ sequence: integer, time },
    },
    ['mapping'],
  ),
  Reach: object(
    {
      version: { ...text, description: 'The version, if the request named none.' },
      now: { ...reached, description: 'The Secrets that hold the version now.' },
      held: { ...reached, description: 'The Secrets that held it.' },
      others: { ...reached, description: 'The Secrets that hold another version.' },
      more: { ...boolean, description: 'Whether there are more Secrets.' },
    },
    ['version'],
  ),
  SearchResult: object(
    {
      kind: oneOf(['mapping', 'secret', 'store', 'key', 'actor', 'note']),
      ...{ name: text, namespace: text, secret: text, store: text },
      sequence: { ...integer, description: 'For a note: the record that it is about.' },
    },
    ['namespace', 'secret', 'store', 'sequence'],
  ),
  SearchResults: object({ results: list(reference('SearchResult')) }),
  Series: object({
    times: { ...list(integer), description: 'When each step begins, in seconds since 1970.' },
    ...{ changes: list(integer), failures: list(integer), refusals: list(integer), held: list(integer) },
    step: { ...integer, description: 'The length of a step, in seconds.' },
  }),
  StoreAges: object({
    store: text,
    buckets: list(object({ upTo: oneOf(AGE_GROUPS), secrets: integer })),
  }),
  Picture: object({
    ages: {
      ...list(reference('StoreAges')),
      description: 'For each store, how long its secrets have had their present version.',
    },
    stale: object({ count: integer, oldest: integer }, ['oldest']),
    states: { ...counts, description: 'The targets by state.' },
    calls: list(object({ store: text, made: integer, expected: integer })),
  }),
  SourceAge: extended('PresentVersion', { days: integer }),
  SourceList: object({ sources: list(reference('SourceAge')), next: text }, ['next']),
  GraphNode: object(
    {
      id: text,
      kind: oneOf(['store', 'mapping', 'secret', 'workload']),
      ...{ name: text, namespace: text, state: text },
    },
    ['namespace'],
  ),
  Graph: object({
    nodes: list(reference('GraphNode')),
    edges: list(object({ from: text, to: text })),
    more: { ...integer, description: 'How many mappings and Secrets are left out.' },
  }),
} as const;
