import { createInterface } from 'node:readline/promises';
import { problemsOfText } from '../../config/load.ts';
import type { Problem } from '../../config/problem.ts';
import { AppError } from '../../core/errors.ts';
import type { Context } from '../context.ts';
import { UsageError } from '../usage-error.ts';
import { CLUSTER_KINDS, LOGINS, STORE_KINDS, type StoreKind } from './choices.ts';
import { type Answers, initialConfig } from './template.ts';

/** What the options say: of these nothing is asked. */
export type GivenAnswers = { readonly [K in keyof Answers]?: string | undefined };

/** What is wrong with an answer, as what follows its name; nothing when it will do. */
type Check = (text: string) => Promise<string | undefined>;

interface Place {
  readonly question: string;
  /** Variables that the store's own tools read, and what to offer without them. */
  readonly variables: readonly string[];
  readonly offer: string;
}

/** What each kind of store needs to be told. */
const PLACES: Readonly<Record<StoreKind, Place>> = {
  vault: {
    question: 'Address of Vault or OpenBao',
    variables: ['VAULT_ADDR', 'BAO_ADDR'],
    offer: 'https://vault.internal:8200',
  },
  files: { question: 'Folder of the files', variables: [], offer: './secrets' },
  'aws-secrets-manager': {
    question: 'AWS region',
    variables: ['AWS_REGION', 'AWS_DEFAULT_REGION'],
    offer: 'eu-west-1',
  },
  'azure-key-vault': {
    question: 'URL of the key vault',
    variables: [],
    offer: 'https://example.vault.azure.net',
  },
};

/** @throws UsageError for an option that will not do; AppError INTERRUPTED when the person ends it. */
export async function collectAnswers(context: Context, given: GivenAnswers): Promise<Answers> {
  using questions = createQuestions(context, given);
  const { choose } = questions;
  // The answers so far, and what will be offered for the rest: so what is wrong with all of them is wrong with the last.
  let answers: Answers = {
    instance: 'default',
    cluster: 'kubernetes',
    ...offersOf('vault'),
    namespace: 'default',
    secret: 'example',
  };
  const checkOf =
    (name: keyof Answers): Check =>
    async (text) =>
      wrongIn(await problemsOfText(initialConfig({ ...answers, [name]: text }, undefined), context));
  const ask = async (name: keyof Answers, question: string, offer = answers[name] ?? ''): Promise<void> => {
    answers = { ...answers, [name]: await questions.ask(name, question, offer, checkOf(name)) };
  };

  await ask('instance', 'Name of this installation');
  const cluster = await choose('cluster', 'Where Secrets are written', CLUSTER_KINDS, 'kubernetes');
  const store = await choose('store', 'Kind of store', STORE_KINDS, 'vault');
  answers = { ...answers, cluster, ...offersOf(store) };
  const { question, variables } = PLACES[store];
  await ask(
    'at',
    question,
    await firstGood(
      variables.map((name) => context.env[name]),
      checkOf('at'),
    ),
  );
  if (store === 'vault') {
    await ask('mount', 'Mount of its key/value engine', 'secret');
    answers = { ...answers, login: await choose('login', 'How to log in', LOGINS, 'token') };
  }
  await ask('key', 'Key of a first secret in it');
  await ask('namespace', 'Namespace of its Secret');
  await ask('secret', 'Name of its Secret');
  return answers;
}

function offersOf(store: StoreKind): Pick<Answers, 'store' | 'at' | 'key'> {
  return { store, at: PLACES[store].offer, key: store === 'files' ? 'example.txt' : 'example' };
}

async function firstGood(texts: readonly (string | undefined)[], check: Check): Promise<string | undefined> {
  for (const text of texts) if (text && (await check(text)) === undefined) return text;
  return undefined;
}

function wrongIn([first]: readonly Problem[]): string | undefined {
  if (first === undefined) return undefined;
  const [, expected] = /^expected (.+?)(?:, got .*)?$/.exec(first.message) ?? [];
  return expected === undefined ? `will not do: ${first.message}` : `takes ${expected}`;
}

interface Questions extends Disposable {
  ask(name: keyof Answers, question: string, offer: string, check: Check): Promise<string>;
  choose<T extends string>(
    name: keyof Answers,
    question: string,
    choices: readonly T[],
    offer: T,
  ): Promise<T>;
}

function createQuestions({ ask: person, signal }: Context, given: GivenAnswers): Questions {
  const reader = person && createInterface({ input: person.input, signal });
  // Lines that come before they are asked for, as when somebody pastes, are kept by the iterator.
  const lines = reader?.[Symbol.asyncIterator]();
  let isFirst = true;

  async function ask(...[name, question, offer, check]: Parameters<Questions['ask']>): Promise<string> {
    const option = given[name];
    if (option !== undefined) {
      const wrong = await check(option);
      if (wrong !== undefined) throw new UsageError(`--${name} ${wrong}`);
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
      const wrong = await check(text);
      if (wrong === undefined) return text;
      person.output.write(`  It ${wrong}.\n`);
    }
  }

  return {
    ask,
    async choose(name, question, choices, offer) {
      const check: Check = async (text) =>
        choices.some((it) => it === text) ? undefined : `takes one of ${choices.join(', ')}`;
      const text = await ask(name, `${question} (${choices.join(', ')})`, offer, check);
      return choices.find((it) => it === text) ?? offer;
    },
    [Symbol.dispose]: () => reader?.close(),
  };
}
