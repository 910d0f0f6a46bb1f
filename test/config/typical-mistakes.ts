/** A valid file, which each mistake changes. */
export const BASE = `apiVersion: secretbridge.dev/v1
instance: prod
stores:
  - name: team-vault
    kind: vault
    address: https://vault.internal:8200
    mount: secret
    auth: { method: token, token: { env: VAULT_TOKEN } }
  - name: aws-prod
    kind: aws-secrets-manager
    region: eu-west-1
  - { name: local, kind: files, path: ./secrets }
defaults:
  refresh: 5m
mappings:
  - name: payments-db
    target:
      namespace: payments
      secret: payments-db
    data:
      DB_PASSWORD: { store: team-vault, key: payments/db, property: password }
      API_KEY: { store: aws-prod, key: payments/api }
    template:
      data:
        app.yaml: 'password: {{ DB_PASSWORD | json }}'
    restart: [ { kind: Deployment, name: payments } ]
  - name: shop
    target: { namespace: shop }
    dataFrom:
      - { store: local, key: shop.json }
`;

/** A text that must never be printed. */
export const MARKER = 'S3cr3tM4rk3r';

type Replacement = readonly [from: string, to: string];

/** Mistakes in the layout of the file. */
const LAYOUT: readonly (readonly [string, ...Replacement])[] = [
  ['a line two spaces too deep', '    address: h', '      address: h'],
  ['a section two spaces too deep', '    data:\n      DB', '      data:\n      DB'],
  ['a line one space too deep', '      secret: p', '       secret: p'],
  ['a line one space too shallow', '    data:\n      DB', '   data:\n      DB'],
  ['a nested line as deep as its section', '      namespace: payments\n', '    namespace: payments\n'],
  ['a nested section as deep as its parent', '  refresh: 5m', 'refresh: 5m'],
  ['a store field at the top level', '    region: eu-west-1', 'region: eu-west-1'],
  [
    'a mapping section inside of `target`',
    '    data:\n',
    '      data:\n        X: { store: local, key: a }\n    data:\n',
  ],
  ['a list item one space too deep', '  - name: shop', '   - name: shop'],
  ['a list item inside of the previous one', '  - name: shop', '    - name: shop'],
  ['a list item too shallow', '  - name: shop', '- name: shop'],
  ['a tab', '    kind: vault', '\tkind: vault'],
  ['a tab in the middle of the indentation', '    kind: vault', '  \tkind: vault'],
  ['no colon', '    target:\n', '    target\n'],
  ['no space after the colon', 'mount: secret', 'mount:secret'],
  ['no space after the colon of the first field', '- name: team-vault', '- name:team-vault'],
  ['no space after the dash', '  - name: aws-prod', '  -name: aws-prod'],
  ['no dash', '  - name: aws-prod', '    name: aws-prod'],
  ['an open quote', 'secret: payments-db', 'secret: "payments-db'],
  ['an open quote in a list', "{{ DB_PASSWORD | json }}'", '{{ DB_PASSWORD | json }}'],
  ['an open brace', 'property: password }', 'property: password'],
  ['an open bracket', 'name: payments } ]', 'name: payments }'],
  ['a brace too many', 'key: payments/api }', 'key: payments/api } }'],
  ['no comma', 'store: team-vault, key', 'store: team-vault key'],
  ['a second colon', 'instance: prod', 'instance: prod: eu'],
  ['a template without quotes', "'password: {{ DB_PASSWORD | json }}'", '{{ DB_PASSWORD }}'],
  ['a template with a colon and without quotes', "'password: {{ DB_PASSWORD | json }}'", 'password: {{ A }}'],
  ['a star without quotes', 'key: payments/db', 'key: *db'],
  ['a character that needs quotes', 'instance: prod', 'instance: @prod'],
  ['a backslash in double quotes', 'path: ./secrets', 'path: "C:\\secrets"'],
  [
    'a merge conflict',
    'instance: prod\n',
    '<<<<<<< HEAD\ninstance: prod\n=======\ninstance: eu\n>>>>>>> main\n',
  ],
  ['an anchor', 'defaults:\n', 'defaults: &d\n'],
  ['a merge key', '  refresh: 5m', '  <<: { refresh: 5m }'],
  ['a key twice', '    kind: vault\n', '    kind: vault\n    kind: files\n'],
  ['a section twice', 'defaults:\n', 'defaults: {}\ndefaults:\n'],
];

/** Mistakes in names and values. */
const CONTENT: readonly (readonly [string, ...Replacement])[] = [
  ['a misspelled section', 'mappings:', 'mapings:'],
  ['a misspelled field', 'property: password', 'propery: password'],
  ['another case of a field', 'dataFrom:', 'datafrom:'],
  ['a field of another tool', 'key: payments/api', 'remoteRef: payments/api'],
  ['a part of the name of a kind', 'kind: aws-secrets-manager', 'kind: aws'],
  ['another name of a kind', 'kind: vault', 'kind: openbao'],
  ['a misspelled kind', 'kind: files', 'kind: file'],
  ['no kind', '    kind: vault\n', ''],
  ['a misspelled login method', 'method: token', 'method: tokn'],
  ['a misspelled kind of workload', 'kind: Deployment', 'kind: deployment'],
  ['another apiVersion', 'secretbridge.dev/v1', 'secretbridge.dev/v2'],
  ['no apiVersion', 'apiVersion: secretbridge.dev/v1\n', ''],
  ['no instance', 'instance: prod\n', ''],
  ['no namespace', '{ namespace: shop }', '{ secret: shop }'],
  ['no key', 'store: aws-prod, key: payments/api', 'store: aws-prod'],
  ['no data', '    dataFrom:\n      - { store: local, key: shop.json }\n', ''],
  ['an unknown store', 'store: team-vault', 'store: team-valut'],
  ['a capital letter in a name', '- name: shop', '- name: Shop'],
  ['an underscore in a namespace', 'namespace: payments', 'namespace: my_payments'],
  ['a mapping name twice', '- name: shop', '- name: payments-db'],
  ['a store name twice', 'name: local', 'name: aws-prod'],
  ['a target twice', 'target: { namespace: shop }', 'target: { namespace: payments, secret: payments-db }'],
  ['a duration without a unit', 'refresh: 5m', 'refresh: 300'],
  ['a duration in days and words', 'refresh: 5m', 'refresh: 5 minutes'],
  ['a number in quotes', 'defaults:\n', 'engine: { kind: memory, concurrency: "8" }\ndefaults:\n'],
  ['yes instead of true', 'secret: payments-db', 'immutable: yes'],
  ['a word instead of an object', 'defaults:\n', 'engine: redis\ndefaults:\n'],
  ['text instead of a list', 'restart: [ { kind: Deployment, name: payments } ]', 'restart: payments'],
  ['an object instead of a list', 'stores:\n  - name: team-vault', 'stores:\n    name: team-vault'],
  ['an address without https', 'https://vault.internal', 'http://vault.internal'],
  ['an address without a scheme', 'https://vault.internal:8200', 'vault.internal:8200'],
  ['a literal credential', 'token: { env: VAULT_TOKEN }', `token: ${MARKER}`],
  ['a literal credential as the name of a reference', 'token: { env: VAULT_TOKEN }', `token: { ${MARKER} }`],
  ['a literal credential without a space', 'token: { env: VAULT_TOKEN }', `token:${MARKER}`],
  ['a literal credential without a colon', 'token: { env: VAULT_TOKEN }', `token ${MARKER}`],
  ['a misspelled reference', 'token: { env: VAULT_TOKEN }', `token: { evn: ${MARKER} }`],
  ['a literal value of a source', '{ store: aws-prod, key: payments/api }', MARKER],
  ['a literal value in a source', '{ store: aws-prod, key: payments/api }', `{ value: ${MARKER} }`],
  ['a literal password in a template', 'password: {{ DB_PASSWORD | json }}', `password: ${MARKER}9`],
  ['an invalid key of the target', 'API_KEY:', 'API KEY:'],
  ['an unknown variable in a template', '{{ DB_PASSWORD | json', '{{ DB_PASWORD | json'],
  ['an unknown filter in a template', '| json', '| jsn'],
  ['an open tag in a template', '| json }}', '| json }'],
  ['an empty property', 'property: password', 'property: ""'],
];

/** Each mistake with its name and the file that contains it. */
export const MISTAKES: readonly (readonly [string, string])[] = [...LAYOUT, ...CONTENT].map(
  ([name, from, to]) => {
    if (!BASE.includes(from)) throw new Error(`${name}: the base file does not contain the text`);
    return [name, BASE.replace(from, () => to)];
  },
);
