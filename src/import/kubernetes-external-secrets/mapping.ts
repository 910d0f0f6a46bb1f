import { isTargetKey } from '../../core/mapping.ts';
import { refreshText } from '../duration.ts';
import { metadataOf } from '../metadata.ts';
import { createNode, type Json, type Node, type Notes } from '../node.ts';
import { labelOf, type ToolObject } from '../objects.ts';
import type { Names } from '../store.ts';
import { type Shape, withTemplates } from '../template.ts';
import { type Backend, type BackendContext, backendOf } from './backends.ts';
import { goTemplateOf, goTemplateOfBase64 } from './lodash.ts';

const FIX = 'Fix the object, and import it again.';

/** Converts an ExternalSecret of kubernetes-external-secrets to a mapping. */
export function convertExternalSecret(
  object: ToolObject,
  { names, ...context }: BackendContext & { readonly names: Names },
): Json | undefined {
  const { notes, controller } = context;
  const namespace = object.namespace ?? '';
  const spec = createNode(object.spec, 'spec', notes);
  const backend = backendOf(spec, context);
  const sources = sourcesOf(spec, backend, notes);
  const template = spec.child('template');
  const metadata = template?.child('metadata');
  const type = template?.text('type') ?? spec.text('type') ?? 'Opaque';
  const isImmutable = template?.flag('immutable') === true;
  const shape = templated(sources, template, notes);
  // The id only selects one of several controllers.
  spec.ignore('controllerId', 'type');
  const parts = metadataOf(
    {
      labels: metadata?.templates('labels') ?? {},
      annotations: metadata?.templates('annotations') ?? {},
      from: 'spec.template.metadata',
    },
    notes,
  );
  spec.finish();
  if (Object.keys(shape.data).length + shape.dataFrom.length === 0) {
    if (!notes.incomplete) notes.lost('spec', 'has no source', FIX);
    return undefined;
  }
  return {
    name: names.take(`${namespace}.${object.name}`, labelOf(object)),
    target: {
      namespace,
      secret: object.name,
      ...(type === 'Opaque' ? {} : { type }),
      ...parts,
      ...(isImmutable ? { immutable: true } : {}),
    },
    ...(Object.keys(shape.data).length === 0 ? {} : { data: shape.data }),
    ...(shape.dataFrom.length === 0 ? {} : { dataFrom: shape.dataFrom }),
    ...(shape.template === undefined ? {} : { template: shape.template }),
    ...refreshOf(controller, notes),
    onConflict: 'adoptAndDropOwner',
  };
}

/** Returns how often the controller reads a store. */
function refreshOf(controller: BackendContext['controller'], notes: Notes): Json {
  if (controller.value('DISABLE_POLLING') !== undefined) {
    const refresh = refreshText(Number.POSITIVE_INFINITY);
    notes.changed(
      'spec',
      `the controller does not poll (\`DISABLE_POLLING\`): \`refresh: ${refresh}\` reads the store rarely, but a start, a changed mapping, an event or a person still triggers a sync`,
    );
    return { refresh };
  }
  const interval = Number(controller.value('POLLER_INTERVAL_MILLISECONDS') ?? '0');
  return interval >= 250 ? { refresh: refreshText(interval) } : {};
}

function sourcesOf(spec: Node, backend: Backend | undefined, notes: Notes): Shape {
  const data = new Map<string, Json>();
  const dataFrom: Json[] = [];
  for (const [index, key] of spec.list('dataFrom').entries()) {
    const source = backend && versioned(key, `spec.dataFrom[${index}]`, backend);
    if (source !== undefined) dataFrom.push(source);
  }
  for (const entry of spec.children('dataFromWithOptions')) {
    const source = sourceOf(entry, backend, notes);
    if (source !== undefined) dataFrom.push(source);
  }
  // `properties` is the old name of `data`.
  const entries = [...spec.children('data'), ...spec.children('properties')];
  for (const entry of entries) {
    if (entry.has('path')) {
      const search = searchOf(entry, backend, notes);
      if (search !== undefined) dataFrom.push(search);
      continue;
    }
    const key = entry.text('name') ?? '';
    const source = sourceOf(entry, backend, notes);
    if (!isTargetKey(key)) notes.lost(`${entry.path}.name`, 'is not a valid key of a Secret', FIX);
    if (data.has(key)) notes.changed(`${entry.path}.name`, `\`${key}\` is set twice; the last one counts`);
    if (source !== undefined) data.set(key, source);
  }
  if (dataFrom.length > 1 || (dataFrom.length > 0 && data.size > 0))
    notes.changed(
      'spec.dataFrom',
      'two sources with the same key are an error; in kubernetes-external-secrets the last one counts',
    );
  return { data: Object.fromEntries(data), dataFrom };
}

function sourceOf(entry: Node, backend: Backend | undefined, notes: Notes): Json | undefined {
  const key = entry.text('key');
  const property = entry.text('property')?.replace(/\[(\d+)\]/g, '.$1');
  // The controller decodes only entries of `data`.
  const isBinary = entry.path.startsWith('spec.data[') && entry.flag('isBinary');
  entry.ignore('isBinary');
  const stage = entry.text('versionStage');
  const version = entry.text('versionId') ?? (stage === 'AWSCURRENT' ? undefined : stage);
  // These fields belong to backends that have no equivalent.
  entry.ignore('secretType', 'version', 'recursive');
  if (key === undefined) {
    notes.lost(`${entry.path}.key`, 'is missing', FIX);
    return undefined;
  }
  if (backend === undefined) return undefined;
  if (property !== undefined && /["'[\]]/.test(property))
    notes.lost(
      `${entry.path}.property`,
      `\`${property}\` uses more than names, dots and indexes`,
      'Read the whole value, and use a template with `from_json`.',
    );
  if (isBinary && backend.kind === 'secretsManager')
    notes.changed(
      `${entry.path}.isBinary`,
      'the value must be base64 text; the controller also accepts a binary value of Secrets Manager',
      'If the value is binary in the store, remove `decode`.',
    );
  if (property === undefined && backend.kind === 'vault' && entry.path.startsWith('spec.data['))
    notes.changed(entry.path, 'the whole secret is printed as JSON, with its members in the order of Vault');
  const source = versioned(key, `${entry.path}.key`, backend);
  return (
    source && {
      ...source,
      ...(property === undefined ? {} : { property }),
      ...(version === undefined ? {} : { version }),
      ...(isBinary ? { decode: 'base64' } : {}),
    }
  );
}

/** A parameter may have its version after a colon. */
function versioned(key: string, at: string, { kind, place }: Backend): Json | undefined {
  const [, name = key, version] =
    kind === 'systemManager' && !key.startsWith('arn:') ? (/^(.*):([^:]+)$/.exec(key) ?? []) : [];
  const source = place(name, at);
  return source && { ...source, ...(version === undefined ? {} : { version }) };
}

function searchOf(entry: Node, backend: Backend | undefined, notes: Notes): Json | undefined {
  const path = entry.text('path') ?? '';
  const isRecursive = entry.flag('recursive');
  if (backend === undefined) return undefined;
  if (backend.kind !== 'systemManager' || isRecursive) {
    notes.lost(
      isRecursive ? `${entry.path}.recursive` : `${entry.path}.path`,
      isRecursive
        ? 'gives each key only the last part of its name, for which `rename` has no rule'
        : 'is possible only with systemManager',
      'List each key under `data`.',
    );
    return undefined;
  }
  const source = backend.place(path, `${entry.path}.path`);
  return source && { store: source.store, find: { path: `${path.replace(/\/+$/, '')}/`, name: '^[^/]+$' } };
}

/** Converts the templates of text. A template of the same key replaces the source. */
function templated(sources: Shape, template: Node | undefined, notes: Notes): Shape {
  if (template === undefined) return sources;
  const texts = new Map<string, string>();
  const add = (field: string, translate: (text: string) => string | undefined) => {
    for (const [key, text] of Object.entries(template.templates(field))) {
      // A value of a source replaces a value in `data`, but not a value in `stringData`.
      if (field === 'data' && Object.hasOwn(sources.data, key)) continue;
      const translated = translate(text);
      if (translated !== undefined) texts.set(key, translated);
      else
        notes.lost(
          `spec.template.${field}.${key}`,
          'is JavaScript beyond `data.NAME`, `JSON.parse(data.NAME).MEMBER` and base64',
          'Write the template by hand; see docs/reference/values.md for the template language.',
        );
    }
  };
  add('data', goTemplateOfBase64);
  add('stringData', goTemplateOf);
  return withTemplates(
    sources,
    { texts: Object.fromEntries(texts), isMerge: true, at: 'spec.template', mergeAt: 'spec.template' },
    notes,
  );
}
