import { createInterface } from 'node:readline/promises';
import type { Problem } from '../../config/problem.ts';
import { AppError } from '../../core/errors.ts';
import type { Context } from '../context.ts';
import { UsageError } from '../errors.ts';
import {
  type Answers,
  CLUSTER_KINDS,
  DEFAULT_ROLE_ID,
  initialConfig,
  LOGINS,
  STORE_KINDS,
  type StoreKind,
} from './template.ts';

/** The answers that command line options provide. `init` does not prompt for them. */
export type OptionAnswers = { readonly [K in keyof Answers]?: string | undefined };

/**
 * Returns a text that describes the problem with an answer. The text is printed after the name of the answer. Undefined
 * if the answer is valid.
 */
type Check = (text: string) => Promise<string | undefined>;

interface LocationQuestion {
  readonly question: string;
  /** Environment variables that the store's own tools read. */
  readonly variables: readonly string[];
  readonly fallback: string;
}

const AWS_QUESTION: LocationQuestion = {
  question: 'AWS region',
  variables: ['AWS_REGION', 'AWS_DEFAULT_REGION'],
  fallback: 'eu-west-1',
};

/** For each kind of store, the question about its location. */
const LOCATION_QUESTIONS: Readonly<Record<StoreKind, LocationQuestion>> = {
  vault: {
    question: 'Address of Vault or OpenBao',
    variables: ['VAULT_ADDR', 'BAO_ADDR'],
    fallback: 'https://vault.internal:8200',
  },
  files: { question: 'Folder of the files', variables: [], fallback: './secrets' },
  'aws-secrets-manager': AWS_QUESTION,
  'aws-parameter-store': AWS_QUESTION,
  'azure-key-vault': {
    question: 'URL of the key vault',
    variables: [],
    fallback: 'https://example.vault.azure.net',
  },
};

/** Asks the questions. @throws UsageError for an invalid option; AppError INTERRUPTED if the user ends the prompt */
export async function collectAnswers(context: Context, optionAnswers: OptionAnswers): Promise<Answers> {
  using questions = createQuestions(context, optionAnswers);
  const { choose } = questions;
  const { validateText } = await import('../../config/load.ts');
  // The valid answers so far, and defaults for the other answers. Each new answer is validated together with these
  // values as one configuration. So if validation fails, the new answer is the cause.
  let answers: Answers = {
    instance: 'default',
    cluster: 'kubernetes',
    ...defaultsOf('vault'),
    namespace: 'default',
    secret: 'example',
  };
  const checkOf =
    (name: keyof Answers): Check =>
    async (text) =>
      problemText(await validateText(initialConfig({ ...answers, [name]: text }, undefined), context));
  const ask = async (name: keyof Answers, question: string, offer = answers[name] ?? ''): Promise<void> => {
    answers = { ...answers, [name]: await questions.ask(name, question, offer, checkOf(name)) };
  };

  await ask('instance', 'Name of this installation');
  const cluster = await choose('cluster', 'Where Secrets are written', CLUSTER_KINDS, 'kubernetes');
  const store = await choose('store', 'Kind of store', STORE_KINDS, 'vault');
  answers = { ...answers, cluster, ...defaultsOf(store) };
  const { question, variables } = LOCATION_QUESTIONS[store];
  await ask(
    'at',
    question,
    await firstValid(
      variables.map((name) => context.env[name]),
      checkOf('at'),
    ),
  );
  if (store === 'vault') {
    await ask('mount', 'Mount of the key/value engine', 'secret');
    answers = { ...answers, login: await choose('login', 'Login method', LOGINS, 'token') };
    if (answers.login === 'appRole')
      await ask('roleId', 'Role id of the AppRole', context.env.VAULT_ROLE_ID || DEFAULT_ROLE_ID);
  }
  await ask('key', 'Key of a first secret in the store');
  await ask('namespace', 'Namespace of the Secret');
  await ask('secret', 'Name of the Secret');
  return answers;
}

function defaultsOf(store: StoreKind): Pick<Answers, 'store' | 'at' | 'key'> {
  return {
    store,
    at: LOCATION_QUESTIONS[store].fallback,
    key: store === 'files' ? 'example.txt' : 'example',
  };
}

async function firstValid(texts: readonly (string | undefined)[], check: Check): Promise<string | undefined> {
  for (const text of texts) if (text && (await check(text)) === undefined) return text;
  return undefined;
}

function problemText([first]: readonly Problem[]): string | undefined {
  if (first === undefined) return undefined;
  const [, expected] = /^expected (.+?)(?:, got .*)?$/.exec(first.message) ?? [];
  return expected === undefined ? `is invalid: ${first.message}` : `must be ${expected}`;
}

/** The options whose name is not the name of the answer. */
const OPTIONS: { readonly [K in keyof Answers]?: string } = { roleId: 'role-id' };

interface Questions extends Disposable {
  ask(name: keyof Answers, question: string, offer: string, check: Check): Promise<string>;
  choose<T extends string>(
    name: keyof Answers,
    question: string,
    choices: readonly T[],
    offer: T,
  ): Promise<T>;
}

function createQuestions({ ask: person, signal }: Context, optionAnswers: OptionAnswers): Questions {
  const reader = person && createInterface({ input: person.input, signal });
  // Read lines with the iterator, because it buffers lines that arrive before the question, such as pasted text.
  const lines = reader?.[Symbol.asyncIterator]();
  let isFirst = true;

  async function ask(...[name, question, offer, check]: Parameters<Questions['ask']>): Promise<string> {
    const option = optionAnswers[name];
    if (option !== undefined) {
      const wrong = await check(option);
      if (wrong !== undefined) throw new UsageError(`--${OPTIONS[name] ?? name} ${wrong}`);
      return option;
    }
    if (person === undefined || lines === undefined) return offer;
    if (isFirst) person.output.write('Press Enter to accept the value in brackets.\n\n');
    isFirst = false;
    for (;;) {
      person.output.write(`${question} [${offer}]: `);
      const { done, value } = await lines.next();
      // The user pressed Ctrl-C or Ctrl-D. Nothing is written.
      if (done) throw new AppError('INTERRUPTED');
      const text = value.trim() || offer;
      const wrong = await check(text);
      if (wrong === undefined) return text;
      person.output.write(`  The answer ${wrong}.\n`);
    }
  }

  return {
    ask,
    async choose(name, question, choices, offer) {
      const check: Check = async (text) =>
        choices.some((choice) => choice === text) ? undefined : `must be one of ${choices.join(', ')}`;
      const text = await ask(name, `${question} (${choices.join(', ')})`, offer, check);
      return choices.find((choice) => choice === text) ?? offer;
    },
    [Symbol.dispose]: () => reader?.close(),
  };
}
