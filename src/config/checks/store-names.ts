import { isFingerprint } from '../../core/fingerprint.ts';
import { entriesOf, listOf, memberOf, sourcesIn, textOf } from '../files/raw.ts';
import type { Located } from '../files/yaml.ts';
import { type Finding, type Path, quoted } from '../problem.ts';

// Checks keys, versions and searches by the rules of each store. The providers check them again at run time, because
// searches and rollbacks can produce other names. The check here runs first and reports the place in the file.

interface Expectation {
  /** Completes the sentence "expected …". */
  readonly expected: string;
  /** The probable correction. */
  readonly suggested?: string;
}

/** Each rule returns `undefined` if the text is valid, or a description of the expected text. */
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
    key: (key) => (/^arn:/i.test(key) ? checkAwsArn(key, region) : checkAwsName(key)),
    // A version can be an id or a stage label. Writers of the version may choose both.
    version: (version) =>
      /^[\x20-\x7e]{1,256}$/.test(version)
        ? undefined
        : { expected: 'a version id, or a stage label such as `AWSPREVIOUS`' },
    search: (path) => (isRoot(path) ? undefined : checkAwsPath(path.replace(/\/$/, ''))),
    tags: true,
    object: false,
  }),
  'azure-key-vault': () => ({
    key: checkAzureName,
    version: (version) =>
      /^[0-9a-fA-F]{32}$/.test(version)
        ? undefined
        : { expected: 'an Azure Key Vault version: 32 hexadecimal digits' },
    search: (path) => (path === '' ? undefined : checkAzureName(path)),
    tags: true,
    object: true,
  }),
  files: () => ({
    key: (key) => checkPath('a path relative to the folder', key),
    version: fingerprintOnly('files have no versions'),
    search: (path) => (isRoot(path) ? undefined : checkPath('a folder', path.replace(/\/$/, ''))),
    tags: false,
    object: false,
  }),
  vault: ({ kvVersion }) => ({
    key: (key) => checkPath('a path in the mount', key),
    version:
      kvVersion === 1
        ? fingerprintOnly('the key/value engine version 1 has no versions')
        : (version) =>
            /^[1-9]\d{0,14}$/.test(version)
              ? undefined
              : { expected: 'a Vault version: a whole number from 1' },
    search: (path) => (isRoot(path) ? undefined : checkPath('a path in the mount', path.replace(/\/$/, ''))),
    tags: kvVersion !== 1,
    object: false,
  }),
};

/**
 * Returns `undefined` for an unknown kind, which the schema reports. `hasOwn` rejects inherited names such as
 * `toString`.
 */
function rulesOf(kind: string): ((store: StoreFields) => Rules) | undefined {
  return Object.hasOwn(RULES, kind) ? RULES[kind] : undefined;
}

/** @param root The unvalidated content of the files. */
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
      const storeRules = rules.get(textOf(source, 'store') ?? '');
      return storeRules === undefined ? [] : checkSource(storeRules, source, path);
    }),
  );
}

function checkSource(rules: Rules, source: unknown, path: Path): Finding[] {
  const find = memberOf(source, 'find');
  const version = memberOf(source, 'version');
  const findings: Finding[] = [];
  const checkText = (text: unknown, rule: (text: string) => Expectation | undefined, ...at: Path) => {
    const violation = typeof text === 'string' ? rule(text) : undefined;
    if (violation !== undefined) findings.push(finding([...path, ...at], violation));
  };
  if (textOf(source, 'key') !== '') checkText(memberOf(source, 'key'), rules.key, 'key');
  if (version !== '')
    checkText(Number.isSafeInteger(version) ? String(version) : version, rules.version, 'version');
  checkText(memberOf(find, 'path'), rules.search, 'find', 'path');
  if (!rules.tags && entriesOf(memberOf(find, 'tags')).length > 0)
    findings.push(finding([...path, 'find', 'tags'], { expected: 'no tags: this store has none' }));
  if (!rules.object && memberOf(source, 'object') !== undefined)
    findings.push(
      finding([...path, 'object'], {
        expected: 'a store of kind `azure-key-vault`: other kinds have no `object`',
      }),
    );
  return findings;
}

function finding(path: Path, { expected, suggested }: Expectation): Finding {
  const suggestion = suggested === undefined ? {} : { suggestion: `did you mean ${quoted(suggested)}?` };
  return { path, code: 'CONFIG_INVALID', message: `expected ${expected}`, ...suggestion };
}

/** An empty path searches the whole store. */
function isRoot(path: string): boolean {
  return path === '' || path === '/';
}

/** Checks a path by the rules that Vault and file systems share. */
function checkPath(what: string, path: string): Expectation | undefined {
  const segments = path.split('/');
  if (segments.some((segment) => segment === '.' || segment === '..'))
    return { expected: `${what} without \`.\` and \`..\` segments` };
  if (!path.isWellFormed() || /[\u0000-\u001f\u007f]/.test(path))
    return { expected: `${what}, of well-formed Unicode without control characters` };
  if (!segments.includes('')) return undefined;
  return {
    expected: `${what} without \`/\` at its ends and without \`//\``,
    ...suggestIfDifferent(path, withoutEmpty(path)),
  };
}

/** https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html */
function checkAwsName(name: string): Expectation | undefined {
  const expected = 'an AWS Secrets Manager name: 1 to 512 of `A-Z a-z 0-9 / _ + = . @ ! -`';
  // `!` occurs in the names of secrets that other AWS services own, such as `rds!cluster-…`.
  if (!/^[\w/+=.@!-]{1,512}$/.test(name))
    return name.length > 512 ? { expected } : { expected, ...suggestIfDifferent(name, name.trim()) };
  const segments = name.split('/');
  if (segments.some((segment) => segment === '.' || segment === '..'))
    return { expected: 'a name without `.` and `..` segments' };
  return undefined;
}

/** Checks the start path of a search. Names below the path may contain `//` and end with `/`. */
function checkAwsPath(path: string): Expectation | undefined {
  const violation = checkAwsName(path);
  if (violation !== undefined || !path.split('/').slice(1).includes('')) return violation;
  const suggested = (path.startsWith('/') ? '/' : '') + withoutEmpty(path);
  return { expected: 'a path without `//`', ...suggestIfDifferent(path, suggested) };
}

function checkAwsArn(arn: string, region: unknown): Expectation | undefined {
  const parts = /^arn:aws[\w-]*:secretsmanager:([a-z0-9-]+):\d{12}:secret:(.+)$/.exec(arn);
  if (parts === null)
    return { expected: 'a name, or an ARN: `arn:aws:secretsmanager:<region>:<account>:secret:<name>`' };
  const [, arnRegion, name = ''] = parts;
  if (typeof region === 'string' && arnRegion !== region)
    return {
      expected: `an ARN of the store's own region ${quoted(region)}, got one of ${quoted(arnRegion ?? '')}`,
    };
  return checkAwsName(name);
}

/** https://learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates#object-identifiers */
function checkAzureName(name: string): Expectation | undefined {
  if (/^[0-9a-zA-Z-]{1,127}$/.test(name)) return undefined;
  const expected = 'an Azure Key Vault name: 1 to 127 of `0-9 a-z A-Z -`';
  const suggested = name.replace(/[/_. ]+/g, '-').replace(/^-+|-+$/g, '');
  return /^[0-9a-zA-Z-]{1,127}$/.test(suggested) ? { expected, suggested } : { expected };
}

/**
 * The version rule of stores without versions. Their only valid version is a fingerprint, which the value must match.
 */
function fingerprintOnly(reason: string): (version: string) => Expectation | undefined {
  return (version) =>
    isFingerprint(version)
      ? undefined
      : { expected: `no \`version\`, or the fingerprint of the only accepted value: ${reason}` };
}

function withoutEmpty(path: string): string {
  return path
    .split('/')
    .filter((segment) => segment !== '')
    .join('/');
}

function suggestIfDifferent(actual: string, suggested: string): { suggested?: string } {
  return suggested === actual || suggested === '' ? {} : { suggested };
}
