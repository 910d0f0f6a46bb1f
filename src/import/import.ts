import { MappingConfig } from '../config/shape/mapping.ts';
import { append } from '../core/lists.ts';
import { createChecks, type Refusal } from './checks.ts';
import { convertClusterExternalSecret, convertExternalSecret } from './import-mappings.ts';
import { type ImportedStore, type ImportedStores, importStores } from './import-stores.ts';
import { ownerOf, ruleOf } from './namespaces.ts';
import { createNotes, type Json, type Notes } from './node.ts';
import { type ExternalObject, labelOf, type Objects } from './objects.ts';
import {
  configText,
  type ImportResult,
  type ObjectReport,
  type Outcome,
  type Output,
  stepsOf,
} from './result.ts';
import { createNames, createSecretRefs } from './store.ts';

export interface ImportOptions {
  readonly instance: string;
  /** The namespace in which secretbridge itself runs. It contains the credentials and cannot contain targets. */
  readonly ownNamespace: string;
  /** The output file that the migration steps name. */
  readonly out?: string;
  /**
   * The stores and mappings that our configuration check rejects, with their names as keys. They are left out of the
   * result.
   */
  readonly refused?: Refused;
}

export interface Refused {
  readonly stores: ReadonlyMap<string, Refusal>;
  readonly mappings: ReadonlyMap<string, Refusal>;
}

interface Imported {
  readonly object: ExternalObject;
  readonly notes: Notes;
  readonly becomes: readonly string[];
  readonly skipped?: true;
}

/** Converts objects of External Secrets to a configuration. The result does not depend on their order. */
export function importExternalSecrets(objects: Objects, options: ImportOptions): ImportResult {
  const secrets = createSecretRefs(options.ownNamespace);
  const stores = importStores(objects, secrets, options.refused?.stores ?? new Map());
  const { mappings, drafts, imported } = importSecrets(objects.externalObjects, stores, options);
  const finished = stores.finish();
  for (const { object, notes, storeConfigs } of finished)
    imported.push({ object, notes, becomes: storeConfigs.map(nameOf) });
  const reports = imported.toSorted((a, b) => (labelOf(a.object) < labelOf(b.object) ? -1 : 1)).map(reportOf);
  const needsAction = reports.some(({ findings }) => findings.some((finding) => finding.todo !== undefined));
  return {
    config: configText({
      instance: options.instance,
      stores: finished.flatMap(({ storeConfigs }) => storeConfigs).toSorted(byName),
      mappings: mappings.toSorted(byName),
      access: accessRules(finished),
      drafts,
    }),
    objects: reports,
    others: objects.others,
    unreadable: objects.unreadable,
    copies: secrets.copies,
    summary: summaryOf(reports),
    needsPerson: needsAction || objects.others.length + objects.unreadable.length > 0,
    steps: stepsOf({
      own: options.ownNamespace,
      out: options.out,
      copies: secrets.copies,
      merges: mappings.some(isMerge),
      todo: needsAction,
      hasStores: finished.some(({ storeConfigs }) => storeConfigs.length > 0),
      hasMappings: mappings.length > 0,
    }),
  };
}

/** Converts the ExternalSecrets and ClusterExternalSecrets to mappings. */
function importSecrets(
  externalObjects: Objects['externalObjects'],
  stores: ImportedStores,
  options: ImportOptions,
) {
  const names = createNames();
  const checks = createChecks(MappingConfig, options.ownNamespace);
  const imported: Imported[] = [];
  const mappings: Json[] = [];
  const drafts: Output['drafts'][number][] = [];
  for (const object of externalObjects) {
    if (object.kind !== 'ExternalSecret' && object.kind !== 'ClusterExternalSecret') continue;
    const notes = createNotes();
    if (hasOwner(object, externalObjects)) {
      imported.push({ object, notes, becomes: [], skipped: true });
      continue;
    }
    const convert = object.kind === 'ExternalSecret' ? convertExternalSecret : convertClusterExternalSecret;
    const converted = convert(object, { notes, names, stores });
    for (const mapping of converted) {
      checks.check(mapping, object, notes);
      noteRefusal(options.refused?.mappings.get(nameOf(mapping)), notes);
    }
    // Leave out a partly converted mapping, because it would remove the keys of its missing parts from the Secret.
    if (notes.incomplete)
      append(
        drafts,
        converted.map((mapping) => ({ of: labelOf(object), mapping })),
      );
    else append(mappings, converted);
    imported.push({ object, notes, becomes: notes.incomplete ? [] : converted.map(nameOf) });
  }
  return { imported, mappings, drafts };
}

/** Whether the object was created by a ClusterExternalSecret that is also part of the input. */
function hasOwner(object: ExternalObject, all: readonly ExternalObject[]): boolean {
  const ownerName = ownerOf(object);
  return (
    ownerName !== undefined &&
    all.some(({ kind, name }) => kind === 'ClusterExternalSecret' && name === ownerName)
  );
}

function noteRefusal(refusal: Refusal | undefined, notes: Notes): void {
  if (refusal !== undefined)
    notes.lost(refusal.at, refusal.what, refusal.todo ?? 'Write the mapping by hand.');
}

/**
 * Returns the `access` rules. Without any rule, every access is allowed. As soon as one store has a rule, every other
 * store needs a rule too.
 */
function accessRules(stores: readonly ImportedStore[]): readonly Json[] | undefined {
  if (stores.every(({ bounds }) => bounds.namespaces === undefined)) return undefined;
  return stores
    .filter(({ storeConfigs, bounds }) => storeConfigs.length > 0 && bounds.namespaces?.length !== 0)
    .map(({ storeConfigs, bounds }) => ruleOf(storeConfigs.map(nameOf).toSorted(), bounds))
    .toSorted((a, b) => (String(a.stores) < String(b.stores) ? -1 : 1));
}

function isMerge({ target }: Json): boolean {
  return typeof target === 'object' && target !== null && 'mode' in target && target.mode === 'merge';
}

function nameOf({ name }: Json): string {
  return String(name);
}

function byName(a: Json, b: Json): number {
  return nameOf(a) < nameOf(b) ? -1 : 1;
}

function summaryOf(reports: readonly ObjectReport[]): ImportResult['summary'] {
  const count = (expected: Outcome) => reports.filter(({ outcome }) => outcome === expected).length;
  return {
    carried: count('carried'),
    changed: count('changed'),
    notCarried: count('notCarried'),
    skipped: count('skipped'),
  };
}

function reportOf({ object: { kind, namespace, name }, notes, becomes, skipped }: Imported): ObjectReport {
  const outcome = notes.findings.length > 0 ? 'changed' : 'carried';
  return {
    kind,
    ...(namespace === undefined ? {} : { namespace }),
    name,
    outcome: skipped ? 'skipped' : notes.incomplete ? 'notCarried' : outcome,
    becomes,
    findings: notes.findings,
  };
}
