import type { DerivedStores } from '../derived-stores.ts';
import type { KeySource } from '../key-data.ts';
import { createNotes, type Node, type Notes } from '../node.ts';
import type { Account, ToolObject } from '../objects.ts';
import type { SecretRefs } from '../store.ts';
import type { Defaults } from '../tool.ts';
import type { Mount } from './mounts.ts';

/** A file that the driver mounts into pods, and the source of its content. */
export interface MountedFile {
  readonly name: string;
  /** `undefined` if the content cannot be converted. */
  readonly value: KeySource | undefined;
  readonly notes: Notes;
  /** The provider mounts the file because of another one, so a Secret does not need it. */
  readonly isImplied?: boolean;
}

export interface ClassContext {
  readonly object: ToolObject;
  readonly notes: Notes;
  readonly stores: DerivedStores;
  readonly secrets: SecretRefs;
  readonly defaults: Defaults;
  /** The volumes that mount the class. */
  readonly mounts: readonly Mount[];
  readonly accounts: readonly Account[];
}

/** Converts the parameters of one provider. */
export type ReadFiles = (parameters: Node, context: ClassContext) => readonly MountedFile[];

/** Returns the only user of a store: the namespace of the class, because its pods log in with their own identity. */
export function usersOf({ object }: ClassContext): readonly string[] {
  return object.namespace === undefined ? [] : [object.namespace];
}

/** Returns a file that cannot be converted. */
export function lostFile(
  name: string,
  at: string,
  { what, todo }: { readonly what: string; readonly todo: string },
): MountedFile {
  const notes = createNotes();
  notes.lost(at, what, todo);
  return { name, value: undefined, notes };
}

/** Reads a flag that the provider accepts as a text. */
export function flagOf(parameters: Node, name: string): boolean {
  return /^(?:1|t|true)$/i.test(parameters.text(name)?.trim() ?? '');
}

export const KEEP = 'Keep this object with the driver, or write its source by hand.';
export const FIX = 'Fix the object, and import it again.';
