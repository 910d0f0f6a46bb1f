import type { TargetId } from '../core/target.ts';
import type { EntrySource } from './entry.ts';

/** What happened from a time on. */
export interface CountsOfStep {
  /** Hours since 1970. */
  readonly hour: number;
  readonly changes: number;
  readonly failures: number;
  readonly refusals: number;
  readonly held: number;
}

export interface CountsQuery {
  /** Hours since 1970. The end is excluded. */
  readonly from: number;
  readonly to: number;
  /** The number of hours that one step contains. */
  readonly step: number;
}

/** The version of a source that was read last. */
export interface SourceVersion extends Pick<EntrySource, 'store' | 'key' | 'version'> {
  /** When this version was read first, in RFC 3339. */
  readonly since: string;
}

/** A target that used a source, with the last record of this use. */
export interface SourceTarget extends TargetId {
  readonly sequence: number;
}

export interface FoundNote {
  readonly sequence: number;
  /** The record that the note is about. */
  readonly about: number;
  readonly note: string;
}

/** Names that contain a text. */
export interface FoundNames {
  readonly targets: readonly TargetId[];
  readonly people: readonly string[];
  readonly sources: readonly Pick<EntrySource, 'store' | 'key'>[];
}

/**
 * Answers from small tables, without reading the log.
 * @param namespaces Globs. Only what concerns these namespaces is returned.
 */
export interface AuditSummaries {
  /** Returns the steps in which something happened, oldest first. */
  counts(query: CountsQuery, namespaces?: readonly string[]): Promise<readonly CountsOfStep[]>;
  /** Returns the present version of each source that was ever read, of one store or of all. */
  sourceVersions(): Promise<readonly SourceVersion[]>;
  /** Returns the targets whose writes named a source, those with the newest records first. */
  targetsOfSource(
    source: Pick<EntrySource, 'store' | 'key'> & { readonly version?: string },
    limit: number,
    namespaces?: readonly string[],
  ): Promise<readonly SourceTarget[]>;
  /** Returns names that contain the text, in any letter case. */
  findNames(text: string, limit: number, namespaces?: readonly string[]): Promise<FoundNames>;
  /** Returns notes of people that contain the text, newest first. */
  findNotes(text: string, limit: number): Promise<readonly FoundNote[]>;
}
