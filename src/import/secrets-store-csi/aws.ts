import { assumedRole, ROLE, ROLE_ANNOTATION, regionOf } from '../identity.ts';
import { createNotes, type Json, type Node } from '../node.ts';
import { jmesQuery, type Query } from '../query.ts';
import { objectsInText, type TextItem } from '../yaml-text.ts';
import { type ClassContext, FIX, flagOf, KEEP, type MountedFile, usersOf } from './files.ts';

/** https://github.com/aws/secrets-store-csi-driver-provider-aws */
export function awsFiles(parameters: Node, context: ClassContext): readonly MountedFile[] {
  const { notes, stores, defaults } = context;
  const at = parameters.path;
  const region = parameters.text('region') ?? defaults.region;
  if (region === undefined)
    notes.lost(
      `${at}.region`,
      "is missing; the provider uses the region of the pod's node",
      'Import the object again with `--region`.',
    );
  if (parameters.has('failoverRegion'))
    notes.changed(
      `${at}.failoverRegion`,
      'secretbridge reads only the first region; while it fails, the Secret keeps its data',
    );
  parameters.ignore('failoverRegion', 'preferredAddressType');
  const translation = parameters.text('pathTranslation') ?? '_';
  const auth = authOf(parameters, context);
  const items = objectsInText(parameters.template('objects') ?? '', { at: `${at}.objects`, notes });
  if (region === undefined) return [];
  const storeOf = (type: string) =>
    stores.use(
      () => ({
        kind: type === 'ssmparameter' ? 'aws-parameter-store' : 'aws-secrets-manager',
        ...regionOf(region),
        auth,
      }),
      {
        preferred: `aws${type === 'ssmparameter' ? '-parameters' : ''}-${region}`,
        namespaces: usersOf(context),
        notes,
        at,
      },
    );
  return items.flatMap((item) => filesOf(item, { storeOf, translation }));
}

/** The provider logs in with the role of the pods' service account. */
function authOf(parameters: Node, { object, notes, mounts, accounts }: ClassContext): Json {
  const at = parameters.path;
  const isPodIdentity = flagOf(parameters, 'usePodIdentity');
  const names = [...new Set(mounts.map(({ account }) => account))];
  const who =
    names.length === 0
      ? "the pods' service accounts"
      : names.map((name) => `service account \`${object.namespace}/${name}\``).join(' and ');
  const roles = accounts
    .filter(({ namespace, name }) => namespace === object.namespace && names.includes(name))
    .map(({ annotations }) => annotations[ROLE_ANNOTATION]);
  const [arn, ...others] = [...new Set(roles)];
  if (!isPodIdentity && typeof arn === 'string' && ROLE.test(arn) && others.length === 0)
    return assumedRole(arn, who, at, notes);
  notes.changed(
    isPodIdentity ? `${at}.usePodIdentity` : at,
    `secretbridge uses the identity of its own pod, not that of ${who}`,
    isPodIdentity
      ? "Associate the same role with secretbridge's service account."
      : `Give secretbridge's service account the same role${names.length === 0 ? ', or import the workloads and their ServiceAccounts too' : ''}.`,
  );
  return { method: 'default' };
}

interface FilesContext {
  readonly storeOf: (type: string) => string | undefined;
  /** The text that replaces `/` in file names. `False`: none. */
  readonly translation: string;
}

function filesOf({ node, notes }: TextItem, { storeOf, translation }: FilesContext): readonly MountedFile[] {
  const at = node.path;
  const key = node.text('objectName');
  const alias = node.text('objectAlias');
  const version = node.text('objectVersion') ?? labelOf(node);
  const type = typeOf(node.text('objectType') ?? /^arn:[^:]*:([^:]*):/.exec(key ?? '')?.[1]);
  const members = node.children('jmesPath');
  if (node.has('failoverObject')) {
    node.child('failoverObject')?.ignore('objectName', 'objectVersion', 'objectVersionLabel');
    notes.changed(`${at}.failoverObject`, 'is not read, because secretbridge reads only the first region');
  }
  node.ignore('filePermission', 'objectVersionLabel');
  if (key === undefined) notes.lost(`${at}.objectName`, 'is missing', FIX);
  if (type === undefined)
    notes.lost(`${at}.objectType`, 'is not an object type: use secretsmanager or ssmparameter', FIX);
  const store = type === undefined ? undefined : storeOf(type);
  const fileName = (name: string) =>
    /^false$/i.test(translation) ? name.replace(/^\/+/, '') : name.replaceAll('/', translation);
  const source =
    store === undefined || key === undefined
      ? undefined
      : { store, key, ...(version === undefined ? {} : { version }) };
  const files = [
    { name: fileName(alias ?? key ?? ''), value: source && { source }, notes, isImplied: members.length > 0 },
    ...members.map((member): MountedFile => {
      const own = createNotes();
      const name = fileName(member.text('objectAlias') ?? '');
      const path = member.text('path') ?? '';
      const property = propertyOf(path);
      const query = property === undefined ? jmesQuery(path) : undefined;
      member.ignore('filePermission');
      if (property === undefined && query === undefined)
        own.lost(`${member.path}.path`, 'uses more than names, dots, indexes and one condition', KEEP);
      return { name, value: source && memberValue(source, { property, query }), notes: own };
    }),
  ];
  node.finish();
  return files;
}

function memberValue(
  source: Json,
  { property, query }: { readonly property: string | undefined; readonly query: Query | undefined },
): MountedFile['value'] {
  if (query !== undefined) return { source, query };
  return property === undefined ? undefined : { source: { ...source, property } };
}

/** Both stores have a label for the current version, which is the default. */
function labelOf(node: Node): string | undefined {
  const label = node.text('objectVersionLabel');
  return label === 'AWSCURRENT' ? undefined : label;
}

function typeOf(type: string | undefined): 'secretsmanager' | 'ssmparameter' | undefined {
  if (type === 'secretsmanager') return type;
  return type === 'ssmparameter' || type === 'ssm' ? 'ssmparameter' : undefined;
}

/** Converts a JMESPath (https://jmespath.org/specification.html) of names, dots and indexes. */
function propertyOf(path: string): string | undefined {
  if (!/^(?:[A-Za-z_]\w*|"[\w-]+")(?:\.(?:[A-Za-z_]\w*|"[\w-]+")|\[\d+\])*$/.test(path)) return undefined;
  return path.replaceAll('"', '').replace(/\[(\d+)\]/g, '.$1');
}
