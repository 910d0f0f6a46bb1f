import type { Json, Node } from './node.ts';
import type { Notes } from './notes.ts';
import { accountOf, type Store, type StoreContext } from './store.ts';

const ROLE = /^arn:[^:]+:iam::\d{12}:role\/.+$/;

/** https://external-secrets.io/latest/provider/aws-secrets-manager/ */
export function awsStore(aws: Node, context: StoreContext): Store | undefined {
  const { notes, name } = context;
  const service = aws.text('service');
  const region = aws.text('region');
  const prefix = aws.text('prefix');
  // How they delete what they pushed.
  aws.ignore('secretsManager');
  if (service !== 'SecretsManager') {
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
      `${service ?? 'none'} is a service that secretbridge does not read: it reads SecretsManager`,
      'Move its values into Secrets Manager, or leave what uses it with the present controller.',
    );
    return undefined;
  }
  if (region === undefined)
    notes.lost(`${aws.path}.region`, 'is missing', 'Correct the object, and import it again.');
  const roles = rolesOf(aws, notes);
  const auth = authOf(aws, context);
  const ours: Json = {
    name,
    kind: 'aws-secrets-manager',
    ...placeOf(region),
    auth: { ...auth, ...(roles.length === 0 ? {} : { assumeRole: roles }) },
  };
  return {
    kind: 'aws-secrets-manager',
    name,
    ...(prefix === undefined ? {} : { prefix }),
    place(key) {
      return { store: name, key: `${prefix ?? ''}${key}` };
    },
    searched: name,
    ours: () => [ours],
  };
}

/** Their SDK takes `us-east-1-fips` and `fips-us-east-1` for a region with its FIPS endpoints. */
function placeOf(region: string | undefined): Json {
  const plain = region?.replace(/^fips-|-fips(?=-|$)/g, '');
  return { region: plain, ...(plain === region ? {} : { fips: true }) };
}

function authOf(aws: Node, { found, notes, secrets, account }: StoreContext): Json {
  const auth = aws.child('auth');
  const keys = auth?.child('secretRef');
  const jwt = auth?.child('jwt');
  const of = { namespace: found.namespace, notes };
  if (keys !== undefined) {
    const token = secrets.refer(keys.child('sessionTokenSecretRef'), undefined, of);
    const [accessKeyId, secretAccessKey] = ['accessKeyIDSecretRef', 'secretAccessKeySecretRef'].map(
      (field) => {
        const ref = keys.child(field);
        if (ref === undefined)
          notes.lost(`${keys.path}.${field}`, 'is missing', 'Correct the object, and import it again.');
        return secrets.refer(ref, undefined, of);
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
      "the bridge uses the identity of its own pod, not the controller's",
      "Give the bridge's service account the same role.",
    );
    return { method: 'default' };
  }
  const known = account(ref);
  const who = accountOf(ref, found.namespace);
  ref.ignore('audiences');
  const arn = known?.annotations['eks.amazonaws.com/role-arn'];
  const named =
    who === undefined ? 'its service account' : `service account \`${who.namespace}/${who.name}\``;
  if (typeof arn === 'string' && ROLE.test(arn)) {
    notes.changed(
      ref.path,
      `the bridge takes the role of ${named} with the token of its own service account`,
      `Let the trust policy of ${arn} accept the bridge's service account.`,
    );
    return { method: 'webIdentity', roleArn: arn };
  }
  notes.changed(
    ref.path,
    `the role of ${named} is not known, since that is not among what was read; the bridge uses the identity of its own pod`,
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
      'the tags esoNamespace, esoStoreName and esoStoreKind are not sent: one session serves every namespace',
      'Change the policies that ask for them.',
    );
  if (aws.list('transitiveTagKeys').length > 0)
    notes.changed(
      `${aws.path}.transitiveTagKeys`,
      'tags of one session are not handed on to the next role',
      'Change the policies of later roles that ask for them.',
    );
  const chain = [...aws.list('additionalRoles'), ...(role === undefined ? [] : [role])];
  return chain.map((roleArn, index) => {
    if (!ROLE.test(roleArn))
      notes.lost(
        `${aws.path}.role`,
        `\`${roleArn}\` is not the ARN of a role`,
        'Write `assumeRole` of the store by hand.',
      );
    // Theirs go with the last one only.
    const last = role !== undefined && index === chain.length - 1;
    return {
      roleArn,
      ...(last && externalId !== undefined ? { externalId } : {}),
      ...(last && Object.keys(tags).length > 0 ? { tags } : {}),
    };
  });
}
