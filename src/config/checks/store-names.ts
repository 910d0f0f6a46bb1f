import { isFingerprint } from '../../core/fingerprint.ts';
import { entriesOf, listOf, memberOf, sourcesIn, textOf } from '../files/raw.ts';
import type { Located } from '../files/yaml.ts';
import { type Finding, type Path, quoted } from '../problem.ts';

// What the stores take as keys, versions and searches. The providers check it as well, since a search or a rollback
// may bring other names; here it shows with its place, before anything runs.

interface Expectation {
  /** Completes "expected …". */
  readonly expected: string;
  /** What was probably meant. */
  readonly rather?: string;
}

/** Each says what is wrong, or nothing. */
interface Rules {
  key(key: string): Expectation | undefined;
  version(version: string): Expectation | undefined;
  search(path: string): Expectation | undefined;
  readonly tags: boolean;
  readonly object: boolean;
}

type StoreFields = Readonly<Record<string, unknown>>;

const RULES: Readonly<Record<string, (store: StoreFields) => Rules>> = {
  'aws-secrets-manager': ({ region }) => ({
    key: (key) => (/^arn:/i.test(key) ? awsArn(key, region) : awsName(key)),
    // Whoever writes a version may choose its id and the labels of its stages.
    version: (version) =>
      /^[\x20-\x7e]{1,256}$/.test(version)
        ? undefined
        : { expected: 'the id of a version, or the label of a stage such as `AWSPREVIOUS`' },
    search: (path) => (isRoot(path) ? undefined : awsPath(path.replace(/\/$/, ''))),
    tags: true,
    object: false,
  }),
  'azure-key-vault': () => ({
    key: azureName,
    version: (version) =>
      /^[0-9a-fA-F]{32}$/.test(version)
        ? undefined
        : { expected: 'a version of Azure Key Vault: 32 hexadecimal digits' },
    search: (path) => (path === '' ? undefined : azureName(path)),
    tags: true,
    object: true,
  }),
  files: () => ({
    key: (key) => plainPath('a path relative to the folder', key),
    version: fingerprintOnly('files have no versions'),
    search: (path) => (isRoot(path) ? undefined : plainPath('a folder', path.replace(/\/$/, ''))),
    tags: false,
    object: false,
  }),
  vault: ({ kvVersion }) => ({
    key: (key) => plainPath('a path in the mount', key),
    version:
      kvVersion === 1
        ? fingerprintOnly('the key/value engine, version 1, has no versions')
        : (version) =>
            /^[1-9]\d{0,14}$/.test(version)
              ? undefined
              : { expected: 'a version of Vault: a whole number from 1' },
    search: (path) => (isRoot(path) ? undefined : plainPath('a path in the mount', path.replace(/\/$/, ''))),
    tags: kvVersion !== 1,
    object: false,
  }),
};

/** None for a kind that is wrong, which the schema says; `toString` is no kind either. */
function rulesOf(kind: string): ((store: StoreFields) => Rules) | undefined {
  return Object.hasOwn(RULES, kind) ? RULES[kind] : undefined;
}

/** @param root As it stands in the files. */
export function checkStoreNames(root: Located): readonly Finding[] {
  const rules = new Map(
    listOf(root, 'stores').flatMap((store): [string, Rules][] => {
      const name = textOf(store, 'name');
      const make = rulesOf(textOf(store, 'kind') ?? '');
      return name === undefined || make === undefined ? [] : [[name, make(store as StoreFields)]];
    }),
  );
  return listOf(root, 'mappings').flatMap((mapping, index) =>
    sourcesIn(mapping, ['mappings', index]).flatMap(([path, source]) => {
      const known = rules.get(textOf(source, 'store') ?? '');
      return known === undefined ? [] : checkSource(known, source, path);
    }),
  );
}

function checkSource(rules: Rules, source: unknown, path: Path): Finding[] {
  const find = memberOf(source, 'find');
  const version = memberOf(source, 'version');
  const findings: Finding[] = [];
  const judge = (text: unknown, rule: (text: string) => Expectation | undefined, ...at: Path) => {
    const wrong = typeof text === 'string' ? rule(text) : undefined;
    if (wrong !== undefined) findings.push(finding([...path, ...at], wrong));
  };
  if (textOf(source, 'key') !== '') judge(memberOf(source, 'key'), rules.key, 'key');
  if (version !== '')
    judge(Number.isSafeInteger(version) ? String(version) : version, rules.version, 'version');
  judge(memberOf(find, 'path'), rules.search, 'find', 'path');
  if (!rules.tags && entriesOf(memberOf(find, 'tags')).length > 0)
    findings.push(finding([...path, 'find', 'tags'], { expected: 'no tags: this store has none' }));
  if (!rules.object && memberOf(source, 'object') !== undefined)
    findings.push(
      finding([...path, 'object'], {
        expected: 'a store of kind `azure-key-vault`: no other has `object`',
      }),
    );
  return findings;
}

function finding(path: Path, { expected, rather }: Expectation): Finding {
  const suggestion = rather === undefined ? {} : { suggestion: `did you mean ${quoted(rather)}?` };
  return { path, code: 'CONFIG_INVALID', message: `expected ${expected}`, ...suggestion };
}

/** Everything in the store. */
function isRoot(path: string): boolean {
  return path === '' || path === '/';
}

/** Segments that name something, as Vault and file systems take them. */
function plainPath(what: string, path: string): Expectation | undefined {
  const segments = path.split('/');
  if (segments.some((segment) => segment === '.' || segment === '..'))
    return { expected: `${what} without \`.\` and \`..\` segments` };
  if (!path.isWellFormed() || /[\u0000-\u001f\u007f]/.test(path))
    return { expected: `${what}, of well-formed Unicode without control characters` };
  if (!segments.includes('')) return undefined;
  return { expected: `${what}: no \`/\` at its ends, no \`//\``, ...ifOther(path, withoutEmpty(path)) };
}

/** https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html */
function awsName(name: string): Expectation | undefined {
  const expected = 'a name of AWS Secrets Manager: 1 to 512 of `A-Z a-z 0-9 / _ + = . @ ! -`';
  // `!` is in the names of secrets that other services of AWS own, such as `rds!cluster-…`.
  if (!/^[\w/+=.@!-]{1,512}$/.test(name))
    return name.length > 512 ? { expected } : { expected, ...ifOther(name, name.trim()) };
  const segments = name.split('/');
  if (segments.some((segment) => segment === '.' || segment === '..'))
    return { expected: 'a name without `.` and `..` segments' };
  return undefined;
}

/** Where a search begins; names below it may have a `//` and a `/` at their end. */
function awsPath(path: string): Expectation | undefined {
  const wrong = awsName(path);
  if (wrong !== undefined || !path.split('/').slice(1).includes('')) return wrong;
  const rather = (path.startsWith('/') ? '/' : '') + withoutEmpty(path);
  return { expected: 'a path without `//`', ...ifOther(path, rather) };
}

function awsArn(arn: string, region: unknown): Expectation | undefined {
  const parts = /^arn:aws[\w-]*:secretsmanager:([a-z0-9-]+):\d{12}:secret:(.+)$/.exec(arn);
  if (parts === null)
    return { expected: 'a name, or an ARN: `arn:aws:secretsmanager:<region>:<account>:secret:<name>`' };
  const [, of, name = ''] = parts;
  if (typeof region === 'string' && of !== region)
    return { expected: `an ARN of the store's own region ${quoted(region)}, got one of ${quoted(of ?? '')}` };
  return awsName(name);
}

/** https://learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates#object-identifiers */
function azureName(name: string): Expectation | undefined {
  if (/^[0-9a-zA-Z-]{1,127}$/.test(name)) return undefined;
  const expected = 'a name of Azure Key Vault: 1 to 127 of `0-9 a-z A-Z -`';
  const rather = name.replace(/[/_. ]+/g, '-').replace(/^-+|-+$/g, '');
  return /^[0-9a-zA-Z-]{1,127}$/.test(rather) ? { expected, rather } : { expected };
}

/** A version is then a condition: only this value. */
function fingerprintOnly(why: string): (version: string) => Expectation | undefined {
  return (version) =>
    isFingerprint(version)
      ? undefined
      : { expected: `no \`version\`, or the fingerprint of the only value that is meant: ${why}` };
}

function withoutEmpty(path: string): string {
  return path
    .split('/')
    .filter((segment) => segment !== '')
    .join('/');
}

function ifOther(given: string, rather: string): { rather?: string } {
  return rather === given || rather === '' ? {} : { rather };
}
