import { isTargetKey } from '../../core/mapping.ts';
import { type KeySource, keyData } from '../key-data.ts';
import { metadataOf } from '../metadata.ts';
import { createNode, createNotes, type Json, type Node, type Notes } from '../node.ts';
import { labelOf } from '../objects.ts';
import type { Names } from '../store.ts';
import type { Part } from '../tool.ts';
import { awsFiles } from './aws.ts';
import { azureFiles } from './azure.ts';
import { type ClassContext, FIX, KEEP, type MountedFile, type ReadFiles } from './files.ts';
import { vaultFiles } from './vault.ts';

const PROVIDERS: Readonly<Record<string, ReadFiles>> = {
  aws: awsFiles,
  azure: azureFiles,
  vault: vaultFiles,
  // The provider of OpenBao is a fork with the same parameters.
  openbao: vaultFiles,
};

/** Converts a SecretProviderClass. Each of its `secretObjects` becomes a mapping. */
export function convertClass(context: ClassContext, names: Names): readonly Part[] {
  const { object, notes } = context;
  const spec = createNode(object.spec, 'spec', notes);
  const provider = spec.text('provider') ?? 'none';
  const parameters = spec.child('parameters') ?? createNode({}, 'spec.parameters', notes);
  const secretObjects = spec.children('secretObjects');
  const readFiles = Object.hasOwn(PROVIDERS, provider) ? PROVIDERS[provider] : undefined;
  if (readFiles === undefined) {
    parameters.ignore(...Object.keys(object.spec.parameters ?? {}));
    for (const node of secretObjects) node.ignore('secretName', 'type', 'labels', 'annotations', 'data');
    spec.finish();
    notes.lost(
      'spec.provider',
      `\`${provider}\` is a provider that secretbridge does not read; it reads azure, aws and vault`,
      'Keep this object with the driver, or move its values into one of these stores.',
    );
    return [];
  }
  const files = readFiles(parameters, context);
  const used = new Set<string>();
  const parts = secretObjects.map((node) => secretOf(node, { context, names, files, used }));
  spec.finish();
  return [...parts, ...mountedOnly({ context, names, files, used })];
}

interface FilesContext {
  readonly context: ClassContext;
  readonly names: Names;
  readonly files: readonly MountedFile[];
  /** The names of the files that are keys of a Secret. */
  readonly used: Set<string>;
}

function secretOf(node: Node, { context, names, files, used }: FilesContext): Part {
  const { object } = context;
  const notes = createNotes();
  const secret = node.text('secretName') ?? '';
  const type = node.text('type') ?? 'Opaque';
  if (secret === '') notes.lost(`${node.path}.secretName`, 'is missing', FIX);
  const keys = new Map<string, KeySource>();
  for (const entry of node.children('data')) {
    const fileName = entry.text('objectName')?.trim() ?? '';
    const key = entry.text('key')?.trim() ?? '';
    const file = files.find(({ name }) => name === fileName);
    used.add(fileName);
    if (file === undefined) {
      notes.lost(`${entry.path}.objectName`, `no object is mounted as \`${fileName}\``, FIX);
      continue;
    }
    for (const { level, at, what, todo } of file.notes.findings)
      if (level === 'lost') notes.lost(at, what, todo ?? KEEP);
      else notes.changed(at, what, todo);
    if (file.value === undefined) {
      notes.lost(entry.path, `\`${fileName}\` was not converted`, 'See the findings of the object.');
      continue;
    }
    keys.set(key, type === 'kubernetes.io/tls' ? tlsPart(key, file.value, entry.path, notes) : file.value);
  }
  if (keys.size === 0 && !notes.incomplete) notes.lost(`${node.path}.data`, 'is empty', FIX);
  const metadata = metadataOf(
    {
      labels: node.templates('labels'),
      annotations: node.templates('annotations'),
      from: node.path,
      ignored: /(?:^|\.)secrets-store\.csi\.(?:k8s\.io|x-k8s\.io)\//,
    },
    notes,
  );
  return {
    notes,
    mapping: {
      name: nameFor(secret, context, names),
      target: { namespace: object.namespace, secret, ...(type === 'Opaque' ? {} : { type }), ...metadata },
      ...keyData(keys, `${node.path}.data`, notes),
      onConflict: 'adoptAndDropOwner',
    },
  };
}

function nameFor(secret: string, { object }: ClassContext, names: Names): string {
  return names.take(`${object.namespace}.${secret}`, `${labelOf(object)} ${secret}`);
}

/** The driver keeps only the certificates in `tls.crt` and only the key in `tls.key`. */
function tlsPart(key: string, keySource: KeySource, at: string, notes: Notes): KeySource {
  const { filters } = keySource;
  if (key === 'tls.crt') return { ...keySource, filters: filters ?? 'pem_certificates | join: ""' };
  if (key === 'tls.key') {
    notes.changed(
      `${at}.key`,
      'the private key keeps its form from the store; the driver writes it as PKCS#1 or SEC 1',
      'If `plan` shows a difference for this key, the same key is written in another form.',
    );
    return { ...keySource, filters: [...(filters === undefined ? [] : [filters]), 'pem_key'].join(' | ') };
  }
  notes.lost(
    `${at}.key`,
    'a Secret of type kubernetes.io/tls from the driver has only tls.crt and tls.key',
    FIX,
  );
  return keySource;
}

/**
 * Reports the files that are in no Secret. A Secret that did not exist is visible to more people than a mounted file. So
 * the mapping that would write them to a Secret stays a comment unless the user asks for it.
 */
function mountedOnly({ context, names, files, used }: FilesContext): readonly Part[] {
  const { object, notes, mounts, defaults } = context;
  const rest = files.filter(({ name, isImplied }) => !used.has(name) && isImplied !== true);
  const secret = used.size === 0 ? object.name : `${object.name}-files`;
  const replace = 'replace the volume by `secret: { secretName: … }`';
  if (mounts.length > 0)
    notes.changed(
      'spec',
      `its files are mounted by ${mounts.map(({ workload, volume }) => `${workload} (volume \`${volume}\`)`).join(', ')}`,
      `Before you delete this object, ${replace} in each of these workloads.`,
    );
  if (rest.length === 0) return [];
  const keys = new Map<string, KeySource>();
  for (const { name, value } of rest)
    if (value !== undefined && isTargetKey(name.replaceAll('/', '_')))
      keys.set(name.replaceAll('/', '_'), value);
  const what = `${rest.map(({ name }) => `\`${name}\``).join(', ')} ${rest.length === 1 ? 'is' : 'are'} only mounted as ${rest.length === 1 ? 'a file' : 'files'}, in no Secret`;
  const own = createNotes();
  const isWanted = defaults.mountedFiles === true;
  noteMounted({ isWanted, isAll: used.size === 0, what, secret, replace, isOne: rest.length === 1 }, own);
  const mapping: Json = {
    name: nameFor(secret, context, names),
    target: { namespace: object.namespace, secret },
    ...keyData(keys, 'spec.parameters.objects', own),
  };
  return [{ notes: own, mapping, ...(isWanted ? {} : { isProposed: true }) }];
}

interface Mounted {
  /** Whether the user asked for Secrets with the mounted files. */
  readonly isWanted: boolean;
  /** Whether the class has no other file. */
  readonly isAll: boolean;
  readonly what: string;
  readonly secret: string;
  readonly replace: string;
  readonly isOne: boolean;
}

function noteMounted({ isWanted, isAll, what, secret, replace, isOne }: Mounted, notes: Notes): void {
  if (isWanted) {
    const todo = `A Secret is visible to more people than a mounted file. Check who may read Secrets in the namespace, and ${replace} in the pods.`;
    notes.changed('spec.secretObjects', `${what}; they become the Secret \`${secret}\``, todo);
    return;
  }
  const todo = `If pods may get ${isOne ? 'the file' : 'the files'} from a Secret, import with \`--mounted-files\`, or activate the mapping for the Secret \`${secret}\` at the end of the file, and ${replace} in the pods. Otherwise keep the object with the driver.`;
  if (isAll) notes.lost('spec.secretObjects', what, todo);
  else notes.changed('spec.secretObjects', what, todo);
}
