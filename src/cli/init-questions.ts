import { createInterface } from 'node:readline/promises';
import { Name, Namespace } from '../config/fields.ts';
import { AppError } from '../core/errors.ts';
import type { Context } from './context.ts';
import { CLUSTER_KINDS, LOGINS, STORE_KINDS, type StoreKind } from './init-choices.ts';
import type { Answers } from './init-template.ts';
import { UsageError } from './usage-error.ts';

/** What the options say: of these nothing is asked. */
export type GivenAnswers = { readonly [K in keyof Answers]?: string | undefined };

/** What is wrong with an answer; nothing when it will do. */
type Check = (text: string) => string | undefined;

interface Place {
  readonly question: string;
  /** Variables that the store's own tools read, and what to offer without them. */
  readonly variables: readonly string[];
  readonly offer: string;
  readonly check: Check;
}

/** What each kind of store needs to be told. */
const PLACES: Readonly<Record<StoreKind, Place>> = {
  vault: {
    question: 'Address of Vault or OpenBao',
    variables: ['VAULT_ADDR', 'BAO_ADDR'],
    offer: 'https://vault.internal:8200',
    check: (text) =>
      /^https?:$/.test(URL.parse(text)?.protocol ?? '')
        ? undefined
        : 'an address such as https://vault.internal:8200',
  },
  files: { question: 'Folder of the files', variables: [], offer: './secrets', check: () => undefined },
  'aws-secrets-manager': {
    question: 'AWS region',
    variables: ['AWS_REGION', 'AWS_DEFAULT_REGION'],
    offer: 'eu-west-1',
    check: matching(/^[a-z]{2,}(-[a-z0-9]+)+$/, 'a region such as eu-west-1'),
  },
  'azure-key-vault': {
    question: 'URL of the key vault',
    variables: [],
    offer: 'https://example.vault.azure.net',
    check: matching(/^https:\/\/[^/]+\/?$/, 'an address such as https://contoso.vault.azure.net'),
  },
};

/** @throws UsageError for an option that will not do; AppError INTERRUPTED when the person ends it. */
export async function collectAnswers(context: Context, given: GivenAnswers): Promise<Answers> {
  using questions = createQuestions(context);
  const { ask, choose } = questions;
  const instance = await ask(given, 'instance', 'Name of this installation', 'default', named(Name));
  const cluster = await choose(given, 'cluster', 'Where Secrets are written', CLUSTER_KINDS, 'kubernetes');
  const store = await choose(given, 'store', 'Kind of store', STORE_KINDS, 'vault');
  const { question, variables, offer, check } = PLACES[store];
  const set = variables.map((name) => context.env[name]).find((value) => value && check(value) === undefined);
  const at = await ask(given, 'at', question, set ?? offer, check);
  const more =
    store !== 'vault'
      ? {}
      : {
          mount: await ask(
            given,
            'mount',
            'Mount of its key/value engine',
            'secret',
            matching(/^[^/].*[^/]$|^[^/]$/, 'a path without / around it'),
          ),
          login: await choose(given, 'login', 'How to log in', LOGINS, 'token'),
        };
  const key = await ask(
    given,
    'key',
    'Key of a first secret in it',
    store === 'files' ? 'example.txt' : 'example',
    () => undefined,
  );
  const namespace = await ask(given, 'namespace', 'Namespace of its Secret', 'default', named(Namespace));
  const secret = await ask(given, 'secret', 'Name of its Secret', 'example', named(Name));
  return { instance, cluster, store, at, ...more, key, namespace, secret };
}

interface Questions extends Disposable {
  ask(
    given: GivenAnswers,
    name: keyof Answers,
    question: string,
    offer: string,
    check: Check,
  ): Promise<string>;
  choose<T extends string>(
    given: GivenAnswers,
    name: keyof Answers,
    question: string,
    choices: readonly T[],
    offer: T,
  ): Promise<T>;
}

function createQuestions({ ask: person, signal }: Context): Questions {
  const reader = person && createInterface({ input: person.input, signal });
  // Lines that come before they are asked for, as when somebody pastes, are kept by the iterator.
  const lines = reader?.[Symbol.asyncIterator]();
  let isFirst = true;

  async function ask(
    ...[given, name, question, offer, check]: Parameters<Questions['ask']>
  ): Promise<string> {
    const option = given[name];
    if (option !== undefined) {
      const wrong = check(option);
      if (wrong !== undefined) throw new UsageError(`--${name} takes ${wrong}`);
      return option;
    }
    if (person === undefined || lines === undefined) return offer;
    if (isFirst) person.output.write('Enter takes what stands in brackets.\n\n');
    isFirst = false;
    for (;;) {
      person.output.write(`${question} [${offer}]: `);
      const { done, value } = await lines.next();
      // Ctrl-C and Ctrl-D: nothing is written.
      if (done) throw new AppError('INTERRUPTED');
      const text = value.trim() || offer;
      const wrong = check(text);
      if (wrong === undefined) return text;
      person.output.write(`  It takes ${wrong}.\n`);
    }
  }

  return {
    ask,
    async choose(given, name, question, choices, offer) {
      const check = (text: string) =>
        choices.some((it) => it === text) ? undefined : `one of ${choices.join(', ')}`;
      const text = await ask(given, name, `${question} (${choices.join(', ')})`, offer, check);
      return choices.find((it) => it === text) ?? offer;
    },
    [Symbol.dispose]: () => reader?.close(),
  };
}

function matching(pattern: RegExp, expected: string): Check {
  return (text) => (pattern.test(text) ? undefined : expected);
}

function named(schema: typeof Name): Check {
  return (text) => schema.safeParse(text).error?.issues[0]?.message;
}
