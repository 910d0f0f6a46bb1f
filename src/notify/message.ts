import { createHash } from 'node:crypto';
import { ERRORS, isErrorCode } from '../core/error-codes.ts';
import { smallest } from '../core/lists.ts';
import { compareTargets } from '../core/target.ts';
import type { Trouble, TroubleKind } from '../core/troubles.ts';
import { groupOf, type Notification } from './trouble-log.ts';

// The texts of notifications. They contain names, codes and our own sentences, and never a value or a text of a vendor.

/** Troubles of one kind with one code. */
export interface Group {
  readonly kind: TroubleKind;
  readonly code?: string;
  /** What the code means. */
  readonly message?: string;
  readonly remedy?: string;
  readonly count: number;
  /** RFC 3339: when the first of them began. */
  readonly since: string;
  /** At most `MAX_LISTED`. */
  readonly troubles: readonly ListedTrouble[];
}

interface ListedTrouble {
  readonly mapping?: string;
  readonly namespace?: string;
  readonly secret?: string;
  /** RFC 3339. */
  readonly since: string;
  /** The sequence of the audit record to look at. */
  readonly record: number;
}

/** The body of a webhook. Fields may be added. */
export interface Message {
  /** The same for each attempt to send the same content, so that a receiver can drop a second copy. */
  readonly id: string;
  readonly instance: string;
  readonly channel: string;
  /** RFC 3339. */
  readonly time: string;
  readonly opened: readonly Group[];
  readonly closed: readonly Group[];
}

/** The number of troubles that a group lists. A message must stay small. */
const MAX_LISTED = 20;

export function messageOf(
  { opened, closed }: Notification,
  { instance, channel, now }: { readonly instance: string; readonly channel: string; readonly now: number },
): Message {
  const idOf = ({ kind, sequence }: Trouble) => `${kind} ${sequence}`;
  const content = JSON.stringify([instance, channel, opened.map(idOf).sort(), closed.map(idOf).sort()]);
  return {
    id: createHash('sha256').update(content).digest('hex').slice(0, 32),
    ...{ instance, channel, time: new Date(now).toISOString() },
    opened: groupsOf(opened),
    closed: groupsOf(closed),
  };
}

function groupsOf(troubles: readonly Trouble[]): readonly Group[] {
  return [...Map.groupBy(troubles, groupOf).values()].map(toGroup).toSorted((a, b) => b.count - a.count);
}

function toGroup(troubles: readonly Trouble[]): Group {
  const [{ kind, code } = { kind: 'failed' as const, code: undefined }] = troubles;
  const { message, remedy } = code !== undefined && isErrorCode(code) ? ERRORS[code] : DESCRIPTIONS[kind];
  const listed = troubles.toSorted(
    (a, b) => compareTargets(targetOf(a), targetOf(b)) || a.sequence - b.sequence,
  );
  return {
    kind,
    ...(code === undefined ? {} : { code }),
    ...{ message, remedy, count: troubles.length },
    since: new Date(smallest(troubles.map(({ since }) => since))).toISOString(),
    troubles: listed.slice(0, MAX_LISTED).map(toListed),
  };
}

function targetOf({ namespace = '', secret = '' }: Trouble) {
  return { namespace, secret };
}

function toListed({ mapping, namespace, secret, since, record, sequence }: Trouble): ListedTrouble {
  return {
    ...(mapping === undefined ? {} : { mapping }),
    ...(namespace === undefined ? {} : { namespace }),
    ...(secret === undefined ? {} : { secret }),
    since: new Date(since).toISOString(),
    record: record ?? sequence,
  };
}

/** What troubles without a code, or with one of a newer release, mean. */
const DESCRIPTIONS: Readonly<Record<TroubleKind, { readonly message: string; readonly remedy: string }>> = {
  held: ERRORS.HELD,
  refused: {
    message: 'the target was refused',
    remedy: '`secretbridge status` says why.',
  },
  failed: { message: 'the target fails', remedy: '`secretbridge status` says why.' },
  flagged: {
    message: 'an audit record is flagged',
    remedy: '`secretbridge audit show SEQUENCE` shows the record. Review it when the question is settled.',
  },
  audit: { message: 'the audit log needs attention', remedy: 'Run `secretbridge audit verify`.' },
  expiring: ERRORS.EXPIRES_SOON,
  contested: ERRORS.CONTESTED,
  approval: {
    message: 'an action waits for the approval of a second person',
    remedy: 'Decide with `secretbridge approvals approve ID` or `reject ID`.',
  },
};

const NOUNS: Readonly<Record<TroubleKind, readonly [one: string, many: string]>> = {
  held: ['change is held', 'changes are held'],
  refused: ['target is refused', 'targets are refused'],
  failed: ['target fails', 'targets fail'],
  flagged: ['record is flagged', 'records are flagged'],
  audit: ['problem of the audit log', 'problems of the audit log'],
  expiring: ['target has a value that expires', 'targets have values that expire'],
  contested: ['target is contested', 'targets are contested'],
  approval: ['request waits for approval', 'requests wait for approval'],
};

/** Returns one line that says what a message is about. */
export function subjectOf({ instance, opened, closed }: Message): string {
  const parts = [...opened.map(headline), ...closed.map((group) => `over: ${headline(group)}`)];
  const [first = 'nothing', ...others] = parts;
  return `secretbridge ${instance}: ${first}${others.length === 0 ? '' : `, and ${others.length} more`}`;
}

function headline({ kind, code, count }: Group): string {
  const [one, many] = NOUNS[kind];
  return `${count} ${count === 1 ? one : many}${code === undefined ? '' : ` (${code})`}`;
}

/** Returns a message as plain text, for Slack and e-mail. */
export function textOf(message: Message): string {
  const { opened, closed } = message;
  return [
    ...opened.flatMap((group) => [...groupText(group), `  ${group.remedy ?? ''}`, '']),
    ...(closed.length === 0 ? [] : ['No longer:', '']),
    ...closed.flatMap((group) => [...groupText(group), '']),
  ]
    .join('\n')
    .trimEnd();
}

function groupText(group: Group): readonly string[] {
  const { message, count, troubles } = group;
  const more = count - troubles.length;
  return [
    `${headline(group)}: ${message}`,
    ...troubles.map((trouble) => `- ${troubleText(trouble)}`),
    ...(more > 0 ? [`- … and ${more} more`] : []),
  ];
}

function troubleText({ mapping, namespace, secret, since, record }: ListedTrouble): string {
  const target = secret === undefined ? undefined : `${namespace}/${secret}`;
  const about = [target, mapping === undefined ? undefined : `mapping ${mapping}`].filter(
    (part) => part !== undefined,
  );
  return `${about.length === 0 ? `record ${record}` : about.join(', ')}, since ${since.slice(0, 19)}Z`;
}
