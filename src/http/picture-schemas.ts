import { AGE_GROUPS } from './picture.ts';
import { boolean, integer, list, object, reference, text, time } from './schema-parts.ts';

// The JSON Schemas of timelines, searches and pictures.

const source = { store: text, key: text, property: text, version: text } as const;
const version = { store: text, key: text, version: text, since: time } as const;

const content = object({
  ...{ sequence: integer, time, action: text },
  keys: list(object({ name: text, fingerprint: text, since: time, sequence: integer }, ['fingerprint'])),
  sources: list(object(source, ['property'])),
});

const now = {
  ...object(
    {
      targets: list(reference('Target')),
      held: list(reference('Held')),
      content: { ...content, description: 'What the last writes say about the content of the Secret.' },
      mapping: reference('Mapping'),
      store: reference('Store'),
      source: { ...object(version), description: 'The version that was read last.' },
    },
    ['targets', 'held', 'content', 'mapping', 'store', 'source'],
  ),
  description: 'The present state. Only the first page contains it.',
} as const;

const reached = list(
  object(
    {
      ...{ mapping: text, namespace: text, secret: text },
      versions: { ...list(text), description: 'The versions that the Secret holds now.' },
      ...{ sequence: integer, time },
    },
    ['mapping'],
  ),
);

export const pictureSchemas = {
  Timeline: object({ changes: list(reference('Change')), next: text, now }, ['next', 'now']),
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
  SearchResults: object({
    results: list(
      object(
        {
          kind: { type: 'string', enum: ['mapping', 'secret', 'store', 'key', 'actor', 'note'] },
          ...{ name: text, namespace: text, secret: text, store: text },
          sequence: { ...integer, description: 'For a note: the record that it is about.' },
        },
        ['namespace', 'secret', 'store', 'sequence'],
      ),
    ),
  }),
  Series: object({
    times: { ...list(integer), description: 'When each step begins, in seconds since 1970.' },
    ...{ changes: list(integer), failures: list(integer), refusals: list(integer), held: list(integer) },
    step: { ...integer, description: 'The length of a step, in seconds.' },
  }),
  Picture: object({
    ages: {
      ...list(
        object({
          store: text,
          buckets: list(object({ upTo: { type: 'string', enum: AGE_GROUPS }, secrets: integer })),
        }),
      ),
      description: 'For each store, how long its secrets have had their present version.',
    },
    stale: object({ count: integer, oldest: integer }, ['oldest']),
    states: { type: 'object', additionalProperties: integer, description: 'The targets by state.' },
    calls: list(object({ store: text, made: integer, expected: integer })),
  }),
  SourceList: object({ sources: list(object({ ...version, days: integer })), next: text }, ['next']),
  Graph: object({
    nodes: list(
      object(
        {
          id: text,
          kind: { type: 'string', enum: ['store', 'mapping', 'secret', 'workload'] },
          ...{ name: text, namespace: text, state: text },
        },
        ['namespace'],
      ),
    ),
    edges: list(object({ from: text, to: text })),
    more: { ...integer, description: 'How many mappings and Secrets are left out.' },
  }),
} as const;
