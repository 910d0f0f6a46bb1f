import { APPROVAL_ACTIONS } from '../core/approval-rules.ts';
import { SYNC_STATES } from '../core/words.ts';
import { APPROVAL_STATES } from '../service/approvals.ts';
import {
  boolean,
  error,
  fingerprint,
  integer,
  list,
  nullable,
  object,
  oneOf,
  pinned,
  reference,
  target,
  text,
  time,
} from './schema-parts.ts';

// The JSON Schemas of the answers about the state of the service, of mappings and of what waits for a person.

const component = { kind: text, state: reference('Health') } as const;
const part = object({ ...component, code: text }, ['code']);

export const serviceSchemas = {
  Health: oneOf(['up', 'degraded', 'down']),
  SyncState: oneOf(SYNC_STATES),
  Key: object(
    {
      name: text,
      action: oneOf(['add', 'change', 'remove', 'keep']),
      ...{ before: fingerprint, after: fingerprint },
    },
    ['before', 'after'],
  ),
  Held: object(
    { id: text, ...target, action: text, keys: list(reference('Key')), reason: text, since: time },
    ['reason', 'since'],
  ),
  HeldList: object({ held: list(reference('Held')), next: text }, ['next']),
  /** A request for approval. */
  Approval: object(
    {
      id: text,
      sequence: { ...integer, description: "The sequence of the request's record." },
      action: oneOf(APPROVAL_ACTIONS),
      command: { ...text, description: 'The action as a command.' },
      ...target,
      keys: reference('KeyNames'),
      state: oneOf(APPROVAL_STATES),
      requestedBy: text,
      requestedAt: time,
      until: { ...time, description: 'The request is open until this time.' },
      requestId: text,
      decidedBy: text,
      decidedAt: time,
    },
    ['decidedBy', 'decidedAt'],
  ),
  ApprovalList: object({ approvals: list(reference('Approval')), next: text }, ['next']),
  Target: object(
    {
      ...target,
      state: reference('SyncState'),
      lastSuccess: nullable(time),
      staleSeconds: nullable(integer),
      ...error,
      pinned,
      expiresAt: { ...time, description: 'When the first source or certificate of the target expires.' },
    },
    [...Object.keys(error), 'pinned', 'expiresAt'],
  ),
  Store: object(
    {
      name: text,
      ...component,
      lastSuccess: nullable(time),
      code: text,
      breakerOpen: boolean,
      way: { ...text, description: 'How the store is checked for changes: list, describe, batch or read.' },
      callsPerHour: { ...integer, description: 'Requests of this replica within the last hour.' },
      expectedCallsPerHour: {
        ...integer,
        description: 'Requests an hour of all replicas while nothing changes.',
      },
    },
    ['code', 'way', 'callsPerHour', 'expectedCallsPerHour'],
  ),
  /** A source of events. */
  Intake: object(
    {
      kind: oneOf(['sqs', 'eventGrid', 'vault', 'webhook']),
      ...{ name: text, state: reference('Health'), lastEvent: time, code: text },
    },
    ['lastEvent', 'code'],
  ),
  /** A channel of notifications. */
  Channel: object({ name: text, ...component, lastSuccess: time, code: text }, ['lastSuccess', 'code']),
  /** What works, but needs attention. Warnings about the service have no target. */
  Warning: object({ code: text, ...target, message: text }, Object.keys(target)),
  /** A problem of the configuration. */
  Problem: object(
    {
      ...{ file: text, line: integer, column: integer, path: text },
      ...{ code: text, message: text, suggestion: text },
    },
    ['suggestion'],
  ),
  Include: object({
    ...{ path: text, namespaces: list(text) },
    state: oneOf(['valid', 'disabled', 'outdated']),
    problems: list(reference('Problem')),
  }),
  Status: object(
    {
      instance: text,
      version: text,
      replica: text,
      engine: part,
      audit: object({ ...component, sequence: integer, code: text, unverifiable: integer }, [
        'code',
        'unverifiable',
      ]),
      warnings: list(reference('Warning')),
      cluster: part,
      config: object({
        valid: boolean,
        problems: list(reference('Problem')),
        differing: {
          ...list(text),
          description:
            'Replicas with another configuration. Deletions of removed targets wait until they agree.',
        },
      }),
      includes: list(reference('Include')),
      stores: list(reference('Store')),
      events: list(reference('Intake')),
      notify: {
        ...list(reference('Channel')),
        description: 'The channels of notifications. Absent if there are none.',
      },
      targets: list(reference('Target')),
      held: list(reference('Held')),
    },
    ['notify'],
  ),
  Search: object({ store: text, path: text, name: text }, ['name']),
  Mapping: object(
    {
      mapping: text,
      refreshSeconds: { type: 'number', description: 'Absent if the file of the mapping is disabled.' },
      sources: list(object({ store: text, key: text })),
      searches: {
        ...list(reference('Search')),
        description: 'The searches of the mapping. An empty path searches the whole store.',
      },
      workloads: { ...list(text), description: 'The workloads that the mapping restarts.' },
      targets: list(reference('Target')),
    },
    ['refreshSeconds', 'workloads'],
  ),
  MappingList: object({ mappings: list(reference('Mapping')), next: text }, ['next']),
} as const;
