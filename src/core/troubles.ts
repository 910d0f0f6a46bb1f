import type { TargetId } from './target.ts';

/** What a notification can be about. */
export const TROUBLE_KINDS = [
  'held',
  'refused',
  'failed',
  'flagged',
  'audit',
  'expiring',
  'contested',
  'approval',
] as const;
export type TroubleKind = (typeof TROUBLE_KINDS)[number];

/** Something that people should know of, from its beginning to its end. Contains only names and codes. */
export interface Trouble extends Partial<TargetId> {
  readonly kind: TroubleKind;
  readonly code?: string | undefined;
  readonly mapping?: string | undefined;
  /** The record with which it began. */
  readonly sequence: number;
  /** Milliseconds since 1970. */
  readonly since: number;
  /** For `flagged`: the record that is flagged. */
  readonly record?: number | undefined;
  /** For `approval`: when the request ends by itself, in milliseconds since 1970. */
  readonly until?: number | undefined;
}

/** Which troubles a channel of notifications is about. */
export interface ChannelRules {
  readonly name: string;
  readonly on: readonly TroubleKind[];
  /** Globs. Undefined: all troubles, also those without a namespace. */
  readonly namespaces?: readonly string[] | undefined;
  /** How long a trouble must last that can end by itself, in milliseconds. */
  readonly afterMs: number;
}
