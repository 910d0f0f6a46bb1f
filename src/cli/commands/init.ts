import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline/promises';
import type { Context, GlobalOptions } from '../context.ts';
import { EXIT } from '../exit.ts';
import { type Answers, initialConfig, PLACES, STORE_KINDS, type StoreKind } from '../init-template.ts';
import { print } from '../output.ts';
import { UsageError } from '../usage-error.ts';

export type InitOptions = GlobalOptions & Partial<Answers> & { readonly out: string };

/** Writes a first configuration. What no option answers is asked on a terminal, and else taken as offered. */
export async function initCommand(context: Context, options: InitOptions): Promise<number> {
  const answers = await collect(context, options);
  const path = resolve(context.cwd, options.out);
  await create(path, initialConfig(answers));
  print(context, options.output, {
    data: { path, ...answers },
    human: (paint) =>
      [
        `${paint('green', 'Wrote')} ${options.out}.`,
        'Next: `secretbridge validate`, then `secretbridge doctor`, then `secretbridge plan`.',
      ].join('\n'),
  });
  return EXIT.ok;
}

async function collect(context: Context, options: InitOptions): Promise<Answers> {
  const person = context.ask;
  const reader = person && createInterface({ input: person.input });
  // Lines that come before they are asked for, as when somebody pastes, are kept by the iterator.
  const lines = reader?.[Symbol.asyncIterator]();
  const answer = async (given: string | undefined, question: string, offer: string): Promise<string> => {
    if (given !== undefined) return given;
    person?.output.write(`${question} [${offer}]: `);
    const typed = await lines?.next();
    return (typed?.done ? undefined : typed?.value.trim()) || offer;
  };
  try {
    const instance = await answer(options.instance, 'Name of this installation', 'default');
    const store = storeKind(
      await answer(options.store, `Kind of store (${STORE_KINDS.join(', ')})`, 'vault'),
    );
    const { question, offer } = PLACES[store];
    const at = await answer(options.at, question, offer);
    const key = await answer(
      options.key,
      'Key of a first secret in it',
      store === 'files' ? 'example.txt' : 'example',
    );
    const namespace = await answer(options.namespace, 'Namespace of its Secret', 'default');
    const secret = await answer(options.secret, 'Name of its Secret', 'example');
    return { instance, store, at, key, namespace, secret };
  } finally {
    reader?.close();
  }
}

function storeKind(text: string): StoreKind {
  const kind = STORE_KINDS.find((it) => it === text);
  if (kind === undefined)
    throw new UsageError(`there is no store of kind ${JSON.stringify(text)}: ${STORE_KINDS.join(', ')}`);
  return kind;
}

/** Never over one that is there. */
async function create(path: string, text: string): Promise<void> {
  try {
    await writeFile(path, text, { flag: 'wx' });
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    if (code === 'EEXIST') throw new UsageError(`${path} is there already: name another file with --out`);
    if (code !== '') throw new UsageError(`${path} cannot be written: ${code}`);
    throw error;
  }
}
