import { describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { printRbac, type RbacInput, type RbacRole, rbacObjects } from '../../src/cluster/rbac.ts';

const input: RbacInput = {
  instance: 'prod.eu',
  scope: 'names',
  targets: [
    { namespace: 'web', secret: 'b' },
    { namespace: 'payments', secret: 'db' },
    { namespace: 'web', secret: 'a' },
  ],
  ownNamespace: 'secretbridge',
  secretRefs: [],
  serviceAccount: 'bridge',
  watch: false,
};

function rolesOf(part: Partial<RbacInput> = {}): readonly RbacRole[] {
  return rbacObjects({ ...input, ...part }).filter((object) => 'rules' in object);
}

const rulesOf = (part: Partial<RbacInput>) =>
  rolesOf(part).map(({ rules }) =>
    rules.map(({ verbs, resourceNames }) => [verbs.join(' '), resourceNames?.join(' ')]),
  );

describe('the RBAC permissions of a configuration', () => {
  it('grants access to each target by its name, and `create` in the namespace of the target', () => {
    expect(rulesOf({})).toEqual([
      [
        ['get update', 'db'],
        ['create', undefined],
      ],
      [
        ['get update', 'a b'],
        ['create', undefined],
      ],
    ]);
  });

  it('grants access to every Secret of the target namespaces if the scope is `namespace`', () => {
    expect(rulesOf({ scope: 'namespace', watch: true })).toEqual([
      [['get list watch update create', undefined]],
      [['get list watch update create', undefined]],
    ]);
  });

  it('grants `list` if the scope is `namespace`, because the program needs a list to find orphaned targets', () => {
    expect(rulesOf({ scope: 'namespace' })[0]).toEqual([['get list update create', undefined]]);
    expect(rulesOf({ scope: 'names' })[0]?.[0]).toEqual(['get update', 'db']);
  });

  it('grants `delete` only for targets whose mappings allow a deletion', () => {
    const targets = [
      { namespace: 'web', secret: 'a' },
      { namespace: 'web', secret: 'b', deletes: true },
    ];
    expect(rulesOf({ targets })).toEqual([
      [
        ['get update', 'a b'],
        ['delete', 'b'],
        ['create', undefined],
      ],
    ]);
  });

  it('grants only `get` and `patch` for Secrets into which keys are merged', () => {
    const targets = [{ namespace: 'web', secret: 'a', merges: true, deletes: true }];
    expect(rulesOf({ targets })).toEqual([[['get patch', 'a']]]);
  });

  it('grants `watch` for the name of each target if the service watches targets', () => {
    expect(rulesOf({ watch: true })[0]).toEqual([
      ['get list watch update', 'db'],
      ['create', undefined],
    ]);
  });

  it("grants only `get` for credentials in the bridge's own namespace", () => {
    const roles = rolesOf({ targets: [], secretRefs: ['vault', 'aws', 'vault'] });
    expect(roles).toHaveLength(1);
    expect(roles[0]?.metadata).toMatchObject({
      name: 'secretbridge-prod.eu-credentials',
      namespace: 'secretbridge',
    });
    expect(roles[0]?.rules).toEqual([
      { apiGroups: [''], resources: ['secrets'], resourceNames: ['aws', 'vault'], verbs: ['get'] },
    ]);
  });

  it('grants no wildcards and no access to other kinds of resources, and limits every verb except `create` to named objects', () => {
    for (const { rules } of rolesOf({ watch: true, secretRefs: ['x'] })) {
      for (const rule of rules) {
        expect(rule).toMatchObject({ apiGroups: [''], resources: ['secrets'] });
        if (rule.resourceNames === undefined) expect(rule.verbs).toEqual(['create']);
      }
    }
  });

  it('grants access by name to each workload that may be restarted, and to all workloads of a kind if a selector chooses the workloads', () => {
    const targets = [
      {
        namespace: 'web',
        secret: 'a',
        restarts: [
          { kind: 'Deployment', name: 'front' },
          { kind: 'Rollout', name: 'canary' },
        ],
      },
      { namespace: 'web', secret: 'b', restarts: [{ kind: 'Deployment', name: 'back' }] },
      {
        namespace: 'jobs',
        secret: 'a',
        restarts: [{ kind: 'StatefulSet', name: 'db' }, { kind: 'StatefulSet' }],
      },
    ] as const;
    const rules = (namespace: string) =>
      rolesOf({ targets })
        .find(({ metadata }) => metadata.namespace === namespace)
        ?.rules.filter(({ resources }) => !resources.includes('secrets'));
    expect(rules('web')).toEqual([
      {
        apiGroups: ['apps'],
        resources: ['deployments'],
        resourceNames: ['back', 'front'],
        verbs: ['get', 'patch'],
      },
      {
        apiGroups: ['argoproj.io'],
        resources: ['rollouts'],
        resourceNames: ['canary'],
        verbs: ['get', 'patch'],
      },
    ]);
    expect(rules('jobs')).toEqual([
      { apiGroups: ['apps'], resources: ['statefulsets'], verbs: ['get', 'list', 'patch'] },
    ]);
    const printed = printRbac(rbacObjects({ ...input, targets }));
    expect(printed).toContain('# This allows secretbridge to change all statefulsets in the namespace jobs');
    expect(printed).not.toContain('can change all deployments');
  });

  it('grants token and access reviews only if Kubernetes identities are accepted', () => {
    const reviews = rolesOf({ targets: [], reviews: true });
    expect(reviews).toMatchObject([
      {
        kind: 'ClusterRole',
        metadata: { name: 'secretbridge-prod.eu-reviews' },
        rules: [
          { apiGroups: ['authentication.k8s.io'], resources: ['tokenreviews'], verbs: ['create'] },
          { apiGroups: ['authorization.k8s.io'], resources: ['subjectaccessreviews'], verbs: ['create'] },
        ],
      },
    ]);
    expect(rolesOf().filter(({ kind }) => kind === 'ClusterRole')).toEqual([]);
  });

  it('grants access to each checkpoint ConfigMap by its name and in its namespace', () => {
    const checkpoints = [
      { name: 'proof' },
      { namespace: 'vault', name: 'b' },
      { namespace: 'vault', name: 'a' },
    ];
    const roles = rolesOf({ targets: [], checkpoints });
    expect(roles.map(({ kind, metadata }) => [kind, metadata.name, metadata.namespace])).toEqual([
      ['Role', 'secretbridge-prod.eu-checkpoints', 'secretbridge'],
      ['Role', 'secretbridge-prod.eu-checkpoints', 'vault'],
    ]);
    expect(roles[1]?.rules).toEqual([
      { apiGroups: [''], resources: ['configmaps'], resourceNames: ['a', 'b'], verbs: ['get', 'update'] },
      { apiGroups: [''], resources: ['configmaps'], verbs: ['create'] },
    ]);
  });

  it('prints the permissions without YAML anchors and aliases', () => {
    const printed = printRbac(rbacObjects({ ...input, checkpoints: [{ name: 'proof' }] }));
    expect(printed).toContain('configmaps');
    expect(printed.split('\n').filter((line) => /[&*]\w/.test(line))).toEqual([]);
  });

  it("binds each Role to the bridge's ServiceAccount", () => {
    const objects = rbacObjects({ ...input, secretRefs: ['x'] });
    expect(objects.map(({ kind }) => kind)).toEqual([
      'Role',
      'RoleBinding',
      'Role',
      'RoleBinding',
      'Role',
      'RoleBinding',
    ]);
    for (const object of objects) {
      if ('rules' in object) continue;
      expect(object.roleRef.name).toBe(object.metadata.name);
      expect(object.subjects).toEqual([
        { kind: 'ServiceAccount', name: 'bridge', namespace: 'secretbridge' },
      ]);
    }
  });

  it('creates ClusterRoles only if a mapping selects namespaces: one for the namespaces and one for the selected Secrets', () => {
    const selected = [
      { secret: 'ca', deletes: true },
      { secret: 'shared', merges: true },
    ];
    const objects = rbacObjects({ ...input, targets: [], selected });
    expect(objects.map(({ kind, metadata }) => [kind, metadata.name, metadata.namespace])).toEqual([
      ['ClusterRole', 'secretbridge-prod.eu-namespaces', undefined],
      ['ClusterRoleBinding', 'secretbridge-prod.eu-namespaces', undefined],
      ['ClusterRole', 'secretbridge-prod.eu-selected', undefined],
      ['ClusterRoleBinding', 'secretbridge-prod.eu-selected', undefined],
    ]);
    const [namespaces, secrets] = rolesOf({ targets: [], selected });
    expect(namespaces?.rules).toEqual([
      { apiGroups: [''], resources: ['namespaces'], verbs: ['list', 'watch'] },
    ]);
    expect(
      secrets?.rules.map(({ verbs, resourceNames }) => [verbs.join(' '), resourceNames?.join(' ')]),
    ).toEqual([
      ['get', 'ca shared'],
      ['update delete', 'ca'],
      ['patch', 'shared'],
      ['create', undefined],
    ]);
    expect(rbacObjects({ ...input, selected: [] })).toEqual(rbacObjects(input));
  });

  it('returns equal permissions for any order of the targets', () => {
    const reversed = { ...input, targets: input.targets.toReversed() };
    expect(rbacObjects(reversed)).toEqual(rbacObjects(input));
  });
});

describe('the RBAC YAML', () => {
  it('parses back to the objects from which the YAML was printed', () => {
    const objects = rbacObjects({ ...input, secretRefs: ['x'] });
    const documents = parseAllDocuments(printRbac(objects));
    expect(Array.isArray(documents) && documents.map((document) => document.toJS())).toEqual(objects);
  });

  it('the RBAC YAML contains the same objects for a YAML 1.1 parser, which kubectl uses', () => {
    const targets = [
      { namespace: 'on', secret: 'y' },
      { namespace: '0755', secret: 'no' },
    ];
    const objects = rbacObjects({ ...input, instance: 'off', targets, serviceAccount: '1e3' });
    const documents = parseAllDocuments(printRbac(objects), { version: '1.1' });
    expect(Array.isArray(documents) && documents.map((document) => document.toJS())).toEqual(objects);
  });

  it('adds a comment if a Role can read every Secret of a namespace', () => {
    const sentence = 'to read every Secret in the namespace web';
    expect(printRbac(rbacObjects({ ...input, scope: 'namespace' }))).toContain(sentence);
    expect(printRbac(rbacObjects(input))).not.toContain(sentence);
    expect(printRbac(rbacObjects(input))).toContain('`create` cannot be limited to names');
  });

  it('explains in a comment how to limit a permission that applies to every namespace', () => {
    const text = printRbac(rbacObjects({ ...input, selected: [{ secret: 'ca' }] }));
    expect(text).toContain('every namespace, including kube-system');
    expect(text).toContain(
      'kubectl create rolebinding secretbridge-prod.eu-selected --clusterrole=secretbridge-prod.eu-selected --serviceaccount=secretbridge:bridge --namespace=NAMESPACE',
    );
    expect(printRbac(rbacObjects(input))).not.toContain('kube-system');
  });

  it('prints only a comment if there are no targets', () => {
    const text = printRbac(rbacObjects({ ...input, targets: [] }));
    expect(text).toContain('it needs no permissions');
    expect(parseAllDocuments(text)).toHaveLength(0);
  });
});

describe("the RBAC permissions for teams' ConfigMaps", () => {
  const teams = { namespaces: ['shop', 'web'], findsNamespaces: false };
  const named = (objects: ReturnType<typeof rbacObjects>) =>
    objects.map(({ kind, metadata: { name, namespace } }) => `${kind} ${namespace ?? '*'}/${name}`);

  it('grants each named namespace its ConfigMaps, and every Secret of the namespace', () => {
    const objects = rbacObjects({ ...input, scope: 'namespace', watch: true, targets: [], teams });
    expect(named(objects)).toEqual([
      'Role shop/secretbridge-prod.eu',
      'RoleBinding shop/secretbridge-prod.eu',
      'Role web/secretbridge-prod.eu',
      'RoleBinding web/secretbridge-prod.eu',
      'Role shop/secretbridge-prod.eu-config-maps',
      'RoleBinding shop/secretbridge-prod.eu-config-maps',
      'Role web/secretbridge-prod.eu-config-maps',
      'RoleBinding web/secretbridge-prod.eu-config-maps',
    ]);
    const rules = rolesOf({ scope: 'namespace', watch: true, targets: [], teams }).map((role) =>
      role.rules.map(({ resources, verbs }) => `${resources.join()} ${verbs.join(' ')}`),
    );
    expect(rules[0]).toEqual(['secrets get list watch update patch delete create']);
    expect(rules[2]).toEqual(['configmaps get list watch', 'namespaces get', 'events create patch']);
  });

  it('grants only the Secrets of the present mappings with the scope `names`', () => {
    const roles = rolesOf({ scope: 'names', watch: true, teams });
    expect(roles.map(({ metadata: { namespace } }) => namespace)).toEqual(['payments', 'web', 'shop', 'web']);
  });

  it('needs ClusterRoles for a pattern', () => {
    const found = { namespaces: [], findsNamespaces: true };
    const objects = rbacObjects({ ...input, scope: 'namespace', watch: true, targets: [], teams: found });
    expect(named(objects)).toEqual([
      'ClusterRole */secretbridge-prod.eu-namespaces',
      'ClusterRoleBinding */secretbridge-prod.eu-namespaces',
      'ClusterRole */secretbridge-prod.eu-config-maps',
      'ClusterRoleBinding */secretbridge-prod.eu-config-maps',
      'ClusterRole */secretbridge-prod.eu-selected',
      'ClusterRoleBinding */secretbridge-prod.eu-selected',
    ]);
  });

  it('may patch ConfigMaps only where `statusAnnotation` is set, and says what that allows', () => {
    const annotated = { namespaces: ['web'], findsNamespaces: false };
    const roles = rolesOf({ scope: 'namespace', watch: true, targets: [], teams: { ...teams, annotated } });
    const verbs = roles.flatMap(({ metadata: { namespace }, rules }) =>
      rules
        .filter(({ resources }) => resources.includes('configmaps'))
        .map((rule) => `${namespace} ${rule.verbs.join(' ')}`),
    );
    expect(verbs).toEqual(['shop get list watch', 'web get list watch patch']);
    const text = printRbac(
      rbacObjects({ ...input, watch: true, targets: [], teams: { ...teams, annotated } }),
    );
    expect(text).toContain(
      '`statusAnnotation` allows secretbridge to change every ConfigMap in the namespace web.',
    );
    expect(text).not.toContain('change every ConfigMap in the namespace shop');
    expect(text).not.toContain('change all events');
    const found = {
      namespaces: [],
      findsNamespaces: true,
      annotated: { namespaces: [], findsNamespaces: true },
    };
    expect(printRbac(rbacObjects({ ...input, watch: true, targets: [], teams: found }))).toContain(
      'change every ConfigMap in every namespace where it is bound',
    );
  });

  it('says that every ConfigMap can be read', () => {
    const text = printRbac(rbacObjects({ ...input, watch: true, targets: [], teams }));
    expect(text).toContain(
      '# This allows secretbridge to read every ConfigMap in the namespace shop, not only those with the labels of `include`:',
    );
    expect(printRbac(rbacObjects({ ...input, checkpoints: [{ name: 'c' }] }))).not.toContain(
      'every ConfigMap',
    );
  });
});
