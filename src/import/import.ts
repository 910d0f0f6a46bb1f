import { MappingConfig } from '../config/shape/mapping.ts';
import { ruleOf } from './access.ts';
import { createChecks, type Refusal } from './checks.ts';
import { ofClusterExternalSecret, ofExternalSecret } from './import-mappings.ts';
import { importStores } from './import-stores.ts';
import { createNames } from './names.ts';
import { isMadeBy } from './namespaces.ts';
import type { Json } from './node.ts';
import { createNotes, type Notes } from './notes.ts';
import { type Found, labelOf, type Objects } from './objects.ts';
import type { ImportResult, ObjectReport, Outcome } from './result.ts';
import { createSecretRefs } from './secret-refs.ts';
import { stepsOf } from './steps.ts';
import { configText, type Output } from './yaml.ts';

export interface ImportOptions {
  readonly instance: string;
  /** The bridge's own namespace: where it finds credentials, and where no target may be. */
  readonly ownNamespace: string;
  /** The file that the configuration goes to, if any: the steps name it. */
  readonly out?: string;
  /** What our configuration refuses of them, by their names: they are not handed out. */
  readonly refused?: Refused;
}

export interface Refused {
  readonly stores: ReadonlyMap<string, Refusal>;
  readonly mappings: ReadonlyMap<string, Refusal>;
}

interface Imported {
  readonly found: Found;
  readonly notes: Notes;
  readonly becomes: readonly string[];
  readonly skipped?: true;
}

/** Pure: the same objects give the same text, in whatever order they come. */
export function importExternalSecrets(objects: Objects, options: ImportOptions): ImportResult {
  const { found } = objects;
  const secrets = createSecretRefs(options.ownNamespace);
  const stores = importStores(objects, secrets, options.refused?.stores ?? new Map());
  const names = createNames();
  const checks = createChecks(MappingConfig, options.ownNamespace);
  const imported: Imported[] = [];
  const mappings: Json[] = [];
  const drafts: Output['drafts'][number][] = [];

  for (const it of found) {
    if (it.kind !== 'ExternalSecret' && it.kind !== 'ClusterExternalSecret') continue;
    const notes = createNotes();
    const maker = isMadeBy(it);
    if (
      maker !== undefined &&
      found.some(({ kind, name }) => kind === 'ClusterExternalSecret' && name === maker)
    ) {
      imported.push({ found: it, notes, becomes: [], skipped: true });
      continue;
    }
    const convert = it.kind === 'ExternalSecret' ? ofExternalSecret : ofClusterExternalSecret;
    const made = convert(it, { notes, names, stores });
    for (const mapping of made) {
      checks.check(mapping, it, notes);
      const refusal = options.refused?.mappings.get(nameOf(mapping));
      if (refusal !== undefined)
        notes.lost(refusal.at, refusal.what, refusal.todo ?? 'Write the mapping by hand.');
    }
    // Half of a mapping would take the other half's keys out of the Secret.
    if (notes.incomplete) drafts.push(...made.map((mapping) => ({ of: labelOf(it), mapping })));
    else mappings.push(...made);
    imported.push({ found: it, notes, becomes: notes.incomplete ? [] : made.map(nameOf) });
  }

  const finished = stores.finish();
  for (const { found: it, notes, ours } of finished)
    imported.push({ found: it, notes, becomes: ours.map(nameOf) });
  // Without a word about anybody, everybody may use everything; so one bound makes all of them needed.
  const isBounded = finished.some(({ bounds }) => bounds.namespaces !== undefined);
  const rules = finished
    .filter(({ ours, bounds }) => ours.length > 0 && bounds.namespaces?.length !== 0)
    .map(({ ours, bounds }) => ruleOf(ours.map(nameOf).toSorted(), bounds));

  const reports = imported
    .map(reportOf)
    .toSorted((a, b) => (labelOf(toFound(a)) < labelOf(toFound(b)) ? -1 : 1));
  const todo = reports.some(({ findings }) => findings.some((finding) => finding.todo !== undefined));
  return {
    config: configText({
      instance: options.instance,
      stores: finished.flatMap(({ ours }) => ours).toSorted(byName),
      mappings: mappings.toSorted(byName),
      access: isBounded
        ? rules.toSorted((a, b) => (String(a.stores) < String(b.stores) ? -1 : 1))
        : undefined,
      drafts,
    }),
    objects: reports,
    others: objects.others,
    unreadable: objects.unreadable,
    copies: secrets.copies,
    summary: summaryOf(reports),
    needsPerson: todo || objects.others.length + objects.unreadable.length > 0,
    steps: stepsOf({
      own: options.ownNamespace,
      out: options.out,
      copies: secrets.copies,
      merges: mappings.some(isMerge),
      todo,
      isAny: finished.some(({ ours }) => ours.length > 0),
      isInForce: mappings.length > 0,
    }),
  };
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

function toFound({ kind, namespace, name }: ObjectReport): Pick<Found, 'kind' | 'namespace' | 'name'> {
  return { kind, namespace, name };
}

function summaryOf(reports: readonly ObjectReport[]): ImportResult['summary'] {
  const count = (wanted: Outcome) => reports.filter(({ outcome }) => outcome === wanted).length;
  return {
    carried: count('carried'),
    changed: count('changed'),
    notCarried: count('notCarried'),
    skipped: count('skipped'),
  };
}

function reportOf({ found: { kind, namespace, name }, notes, becomes, skipped }: Imported): ObjectReport {
  const said = notes.findings.length > 0 ? 'changed' : 'carried';
  return {
    kind,
    ...(namespace === undefined ? {} : { namespace }),
    name,
    outcome: skipped ? 'skipped' : notes.incomplete ? 'notCarried' : said,
    becomes,
    findings: notes.findings,
  };
}
