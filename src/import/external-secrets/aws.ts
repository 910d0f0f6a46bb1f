import { assumedRole, ROLE, ROLE_ANNOTATION, regionOf } from '../identity.ts';
import type { Json, Node, Notes } from '../node.ts';
import { accountOf, type Store, type StoreContext } from '../store.ts';

/** The kind of store for each `service` of External Secrets. */
const KINDS = {
  SecretsManager: 'aws-secrets-manager',
  ParameterStore: 'aws-parameter-store',
} as const;

/**
 * https://external-secrets.io/latest/provider/aws-secrets-manager/
 * https://external-secrets.io/latest/provider/aws-parameter-store/
 */
export function awsStore(aws: Node, context: StoreContext): Store | undefined {
  const { notes, name } = context;
  const service = aws.text('service');
  const region = aws.text('region');
  const prefix = aws.text('prefix');
  // Ignore the settings for deleting pushed secrets, because they do not affect reading.
  aws.ignore('secretsManager');
  const kind = kindOf(service);
  if (kind === undefined) {
    for (const field of [
      'auth',
      'role',
      'additionalRoles',
      'externalID',
      'sessionTags',
      'transitiveTagKeys',
      'sessionTagsPolicy',
      'customSessionTags',
    ])
      aws.ignore(field);
    notes.lost(
      `${aws.path}.service`,
      `secretbridge does not read the service ${service ?? 'none'}; it reads SecretsManager and ParameterStore`,
      'Fix the object, and import it again.',
    );
    return undefined;
  }
  if (region === undefined)
    notes.lost(`${aws.path}.region`, 'is missing', 'Fix the object, and import it again.');
  const roles = rolesOf(aws, notes);
  const auth = authOf(aws, context);
  const storeConfig: Json = {
    name,
    kind,
    ...regionOf(region),
    auth: { ...auth, ...(roles.length === 0 ? {} : { assumeRole: roles }) },
  };
  return {
    kind,
    name,
    ...(prefix === undefined ? {} : { prefix }),
    place(key) {
      return { store: name, key: `${prefix ?? ''}${key}` };
    },
    searched: name,
    storeConfigs: () => [storeConfig],
  };
}

function kindOf(service: string | undefined): (typeof KINDS)[keyof typeof KINDS] | undefined {
  return service === 'SecretsManager' || service === 'ParameterStore' ? KINDS[service] : undefined;
}

function authOf(aws: Node, { object, notes, secrets, account }: StoreContext): Json {
  const auth = aws.child('auth');
  const keys = auth?.child('secretRef');
  const jwt = auth?.child('jwt');
  const owner = { namespace: object.namespace, notes };
  if (keys !== undefined) {
    const token = secrets.refer(keys.child('sessionTokenSecretRef'), undefined, owner);
    const [accessKeyId, secretAccessKey] = ['accessKeyIDSecretRef', 'secretAccessKeySecretRef'].map(
      (field) => {
        const ref = keys.child(field);
        if (ref === undefined)
          notes.lost(`${keys.path}.${field}`, 'is missing', 'Fix the object, and import it again.');
        return secrets.refer(ref, undefined, owner);
      },
    );
    return {
      method: 'static',
      accessKeyId,
      secretAccessKey,
      ...(token === undefined ? {} : { sessionToken: token }),
    };
  }
  const ref = jwt?.child('serviceAccountRef');
  if (ref === undefined) {
    notes.changed(
      `${aws.path}.auth`,
      "secretbridge uses the identity of its own pod instead of External Secrets' identity",
      "Give secretbridge's service account the same role.",
    );
    return { method: 'default' };
  }
  const serviceAccount = account(ref);
  const accountId = accountOf(ref, object.namespace);
  ref.ignore('audiences');
  const arn = serviceAccount?.annotations[ROLE_ANNOTATION];
  const accountName =
    accountId === undefined
      ? 'its service account'
      : `service account \`${accountId.namespace}/${accountId.name}\``;
  if (typeof arn === 'string' && ROLE.test(arn)) return assumedRole(arn, accountName, ref.path, notes);
  notes.changed(
    ref.path,
    `the role of ${accountName} is unknown, because the ServiceAccount is not in the input; secretbridge uses the identity of its own pod`,
    `Import the ServiceAccount too, or write \`auth: { method: webIdentity, roleArn: … }\`.`,
  );
  return { method: 'default' };
}

function rolesOf(aws: Node, notes: Notes): readonly Json[] {
  const role = aws.text('role');
  const externalId = aws.text('externalID');
  const policy = aws.text('sessionTagsPolicy') ?? 'None';
  const custom = aws.texts('customSessionTags');
  const listed = aws.children('sessionTags').map((tag) => [tag.text('key') ?? '', tag.text('value') ?? '']);
  const tags: Json = { ...Object.fromEntries(listed), ...(policy === 'Custom' ? custom : {}) };
  if (policy !== 'None')
    notes.changed(
      `${aws.path}.sessionTagsPolicy`,
      'the tags esoNamespace, esoStoreName and esoStoreKind are not sent, because one session serves all namespaces',
      'Change the policies that require them.',
    );
  if (aws.list('transitiveTagKeys').length > 0)
    notes.changed(
      `${aws.path}.transitiveTagKeys`,
      'session tags are not passed on to the next role',
      'Change the policies of later roles that require them.',
    );
  const chain = [...aws.list('additionalRoles'), ...(role === undefined ? [] : [role])];
  return chain.map((roleArn, index) => {
    if (!ROLE.test(roleArn))
      notes.lost(
        `${aws.path}.role`,
        `\`${roleArn}\` is not the ARN of a role`,
        'Write `assumeRole` of the store by hand.',
      );
    // For a chain of roles, External Secrets sends the external id and the tags only with the last role.
    const last = role !== undefined && index === chain.length - 1;
    return {
      roleArn,
      ...(last && externalId !== undefined ? { externalId } : {}),
      ...(last && Object.keys(tags).length > 0 ? { tags } : {}),
    };
  });
}
