import { describe, expect, it } from 'vitest';
import { HEAD, linesOf, loadText } from './memory-fs.ts';

const STORES = 'stores: [ { name: team-vault, kind: files, path: x } ]\n';

async function problems(text: string): Promise<readonly string[]> {
  return linesOf(await loadText(`${HEAD}${STORES}${text}\n`));
}

function mappings(...bodies: readonly string[]): string {
  return `mappings:\n${bodies.map((body) => `  - { ${body} }`).join('\n')}`;
}

const DATA = 'data: { A: { store: team-vault, key: payments/a } }';

describe('names', () => {
  it('rejects a name that two mappings use', async () => {
    expect(
      await problems(
        mappings(`name: m, target: { namespace: a }, ${DATA}`, `name: m, target: { namespace: b }, ${DATA}`),
      ),
    ).toEqual([
      '6:13 mappings[1].name CONFIG_INVALID: the name `m` is used twice, first at secretbridge.yaml:5:13',
    ]);
  });

  it('rejects a name that two tokens use, because the audit log identifies callers by token name', async () => {
    const token = (name: string) => `{ name: ${name}, role: viewer, token: { env: T } }`;
    expect(await problems(`http: { tokens: [ ${token('ann')}, ${token('bob')} ] }`)).toEqual([]);
    expect(await problems(`http: { tokens: [ ${token('ann')}, ${token('ann')} ] }`)).toEqual([
      '4:75 http.tokens[1].name CONFIG_INVALID: the name `ann` is used twice, first at secretbridge.yaml:4:27',
    ]);
  });

  it.each(['a', 'a1', 'a-b.c', 'x'.repeat(63)])('accepts the mapping name %s', async (name) => {
    expect(await problems(mappings(`name: ${name}, target: { namespace: a, secret: s }, ${DATA}`))).toEqual(
      [],
    );
  });

  it.each(['A', '-a', 'a-', 'a_b', 'a/b', '.a', 'x'.repeat(64), '"a\\n"', '""'])(
    'rejects the mapping name %s',
    async (name) => {
      const found = await problems(mappings(`name: ${name}, target: { namespace: a, secret: s }, ${DATA}`));
      expect(found).toHaveLength(1);
      expect(found[0]).toContain('mappings[0].name CONFIG_INVALID: expected a name of a-z, 0-9, `-` and `.`');
    },
  );

  it('the loader suggests the name of a store if an unknown store name differs only slightly from it', async () => {
    expect(
      await problems(
        mappings('name: m, target: { namespace: a }, data: { A: { store: team-valt, key: a } }'),
      ),
    ).toEqual([
      '5:62 mappings[0].data.A.store CONFIG_INVALID: there is no store `team-valt` — did you mean `team-vault`?',
    ]);
    expect(
      await problems('access: [ { namespaces: [a], stores: [team-valt, "team-*"], keys: [a] } ]'),
    ).toEqual([
      '4:39 access[0].stores[0] CONFIG_INVALID: there is no store `team-valt` — did you mean `team-vault`?',
    ]);
  });
});

describe('targets', () => {
  it('rejects a target that several mappings own', async () => {
    const found = await problems(
      mappings(
        `name: m1, target: { namespaces: [a, b], secret: s }, ${DATA}`,
        `name: m2, target: { namespace: b, secret: s }, ${DATA}`,
        `name: m3, target: { namespace: c, secret: s }, ${DATA}`,
      ),
    );
    expect(found).toEqual([
      '6:25 mappings[1].target TARGET_CLAIMED: mapping `m1` also has the target `b/s`, at secretbridge.yaml:5:25',
    ]);
  });

  it('accepts a target of several mappings if all of these mappings merge', async () => {
    const merge = (name: string, mode: string) =>
      `name: ${name}, target: { namespace: a, secret: s, mode: ${mode} }, ${DATA}`;
    const codes = async (...modes: readonly string[]) =>
      (
        await loadText(`${HEAD}${STORES}${mappings(...modes.map((mode, i) => merge(`m${i}`, mode)))}`)
      ).problems.map(({ code }) => code);
    expect(await codes('merge', 'merge')).not.toContain('TARGET_CLAIMED');
    expect(await codes('merge', 'own')).toContain('TARGET_CLAIMED');
  });

  it.each([
    ['namespace: a, namespaces: [b]', 'target CONFIG_INVALID: expected exactly one of'],
    ['secret: s', 'target CONFIG_INVALID: expected exactly one of'],
    ['namespaces: [a, a]', 'target.namespaces[1] CONFIG_INVALID: the namespace `a` is listed twice'],
    ['namespaces: []', 'target.namespaces CONFIG_INVALID: expected a list of at least 1 entry'],
    ['namespace: a.b', 'target.namespace CONFIG_INVALID: expected a name of a-z, 0-9 and `-`'],
    ['namespace: a, secret: a..b', 'target.secret CONFIG_INVALID: expected a name of'],
    [
      'namespace: a, type: kubernetes.io/service-account-token',
      'target.type TYPE_FORBIDDEN: expected a type that grants no access',
    ],
    [
      'namespace: a, type: bootstrap.kubernetes.io/token',
      'target.type TYPE_FORBIDDEN: expected a type that grants no access',
    ],
    ['namespace: a, labels: { a/b/c: x }', 'target.labels["a/b/c"] CONFIG_INVALID: expected a name like'],
    [
      'namespace: a, labels: { a: "x y" }',
      'target.labels.a CONFIG_INVALID: expected empty text, or at most 63 letters',
    ],
    [
      'namespace: a, labels: { app.kubernetes.io/managed-by: x }',
      'target.labels["app.kubernetes.io/managed-by"] CONFIG_INVALID: expected a name other than',
    ],
    [
      'namespace: a, annotations: { secretbridge.dev/x: y }',
      'target.annotations["secretbridge.dev/x"] CONFIG_INVALID: expected a name other than',
    ],
  ])('rejects the target { %s }', async (target, part) => {
    const found = await problems(mappings(`name: m, target: { ${target} }, ${DATA}`));
    expect(found).toHaveLength(1);
    expect(found[0]).toContain(`mappings[0].${part}`);
  });

  it.each([
    ['{{ DB_PASWORD }}', 'did you mean `DB_PASSWORD`?'],
    ['{{ DB_PASSWORD | bas64 }}', 'did you mean `base64`?'],
    ['{{ DB_PASSWORD | sha256 }}', undefined],
  ])('rejects the template %s with this suggestion: %s', async (template, suggestion) => {
    const source = 'data: { DB_PASSWORD: { store: team-vault, key: k } }';
    const text = `name: m, target: { namespace: a }, ${source}, template: { data: { f: '${template}' } }`;
    const { problems: found } = await loadText(`${HEAD}${STORES}${mappings(text)}`);
    expect(found).toMatchObject([{ code: 'TEMPLATE_INVALID', path: 'mappings[0].template.data.f' }]);
    expect(found[0]?.suggestion).toBe(suggestion);
  });

  it('accepts labels and annotations with any prefix except ours', async () => {
    const target =
      'namespace: a, secret: a.b-c, type: kubernetes.io/tls, labels: { team: "", example.com/x: A_b.c }, annotations: { example.com/x: "any: text" }';
    expect(await problems(mappings(`name: m, target: { ${target} }, ${DATA}`))).toEqual([]);
  });
});

describe('keys of a Secret', () => {
  it.each(['.', '..', '..data', 'a b', 'ä', 'a/b', 'x'.repeat(254)])('rejects the key %s', async (key) => {
    const [line, ...more] = await problems(
      mappings(
        `name: m, target: { namespace: a }, data: { ${JSON.stringify(key)}: { store: team-vault, key: a } }`,
      ),
    );
    expect(more).toEqual([]);
    expect(line).toMatch(/^5:\d+ mappings\[0\]\.data.+ KEY_INVALID: expected a key of/);
  });

  it.each(['.hidden', 'ca.crt', 'A_B-c.1', 'a..b', 'constructor', 'toString'])(
    'accepts the key %s',
    async (key) => {
      expect(
        await problems(
          mappings(`name: m, target: { namespace: a }, data: { ${key}: { store: team-vault, key: a } }`),
        ),
      ).toEqual([]);
    },
  );

  it('rejects a key that both a source and a template set', async () => {
    const found = await problems(
      mappings(`name: m, target: { namespace: a }, ${DATA}, template: { data: { A: x } }`),
    );
    expect(found).toContainEqual(
      expect.stringContaining(
        'mappings[0].template.data.A KEY_COLLISION: the key `A` is also set by a source, at secretbridge.yaml:5:50',
      ),
    );
  });
});

describe('checks of a whole configuration', () => {
  it('requires at least one source in a mapping', async () => {
    expect(await problems(mappings('name: m, target: { namespace: a }'))).toEqual([
      '5:5 mappings[0] CONFIG_INVALID: expected at least one source, under `data` or `dataFrom`',
    ]);
  });

  it.each([
    'engine: { kind: redis, url: { env: A } }',
    'audit: { store: { kind: postgres, url: { env: A } } }',
  ])('requires configured fingerprint keys for %s, because all replicas need the same keys', async (text) => {
    expect((await problems(text)).join('\n')).toContain('keys.fingerprint CONFIG_INVALID: is missing; with');
    expect((await problems(`${text}\nkeys: { fingerprint: [ { env: K } ] }`)).join()).not.toContain(
      'keys.fingerprint',
    );
  });

  it('requires a checkpoint key if several replicas write checkpoints', async () => {
    const text = `engine: { kind: redis, url: { env: U } }
audit: { checkpoints: [ { kind: stdout } ] }
keys: { fingerprint: [ { env: K } ] `;
    expect((await problems(`${text}}`)).join()).toContain('keys.checkpoint CONFIG_INVALID: is missing; with');
    expect((await problems(`${text}, checkpoint: { env: C } }`)).join()).not.toContain('keys.checkpoint');
  });

  it.each(['(?=a)b', '(?<!a)b', '(a)\\1', '(?<n>a)\\k<n>', '(?:x(?!y))'])(
    'rejects the name pattern %s of a search',
    async (name) => {
      const found = await problems(
        mappings(
          `name: m, target: { namespace: a }, dataFrom: [ { store: team-vault, find: { name: '${name}' } } ]`,
        ),
      );
      expect(found.join()).toContain(
        'find.name CONFIG_INVALID: expected a regular expression with linear matching time',
      );
    },
  );

  it('rejects a name pattern that is too long after its repetitions are expanded', async () => {
    const found = await problems(
      mappings(
        `name: m, target: { namespace: a }, dataFrom: [ { store: team-vault, find: { name: '${'a{1000}'.repeat(11)}' } } ]`,
      ),
    );
    expect(found.join()).toContain(
      'find.name CONFIG_INVALID: expected a regular expression of at most 10000 characters, with repetitions',
    );
    expect(found.join()).not.toContain('linear matching time');
  });

  it.each(['^flag-', '[(?=]', '\\(?=', '(?:a|b)+', '\\\\1', '(?<name>a)'])(
    'accepts the name pattern %s of a search',
    async (name) => {
      const found = await problems(
        mappings(
          `name: m, target: { namespace: a }, dataFrom: [ { store: team-vault, find: { name: '${name}' } } ]`,
        ),
      );
      expect(found.join()).not.toContain('find.name');
    },
  );
});

describe('the access to a key', () => {
  const rules = 'access: [ { namespaces: [a], stores: ["*"], keys: ["payments/**"] } ]\n';

  it('the loader checks the access of each mapping separately, and rejects only those mappings that violate the access rules', async () => {
    const text = `${rules}${mappings(
      `name: m1, target: { namespace: a }, ${DATA}`,
      'name: m2, target: { namespaces: [a, b], secret: s }, data: { A: { store: team-vault, key: payments/a } }',
      'name: m3, target: { namespace: a }, dataFrom: [ { store: team-vault, key: other } ]',
    )}`;
    const loaded = await loadText(`${HEAD}${STORES}${text}`);
    expect(loaded.kind).toBe('usable');
    expect(linesOf(loaded)).toEqual([
      '7:97 mappings[1].data.A.key NOT_ALLOWED: no rule of `access` allows the key `payments/a` of store `team-vault` in `b`',
      '8:81 mappings[2].dataFrom[0].key NOT_ALLOWED: no rule of `access` allows the key `other` of store `team-vault` in `a`',
    ]);
  });

  it('denies an ambiguous key, with an explanation, even if `**` matches it', async () => {
    const store = 'stores: [ { name: aws, kind: aws-secrets-manager, region: eu-west-1 } ]\n';
    const all = 'access: [ { namespaces: ["**"], stores: ["**"], keys: ["**"] } ]\n';
    const data = 'data: { A: { store: aws, key: team//db }, B: { store: aws, key: team/db } }';
    const loaded = await loadText(
      `${HEAD}${store}${all}${mappings(`name: m, target: { namespace: a }, ${data}`)}`,
    );
    expect(linesOf(loaded).map((line) => line.replace(/^\S+ /, ''))).toEqual([
      'mappings[0].data.A.key NOT_ALLOWED: no rule of `access` allows the key `team//db`, which may be read as another key, of store `aws` in `a`',
    ]);
  });

  it('the loader checks the access of a mapping even if a field of this mapping is invalid', async () => {
    expect(
      await problems(
        `${rules}${mappings('name: m, target: { namespace: b, tpye: Opaque }, data: { A: { store: team-vault, key: payments/a, decode: b32 }, B: { store: team-vault, key: "" } }, dataFrom: [ { store: team-vault, find: { path: other, tags: [] } } ]')}`,
      ),
    ).toEqual([
      '6:40 mappings[0].target.tpye CONFIG_INVALID: unknown key `tpye` — did you mean `type`?',
      '6:93 mappings[0].data.A.key NOT_ALLOWED: no rule of `access` allows the key `payments/a` of store `team-vault` in `b`',
      '6:113 mappings[0].data.A.decode CONFIG_INVALID: expected `base64`, `base64url` or `hex`, got other text',
      '6:149 mappings[0].data.B.key CONFIG_INVALID: expected non-empty text, got empty text',
      '6:204 mappings[0].dataFrom[0].find.path NOT_ALLOWED: no rule of `access` allows all results of a search below `other` in store `team-vault` in `b`',
      '6:217 mappings[0].dataFrom[0].find.tags CONFIG_INVALID: expected an object, got a list',
    ]);
  });

  it.each([
    'access: [ { namespace: [a], stores: ["*"], keys: ["**"] } ]',
    'access: [ { namespaces: [b], stores: ["*"], keys: ["**"] }, { namespaces: a, stores: ["*"], keys: ["**"] } ]',
    'access: { namespaces: [a], stores: ["*"], keys: ["**"] }',
    'access: [ &rule { namespaces: [b], stores: ["*"], keys: ["**"] }, *rule ]',
  ])('does not check the access if the rules are invalid: %s', async (text) => {
    const found = await problems(`${text}\n${mappings(`name: m, target: { namespace: a }, ${DATA}`)}`);
    expect(found.length).toBeGreaterThan(0);
    expect(found.join()).not.toContain('NOT_ALLOWED');
  });

  it('does not check the access in a namespace whose name is invalid', async () => {
    const found = await problems(`${rules}${mappings(`name: m, target: { namespaces: [A, b] }, ${DATA}`)}`);
    expect(found.map((line) => line.slice(0, line.indexOf(':', 5)))).toEqual([
      '6:39 mappings[0].target.namespaces[0] CONFIG_INVALID',
      '6:85 mappings[0].data.A.key NOT_ALLOWED',
    ]);
  });

  it('denies every key if the list of rules is empty', async () => {
    expect(
      await problems(`access: []\n${mappings(`name: m, target: { namespace: a }, ${DATA}`)}`),
    ).toHaveLength(1);
  });
});

describe('service sections', () => {
  it.each([
    ['cluster: { kind: directory, path: c }\naudit: { checkpoints: [ { kind: file, path: a }, { kind: configMap, name: b } ] }', '5:58 audit.checkpoints[1].kind CONFIG_INVALID: a ConfigMap needs `cluster.kind: kubernetes`'],
    ['cluster: { kind: directory, path: c }\nhttp: { kubernetes: true }', '5:21 http.kubernetes CONFIG_INVALID: Kubernetes identities need `cluster.kind: kubernetes`'],
    ['engine: { kind: redis, url: { env: U }, cluster: true, sentinel: { name: m, addresses: [ "h:1" ] } }\nkeys: { fingerprint: [ { env: K } ] }', '4:66 engine.sentinel CONFIG_INVALID: expected either `sentinel` or `cluster: true`, not both'],
    ['engine: { kind: redis, url: { env: U }, tls: { certFile: c } }\nkeys: { fingerprint: [ { env: K } ] }', '4:46 engine.tls CONFIG_INVALID: expected `certFile` and `keyFile` together, or neither'],
    ['audit: { store: { kind: postgres, url: { env: U }, tls: { keyFile: c } } }\nkeys: { fingerprint: [ { env: K } ] }', '4:57 audit.store.tls CONFIG_INVALID: expected `certFile` and `keyFile` together, or neither'],
  ])('rejects service sections that contradict each other: %s', async (text, problem) => {
    expect(await problems(text)).toEqual([problem]);
  }); // biome-ignore format: a table

  it.each([
    'cluster: { kind: kubernetes }\naudit: { checkpoints: [ { kind: configMap, name: b } ] }\nhttp: { kubernetes: true }',
    'audit: { checkpoints: [ { kind: configMap, name: b } ] }\nhttp: { kubernetes: true }',
    'cluster: { kind: directory, path: c }\nhttp: { kubernetes: false }',
    'engine: { kind: redis, url: { env: U }, cluster: true, tls: { certFile: c, keyFile: k } }\nkeys: { fingerprint: [ { env: K } ] }',
    'engine: { kind: redis, url: { env: U }, cluster: false, sentinel: { name: m, addresses: [ "h:1" ] }, tls: {} }\nkeys: { fingerprint: [ { env: K } ] }',
  ])('accepts the combination of service sections: %s', async (text) => {
    expect(await problems(text)).toEqual([]);
  });

  const TOKEN = 'tokens: [ { name: ann, role: viewer, token: { env: T } } ]';
  const CLEAR = 'tokens would be sent in clear text over the network; set `http.tls`, listen on loopback, or';

  it.each([
    [`http: { listen: '0.0.0.0:8080', ${TOKEN} }`, 'http.listen'],
    ["http: { listen: '[::]:8080', kubernetes: true }", 'http.listen'],
    [
      `http: { metrics: { listen: '10.0.0.1:9090' }, metricsNeedToken: true, ${TOKEN} }`,
      'http.metrics.listen',
    ],
  ])('rejects tokens without TLS: %s', async (text, path) => {
    expect(await problems(text)).toEqual([expect.stringContaining(` ${path} CONFIG_INVALID: ${CLEAR}`)]);
  });

  it('rejects one port for the API and the metrics', async () => {
    expect(await problems("http: { listen: '127.0.0.1:9090', metrics: { listen: '0.0.0.0:9090' } }")).toEqual(
      [expect.stringContaining('http.metrics.listen CONFIG_INVALID: expected another port')],
    );
  });

  it.each([
    `http: { ${TOKEN} }`,
    `http: { listen: '127.0.0.1:8080', ${TOKEN} }`,
    `http: { listen: '[::1]:8080', ${TOKEN} }`,
    `http: { listen: 'localhost:8080', kubernetes: true }`,
    "http: { listen: '0.0.0.0:8080', tokens: [], kubernetes: false }",
    `http: { listen: '0.0.0.0:8080', allowHttp: true, ${TOKEN} }`,
    `http: { listen: '0.0.0.0:8080', tls: { certFile: c, keyFile: k }, ${TOKEN} }`,
    `http: { metrics: { listen: '0.0.0.0:9090' }, ${TOKEN} }`,
  ])('accepts tokens that are not sent in clear text: %s', async (text) => {
    expect(await problems(text)).toEqual([]);
  });

  it('the loader reports missing keys together with other mistakes in the section that needs the keys', async () => {
    expect(await problems('engine: { kind: redis, url: { env: U }, prefix: "" }')).toEqual([
      '1:1 keys.fingerprint CONFIG_INVALID: is missing; with `engine: redis` all replicas must share this key',
      '4:49 engine.prefix CONFIG_INVALID: expected letters, digits, `-` and `_`, at most 64, got empty text',
    ]);
    expect(await problems('engine: { kind: redis, url: { env: U } }\nkeys: []')).toEqual([
      '5:7 keys CONFIG_INVALID: expected an object, got a list',
    ]);
  });
});
