import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { exitCode, exitCodeOf } from '../../src/cli/exit.ts';
import { ERRORS, type ErrorCode } from '../../src/core/error-codes.ts';
import type { ErrorKind, Remedy } from '../../src/core/error-tables/kind.ts';
import { AppError } from '../../src/core/errors.ts';

const GROUPS: Readonly<Record<ErrorKind['group'], readonly [title: string, text: string]>> = {
  store: ['From a store', 'What a store answered, or why it did not.'],
  data: ['From the data', 'What was read does not give a Secret that can be written.'],
  cluster: ['From the cluster', 'What the API server, or the folder that stands for it, answered.'],
  ours: ['From secretbridge itself', 'Configuration, audit, and the rules that hold a change back.'],
  http: ['From the HTTP API', 'What is wrong with a request, or with the address where the API is served.'],
};

const HEALER: Readonly<Record<Remedy, string>> = {
  retry: 'It may mend itself: run it again.',
  wait: 'It mends itself with time: run it again later.',
  'fix-config': 'A person must act: configuration or data.',
  'fix-access': 'A person must act: access or credentials.',
  'report-bug': 'It may go away by itself, but we are at fault.',
};

/** What a reader of the paragraph asks next, where the two sentences of the code do not answer it. */
const MORE: Partial<Readonly<Record<ErrorCode, string>>> = {
  AUTH_FAILED:
    'Vault also answers so to a login method that is not enabled at `auth.mountPath`. After a refused login none is tried for ten seconds, since some servers lock an account.',
  ACCESS_DENIED:
    'Vault answers the same to a token that has ended; secretbridge asks it which of the two holds, and says `AUTH_FAILED` then. It also answers so about a mount of which the identity may read nothing. For a folder of files it means that permission is missing, or that a symbolic link leads out of the folder. For AWS and Azure it is also the answer when an absence may not be confirmed: the sentence in brackets names the permission.',
  MOUNT_NOT_FOUND:
    'A version 1 mount that is read as version 2 answers like a key that is not there. That is why the mount is confirmed before a key counts as absent.',
  SOURCE_ABSENT:
    'Only this code means that something does not exist; [what counts as proof](../explanation/what-is-absence.md) depends on the store. A target that was written before is kept as it is, until the absence is proved and `onSourceMissing` says otherwise; the sentence in brackets says what is still missing for that.',
  SOURCE_DELETED:
    'With Vault: the current version was deleted with `vault kv delete`, or destroyed. With AWS: it is scheduled for deletion. With Azure: it is soft-deleted. It counts as absent only with `softDeletedIsMissing: true`.',
  SOURCE_DISABLED: 'Only Azure has this state.',
  VERSION_GONE:
    'For stores without versions of their own (Vault key/value version 1, files) a `version` is the fingerprint of the value, so this means that the value has changed.',
  STORE_UNAVAILABLE: 'The sentence in brackets says which it was: DNS, connection, status, sealed.',
  BAD_ANSWER: 'Redirects are not followed, because the token would travel along; they end here.',
  NOT_AN_OBJECT:
    'A name that stands twice in the object leads here too: nobody can say which of the two is meant.',
  PROPERTY_MISSING: 'How a property is looked up is in [values](values.md#properties).',
  KEY_COLLISION: 'It is an error whether or not the two values are the same today.',
  TYPE_KEYS_MISSING: 'The keys of each type are in [values](values.md#checks-before-a-write).',
  NOT_OWNED:
    'A Secret whose `secretbridge.dev` labels were removed by hand is released, and counts as not ours. [How to adopt one](../how-to/adopt-existing-secrets.md).',
  TARGET_CLAIMED:
    'Within one configuration, `validate` finds two mappings of one target. In the cluster, the labels of the Secret name the instance and the mapping that own it.',
  CLUSTER_FORBIDDEN:
    'Also when the API server does not accept the identity at all: an expired token or client certificate.',
  CLUSTER_REFUSED:
    'The answer of the API server is not repeated, since it may quote values; its audit log has it.',
  CONFLICT:
    'Each write names the object that was read; if that changed meanwhile, nothing is written and the target is decided again, three times in all. With `mode: merge` it means that somebody else holds one of our keys, labels or annotations with another value; nothing is written then, and the exit code is 4.',
  IMMUTABLE:
    'Kubernetes changes neither the type of a Secret nor the data of an immutable one. With `recreate: true` it is deleted and created at once, under the brake.',
  HELD: 'More was to go than `brake` allows, or the last target; or no key would be left, which is always held. [How to go about it](../how-to/respond-to-a-hold.md).',
  NOT_HELD: 'Usually somebody has released it, or the Secret has changed since.',
  SECRET_MISSING: 'Only mappings with `mode: merge` wait like that.',
  NOT_ALLOWED: 'Nothing is read for a mapping that may not read all of its sources; other mappings go on.',
  BUSY_ELSEWHERE:
    'Deletions are decided on by one process at a time, and so are restarts, the look at what a crash left open, and what leaves the audit by its `retention`. Whoever waits for its turn waits for a minute. A `sync` has brought all other targets into step by then, and those that were to go fail with this code.',
  AUDIT_UNAVAILABLE:
    'A change without its record must not happen, so this ends the run. What was written before is on record. What is no audit of ours (a file of another program, of a newer release, damaged) does not mend itself: a person must act then, as the remedy says, and the exit code is 1 nevertheless: it follows from the code alone.',
  CONFIG_INVALID:
    'About `cluster` it means the kubeconfig, which `validate` does not look at; the remedy then says so.',
  INTERRUPTED:
    'Written when a run finds what another left open: the change was announced, the process ended, and the cluster shows that it was not made.',
  INVALID_REQUEST:
    'The sentence in brackets says what is wrong with it: a parameter, the body, its size or its form. What the request held is not repeated.',
  UNAUTHENTICATED:
    'A token counts in the header only, never in the address. Without `http.tokens` and without `http.kubernetes` there is none that is valid.',
  CREDENTIAL_MISSING: 'It also means a key file of `keys` that does not hold what it should.',
};

const SRC = join(import.meta.dirname, '../../src');

/** `docs/reference/errors.md`: one paragraph for each code. */
export function errorsPage(): string {
  const given = codesGiven();
  return [
    '<!-- Made from src/core/error-tables by `npm run docs`. Change it there, or in scripts/docs/errors-page.ts. -->',
    '# Errors',
    'An error has a code that never changes its meaning, a sentence that names the object, and what to do. `secretbridge` prints all three; with `--output json` they are `code`, `message` and `remedy`. The text of a store or of the API server is never shown, because it may hold a value.',
    'The exit code is that of a command that met this error alone. When a run met several, the [first that holds](cli.md#exit-codes) counts.',
    ...Object.entries(GROUPS).flatMap(([group, [title, text]]) => [
      `## ${title}`,
      text,
      ...Object.entries(ERRORS)
        .filter(([, kind]) => kind.group === group)
        .flatMap(([code, kind]) => [`### ${code}`, paragraph(code as ErrorCode, kind, given)]),
    ]),
    '',
  ].join('\n\n');
}

function paragraph(code: ErrorCode, { says, todo, remedy }: ErrorKind, given: ReadonlySet<string>): string {
  const later = given.has(code) ? undefined : 'No part of this version gives this code yet.';
  const sentences = [`${says.charAt(0).toUpperCase()}${says.slice(1)}.`, todo, MORE[code], HEALER[remedy]];
  return [...sentences, exitText(code), later].filter((text) => text !== undefined).join(' ');
}

/** What ends a command as a whole may be something else than a part of a run at fault. */
function exitText(code: ErrorCode): string {
  const [whole, part] = [exitCodeOf(new AppError(code)), exitCode([code])];
  return whole === part ? `Exit code ${whole}.` : `Exit code ${whole}. Of one target of a run: ${part}.`;
}

/** The codes that some part really gives: the table holds those of later versions too. */
function codesGiven(): ReadonlySet<string> {
  const files = globSync('**/*.ts', { cwd: SRC }).filter((path) => !path.startsWith(join('core', 'error-')));
  const text = files.map((path) => readFileSync(join(SRC, path), 'utf8')).join('\n');
  return new Set(Object.keys(ERRORS).filter((code) => text.includes(`'${code}'`)));
}
