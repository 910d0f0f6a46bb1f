import type { Defaults, Tool } from '../../../src/import/tool.ts';

export type FieldOutcome = 'carried' | 'changed' | 'notCarried';

/** A documented field of a tool, with an example of our own. */
export interface FieldCase {
  /** The path of the field, as people write it. */
  readonly field: string;
  /** What the field becomes, for the page. */
  readonly becomes: string;
  readonly outcome: FieldOutcome;
  /** The objects of the group with the field. */
  readonly objects: readonly object[];
  /** The objects without the field. Default: the objects of the group. */
  readonly base?: readonly object[];
  /** Set if the field has no effect on the Secret, so the configuration is the same without the field. */
  readonly noEffect?: true;
  /** Options of the command. */
  readonly defaults?: Defaults;
}

export interface FieldGroup {
  readonly title: string;
  /** Objects that are carried over. Each example adds or changes one field. */
  readonly base: readonly object[];
  readonly cases: readonly FieldCase[];
  /** The group has kinds that the import only lists, so its fields do not count. */
  readonly isListed?: true;
}

export interface FieldTable {
  readonly tool: Tool;
  /** The page with the table. */
  readonly page: string;
  readonly groups: readonly FieldGroup[];
}

/** Returns a case. `becomes` starts with the outcome in brackets, unless the field is carried over. */
export function field(name: string, becomes: string, objects: readonly object[]): FieldCase {
  return { field: name, becomes, outcome: 'carried', objects };
}

export function changed(name: string, becomes: string, objects: readonly object[]): FieldCase {
  return { field: name, becomes, outcome: 'changed', objects };
}

export function lost(name: string, becomes: string, objects: readonly object[]): FieldCase {
  return { field: name, becomes, outcome: 'notCarried', objects };
}

/** A field that has no effect on the Secret. */
export function without(name: string, becomes: string, objects: readonly object[]): FieldCase {
  return { field: name, becomes, outcome: 'carried', objects, noEffect: true };
}
