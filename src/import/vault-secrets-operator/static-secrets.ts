import { goDurationMs, refreshText } from '../duration.ts';
import { metadataOf } from '../metadata.ts';
import { createNode, type Json, type Node, type Notes } from '../node.ts';
import { labelOf, type ToolObject } from '../objects.ts';
import type { Names } from '../store.ts';
import type { NamedObjects } from './objects.ts';
import type { OperatorStores } from './stores.ts';
import { transformed } from './transformation.ts';

interface StaticContext {
  readonly notes: Notes;
  readonly names: Names;
  readonly stores: OperatorStores;
  readonly transformations: NamedObjects;
}

/** Converts a VaultStaticSecret to a mapping. Returns `undefined` if it names no value. */
export function convertStaticSecret(object: ToolObject, context: StaticContext): Json | undefined {
  const { notes, names, transformations } = context;
  const name = names.take(`${object.namespace}.${object.name}`, labelOf(object));
  const spec = createNode(object.spec, 'spec', notes);
  const destination = spec.child('destination');
  const target = targetOf(destination, object, notes);
  const rules = rulesOf(spec, notes);
  const source = sourceOf(spec, object, context);
  const transformation = destination?.child('transformation');
  const { data, dataFrom, template } = transformed(transformation, source, {
    object,
    notes,
    transformations,
    mapping: name,
  });
  spec.finish();
  if (Object.keys(data).length + dataFrom.length === 0) {
    notes.lost(
      'spec.destination.transformation',
      'uses no field of the secret',
      'Apply a Secret without values from a store directly.',
    );
    return undefined;
  }
  return {
    name,
    target,
    ...(Object.keys(data).length === 0 ? {} : { data }),
    ...(dataFrom.length === 0 ? {} : { dataFrom }),
    ...(template === undefined ? {} : { template }),
    ...rules,
    ...('mode' in target ? {} : { onConflict: 'adoptAndDropOwner' }),
  };
}

/** Returns the source of the whole secret. */
function sourceOf(
  spec: Node,
  object: ToolObject,
  { notes, stores }: StaticContext,
): { readonly source: Json; readonly kvVersion: 1 | 2 } {
  const kvVersion = spec.text('type') === 'kv-v1' ? 1 : 2;
  const mount = spec.text('mount')?.replace(/^\/+|\/+$/g, '');
  const key = spec.text('path')?.replace(/^\/+|\/+$/g, '');
  const version = spec.text('version') ?? '0';
  const authRef = spec.text('vaultAuthRef');
  const namespace = spec.text('namespace');
  if (mount === undefined) notes.lost('spec.mount', 'is missing', FIX);
  if (key === undefined) notes.lost('spec.path', 'is missing', FIX);
  const store =
    mount === undefined ? undefined : stores.find({ object, authRef, namespace, mount, kvVersion }, notes);
  const source = {
    store: store ?? 'unknown',
    key: key ?? 'unknown',
    // Version 0 means the newest version.
    ...(version === '0' || kvVersion === 1 ? {} : { version }),
  };
  return { source, kvVersion };
}

const FIX = 'Fix the object, and import it again.';

/** Labels that the operator sets on its Secrets. */
const OPERATOR_LABELS = /^(?:app\.kubernetes\.io\/(?:name|component)$|secrets\.hashicorp\.com\/)/;

function targetOf(destination: Node | undefined, { namespace }: ToolObject, notes: Notes): Json {
  const secret = destination?.text('name');
  const type = destination?.text('type') ?? 'Opaque';
  const isOwner = destination?.flag('create') === true;
  if (secret === undefined) notes.lost('spec.destination.name', 'is missing', FIX);
  // An adoption replaces an existing Secret in any case.
  destination?.ignore('overwrite');
  const metadata = metadataOf(
    {
      labels: destination?.templates('labels') ?? {},
      annotations: destination?.templates('annotations') ?? {},
      from: 'spec.destination',
      ignored: OPERATOR_LABELS,
    },
    notes,
  );
  if (!isOwner)
    notes.changed(
      'spec.destination.create',
      'is not set, so keys are added to the Secret of another owner (`mode: merge`); the operator replaces all keys of this Secret',
      'Remove `mode: merge`, and set `onConflict: adopt`, if no one else owns the Secret.',
    );
  return {
    namespace,
    secret: secret ?? 'unknown',
    ...(type === 'Opaque' ? {} : { type }),
    ...metadata,
    ...(isOwner ? {} : { mode: 'merge' }),
  };
}

function rulesOf(spec: Node, notes: Notes): Json {
  const interval = spec.text('refreshAfter');
  const ms = interval === undefined ? undefined : goDurationMs(interval);
  const hasChecks = !spec.has('hmacSecretData') || spec.flag('hmacSecretData');
  const restart = spec.children('rolloutRestartTargets').map((node) => ({
    kind: node.text('kind') === 'argo.Rollout' ? 'Rollout' : node.text('kind'),
    name: node.text('name'),
  }));
  if (spec.child('syncConfig')?.flag('instantUpdates') === true)
    notes.changed(
      'spec.syncConfig.instantUpdates',
      'events of Vault are a setting of the installation, not of a mapping',
      'Set up events, as docs/how-to/events-from-vault.md describes.',
    );
  if (interval === undefined)
    notes.changed('spec.refreshAfter', 'is not set; secretbridge still reads the secret every 5 minutes');
  else if (ms === undefined || ms <= 0)
    notes.lost('spec.refreshAfter', `\`${interval}\` is not a duration`, FIX);
  if (!hasChecks)
    notes.changed(
      'spec.hmacSecretData',
      `is false, so the operator repairs no drift${restart.length > 0 ? ' and restarts nothing' : ''}; the mapping does the same with \`onDrift: report\`${restart.length > 0 ? ' and without `restart`' : ''}`,
    );
  return {
    ...(ms === undefined || ms <= 0 ? {} : { refresh: refreshText(ms) }),
    ...(hasChecks ? {} : { onDrift: 'report' }),
    ...(restart.length > 0 && hasChecks ? { restart } : {}),
  };
}
